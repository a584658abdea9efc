"""The wrapper of a node: its cached sequence of V1 and writers becomes a subclass of LangGraph's, with the same steps.

Specs, ``bound`` and writers stay untouched, so drawing, schemas, subgraph discovery, cache identity and every stream
mode are what they were.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph._internal._runnable import RunnableSeq
from langgraph.errors import GraphBubbleUp, InvalidUpdateError
from langgraph.pregel._read import PregelNode

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.live_attempt import LiveAttempt, TimeLimited, copied
from otel_shadow._langgraph.nested_runs import NestedRuns
from otel_shadow._langgraph.node_capture import NodeCapture
from otel_shadow._runtime.execution import Execution, begin
from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow._runtime.live import Attempt, aserve, serve
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.redact import type_name
from otel_shadow._runtime.services import Services
from otel_shadow._runtime.shadow_context import within_v2
from otel_shadow._runtime.side_effects import Recording
from otel_shadow._runtime.snapshot import SnapshotError, TooLargeError, TooSlowError
from otel_shadow._runtime.time_limit import OverdueV2s

Call = Callable[..., Any]
Made = TypeVar("Made")
_SHADOW = ("_shadowed", "_v2", "_overdue")
"""Attributes that copies share."""
_PASSING, _UNUSABLE = (GraphBubbleUp,), (InvalidUpdateError,)


class ShadowedSequence(RunnableSeq):
    """A node's sequence of V1 and its writers, beside which V2 runs. Its values and exceptions are V1's.

    In a live session they are V2's, and V1's where V2 fails.
    """

    _shadowed: ShadowedNode
    _node: PregelNode
    _v2: Runnable[Any, Any] | None
    _overdue: OverdueV2s

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return V1's value, or raise what V1 raised; in a live session V2's."""
        execution = None if self._shadowed.off else self._begin(input, config, awaited=False)
        if execution is None or config is None:
            return super().invoke(input, config, **kwargs)
        with execution:
            if execution.live:
                execution.result = self._serve(execution, super().invoke, input, config, kwargs)
                return execution.result
            execution.open_span()
            try:
                execution.result = execution.produced(super().invoke(input, config, **kwargs))
            except BaseException as error:
                execution.raised(error)
                raise
            return execution.result

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Await V1's value, or raise what V1 raised; in a live session V2's."""
        execution = None if self._shadowed.off else self._begin(input, config, awaited=True)
        if execution is None or config is None:
            return await super().ainvoke(input, config, **kwargs)
        with execution:
            if execution.live:
                execution.result = await self._aserve(execution, super().ainvoke, input, config, kwargs)
                return execution.result
            execution.open_span()
            try:
                execution.result = execution.produced(await super().ainvoke(input, config, **kwargs))
            except BaseException as error:
                execution.raised(error)
                raise
            return execution.result

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """Yield V1's chunks, or raise what V1 raised; in a live session V2's value as one chunk."""
        execution = self._begin(input, config, awaited=False)
        if execution is None or config is None:
            yield from super().stream(input, config, **kwargs)
            return
        with execution:
            if execution.live:
                execution.result = self._serve(execution, super().invoke, input, config, kwargs)
                yield execution.result
                return
            for chunk in execution.through_stream(super().stream(input, config, **kwargs)):
                execution.result = chunk
                yield chunk

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """Yield V1's chunks as they are awaited, or raise what V1 raised; in a live session V2's value as one chunk."""
        execution = self._begin(input, config, awaited=True)
        if execution is None or config is None:
            async for chunk in super().astream(input, config, **kwargs):
                yield chunk
            return
        with execution:
            if execution.live:
                execution.result = await self._aserve(execution, super().ainvoke, input, config, kwargs)
                yield execution.result
                return
            async for chunk in execution.athrough_stream(super().astream(input, config, **kwargs)):
                execution.result = chunk
                yield chunk

    # --- copies ----------------------------------------------------------------------------------------------------

    def __copy__(self) -> ShadowedSequence:
        """Copy with the same steps and the same shadow."""
        return _made(type(self), vars(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> ShadowedSequence:
        """Copy the steps as LangGraph's sequence is copied; the shadow, with its locks and threads, is the same one."""
        twin = memo[id(self)] = _made(type(self), {})
        same = {name for name in _SHADOW if vars(self).get(name) is not self._node.bound}  # V1 as its own V2 is copied
        for name, item in vars(self).items():
            setattr(twin, name, item if name in same else copy.deepcopy(item, memo))
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle LangGraph's own sequence: a shadow belongs to its process."""
        return self._plain().__reduce_ex__(protocol)

    def _plain(self) -> RunnableSeq:
        """Return LangGraph's own sequence of the same steps."""
        own = {name: item for name, item in vars(self).items() if name not in (*_SHADOW, "_node")}
        return _made(RunnableSeq, own)

    # --- before V1 -------------------------------------------------------------------------------------------------

    def _begin(self, value: Any, config: RunnableConfig | None, *, awaited: bool) -> Execution | None:
        """Begin an execution and capture its input; None where V1 is to run with nothing around it."""
        if not config:
            return None
        execution = begin(self._shadowed, value, config.get(internals.CONF, {}), config)
        if execution is not None:
            if self._v2 is not None and execution.shadowed:
                execution.capture = self._capture(execution, self._v2, value, config, awaited)
            elif self._v2 is None and (execution.shadowed or execution.live):
                execution.not_implemented()
        return execution

    def _capture(
        self, execution: Execution, v2: Runnable[Any, Any], value: Any, config: RunnableConfig, awaited: bool
    ) -> NodeCapture | None:
        """Capture the input before V1 runs; None, and a reason on the execution, where there is to be no shadow run."""
        shadowed = self._shadowed
        settings = shadowed.services.config
        if shadowed.overhead_budget.overdrawn:
            execution.shed("overhead")
            return None
        try:
            capture = NodeCapture(
                value,
                config,
                self._node,
                v2,
                awaited=awaited,
                largest=settings.limits.snapshot_bytes - shadowed.services.dispatcher.waiting_bytes,
                until=execution.until,
            )
        except TooLargeError:
            execution.shed("memory")
            return None
        except TooSlowError:
            execution.shed("overhead")
            return None
        except SnapshotError as error:
            execution.skip(f"not_captured:{type_name(error.type_name)}")
            return None
        except BaseException as fault:
            if is_from_outside(fault):
                raise
            shadowed.services.fault_barrier.caught("capture", shadowed.name, fault)
            execution.skip("not_captured")
            return None
        if capture.is_retry:
            execution.skip("retry")
            return None
        if settings.tools.replay:
            capture.recording = Recording()
        capture.nested = NestedRuns(capture.left, shadowed.overhead_budget.left_s)
        return capture

    # --- live ------------------------------------------------------------------------------------------------------

    def _serve(self, execution: Execution, v1: Call, input: Any, config: RunnableConfig, more: dict[str, Any]) -> Any:
        attempt = LiveAttempt(config)

        def v2() -> Any:
            with within_v2():
                return self._with_v2(execution).invoke(copied(input), attempt.begin(), **more)

        v1_alone = partial(v1, input, config, **more)
        return serve(execution, Attempt(_PASSING, _UNUSABLE, attempt.commit), v2, v1_alone)

    async def _aserve(
        self, execution: Execution, v1: Call, input: Any, config: RunnableConfig, more: dict[str, Any]
    ) -> Any:
        attempt = LiveAttempt(config)

        async def v2() -> Any:
            with within_v2():
                return await self._with_v2(execution).ainvoke(copied(input), attempt.begin(), **more)

        return await aserve(
            execution, Attempt(_PASSING, _UNUSABLE, attempt.commit), v2, partial(v1, input, config, **more)
        )

    def _with_v2(self, execution: Execution) -> RunnableSeq:
        """Return the sequence with V2, under its time limit, in V1's place; the writers stay the graph's own."""
        if self._v2 is None:
            raise NotImplementedError(f"node {self._shadowed.name!r} has no V2")
        sequence = self._plain()
        limited = TimeLimited(self._v2, execution.assignment.timeout_s, self._overdue)
        sequence.steps = [limited, *self.steps[1:]]
        return sequence


