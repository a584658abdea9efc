"""LangGraph servers inside a shadow: reads pass; runs and writes are blocked, allowed, or sent without their thread."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client, get_sync_client
from typing_extensions import TypedDict

from otel_shadow._langgraph.isolation.remote import RemoteBlockedError
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext
from otel_shadow.config import ToolsTable
from otel_shadow.testing import ShadowCapture

THREAD = {"configurable": {"thread_id": "user-1"}}
CHECKPOINT = {"thread_id": "user-1", "checkpoint_id": "c", "checkpoint_ns": "", "checkpoint_map": {}}
Request = tuple[str, str, dict[str, list[str]], Any]


class Server:
    """A stand-in for a LangGraph server: it answers every request with one that fits, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                at = urlsplit(self.path)
                given = json.loads(body) if body else None
                outer.asked.append((self.command, at.path, parse_qs(at.query), given))
                streams = at.path.endswith(("/stream", "/stream/events"))
                sent = (
                    b'event: values\r\ndata: {"text": "remote"}\r\n\r\n' if streams else b'{"id": 1, "text": "remote"}'
                )
                if at.path.endswith(("/search", "/history", "/versions")) and "/store" not in at.path:
                    sent = b"[]"
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream" if streams else "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(running: Server) -> Server:
    running.asked.clear()
    return running


@pytest.fixture(autouse=True)
def _outside_again() -> Iterator[None]:
    token = SHADOW.set(None)
    yield
    SHADOW.reset(token)


def inside(**tools: Any) -> ShadowContext:
    """Make the present context a shadow's."""
    scope = ShadowContext("g", "n", ToolsTable(**tools))
    SHADOW.set(scope)
    return scope


class Mine(RemoteGraph):
    """A user's subclass."""

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        yield from super().stream(*args, **kwargs)


def of_version_3(remote: RemoteGraph) -> Any:
    with remote.stream_events({"text": "x"}, THREAD, version="v3") as run:
        return run.output


def remote(url: str, kind: type[RemoteGraph] = RemoteGraph) -> RemoteGraph:
    return kind("helper", url=url, api_key="none")


async def awaited_of_version_3(remote: RemoteGraph) -> Any:
    async with await remote.astream_events({"text": "x"}, THREAD, version="v3") as run:
        return await run.output


async def astream(url: str) -> list[Any]:
    return [part async for part in remote(url).astream({"text": "x"}, THREAD, stream_mode="values")]


async def awaited_stream(url: str) -> list[Any]:
    async with get_client(url=url) as client:
        return [part async for part in client.runs.stream("user-1", "helper", checkpoint=CHECKPOINT)]


RUNS: dict[str, tuple[Callable[..., Any], str]] = {
    "invoke": (lambda url: remote(url).invoke({"text": "x"}, THREAD), "/runs/stream"),
    "stream": (lambda url: list(remote(url).stream({"text": "x"}, THREAD, stream_mode="values")), "/runs/stream"),
    "subclass": (lambda url: remote(url, Mine).invoke({"text": "x"}, THREAD), "/runs/stream"),
    "without a thread": (lambda url: remote(url).invoke({"text": "x"}), "/runs/stream"),
    "sdk stream": (
        lambda url: list(get_sync_client(url=url).runs.stream("user-1", "helper", checkpoint=CHECKPOINT)),
        "/runs/stream",
    ),
    "sdk wait": (
        lambda url: get_sync_client(url=url).runs.wait("user-1", "helper", config=THREAD, if_not_exists="create"),
        "/runs/wait",
    ),
    "sdk create": (
        lambda url: get_sync_client(url=url).runs.create("user-1", "helper", webhook="http://127.0.0.1:1/"),
        "/runs",
    ),
    "sdk batch": (
        lambda url: get_sync_client(url=url).runs.create_batch([{"thread_id": "user-1", "assistant_id": "helper"}]),
        "/runs/batch",
    ),
    "ainvoke": (lambda url: remote(url).ainvoke({"text": "x"}, THREAD), "/runs/stream"),
    "astream": (astream, "/runs/stream"),
    "awaited sdk stream": (awaited_stream, "/runs/stream"),
    "awaited sdk wait": (lambda url: get_client(url=url).runs.wait("user-1", "helper"), "/runs/wait"),
    "awaited sdk create": (lambda url: get_client(url=url).runs.create("user-1", "helper"), "/runs"),
    "awaited sdk batch": (
        lambda url: get_client(url=url).runs.create_batch([{"assistant_id": "helper"}]),
        "/runs/batch",
    ),
}


