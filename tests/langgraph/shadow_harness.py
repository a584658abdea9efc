"""Runs V2 beside one node of a compiled graph, isolated or naively, at a moment that the test chooses.

The real runner runs V2 some time later, often when the run is over; here V2 runs while the run is still going on, just
before or just after V1, so that whatever could leak does.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from langgraph._internal._runnable import RunnableSeq, set_config_context

from otel_shadow._langgraph.capture import NodeCapture
from otel_shadow._langgraph.decision import v1_sends, v1_targets
from otel_shadow._langgraph.run import arun, run
from otel_shadow._langgraph.v2 import coerce
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow.config import ToolsTable

ISOLATED = "isolated"
NAIVE = "naive"
BEFORE = "before"
AFTER = "after"


@dataclass
class Shadow:
    """What happened beside the node."""

    executions: list[ExecutionResult] = field(default_factory=list)
    scopes: list[ShadowContext] = field(default_factory=list)
    captured: list[NodeCapture] = field(default_factory=list)
    targets: list[tuple[str, ...]] = field(default_factory=list)
    sends: list[Any] = field(default_factory=list)
    naive: list[Any] = field(default_factory=list)
    """Values (or exceptions) of naive runs."""

    @property
    def ran(self) -> int:
        """How often V2 ran to an end."""
        return len(self.executions) + len(self.naive)


@dataclass
class Plan:
    """How V2 is run."""

    v2: Any
    proc: Any
    mode: str
    when: str
    tools: ToolsTable
    shadow: Shadow
    enter: Callable[[], None] | None = None
    recorded: Any = None

    def scope(self) -> ShadowContext:
        scope = ShadowContext("graph", "node", self.tools, recorded_calls=self.recorded or {})
        self.shadow.scopes.append(scope)
        return scope

    def sync(self, captured: NodeCapture, value: Any, config: Any) -> None:
        if self.mode == ISOLATED:
            work = functools.partial(run, captured, self.proc, self.v2, scope=self.scope(), enter=self.enter)
            self.shadow.executions.append(_in_thread(work))
            return
        with set_config_context(config) as context:
            self.shadow.naive.append(_in_thread(functools.partial(context.run, coerce(self.v2).invoke, value, config)))

    async def awaited(self, captured: NodeCapture, value: Any, config: Any) -> None:
        if self.mode == ISOLATED:
            work = arun(captured, self.proc, self.v2, scope=self.scope(), enter=self.enter)
            self.shadow.executions.append(await asyncio.wrap_future(_on_other_loop(work)))
            return
        with set_config_context(config) as context:
            task = asyncio.create_task(coerce(self.v2).ainvoke(value, config), context=context)
            self.shadow.naive.append((await asyncio.gather(task, return_exceptions=True))[0])


class HarnessSeq(RunnableSeq):
    """V1's sequence with V2 beside it."""

    plan: Plan

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        plan, error = self.plan, None
        captured = NodeCapture(input, config, plan.proc, plan.v2, awaited=False)
        plan.shadow.captured.append(captured)
        if plan.when == BEFORE:
            plan.sync(captured, input, config)
        try:
            return super().invoke(input, config, **kwargs)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._note(captured, error)
            if plan.when == AFTER:
                plan.sync(captured, input, config)

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        plan, error = self.plan, None
        captured = NodeCapture(input, config, plan.proc, plan.v2, awaited=True)
        plan.shadow.captured.append(captured)
        if plan.when == BEFORE:
            await plan.awaited(captured, input, config)
        try:
            return await super().ainvoke(input, config, **kwargs)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._note(captured, error)
            if plan.when == AFTER:
                await plan.awaited(captured, input, config)

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:
        yield self.invoke(input, config, **kwargs)

    async def astream(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
        yield await self.ainvoke(input, config, **kwargs)

    def _note(self, captured: NodeCapture, error: BaseException | None) -> None:
        self.plan.shadow.targets.append(v1_targets(captured.writes(), error, captured.here))
        self.plan.shadow.sends.append(v1_sends(captured.writes(), error))


def shadow(
    graph: Any,
    node: str,
    v2: Any,
    mode: str = ISOLATED,
    when: str = AFTER,
    tools: ToolsTable | None = None,
    **more: Any,
) -> Shadow:
    """Put V2 beside ``node`` of ``graph``."""
    proc = graph.nodes[node]
    beside = Shadow()
    sequence = copy.copy(proc.node)
    sequence.__class__ = HarnessSeq
    sequence.plan = Plan(v2, proc, mode, when, tools or ToolsTable(), beside, **more)
    proc.__dict__["node"] = sequence
    return beside


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
    """The value of ``work`` or what it raised; an isolated run never raises."""
    done: list[Any] = []

    def go() -> None:
        try:
            done.append(work())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(20)
    assert done, "V2 did not end"
    return done[0]


def _on_other_loop(work: Coroutine[Any, Any, Any]) -> Future[Any]:
    return asyncio.run_coroutine_threadsafe(work, _loop())


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="shadow-loop", daemon=True).start()
    return loop