def _made(kind: type[Made], attributes: Mapping[str, Any]) -> Made:
    made = object.__new__(kind)
    vars(made).update(attributes)
    return made


def wrap(node: PregelNode, shadowed: ShadowedNode, v2: Runnable[Any, Any] | None) -> bool:
    """Make ``node`` of a graph a shadowed node, and return whether it is one: a node without writers is left alone."""
    sequence = node.node
    if not isinstance(sequence, RunnableSeq) or isinstance(sequence, ShadowedSequence):
        return isinstance(sequence, ShadowedSequence)
    wrapped = _made(ShadowedSequence, vars(sequence))
    wrapped._shadowed = shadowed
    # A twin without the sequence: in a circle with it, what V1 holds would wait for the collector when the graph goes.
    wrapped._node = _made(PregelNode, {name: item for name, item in vars(node).items() if name != "node"})
    wrapped._v2 = v2
    wrapped._overdue = OverdueV2s(shadowed.services.config.limits.abandoned_threads)
    node.__dict__["node"] = wrapped
    return True


def is_wrapped(node: PregelNode) -> bool:
    """Return whether ``node`` has a shadow."""
    return isinstance(node.__dict__.get("node"), ShadowedSequence)


def unwrap(node: PregelNode, services: Services | None = None) -> None:
    """Take the shadow away (if it uses ``services``, where given): LangGraph builds the plain sequence anew."""
    sequence = node.__dict__.get("node")
    if isinstance(sequence, ShadowedSequence) and services in (None, sequence._shadowed.services):
        del node.__dict__["node"]