def run(act: Callable[[str], Any], url: str) -> Any:
    """Call ``act``, and await what it gives in a loop that inherits this context."""

    async def awaited(made: Any) -> Any:
        return await made

    made = act(url)
    return asyncio.run(awaited(made)) if asyncio.iscoroutine(made) else made


@pytest.mark.usefixtures("guards")
@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_blocked_and_named(name: str, server: Server) -> None:
    """No request leaves; the exception names the remedy, the record the part of the client."""
    scope = inside()
    with pytest.raises(RemoteBlockedError, match="stateless, or allow it"):
        run(RUNS[name][0], server.url)
    assert server.asked == []
    assert scope.blocked == ["langgraph_sdk.runs"]


@pytest.mark.usefixtures("guards")
@pytest.mark.parametrize("word", ["helper", "langgraph_sdk.runs"])
@pytest.mark.parametrize("name", RUNS)
def test_a_stateless_run_has_no_thread(name: str, word: str, server: Server) -> None:
    """By the assistant's name or for all: the request goes to the endpoint without a thread, and names none."""
    act, path = RUNS[name]
    scope = inside(stateless=(word,))
    run(act, server.url)
    [(method, asked, _, body)] = server.asked
    assert (method, asked) == ("POST", path)
    assert "user-1" not in json.dumps(body)
    assert not {"checkpoint", "if_not_exists", "webhook"} & set(body[0] if isinstance(body, list) else body)
    assert scope.blocked == []


@pytest.mark.usefixtures("guards")
@pytest.mark.parametrize("word", ["helper", "langgraph_sdk.runs"])
@pytest.mark.parametrize("tools", [{}, {"allow": True}], ids=["outside", "allowed"])
def test_an_allowed_run_and_one_of_production_are_as_they_are(tools: dict[str, Any], word: str, server: Server) -> None:
    """Thread and checkpoint are sent as they were given."""
    if tools:
        inside(allow=(word,))
    list(get_sync_client(url=server.url).runs.stream("user-1", "helper", checkpoint=CHECKPOINT))
    [(method, path, _, body)] = server.asked
    assert (method, path) == ("POST", "/threads/user-1/runs/stream")
    assert body["checkpoint"] == CHECKPOINT


@pytest.mark.usefixtures("guards")
def test_another_assistant_is_not_allowed(server: Server) -> None:
    """A name in ``[tools]`` is that assistant's alone; a declared name may be told."""
    scope = inside(allow=("other",), stateless=("another",), block=("helper",))
    with pytest.raises(RemoteBlockedError):
        remote(server.url).invoke({"text": "x"}, THREAD)
    assert (server.asked, scope.blocked) == ([], ["helper"])


WRITES: dict[str, Callable[[Any], Any]] = {
    "threads.create": lambda client: client.threads.create(),
    "threads.update": lambda client: client.threads.update("user-1", metadata={}),
    "threads.update_state": lambda client: client.threads.update_state("user-1", {"text": "x"}),
    "threads.copy": lambda client: client.threads.copy("user-1"),
    "threads.delete": lambda client: client.threads.delete("user-1"),
    "runs.cancel": lambda client: client.runs.cancel("user-1", "r"),
    "runs.cancel.wait": lambda client: client.runs.cancel("user-1", "r", wait=True),
    "runs.delete": lambda client: client.runs.delete("user-1", "r"),
    "crons.create": lambda client: client.crons.create("helper", schedule="* * * * *"),
    "crons.create_for_thread": lambda client: client.crons.create_for_thread("user-1", "helper", schedule="* * * * *"),
    "crons.delete": lambda client: client.crons.delete("c"),
    "store.put_item": lambda client: client.store.put_item(["a"], key="k", value={}),
    "store.delete_item": lambda client: client.store.delete_item(["a"], key="k"),
    "assistants.create": lambda client: client.assistants.create("graph"),
    "assistants.update": lambda client: client.assistants.update("helper", metadata={}),
    "assistants.set_latest": lambda client: client.assistants.set_latest("helper", 1),
    "assistants.delete": lambda client: client.assistants.delete("helper"),
    "http.post": lambda client: client.http.post("/custom", json={}),
}
CLIENTS = pytest.mark.parametrize("make", [get_sync_client, get_client])


