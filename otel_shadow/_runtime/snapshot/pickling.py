"""How the classes of a state are taken apart for ``pickle``: found out once per class, then looked up by its C code."""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable
from functools import partial
from operator import attrgetter, methodcaller
from types import FunctionType, WrapperDescriptorType
from typing import Any
from weakref import getweakrefcount

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from otel_shadow._runtime.snapshot.long_values import LONG, lookout
from otel_shadow._runtime.snapshot.refusals import (
    HOOKS,
    Allowance,
    FinalizerError,
    TooLargeError,
    has_finalizer,
    present,
    refuse_finalizer,
    traits,
)

PROTOCOL = 5
_MAX_CLASSES = 4096
"""Classes remembered at once; a program that makes classes as it runs starts over from time to time."""


class HasDeepcopyError(Exception):
    """An object that defines ``__deepcopy__``: its own way of copying outranks pickle's."""


class _Reducers(dict[type, Callable[[Any], Any]]):
    """The reducer of each class: found out once, then looked up by pickle's C code without calling Python."""

    def __missing__(self, cls: type) -> Callable[[Any], Any]:
        if issubclass(cls, type):
            self[cls] = _name  # a class is pickled by its name
            return _name
        if has_finalizer(cls):
            raise FinalizerError(cls)
        if _has_own_deepcopy(cls):
            raise HasDeepcopyError
        if len(self) >= _MAX_CLASSES:
            self.clear()
        self[cls] = reducer = _reducer(cls)
        return reducer


class _Chunks(list[bytes]):
    """The file that pickle writes; it takes no more than is allowed, so that no gigabytes are needed first."""

    def __init__(self) -> None:
        super().__init__()
        self.allowance = Allowance()

    def write(self, data: Any, /) -> None:
        """Take ``data``, of which pickle may hand over the state's own (a ``bytearray``)."""
        allowance = self.allowance
        allowance.take(len(data))
        if self:
            allowance.check_time()
        announced = _announced(data)
        if announced > LONG:
            lookout.saw_long()
        if announced > allowance.left:
            raise TooLargeError
        self.append(bytes(data))


def _announced(data: Any) -> int:
    """Return the size of what pickle writes next, if ``data`` ends with its announcement.

    Long texts are written by themselves, outside frames (PEP 3154), and are copied only after their opcode and length
    have been written.
    """
    if type(data) is not bytes or len(data) < _SHORT or (data[-5] not in _WITH_4 and data[-9] not in _WITH_8):
        return 0
    start = 2 if data[:2] == _PROTOCOL else 0
    if data[start] == _FRAME:
        start += 9 + int.from_bytes(data[start + 1 : start + 9], "little")
    left = len(data) - start
    if _SHORT <= left < _LONG and data[-9] in _WITH_8:
        return int.from_bytes(data[-8:], "little")
    return int.from_bytes(data[-4:], "little") if 5 <= left < _LONG and data[-5] in _WITH_4 else 0


_PROTOCOL, _FRAME = b"\x80\x05", 0x95
_WITH_4, _WITH_8 = b"XB", b"\x8d\x8e\x96"
"""Opcodes of texts and bytes whose length has four bytes, and eight."""
_SHORT, _LONG = 9, 13
"""Bytes of the longer announcement, and of one with the three bytes that make no frame."""


class _Pickler(pickle.Pickler):
    """A pickler with a table of reducers that grows by itself."""

    dispatch_table = _Reducers()
    reached: list[BaseModel]

    def __init__(self) -> None:
        self.chunks = _Chunks()
        super().__init__(self.chunks, PROTOCOL)


class _Watching(_Pickler):
    """A pickler that notes the models it comes across."""

    def reducer_override(self, value: Any) -> Any:
        if BaseModel in type(value).__mro__:  # no isinstance: it asks the value itself
            self.reached.append(value)
        return NotImplemented


_IDLE: list[_Pickler] = []
_IDLE_WATCHING: list[_Pickler] = []


def dumps(value: Any, allowance: Allowance, reached: list[BaseModel] | None = None) -> bytes:
    """Return ``value`` as a pickle within ``allowance``; ``reached`` gets the models among its objects.

    Picklers are used again: their tables of known objects are as large as states are, and empty in between.

    Raises:
        TooLargeError: it would be larger.
        TooSlowError: it takes longer.
        FinalizerError: something in it has a finalizer.
        HasDeepcopyError: something in it has its own idea of a copy.
        Exception: whatever pickle, or the pickling of a class, raises.
    """
    idle, make = (_IDLE, _Pickler) if reached is None else (_IDLE_WATCHING, _Watching)
    try:
        pickler = idle.pop()
    except IndexError:
        pickler = make()
    chunks = pickler.chunks
    before, chunks.allowance = present.allowance, allowance
    present.allowance = allowance
    try:
        if reached is not None:
            pickler.reached = reached
        pickler.dump(value)
        data = b"".join(chunks)
    finally:
        chunks.clear()
        pickler.clear_memo()
        pickler.reached = _NONE
        present.allowance = before
    if len(data) < _USUAL and len(idle) < _MOST_IDLE:
        idle.append(pickler)
    return data


