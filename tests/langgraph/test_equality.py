"""An application gives exactly what it gave without us, whatever V2 does.

Whole outputs are compared, and nothing is normalised but ids and times. Where nodes run side by side the chunks of a
stream come in any order, with us or without: there they are sorted.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
from equality_apps import APPS, App
from hostile_v2 import MARK, V2S
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from otel_shadow import ShadowInstrumentor

MODES = ("values", "updates", "messages", "custom", "debug", "tasks", "checkpoints")
_CHANGING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # UUID
    r"|\b[0-9a-f]{32}\b"  # interrupt ids, hashed from task ids
    r"|\d{4}-\d\d-\d\dT[\d:.]+(?:\+00:00|Z)?"
    r"|0x[0-9a-f]{6,}"
    r"|(?<='node_first_attempt_time': )[\d.]+"
    r"|(?<=elapsed: )[\d.]+"
)


def normal(value: Any) -> str:
    """``value`` as text with ids and times numbered in the order of their first appearance."""
    known: dict[str, str] = {}
    return _CHANGING.sub(lambda found: known.setdefault(found.group(), f"<{len(known)}>"), repr(value))


def outcome(work: Callable[[], Any]) -> Any:
    """What ``work`` returns, or the type and text of what it raises."""
    try:
        return work()
    except Exception as error:
        return type(error).__name__, str(error), getattr(error, "__notes__", [])


def play(app: App) -> list[Any]:
    """Every turn by every method of a synchronous application."""
    graph, options = app.graph, app.options

    def stream(turn: Any, name: str, **more: Any) -> Any:
        return outcome(lambda: list(graph.stream(deepcopy(turn), _thread(name), **more, **options)))

    seen: list[Any] = []
    for turn in app.turns:
        seen.append(outcome(lambda turn=turn: graph.invoke(deepcopy(turn), _thread("invoke"), **options)))
        seen.extend(stream(turn, mode, stream_mode=mode) for mode in MODES)
        seen.append(stream(turn, "all", stream_mode=[*MODES], subgraphs=True))
    if not app.counts:
        seen.append(outcome(lambda: graph.batch(_twice(app), _several("batch"), **options)))
    seen.append(outcome(lambda: graph.get_state(_thread("invoke"), subgraphs=True)))
    seen.append(outcome(lambda: list(graph.get_state_history(_thread("invoke")))))
    return seen


async def aplay(app: App) -> list[Any]:
    """The same for the awaited twins, and the event stream."""
    seen: list[Any] = []
    graph, options = app.graph, app.options

    async def collect(chunks: Any) -> Any:
        got: list[Any] = []
        try:
            async for chunk in chunks:
                got.append(chunk)
        except Exception as error:
            got.append((type(error).__name__, str(error)))
        return got

    async def attempt(awaitable: Any) -> Any:
        try:
            return await awaitable
        except Exception as error:
            return type(error).__name__, str(error), getattr(error, "__notes__", [])

    for turn in app.turns:
        seen.append(await attempt(graph.ainvoke(deepcopy(turn), _thread("invoke"), **options)))
        for mode in MODES:
            seen.append(await collect(graph.astream(deepcopy(turn), _thread(mode), stream_mode=mode, **options)))
        chunks = graph.astream(deepcopy(turn), _thread("all"), stream_mode=[*MODES], subgraphs=True, **options)
        seen.append(await collect(chunks))
        seen.append(await collect(graph.astream_events(deepcopy(turn), _thread("events"), version="v2", **options)))
    if not app.counts:
        seen.append(await attempt(graph.abatch(_twice(app), _several("batch"), **options)))
    seen.append(await attempt(graph.aget_state(_thread("invoke"), subgraphs=True)))
    seen.append(await collect(graph.aget_state_history(_thread("invoke"))))
    return seen


def _thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}, "metadata": {"who": "ana"}, "tags": ["t"]}


def _several(name: str) -> list[Any]:
    return [_thread(f"{name}-{at}") for at in range(2)]


def _twice(app: App) -> list[Any]:
    return [deepcopy(app.turns[0]) for _ in range(2)]


def looks(app: App) -> list[Any]:
    """Drawing, schemas and discovery."""
    graph = app.graph
    return [
        graph.get_graph().draw_mermaid(),
        graph.get_graph(xray=True).draw_mermaid(),
        graph.get_graph(xray=True).to_json(),
        graph.get_input_jsonschema(),
        graph.get_output_jsonschema(),
        outcome(graph.get_context_jsonschema),
        [(name, type(found).__name__) for name, found in graph.get_subgraphs(recurse=True)],
        {
            name: (type(node.bound).__name__, node.triggers, node.tags, node.metadata)
            for name, node in graph.nodes.items()
        },
        sorted(graph.channels),
        graph.name,
    ]


@contextmanager
def instrumented(capture: Any, v2: Any) -> Iterator[None]:
    """Every node of every graph has ``v2`` as its V2."""
    instrumentor = ShadowInstrumentor()
    instrumentor.instrument(manager=capture.manager, resolve_v2=lambda graph, node: v2, raise_errors=True)
    try:
        yield
    finally:
        capture.settle()
        instrumentor.uninstrument()


def build(make: Callable[[], App], is_async: bool) -> App:
    """The application, or a skip with its reason."""
    try:
        app = make()
    except (ImportError, TypeError) as missing:
        pytest.skip(f"this version has no such thing: {missing}")
    if app.only is not None and app.only != ("async" if is_async else "sync"):
        pytest.skip(f"this application is {app.only} only")
    return app


def played(app: App, is_async: bool) -> list[Any]:
    """All that came out, normalised."""
    seen = asyncio.run(aplay(app)) if is_async else play(app)
    if app.side_by_side:
        return [sorted(map(normal, item)) if isinstance(item, list) else normal(item) for item in seen]
    return [normal(item) for item in seen]


@pytest.mark.parametrize("v2", V2S)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("make", APPS, ids=lambda make: make.__name__)
def test_outputs_are_what_they_were(make: Any, is_async: bool, v2: str, make_shadow_capture: Any) -> None:
    """Every method and stream mode gives the same, with a V2 that does nothing, everything, or what V1 does."""
    app = build(make, is_async)
    if v2 == "self" and app.counts:
        pytest.skip("the application counts its calls in a global")
    expected = played(app, is_async)
    capture = make_shadow_capture({"limits": {"queue": 10_000}})
    with instrumented(capture, V2S[v2]):
        actual = played(build(make, is_async), is_async)
    for want, got in zip(expected, actual, strict=True):
        assert got == want
    assert MARK not in str(actual)
    assert any(record.v2 is not None for record in capture.records)
    assert capture.swallowed == {}


@pytest.mark.parametrize("make", APPS, ids=lambda make: make.__name__)
def test_the_graph_looks_as_it_did(make: Any, make_shadow_capture: Any) -> None:
    """Drawing, xray, JSON schemas, subgraph discovery, nodes and channels."""
    expected = looks(build(make, build_async(make)))
    with instrumented(make_shadow_capture(), V2S["hostile"]):
        assert normal(looks(build(make, build_async(make)))) == normal(expected)


def build_async(make: Any) -> bool:
    return make.__name__ in ("afunctional", "timeouts")


def test_uninstrumenting_leaves_no_trace(make_shadow_capture: Any) -> None:
    """LangGraph's classes are the originals, live graphs run plain sequences, and no shadow runs any more."""
    from langgraph.func import entrypoint

    owners = (StateGraph, Pregel, entrypoint)
    before = [dict(vars(owner)) for owner in owners]
    capture = make_shadow_capture()
    early = APPS[0]()
    plain = {name: type(node.node) for name, node in early.graph.nodes.items()}
    with instrumented(capture, V2S["nothing"]):
        late = APPS[0]()
        assert {type(node.node).__name__ for node in late.graph.nodes.values()} >= {"ShadowedSequence"}
        assert {type(node.node).__name__ for node in early.graph.nodes.values()} >= {"ShadowedSequence"}
        assert inspect.signature(StateGraph.compile) == inspect.signature(before[0]["compile"])
    assert [dict(vars(owner)) for owner in owners] == before
    for app in (early, late):
        assert {name: type(node.node) for name, node in app.graph.nodes.items()} == plain
        app.graph.invoke(app.turns[0], _thread("t"), **app.options)
    assert capture.records == []
