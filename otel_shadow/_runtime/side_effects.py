"""Side effects of a shadow: blocked, unless ``[tools]`` of ``shadow.toml`` allows them or V1's outcome is replayed.

Outside a shadow nothing here changes a call.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from itertools import count
from types import CodeType
from typing import Any, ParamSpec, TypeVar, cast, overload

from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext
from otel_shadow._runtime.snapshot import SnapshotError, TooLargeError, take
from otel_shadow.errors import SideEffectBlockedError

P = ParamSpec("P")
R = TypeVar("R")
CallKey = tuple[str, str]
"""Name of what is called, and its arguments as text."""
Calls = dict[CallKey, list["CallOutcome"]]

_RECORDERS: ContextVar[tuple[Calls, ...]] = ContextVar("otel_shadow_recorders", default=())
"""More than one where a node runs inside a node: both record."""
_COUNTS = "replayed"
_UNWRITTEN = count()
_LARGEST = 16 * 1024 * 1024
"""Bytes of an outcome that is kept for a replay."""
_ARGS = BaseException.__dict__["args"].__get__
_ATTRIBUTES = BaseException.__dict__["__dict__"].__get__
"""What an exception has, whatever its class answers."""


class CallOutcome:
    """What a call came to: the value that it returned, or the exception that it raised, a human's question too.

    Raises:
        SnapshotError: it can't be copied, or has a finalizer.
        TooLargeError: it is too large to be kept.
    """

    __slots__ = ("_parts", "_raised", "_whole")

    def __init__(self, result: Any, *, raised: bool = False) -> None:
        self._raised = type(result) if raised else None
        self._whole = self._parts = None
        try:
            self._whole = take(result, _LARGEST)
        except SnapshotError:
            if not raised:
                raise
        if raised:  # many exceptions can be pickled and not be made again
            attributes = _ATTRIBUTES(result) if self._whole is not None else {}
            self._parts = take((_ARGS(result), attributes), _LARGEST)

    def replay(self) -> Any:
        """Return a copy of the value, or raise a copy of the exception."""
        if self._raised is not None:
            raise self._error(self._raised)
        return self._whole.restore() if self._whole is not None else None

    def _error(self, kind: Any) -> BaseException:
        with suppress(Exception):
            whole = self._whole.restore() if self._whole is not None else None
            if isinstance(whole, kind):
                return cast("BaseException", whole)
        args, attributes = self._parts.restore() if self._parts is not None else ((), {})
        error: BaseException = kind.__new__(kind)
        error.args = args
        vars(error).update(attributes)
        return error


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


class RecordedCall:
    """A block that makes one call and sets ``value`` to what it returned; its outcome is kept in ``places``.

    An outcome that can't be copied, or is too large, is left out, so its replay is blocked.
    """

    __slots__ = ("_key", "_places", "value")

    def __init__(self, places: tuple[Calls, ...], key: CallKey) -> None:
        self._places = places
        self._key = key
        self.value: Any = None

    def __enter__(self) -> RecordedCall:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, Exception):
            return  # a cancellation or an exit is no outcome
        try:
            outcome = CallOutcome(self.value) if error is None else CallOutcome(error, raised=True)
        except (SnapshotError, TooLargeError):
            return
        for calls in self._places:
            calls.setdefault(self._key, []).append(outcome)


def call_key(name: str, arguments: Any) -> CallKey:
    """Return what makes two calls the same: the name, and the arguments written as JSON with sorted keys.

    Arguments that can't be written, whatever their own ``__repr__`` raises, are like no others.
    """
    try:
        return name, json.dumps(arguments, sort_keys=True, default=repr)
    except BaseException as error:
        if is_from_outside(error):
            raise
        return name, f"unwritten {next(_UNWRITTEN)}"


def check_call(
    name: str, key: Callable[[], CallKey], *, read_only: bool = False, written: Callable[[], bool] = bool
) -> CallOutcome | None:
    """Check by ``[tools]`` whether a call may run here.

    Arguments:
        name: the tool or function.
        key: makes the call's key; called only where the call is to be replayed.
        read_only: whether the call is marked as changing nothing.
        written: says whether the name is written in code, so that a record may carry it undeclared.

    Returns:
        V1's outcome, to be replayed instead of the call; None where the call is to run (outside a shadow always).

    Raises:
        SideEffectBlockedError: the call may not run, and there is no outcome of V1's to replay; its name is added to
            ``ShadowContext.blocked``.
    """
    scope = SHADOW.get()
    if scope is None:
        return None
    replay = _next(scope, key()) if name in scope.tools.replay else None
    if replay is None and not (read_only or name in scope.tools.allow):
        scope.blocked.append(name)
        if written():
            scope.declared.add(name)
        raise SideEffectBlockedError(name)
    return replay


def names(function: Any, name: str) -> bool:
    """Return whether ``name`` is the one by which the source code of ``function`` defines it."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return isinstance(code, CodeType) and code.co_name == name


def _next(scope: ShadowContext, key: CallKey) -> CallOutcome | None:
    """Return V1's outcome of the same call; the n-th call gets the n-th outcome, later ones the last."""
    outcomes = scope.recorded_calls.get(key)
    if not outcomes:
        return None
    counts = scope.state.setdefault(_COUNTS, {})
    at = counts.get(key, 0)
    counts[key] = at + 1
    return cast("CallOutcome", outcomes[min(at, len(outcomes) - 1)])


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
    own = name or function.__name__
    signature = inspect.signature(function)
    written = functools.partial(names, function, own)

    def key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallKey:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return call_key(own, {key: value for key, value in bound.arguments.items() if key != "self"})

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            if (replay := check_call(own, lambda: key(args, kwargs), written=written)) is not None:
                return replay.replay()
            places = recorders()
            if not places:
                return await function(*args, **kwargs)
            with RecordedCall(places, key(args, kwargs)) as call:
                call.value = await function(*args, **kwargs)
            return call.value

        return awaited

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if (replay := check_call(own, lambda: key(args, kwargs), written=written)) is not None:
            return replay.replay()
        places = recorders()
        if not places:
            return function(*args, **kwargs)
        with RecordedCall(places, key(args, kwargs)) as call:
            call.value = function(*args, **kwargs)
        return call.value

    return called