class _Sender(pickle.Pickler):
    """A pickler of what another process gets, with the classes' own ways and without finalizers."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, type):
            traits(type(value)).refuse(value)
        return NotImplemented


def dumps_for_another_process(value: Any) -> bytes:
    """Return ``value`` as a pickle of whatever size.

    Raises:
        FinalizerError: something in it has a finalizer, which would run there.
        Exception: whatever pickle, or the pickling of a class, raises.
    """
    file = io.BytesIO()
    _Sender(file, PROTOCOL).dump(value)
    return file.getvalue()


_NONE: list[BaseModel] = []
_USUAL = 16 * 1024
"""Bytes of a pickle whose pickler is kept: to empty a table takes as long as it is large, whatever was in it."""
_MOST_IDLE = 32


_name: Callable[[Any], Any] = attrgetter("__qualname__")
_default: Callable[[Any], Any] = methodcaller("__reduce_ex__", PROTOCOL)


def _reducer(cls: type) -> Callable[[Any], Any]:
    registered: Callable[[Any], Any] | None = copyreg.dispatch_table.get(cls)
    if registered is not None:
        return _checked(cls, registered)
    if issubclass(cls, BaseException) and _is_error_with_init(cls):
        return _reduce_error
    return _reduce_model if issubclass(cls, BaseModel) and _is_plain_model(cls) else _checked(cls, _default)


def _checked(cls: type, reduce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return ``reduce`` with the questions before it that objects of ``cls`` can answer."""
    asked = traits(cls)
    if not asked:
        return reduce
    refuse, allow = asked.refuse, asked.allow
    if asked.only_watched:  # nearly all classes that applications write
        return partial(_reduce_watched, reduce)

    def checked(value: Any) -> Any:
        allow(value, present.allowance)
        refuse(value)
        return reduce(value)

    return checked


def _reduce_watched(reduce: Callable[[Any], Any], value: Any) -> Any:
    if getweakrefcount(value):
        refuse_finalizer(value)
    return reduce(value)


def _is_error_with_init(cls: type[BaseException]) -> bool:
    """Return whether an ``__init__`` may ask for more than ``args``: then pickle would write what it can't read."""
    usual = cls.__reduce__ is BaseException.__reduce__ and not isinstance(cls.__new__, FunctionType)
    return usual and isinstance(getattr(cls, "__init__", None), FunctionType)


def _reduce_error(error: BaseException) -> Any:
    return _make_error, (error.__class__, error.args), error.__dict__ or None


def _make_error(cls: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """Make an exception with ``args``, past what its class adds to the making: that is in its attributes."""
    error = cls.__new__(cls)
    native = next(base for base in cls.__mro__ if isinstance(vars(base).get("__init__"), WrapperDescriptorType))
    vars(native)["__init__"](error, *args)
    return error


def is_plain_model(cls: type) -> bool:
    """Return whether an instance of ``cls`` is pydantic's own attributes and nothing else, and none of them is private.

    Raises:
        HasDeepcopyError: it has its own idea of a copy.
    """
    known = _Pickler.dispatch_table.get(cls)
    if known is None and BaseModel in cls.__mro__:
        known = _Pickler.dispatch_table[cls]
    return known is _reduce_model and not getattr(cls, "__private_attributes__", None)


def model_of(cls: type[BaseModel], containers: Containers) -> BaseModel:
    """Make a model of the plain class ``cls`` with these very containers."""
    model = cls.__new__(cls)
    _fill_model(model, (*containers, None))
    return model


def _is_plain_model(cls: type[BaseModel]) -> bool:
    """Return whether an instance is pydantic's own four attributes, pickled as pydantic does it."""
    own = ("__getnewargs__", "__getnewargs_ex__")
    return (
        all(getattr(cls, name, None) is getattr(BaseModel, name, None) for name in HOOKS)
        and not any(hasattr(cls, name) for name in own)
        and set(copyreg._slotnames(cls)) == set(copyreg._slotnames(BaseModel))  # type: ignore[attr-defined]
    )


def _reduce_model(model: BaseModel) -> Any:
    """Return what ``BaseModel.__getstate__`` gives, without the detour through a dict: twice as fast on message lists.

    The state is set after the object is made, so that a model may hold itself.
    """
    if getweakrefcount(model):
        refuse_finalizer(model)
    return copyreg.__newobj__, (model.__class__,), _state_of(model), None, None, _fill_model  # type: ignore[attr-defined]


def _fill_model(model: BaseModel, state: _State) -> None:
    """Set the four attributes, without private ones that have no value (as ``BaseModel.__getstate__`` does)."""
    if private := state[3]:
        state = (*state[:3], {name: value for name, value in private.items() if value is not PydanticUndefined})
    put = object.__setattr__
    for name, value in zip(_MODEL_PARTS, state, strict=True):
        put(model, name, value)


_MODEL_PARTS = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
_State = tuple[dict[str, Any], set[str], dict[str, Any] | None, dict[str, Any] | None]
Containers = tuple[dict[str, Any], set[str], dict[str, Any] | None]
_state_of: Callable[[BaseModel], _State] = attrgetter(*_MODEL_PARTS)
containers_of: Callable[[BaseModel], Containers] = attrgetter(*_MODEL_PARTS[:3])
"""A plain model's own containers; in C, for it runs for every message on V1's path."""

_SAME_BY_PICKLE = frozenset({"pydantic.main", "enum", "decimal", "fractions", "re", "array"})
"""Modules whose ``__deepcopy__`` gives what pickle gives (members and immutable values: themselves)."""


def _has_own_deepcopy(cls: type) -> bool:
    owner = next((base for base in cls.__mro__ if "__deepcopy__" in base.__dict__), None)
    if owner is None or owner.__module__ in _SAME_BY_PICKLE or owner.__module__.partition(".")[0] == "pandas":
        return False
    return not (owner.__module__ == "numpy" and (owner is cls or owner.__name__ == "generic"))  # no array subclasses
