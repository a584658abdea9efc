"""Side effects of a shadow: blocked, unless ``[tools]`` of ``shadow.toml`` allows them or V1's result is replayed.

Outside a shadow nothing here changes a call.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar, cast, overload

from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext
from otel_shadow._runtime.snapshot import Snapshot, SnapshotError, take
from otel_shadow.errors import SideEffectBlockedError

P = ParamSpec("P")
R = TypeVar("R")
CallKey = tuple[str, str]
"""Name of what is called, and its arguments as text."""
Calls = dict[CallKey, list[Snapshot]]

_RECORDERS: ContextVar[tuple[Calls, ...]] = ContextVar("otel_shadow_recorders", default=())
"""More than one where a node runs inside a node: both record."""
_COUNTS = "replayed"


class Recording:
    """A recording of the calls that V1 makes in this context from now on, for ``replay``."""

    __slots__ = ("_before", "calls")

    def __init__(self) -> None:
        self.calls: Calls = {}
        """Becomes :attr:`ShadowContext.recorded_calls` once V1 is done."""
        self._before = _RECORDERS.get()
        _RECORDERS.set((*self._before, self.calls))

    def stop(self) -> None:
        _RECORDERS.set(self._before)


def recorders() -> tuple[Calls, ...]:
    """Return where calls in this context are recorded, if they are. Inside a shadow they never are."""
    return _RECORDERS.get() if SHADOW.get() is None else ()


def record(places: tuple[Calls, ...], key: CallKey, result: Any) -> None:
    """Keep a copy of ``result``; one that can't be copied is left out, so its replay is blocked."""
    try:
        copied = take(result)
    except SnapshotError:
        return
    for calls in places:
        calls.setdefault(key, []).append(copied)


def call_key(name: str, arguments: Any) -> CallKey:
    """Return what makes two calls the same: the name, and the arguments written as JSON with sorted keys."""
    return name, json.dumps(arguments, sort_keys=True, default=repr)


def check_call(name: str, key: Callable[[], CallKey], *, read_only: bool = False) -> Snapshot | None:
    """Check by ``[tools]`` whether a call may run here.

    Arguments:
        name: the tool or function.
        key: makes the call's key; called only where the call is to be replayed.
        read_only: whether the call is marked as changing nothing.

    Returns:
        V1's result, to be replayed instead of the call; None where the call is to run (outside a shadow always).

    Raises:
        SideEffectBlockedError: the call may not run, and there is no result of V1's to replay; its name is added to
            ``ShadowContext.blocked``.
    """
    scope = SHADOW.get()
    if scope is None:
        return None
    replay = _next(scope, key()) if name in scope.tools.replay else None
    if replay is None and not (read_only or name in scope.tools.allow):
        scope.blocked.append(name)
        raise SideEffectBlockedError(name)
    return replay


def _next(scope: ShadowContext, key: CallKey) -> Snapshot | None:
    """Return V1's result of the same call; the n-th call gets the n-th result, later ones the last."""
    results = scope.recorded_calls.get(key)
    if not results:
        return None
    counts = scope.state.setdefault(_COUNTS, {})
    at = counts.get(key, 0)
    counts[key] = at + 1
    return cast("Snapshot", results[min(at, len(results) - 1)])


@overload
def side_effect(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def side_effect(*, name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def side_effect(function: Any = None, /, *, name: str | None = None) -> Any:
    """Mark a function as one that changes the world: inside a shadow it is blocked, allowed or replayed by ``[tools]``.

    Functions, coroutine functions and (asynchronous) generator functions keep their kind; generators can't be replayed.

    Arguments:
        name: what ``[tools]`` calls it; by default the function's own name.

    Raises:
        SideEffectBlockedError: (from the decorated function) it was called inside a shadow that may not do it.
    """
    if function is None:
        return functools.partial(_guarded, name=name)
    return _guarded(function, name=name)


def _guarded(function: Callable[..., Any], *, name: str | None) -> Callable[..., Any]:
    known = name or function.__name__
    signature = inspect.signature(function)

    def key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallKey:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return call_key(known, {key: value for key, value in bound.arguments.items() if key != "self"})

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            if (replay := check_call(known, lambda: key(args, kwargs))) is not None:
                return replay.restore()
            result = await function(*args, **kwargs)
            if places := recorders():
                record(places, key(args, kwargs), result)
            return result

        return awaited

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if (replay := check_call(known, lambda: key(args, kwargs))) is not None:
            return replay.restore()
        result = function(*args, **kwargs)
        if places := recorders():
            record(places, key(args, kwargs), result)
        return result

    return called