@pytest.mark.usefixtures("guards")
@CLIENTS
@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_blocked_unless_allowed(name: str, make: Any, server: Server) -> None:
    """By the word of its part of the client; ``stateless`` lets none through."""
    word = f"langgraph_sdk.{name.split('.')[0]}"
    scope = inside(stateless=(word, "helper"))
    with pytest.raises(RemoteBlockedError):
        run(lambda url: WRITES[name](make(url=url)), server.url)
    assert (server.asked, scope.blocked) == ([], [word])
    inside(allow=(word,))
    run(lambda url: WRITES[name](make(url=url)), server.url)
    assert len(server.asked) == 1


READS: dict[str, Callable[[Any], Any]] = {
    "threads.get": lambda client: client.threads.get("user-1"),
    "threads.get_state": lambda client: client.threads.get_state("user-1"),
    "threads.get_state at a checkpoint": lambda client: client.threads.get_state("user-1", checkpoint=CHECKPOINT),
    "threads.get_history": lambda client: client.threads.get_history("user-1"),
    "threads.search": lambda client: client.threads.search(),
    "runs.list": lambda client: client.runs.list("user-1"),
    "runs.join": lambda client: client.runs.join("user-1", "r"),
    "crons.search": lambda client: client.crons.search(),
    "store.list_namespaces": lambda client: client.store.list_namespaces(["a"]),
    "assistants.get": lambda client: client.assistants.get("helper"),
    "assistants.search": lambda client: client.assistants.search(),
    "assistants.get_versions": lambda client: client.assistants.get_versions("helper"),
}


@pytest.mark.usefixtures("guards")
@CLIENTS
@pytest.mark.parametrize("name", READS)
def test_a_read_passes(name: str, make: Any, server: Server) -> None:
    """Reading changes nothing."""
    scope = inside()
    run(lambda url: READS[name](make(url=url)), server.url)
    assert (len(server.asked), scope.blocked) == (1, [])


@pytest.mark.usefixtures("guards")
@CLIENTS
def test_a_read_keeps_nothing_alive_and_cancels_nothing(make: Any, server: Server) -> None:
    """No time to live is refreshed; a stream that a shadow leaves is not the end of production's run."""
    inside()
    client = make(url=server.url)

    async def awaited() -> None:
        await client.store.get_item(["a"], key="k")
        await client.store.search_items(["a"])
        async for _ in client.runs.join_stream("user-1", "r", cancel_on_disconnect=True):
            pass

    if make is get_client:
        asyncio.run(awaited())
    else:
        client.store.get_item(["a"], key="k")
        client.store.search_items(["a"])
        list(client.runs.join_stream("user-1", "r", cancel_on_disconnect=True))
    item, found, joined = server.asked
    assert item[2]["refresh_ttl"] == ["false"]
    assert found[3]["refresh_ttl"] is False
    assert joined[2]["cancel_on_disconnect"] == ["false"]


@pytest.mark.skipif(not hasattr(RemoteGraph, "stream_events") or sys.version_info < (3, 11), reason="none yet")
@pytest.mark.usefixtures("guards")
@pytest.mark.parametrize("act", [of_version_3, awaited_of_version_3])
def test_a_run_by_events_is_blocked(act: Any, server: Server) -> None:
    """Streams of version 3 start runs by a command for a thread, and can't be stateless."""
    pytest.importorskip("langgraph_sdk.stream")
    scope = inside(stateless=("helper",))
    with pytest.raises(RemoteBlockedError, match="allow it"):
        run(lambda url: act(remote(url)), server.url)
    assert not [path for _, path, _, _ in server.asked if path.endswith("/commands")]
    assert scope.blocked == ["helper"]


