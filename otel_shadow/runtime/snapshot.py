"""A copy of the state at the moment of the call: exact, and cheap on V1's path.

``pickle`` (protocol 5) is several times faster than ``deepcopy`` on message lists and preserves cycles and aliasing;
restoring happens off the path. It ignores ``__deepcopy__`` and refuses locks, generators and lambdas, so values that
define the former, or that pickle refuses, take the slow way: ``deepcopy``. What neither can copy is reported by the
name of its type, and V1 runs as if we were not there.
"""

from __future__ import annotations

import copy
import copyreg
import io
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import methodcaller
from types import FunctionType, WrapperDescriptorType
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from otel_shadow.runtime.redact import class_name
from otel_shadow.runtime.shield import passes

_PROTOCOL = 5
_UNGUARDED = sys.version_info < (3, 12)
"""Where the recursion limit is all that keeps C code from overrunning its stack."""
_USUAL_LIMIT = 10_000
_DEEPEST = 2000
"""Levels of a state that is copied where an application has raised the recursion limit far beyond that."""
_FLAT = frozenset({str, int, float, bool, bytes, type(None)})
_MAX_CLASSES = 4096
"""Classes remembered at once; a program that makes classes as it runs starts over from time to time."""


class SnapshotError(Exception):
    """A value that can't be captured; ``type_name`` names the culprit's type, never its value."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        super().__init__(f"can't capture a value of type {type_name}")


class TooLargeError(Exception):
    """A snapshot would be larger than allowed."""


class _Bounded(io.BytesIO):
    """Takes no more than so many bytes: a pickle of gigabytes ends before it needs them."""

    def __init__(self, largest: int) -> None:
        super().__init__()
        self._left = largest

    def write(self, data: Any, /) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise TooLargeError
        return super().write(data)


class Snapshot:
    """What :func:`take` captured. ``restore`` may be called any number of times; each gives a fresh copy."""

    __slots__ = ("_copy", "_data", "size")

    def __init__(self, data: bytes | None, kept: Any = None, size: int = 0) -> None:
        self._data = data
        self._copy = kept
        self.size = len(data) if data is not None else size
        """Bytes held while waiting (of a ``deepcopy``: what its objects take, without what they share)."""

    def restore(self) -> Any:
        """A copy of the value as it was. Runs off V1's path.

        Raises:
            Exception: whatever a class's own unpickling raises.
        """
        if self._data is not None:
            return pickle.loads(self._data)  # noqa: S301 - our own bytes, made in this process
        return copy.deepcopy(self._copy)


def take(value: Any, largest: int | None = None) -> Snapshot:
    """Capture ``value``.

    Arguments:
        value: anything.
        largest: bytes that a pickle may have; None: no bound.

    Raises:
        SnapshotError: neither pickle nor ``deepcopy`` can copy it.
        TooLargeError: its pickle would be larger than ``largest``.
    """
    if _UNGUARDED and sys.getrecursionlimit() > _USUAL_LIMIT and _is_deeper(value, _DEEPEST):
        raise SnapshotError(RecursionError.__name__)
    buffer = io.BytesIO() if largest is None else _Bounded(largest)
    try:
        _Pickler(buffer, _PROTOCOL).dump(value)
        return Snapshot(buffer.getvalue())
    except TooLargeError:
        raise
    except (_HasDeepcopyError, TypeError, pickle.PicklingError, AttributeError):  # the usual ones, at once
        return _deep(value)
    except BaseException as error:
        if passes(error):
            raise
        return _deep(value)


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether ``value`` is nested more than ``depth`` levels deep, found level by level and not by recursion."""
    level: list[Any] = [value]
    seen: set[int] = set()
    for _ in range(depth):
        level = [item for item in level if type(item) not in _FLAT and id(item) not in seen]
        if not level:
            return False
        seen.update(map(id, level))
        level = [inner for item in level for inner in _inside(item)]
    return True


def _inside(item: Any) -> Iterable[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, list | tuple | set | frozenset | deque):
        return item
    with suppress(Exception):  # whatever an object answers when it is asked for its attributes
        return list(item.__dict__.values())
    return ()


def _deep(value: Any) -> Snapshot:
    memo: dict[int, Any] = {}
    try:
        kept = copy.deepcopy(value, memo)
    except BaseException as error:
        if passes(error):
            raise
        raise SnapshotError(_culprit(error) or class_name(type(value))) from None
    memo.pop(id(memo), None)  # deepcopy's list of originals
    return Snapshot(None, kept, sum(sys.getsizeof(made, 0) for made in memo.values()))


