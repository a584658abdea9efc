"""Runs V2 beside one node of a compiled graph, isolated or naively, while the production run is still going on.

Isolated, everything is what ships: the wrapper, the execution, the dispatcher, its executors and the capture. The
harness waits inside the node until the shadow run is over, so that whatever could leak into the run does; where V2 is
to run before V1, the capture is run at once.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph._internal._runnable import RunnableSeq, set_config_context

from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow._langgraph.instrument.node_wrapper import ShadowedSequence
from otel_shadow._langgraph.node_capture import NodeCapture
from otel_shadow._langgraph.v2_runnable import as_runnable
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.executors.loop import LoopThread, OwnLoopPlace
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext
from otel_shadow._runtime.sinks import Identified, NoSpan, Sink
from otel_shadow.config import ShadowConfig
from otel_shadow.record import ShadowRecord
from otel_shadow.testing.capture import default_flags

ISOLATED = "isolated"
NAIVE = "naive"
BEFORE = "before"
AFTER = "after"
_WAIT_S = 20.0
ENGINES: list[ShadowTrafficManager] = []
"""Those of the present test."""


@dataclass
class Shadow:
    """What happened beside the node."""

    executions: list[ExecutionResult] = field(default_factory=list)
    scopes: list[ShadowContext | None] = field(default_factory=list)
    captured: list[NodeCapture] = field(default_factory=list)
    records: list[ShadowRecord] = field(default_factory=list)
    targets: list[tuple[str, ...]] = field(default_factory=list)
    """V1's."""
    sends: list[Any] = field(default_factory=list)
    """V1's."""
    naive: list[Any] = field(default_factory=list)
    """Values (or exceptions) of naive runs."""

    @property
    def ran(self) -> int:
        """How often V2 ran to an end."""
        return len(self.executions) + len(self.naive)


class _Witness(NoSpan, Sink):
    """Notes what the engine tells: as its spans the context in which V2 begins, as its sink the records."""

    def __init__(self, beside: Shadow, enter: Callable[[], None] | None) -> None:
        self._beside = beside
        self._enter = enter

    def v1(self, execution: Identified, fallback_reason: str | None) -> NoSpan:
        return NoSpan()

    def live(self, execution: Identified) -> NoSpan:
        return NoSpan()

    def v2(self, labels: Any, beside: Any) -> _Witness:
        return self

    def carrier(self) -> dict[str, str]:
        return {}

    def close(self, *_: Any) -> None:
        """Nothing was opened."""

    def enter(self) -> None:
        self._beside.scopes.append(SHADOW.get())
        if self._enter is not None:
            self._enter()

    def inspect(self, record: ShadowRecord, v1: ExecutionResult, v2: ExecutionResult) -> None:
        self._beside.executions.append(v2)
        self._beside.targets.append(v1.targets)
        self._beside.sends.append(v1.sends)

    def emit(self, record: ShadowRecord) -> None:
        self._beside.records.append(record)