class State(TypedDict, total=False):
    text: str


def of_its_own(url: str, is_async: bool) -> Any:
    """A V2 that makes a client of its own."""

    def v2(state: State) -> Any:
        return {"text": get_sync_client(url=url).runs.wait("user-1", "helper")["text"]}

    async def awaited(state: State) -> Any:
        async with get_client(url=url) as client:
            return {"text": (await client.runs.wait("user-1", "helper"))["text"]}

    return awaited if is_async else v2


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("kind", ["self", "own client"])
@pytest.mark.parametrize(
    ("tools", "paths", "told"),
    [
        ({}, [], ("error", "RemoteBlockedError", "none", ("langgraph_sdk.runs",))),
        ({"stateless": ["helper"]}, ["/runs"], ("success", None, "match", ())),
        ({"allow": ["helper"]}, ["/threads/user-1/runs"], ("success", None, "match", ())),
    ],
    ids=["by default", "stateless", "allowed"],
)
def test_a_remote_graph_beside_production(
    tools: Any, paths: list[str], told: Any, kind: str, is_async: bool, server: Server
) -> None:
    """V1's turn reaches the user's thread once; V2's does as ``[tools]`` says."""
    capture = ShadowCapture({"nodes": {"node": {"v2": "self", "compare": {"fields": ["*"]}}}, "tools": tools})
    try:
        graph = StateGraph(State).add_node("node", remote(server.url)).add_edge(START, "node").add_edge("node", END)
        v2 = {} if kind == "self" else {"node": of_its_own(server.url, is_async)}
        compiled = capture.attach(graph.compile(), v2)
        if is_async:
            assert asyncio.run(compiled.ainvoke({"text": "x"}, THREAD)) == {"text": "remote"}
        else:
            assert compiled.invoke({"text": "x"}, THREAD) == {"text": "remote"}
        [record] = capture.records
        assert record.v2 is not None
        assert (record.v2.status, record.v2.error_type, record.comparison.outcome, record.blocked_tools) == told
        assert server.asked[0][1] == "/threads/user-1/runs/stream"
        assert [path.removesuffix("/stream").removesuffix("/wait") for _, path, _, _ in server.asked[1:]] == paths
    finally:
        capture.close()


def test_a_second_run_of_v1_that_is_blocked_says_nothing_of_its_noise(server: Server) -> None:
    """The noise floor is what V1 does twice; what it may not do a second time is no disagreement with itself."""
    capture = ShadowCapture({"nodes": {"node": {}}, "arms": {"holdout": 0.0, "noise": 1.0}})
    try:
        graph = StateGraph(State).add_node("node", remote(server.url)).add_edge(START, "node").add_edge("node", END)
        compiled = capture.attach(graph.compile(), {"node": lambda state: {"text": "remote"}})
        compiled.invoke({"text": "x"}, THREAD)
        [record] = capture.records
        assert (record.comparison.outcome, record.comparison.self_match) == ("match", None)
        assert len(server.asked) == 1
    finally:
        capture.close()


def test_a_client_that_v2_imports_first_is_guarded(server: Server) -> None:
    """The application itself has never imported the package of the clients; older LangGraphs don't either."""
    program = f"""
from langgraph.graph import StateGraph, START
from typing import TypedDict
from otel_shadow.testing import ShadowCapture

class State(TypedDict, total=False):
    text: str

def v2(state):
    from langgraph_sdk import get_sync_client
    return get_sync_client(url={server.url!r}).runs.wait("user-1", "helper")

capture = ShadowCapture({{"nodes": {{"node": {{}}}}}})
graph = StateGraph(State).add_node("node", lambda state: {{}}).add_edge(START, "node").compile()
capture.attach(graph, {{"node": v2}}).invoke({{"text": "x"}})
print(capture.records[0].v2.error_type)
capture.close()
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=False)
    assert (done.stdout.strip(), server.asked) == ("RemoteBlockedError", []), done.stderr
