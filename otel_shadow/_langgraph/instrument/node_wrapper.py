"""Where we sit in LangGraph: a node's cached sequence of V1 and its writers becomes a subclass with the same steps.

Specs, ``bound`` and writers stay untouched, so drawing, schemas, subgraph discovery, cache identity and every stream
mode are what they were.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph._internal._runnable import RunnableSeq
from langgraph.errors import GraphBubbleUp, InvalidUpdateError
from langgraph.pregel._read import PregelNode

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.capture import Capture
from otel_shadow._langgraph.captured_node import NodeWork, classify
from otel_shadow._langgraph.live_attempt import Trial
from otel_shadow._langgraph.v2 import is_async
from otel_shadow._runtime.execution import NOTHING, Execution
from otel_shadow._runtime.fault_barrier import passes
from otel_shadow._runtime.live import Attempt, OverdueV2s, aserve, awithin, awithin_thread, serve, within
from otel_shadow._runtime.manager import ShadowTrafficManager
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.redact import type_name
from otel_shadow._runtime.side_effects import Recording
from otel_shadow._runtime.snapshot import SnapshotError, TooLargeError, take

__all__ = ["ShadowSeq", "unwrap", "wrap"]


class Socket:
    """What a wrapped node knows: its site, its manager, V2, and the node it belongs to."""

    def __init__(
        self, manager: ShadowTrafficManager, site: ShadowedNode, node: PregelNode, v2: Runnable[Any, Any] | None
    ) -> None:
        self.manager = manager
        self.site = site
        self.node = node
        self.v2 = v2
        self._largest = manager.config.limits.snapshot_bytes
        self.overdue = OverdueV2s(manager.config.limits.abandoned_threads)

    @property
    def off(self) -> bool:
        """Whether there is nothing to do at all."""
        try:
            return self.manager.flags.current.off
        except BaseException as fault:
            if passes(fault):
                raise
            return False  # what is wrong with the flags is seen, and told, on the way in

    def enter(self, value: Any, config: RunnableConfig | None) -> Execution | None:
        """Begin an execution; None where V1 is to run as if we were not there."""
        if not config:
            return None
        return self.manager.enter(self.site, value, config.get(internals.CONF, {}), classify)

    def capture(self, call: Execution, value: Any, config: RunnableConfig, *, is_async: bool) -> Capture | None:
        """Capture the input before V1 runs; None where there is to be no shadow of it."""
        if self.v2 is None and (call.shadowed or call.live):
            call.not_implemented()
        if not call.shadowed:
            return None
        if self.site.overhead_budget.overdrawn:
            call.shed("overhead")
            return None
        try:
            captured = Capture(value, config, is_async=is_async, largest=self._largest)
        except TooLargeError:
            call.shed("memory")
            return None
        except SnapshotError as error:
            call.skip(f"not_captured:{type_name(error.type_name)}")
            return None
        except BaseException as fault:
            if passes(fault):
                raise
            self.manager.fault_barrier.caught("capture", self.site.node, fault)
            call.skip("not_captured")
            return None
        if captured.is_retry:
            call.skip("retry")
            return None
        if self.manager.config.tools.replay:
            captured.recording = Recording()
        return captured

    def work(self, captured: Capture | None, error: BaseException | None) -> NodeWork | None:
        """The captured execution, with V1's writes as they are now."""
        if captured is None or self.v2 is None:
            return None
        if captured.recording is not None:
            captured.recording.stop()
        return NodeWork(captured, self.node, self.v2, error)