class WaitingSequence(ShadowedSequence):
    """The shipped sequence, which ends when its shadow run has."""

    beside: Shadow
    engine: ShadowTrafficManager
    before: Callable[[], None] | None

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        try:
            return super().invoke(input, config, **kwargs)
        finally:
            assert self.engine.flush(_WAIT_S), "V2 did not end"

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        try:
            return await super().ainvoke(input, config, **kwargs)
        finally:
            assert await asyncio.to_thread(self.engine.flush, _WAIT_S), "V2 did not end"

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:
        try:
            yield from super().stream(input, config, **kwargs)
        finally:
            assert self.engine.flush(_WAIT_S), "V2 did not end"

    async def astream(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            async for chunk in super().astream(input, config, **kwargs):
                yield chunk
        finally:
            assert await asyncio.to_thread(self.engine.flush, _WAIT_S), "V2 did not end"

    def _begin(self, value: Any, config: Any, *, awaited: bool) -> Any:
        execution = super()._begin(value, config, awaited=awaited)
        if execution is not None and isinstance(execution.capture, NodeCapture):
            self.beside.captured.append(execution.capture)
            if self.before is not None:
                run = execution.capture.run
                scope = ShadowContext("graph", "node", self.engine.config.tools)
                place = OwnLoopPlace(LoopThread(), None) if execution.capture.is_async else None
                self.beside.executions.append(_in_thread(lambda: run(scope, self.before, place)))
                execution.capture = None
        return execution


class NaiveSequence(RunnableSeq):
    """V1's sequence with V2 run beside it on the same input and configuration."""

    beside: Shadow
    v2: Any
    when: str

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        if self.when == BEFORE:
            self._run(input, config)
        try:
            return super().invoke(input, config, **kwargs)
        finally:
            if self.when == AFTER:
                self._run(input, config)

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        if self.when == BEFORE:
            await self._arun(input, config)
        try:
            return await super().ainvoke(input, config, **kwargs)
        finally:
            if self.when == AFTER:
                await self._arun(input, config)

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:
        yield self.invoke(input, config, **kwargs)

    async def astream(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
        yield await self.ainvoke(input, config, **kwargs)

    def _run(self, value: Any, config: Any) -> None:
        with set_config_context(config) as context:
            self.beside.naive.append(_in_thread(lambda: context.run(self.v2.invoke, value, config)))

    async def _arun(self, value: Any, config: Any) -> None:
        with set_config_context(config) as context:
            task = asyncio.create_task(self.v2.ainvoke(value, config), context=context)
            self.beside.naive.append((await asyncio.gather(task, return_exceptions=True))[0])


def shadow(
    graph: Any,
    node: str,
    v2: Any,
    mode: str = ISOLATED,
    when: str = AFTER,
    tools: Mapping[str, Any] | None = None,
    enter: Callable[[], None] | None = None,
) -> Shadow:
    """Put V2 beside ``node`` of ``graph``.

    Arguments:
        tools: the table ``[tools]``.
        enter: called in V2's context just before V2.
    """
    beside = Shadow()
    if mode == NAIVE:
        _become(graph.nodes[node], NaiveSequence, beside=beside, v2=as_runnable(v2), when=when)
        return beside
    witness = _Witness(beside, enter)
    config = ShadowConfig.from_mapping({"v2_build": "t", "arms": {"holdout": 0.0}, "tools": tools or {}}, "the harness")
    engine = ShadowTrafficManager(
        config,
        default_flags(config),
        log_file=os.devnull,
        sinks=[witness],
        spans=witness,
        inspect=witness.inspect,
        trials=False,
    )
    ENGINES.append(engine)
    attach(graph, engine, lambda _, name: v2 if name == node else None)
    before = witness.enter if when == BEFORE else None
    _become(graph.nodes[node], WaitingSequence, beside=beside, engine=engine, before=before)
    return beside


def _become(node: Any, kind: type, **attributes: Any) -> None:
    sequence = copy.copy(node.node)
    sequence.__class__ = kind
    for name, value in attributes.items():
        setattr(sequence, name, value)
    node.__dict__["node"] = sequence


@dataclass(frozen=True)
class World:
    """Isolated or naive, called or awaited."""

    mode: str
    is_async: bool

    @property
    def isolated(self) -> bool:
        return self.mode == ISOLATED

    def node(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function`` in this world's colour, parameters kept."""
        if not self.is_async:
            return function

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return awaited

    def shadow(self, graph: Any, node: str, v2: Any, when: str = AFTER, **more: Any) -> Shadow:
        return shadow(graph, node, v2, self.mode, when, **more)

    def invoke(self, graph: Any, value: Any, config: Any = None, **kwargs: Any) -> Any:
        if self.is_async:
            return asyncio.run(graph.ainvoke(value, config, **kwargs))
        return graph.invoke(value, config, **kwargs)

    def stream(self, graph: Any, value: Any, config: Any = None, **kwargs: Any) -> list[Any]:
        if not self.is_async:
            return list(graph.stream(value, config, **kwargs))

        async def collect() -> list[Any]:
            return [chunk async for chunk in graph.astream(value, config, **kwargs)]

        return asyncio.run(collect())


def _in_thread(work: Callable[[], Any]) -> Any:
    """The value of ``work`` or what it raised."""
    done: list[Any] = []

    def go() -> None:
        try:
            done.append(work())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(_WAIT_S)
    assert done, "V2 did not end"
    return done[0]