def _culprit(error: BaseException) -> str | None:
    """The type of what ``deepcopy`` failed at: its innermost frame tells, without copying anything again."""
    found = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is copy.deepcopy.__code__:
            found = class_name(type(trace.tb_frame.f_locals.get("x")))
        trace = trace.tb_next
    return found


class _HasDeepcopyError(Exception):
    """Some object defines ``__deepcopy__``: its own idea of a copy outranks pickle's."""


class _Reducers(dict[type, Callable[[Any], Any]]):
    """How each class is taken apart: found out once, then looked up by pickle's C code without calling Python."""

    def __missing__(self, cls: type) -> Callable[[Any], Any]:
        if issubclass(cls, type):
            raise KeyError(cls)  # a class is pickled by its name
        if _has_own_deepcopy(cls):
            raise _HasDeepcopyError
        if len(self) >= _MAX_CLASSES:
            self.clear()
        self[cls] = reducer = _reducer(cls)
        return reducer


class _Pickler(pickle.Pickler):
    dispatch_table = _Reducers()


_default: Callable[[Any], Any] = methodcaller("__reduce_ex__", _PROTOCOL)


def _reducer(cls: type) -> Callable[[Any], Any]:
    registered: Callable[[Any], Any] | None = copyreg.dispatch_table.get(cls)
    if registered is not None:
        return registered
    if issubclass(cls, BaseException) and _is_error_with_init(cls):
        return _reduce_error
    return _reduce_model if issubclass(cls, BaseModel) and _is_plain_model(cls) else _default


def _is_error_with_init(cls: type[BaseException]) -> bool:
    """Whether an exception's own ``__init__`` may ask for more than ``args``: then pickle writes what it can't read."""
    usual = cls.__reduce__ is BaseException.__reduce__ and not isinstance(cls.__new__, FunctionType)
    return usual and isinstance(getattr(cls, "__init__", None), FunctionType)


def _reduce_error(error: BaseException) -> Any:
    return _make_error, (error.__class__, error.args), error.__dict__ or None


def _make_error(cls: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """An exception with ``args``, past what its class adds to the making: that is in its attributes."""
    error = cls.__new__(cls)
    native = next(base for base in cls.__mro__ if isinstance(vars(base).get("__init__"), WrapperDescriptorType))
    vars(native)["__init__"](error, *args)
    return error


_HOOKS = ("__reduce_ex__", "__reduce__", "__getstate__", "__setstate__", "__deepcopy__")


def _is_plain_model(cls: type[BaseModel]) -> bool:
    """Whether pydantic's own four attributes are all there is to an instance, and nobody changed how it is pickled."""
    own = ("__getnewargs__", "__getnewargs_ex__")
    return (
        all(getattr(cls, name, None) is getattr(BaseModel, name, None) for name in _HOOKS)
        and not any(hasattr(cls, name) for name in own)
        and set(copyreg._slotnames(cls)) == set(copyreg._slotnames(BaseModel))  # type: ignore[attr-defined]
    )


def _reduce_model(model: BaseModel) -> Any:
    """What ``BaseModel.__getstate__`` gives, without the detour through a dict: twice as fast on message lists.

    The state is set after the object is made, so that a model may hold itself.
    """
    private = model.__pydantic_private__
    if private:
        private = {name: value for name, value in private.items() if value is not PydanticUndefined}
    state = (model.__dict__, model.__pydantic_fields_set__, model.__pydantic_extra__, private)
    return copyreg.__newobj__, (model.__class__,), state, None, None, _fill_model  # type: ignore[attr-defined]


def _fill_model(model: BaseModel, state: tuple[dict[str, Any], set[str], dict[str, Any] | None, Any]) -> None:
    put = object.__setattr__
    for name, value in zip(_MODEL_PARTS, state, strict=True):
        put(model, name, value)


_MODEL_PARTS = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")

_SAME_BY_PICKLE = frozenset({"pydantic.main", "enum", "decimal", "fractions", "re"})
"""Modules whose ``__deepcopy__`` gives what pickle gives (members and immutable values: themselves)."""


def _has_own_deepcopy(cls: type) -> bool:
    owner = next((base for base in cls.__mro__ if "__deepcopy__" in base.__dict__), None)
    if owner is None or owner.__module__ in _SAME_BY_PICKLE:
        return False
    return not (owner.__module__ == "numpy" and (owner is cls or owner.__name__ == "generic"))  # no array subclasses