class ShadowSeq(RunnableSeq):
    """A node's sequence with a socket. ``invoke`` and its kin give what they gave."""

    _socket: Socket

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """V1's value or exception (V2's in a live session)."""
        socket = self._socket
        if socket.off:
            return super().invoke(input, config, **kwargs)
        call = socket.enter(input, config)
        if call is None or config is None:
            return super().invoke(input, config, **kwargs)
        captured = socket.capture(call, input, config, is_async=False)
        v1: Callable[..., Any] = super().invoke
        result: Any = None
        error: BaseException | None = None
        try:
            if call.live:
                result = self._live(call, input, config, partial(v1, input, config, **kwargs), kwargs)
            else:
                result = call.through(v1, input, config, **kwargs)
            return result
        except BaseException as raised:
            error = raised
            raise
        finally:
            call.close(result, error, socket.work, captured)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The same, awaited."""
        socket = self._socket
        if socket.off:
            return await super().ainvoke(input, config, **kwargs)
        call = socket.enter(input, config)
        if call is None or config is None:
            return await super().ainvoke(input, config, **kwargs)
        captured = socket.capture(call, input, config, is_async=True)
        v1: Callable[..., Any] = super().ainvoke
        result: Any = None
        error: BaseException | None = None
        try:
            if call.live:
                result = await self._alive(call, input, config, partial(v1, input, config, **kwargs), kwargs)
            else:
                result = await call.athrough(v1, input, config, **kwargs)
            return result
        except BaseException as raised:
            error = raised
            raise
        finally:
            call.close(result, error, socket.work, captured)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """V1's chunks. In a live session, V2's value as one chunk."""
        socket = self._socket
        call = socket.enter(input, config)
        if call is None or config is None:
            yield from super().stream(input, config, **kwargs)
            return
        captured = socket.capture(call, input, config, is_async=False)
        chunk = NOTHING
        error: BaseException | None = None
        try:
            if call.live:
                v1 = partial(super().invoke, input, config, **kwargs)
                chunk = self._live(call, input, config, v1, kwargs)
                yield chunk
            else:
                for chunk in call.through_stream(super().stream(input, config, **kwargs)):
                    yield chunk
        except BaseException as raised:
            error = raised
            raise
        finally:
            call.close(chunk, error, socket.work, captured)

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """The same, awaited."""
        socket = self._socket
        call = socket.enter(input, config)
        if call is None or config is None:
            async for part in super().astream(input, config, **kwargs):
                yield part
            return
        captured = socket.capture(call, input, config, is_async=True)
        chunk = NOTHING
        error: BaseException | None = None
        try:
            if call.live:
                v1 = partial(super().ainvoke, input, config, **kwargs)
                chunk = await self._alive(call, input, config, v1, kwargs)
                yield chunk
            else:
                async for chunk in call.athrough_stream(super().astream(input, config, **kwargs)):
                    yield chunk
        except BaseException as raised:
            error = raised
            raise
        finally:
            call.close(chunk, error, socket.work, captured)

    def _live(
        self, call: Execution, input: Any, config: RunnableConfig, v1: Callable[[], Any], kwargs: dict[str, Any]
    ) -> Any:
        trial = Trial(config)

        def v2() -> Any:
            return self._with_v2(call.assignment.timeout_s).invoke(_copy(input), trial.begin(), **kwargs)

        return serve(call, Attempt((GraphBubbleUp,), (InvalidUpdateError,), trial.commit), v2, v1)

    async def _alive(
        self, call: Execution, input: Any, config: RunnableConfig, v1: Callable[[], Any], kwargs: dict[str, Any]
    ) -> Any:
        trial = Trial(config)

        async def v2() -> Any:
            return await self._with_v2(call.assignment.timeout_s).ainvoke(_copy(input), trial.begin(), **kwargs)

        return await aserve(call, Attempt((GraphBubbleUp,), (InvalidUpdateError,), trial.commit), v2, v1)

    def _with_v2(self, timeout_s: float) -> RunnableSeq:
        """The same sequence, with V2 (under its time limit) where V1 stands; the writers stay the graph's own."""
        if self._socket.v2 is None:
            raise NotImplementedError(f"node {self._socket.site.node!r} has no V2")
        sequence: RunnableSeq = copy.copy(self)
        sequence.__class__ = RunnableSeq
        sequence.steps = [Timed(self._socket.v2, timeout_s, self._socket.overdue), *self.steps[1:]]
        return sequence


class Timed(Runnable[Any, Any]):
    """A runnable with a time limit in seconds, for V2 in a live session."""

    def __init__(self, inner: Runnable[Any, Any], timeout_s: float, overdue: OverdueV2s) -> None:
        self._inner = inner
        self._timeout_s = timeout_s
        self._overdue = overdue

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The inner value.

        Raises:
            V2TimeoutError: it took longer.
        """
        if is_async(self._inner):
            awaited = partial(self._inner.ainvoke, input, config, **kwargs)
            return within(self._timeout_s, lambda: asyncio.run(awaited()), self._overdue)
        return within(self._timeout_s, partial(self._inner.invoke, input, config, **kwargs), self._overdue)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The same, awaited."""
        if not is_async(self._inner, default=True):
            called = partial(self._inner.invoke, input, config, **kwargs)
            return await awithin_thread(self._timeout_s, called, self._overdue)
        return await awithin(self._timeout_s, partial(self._inner.ainvoke, input, config, **kwargs), self._overdue)


def _copy(value: Any) -> Any:
    """What a live V2 gets: V1 must find the original untouched when it has to answer."""
    try:
        return take(value).restore()
    except Exception:  # noqa: BLE001 - not everything can be copied; then both see the same object
        return value


def wrap(node: PregelNode, manager: ShadowTrafficManager, site: ShadowedNode, v2: Runnable[Any, Any] | None) -> bool:
    """Give ``node`` a socket.

    Returns:
        Whether it has one now; a node without writers, or one that has a socket already, is left as it is.
    """
    sequence = node.node
    if not isinstance(sequence, RunnableSeq) or isinstance(sequence, ShadowSeq):
        return False
    wrapped = copy.copy(sequence)
    wrapped.__class__ = ShadowSeq
    wrapped._socket = Socket(manager, site, node, v2)  # type: ignore[attr-defined]
    node.__dict__["node"] = wrapped
    return True


def is_wrapped(node: PregelNode) -> bool:
    """Whether ``node`` has a socket."""
    return isinstance(node.__dict__.get("node"), ShadowSeq)


def unwrap(node: PregelNode, manager: ShadowTrafficManager | None = None) -> None:
    """Take the socket away (if it is one of ``manager``): LangGraph builds the plain sequence anew."""
    sequence = node.__dict__.get("node")
    if isinstance(sequence, ShadowSeq) and manager in (None, sequence._socket.manager):
        del node.__dict__["node"]
