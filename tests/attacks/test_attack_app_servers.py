"""Real application servers with several processes: every request answered, every pair told, no process left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from waiting import PATIENCE_S, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked for in /proc")
TESTS = Path(__file__).resolve().parents[1]
REQUESTS = 60
EXECUTIONS = ("SHADOW_V2", "SHADOW_BASELINE")
V2S = """
import time
from small_graphs import left

def quick_or_hanging(state):
    if state["text"].endswith("7"):
        time.sleep(3600)
    return left(state)
"""
APPLICATION = """
import asyncio, json, os
from small_graphs import small_graph
from v2s import quick_or_hanging
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow.config import ShadowConfig
from otel_shadow._langgraph.instrument.attach import attach

config = ShadowConfig.from_mapping({
    "nodes": {"left": {"v2": "v2s:quick_or_hanging", "executor": os.environ["EXECUTOR"], "timeout_ms": 60000}},
    "arms": {"holdout": 0.0},
    "limits": {"shutdown_seconds": 2.0, "queue": 1000},
    "process": {"workers": 1},
})
manager = ShadowTrafficManager(config, log_file=os.environ["LOG"])
graph = small_graph()
attach(graph, manager)

def given(path):
    return {"text": path, "items": []}, {"configurable": {"thread_id": path}}

def answer(state):
    return json.dumps({"trail": state["trail"], "process": os.getpid()}).encode()

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = answer(await graph.ainvoke(*given(scope["path"])))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

def wsgi(environ, start_response):
    body = answer(graph.invoke(*given(environ["PATH_INFO"])))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
SERVERS = {
    "uvicorn": ["-m", "uvicorn", "application:asgi", "--workers", "2", "--port", "{port}", "--log-level", "warning"],
    "gunicorn": [
        "-m", "gunicorn", "application:wsgi", "--workers", "2", "--threads", "4", "--bind", "127.0.0.1:{port}",
        "--log-level", "warning",
    ],
    "gunicorn, forked after import": [
        "-m", "gunicorn", "application:wsgi", "--preload", "--workers", "2", "--threads", "4", "--bind",
        "127.0.0.1:{port}", "--log-level", "warning",
    ],
}  # fmt: skip


class Server:
    """A server in a process of its own, found again in ``/proc`` by a word in its environment."""

    def __init__(self, folder: Path, command: list[str], executor: str) -> None:
        (folder / "v2s.py").write_text(V2S, encoding="utf-8")
        (folder / "application.py").write_text(APPLICATION, encoding="utf-8")
        self.log = folder / "app.log"
        self._mark = f"OTEL_SHADOW_TEST={uuid4().hex}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        name, _, value = self._mark.partition("=")
        environment = {**os.environ, name: value, "LOG": str(self.log), "EXECUTOR": executor}
        environment["PYTHONPATH"] = os.pathsep.join(map(str, (folder, TESTS, TESTS.parent)))
        self._process = subprocess.Popen(
            [sys.executable, *(word.format(port=self._port) for word in command)], cwd=folder, env=environment
        )

    def get(self, path: str) -> Any:
        """The answer to one request."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/{path}", timeout=PATIENCE_S) as response:
            return json.loads(response.read())

    def get_again(self, path: str) -> Any:
        """The answer, where uvicorn resets a connection that it accepted as it ended."""
        while True:
            with suppress(ConnectionError, urllib.error.URLError):
                return self.get(path)

    def wait(self) -> None:
        """Until it listens."""
        until(self._listens)

    def _listens(self) -> bool:
        assert self._process.poll() is None, "the server has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def stop(self, number: signal.Signals) -> int:
        """Send a signal to the first process; its exit code."""
        self._process.send_signal(number)
        return self._process.wait(PATIENCE_S)

    def left(self) -> list[str]:
        """What still runs of it, workers of ours included."""
        return [command for _, command in _running(self._mark.encode())]

    def kill(self) -> None:
        """End all of it, where a test has failed."""
        self._process.kill()
        for number, _ in _running(self._mark.encode()):
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)

    def lines(self) -> list[dict[str, Any]]:
        """The log lines so far."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


def _running(mark: bytes) -> Iterator[tuple[int, str]]:
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    yield int(process.name), (process / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue


@pytest.mark.parametrize("executor", ["thread", "process"])
@pytest.mark.parametrize("name", list(SERVERS))
def test_every_request_is_answered_and_nothing_is_left(tmp_path: Path, name: str, executor: str) -> None:
    """Several processes, requests side by side, some V2s that hang; then ``SIGTERM``, as a deployment sends it."""
    pytest.importorskip(name.partition(",")[0])
    server = Server(tmp_path, SERVERS[name], executor)
    try:
        server.wait()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(server.get, map(str, range(REQUESTS))))
        assert [answer["trail"] for answer in answers] == [["left", "right"]] * REQUESTS
        assert server.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
        until(lambda: not server.left())
    finally:
        server.kill()
    lines = [line for line in server.lines() if line["event"] in EXECUTIONS and line["node"] == "left"]
    told = Counter(line.get("shadow_status") or line["reason"] for line in lines)
    assert sum(told.values()) == REQUESTS, "each pair has ended or is cancelled"
    assert set(told) <= {"success", "cancelled", "shed"}
    if executor == "thread":
        assert told["cancelled"] >= 6, "those that hang, at least"
        assert told["success"] > 0


RECYCLED = {
    "uvicorn": [*SERVERS["uvicorn"], "--limit-max-requests", "5"],
    "gunicorn": [*SERVERS["gunicorn"], "--max-requests", "5"],
}


@pytest.mark.parametrize("name", list(RECYCLED))
def test_a_worker_that_ends_after_its_share_tells_every_pair(tmp_path: Path, name: str) -> None:
    """Each worker answers about five requests and is replaced: what its V2s did is told."""
    pytest.importorskip(name)
    server = Server(tmp_path, RECYCLED[name], "thread")
    try:
        server.wait()
        answers = []
        while len({answer["process"] for answer in answers}) < 3:  # uvicorn looks at its count now and then
            assert len(answers) < 2000, "workers were replaced"
            answers.append(server.get_again(f"{len(answers)}/"))
        assert [answer["trail"] for answer in answers] == [["left", "right"]] * len(answers)
        server.stop(signal.SIGTERM)
        until(lambda: not server.left())
    finally:
        server.kill()
    lines = [line for line in server.lines() if line["event"] in EXECUTIONS and line["node"] == "left"]
    assert Counter(line.get("shadow_status") or line["reason"] for line in lines) == {"success": len(answers)}
