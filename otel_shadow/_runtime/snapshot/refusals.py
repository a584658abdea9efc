"""What is not copied, found out before anything is: finalizers, and what is too large or takes too long.

A copy of an object with a finalizer runs it when the copy goes: it closes V1's descriptor, removes V1's file or unlinks
V1's shared memory. A class is asked once; of an object only what the interpreter knows is asked, and its size.
"""

from __future__ import annotations

import array
import copyreg
import gc
import io
import math
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from multiprocessing import util
from time import thread_time
from typing import Any

from otel_shadow._runtime.waits import own_code_runs

Size = Callable[[Any], Any]

_MAX_CLASSES = 4096
_HEAP = 1 << 9
"""``Py_TPFLAGS_HEAPTYPE``: what lacks it, C code has made."""
_FLAGS = type.__dict__["__flags__"].__get__
_HARMLESS = frozenset({io.BytesIO, io.StringIO})
"""Classes whose finalizer frees memory and nothing else; not their subclasses."""
_FINALIZERS = (weakref.finalize, util.Finalize)
CONTAINERS = (dict, list, tuple, set, frozenset)
SIZED = (*CONTAINERS, deque)
"""Containers whose own length and size are asked, whatever a subclass says."""
_ITEM_S = 1e-6
"""Seconds in which ``deepcopy`` copies an item that is its own copy; it asks nobody meanwhile."""
_MANY = 1000
"""Items of a container that is not looked through for finalizers unless it is copied."""


class FinalizerError(Exception):
    """An object with a finalizer; ``kind`` is its class."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        super().__init__(kind)


class TooLargeError(Exception):
    """A snapshot that would be larger than allowed."""


class TooSlowError(Exception):
    """A snapshot that has taken longer than allowed."""


class Allowance:
    """What one snapshot may still take: ``left`` bytes, and processor time of this thread ``until`` (s)."""

    __slots__ = ("left", "until")

    def __init__(self, left: int = sys.maxsize, until: float = math.inf) -> None:
        self.left = left
        self.until = until

    def take(self, size: int) -> None:
        """Take ``size`` bytes off.

        Raises:
            TooLargeError: there are not that many left.
        """
        self.left -= size
        if self.left < 0:
            raise TooLargeError

    def check_items(self, count: int) -> None:
        """Look whether there is time to copy ``count`` items one by one.

        Raises:
            TooSlowError: there is not.
        """
        if thread_time() + count * _ITEM_S > self.until:
            raise TooSlowError

    def check_time(self) -> None:
        """Look at the clock.

        Raises:
            TooSlowError: the time is over.
        """
        if thread_time() > self.until:
            raise TooSlowError


class _Present(threading.local):
    """The allowance of the snapshot that this thread is taking."""

    allowance = Allowance()


present = _Present()


# --- finalizers ------------------------------------------------------------------------------------------------------

_KNOWN: dict[type, bool] = {}


def has_finalizer(cls: type) -> bool:
    """Return whether objects of ``cls`` are finalized: they have a ``__del__``, Python's or C's, or are finalizers."""
    try:
        return _KNOWN[cls]
    except KeyError:
        pass
    if len(_KNOWN) >= _MAX_CLASSES:
        _KNOWN.clear()
    mro = type.__dict__["__mro__"].__get__(cls)
    found = any("__del__" in vars(base) or base in _FINALIZERS for base in mro) and cls not in _HARMLESS
    _KNOWN[cls] = found
    return found


def refuse_finalizer(value: Any) -> None:
    """Refuse an object that a ``weakref.finalize`` watches.

    Raises:
        FinalizerError: there is one.
    """
    if any(isinstance(ref.__callback__, weakref.finalize) for ref in weakref.getweakrefs(value)):
        raise FinalizerError(type(value))


def _refuse_holder(value: Any) -> None:
    """Refuse an object that holds something with a finalizer, though its own way of being copied may leave that out.

    Such an object opens it again when it is made again (``ShareableList``), and its copy would close it.

    Raises:
        FinalizerError: it does.
    """
    level = [value]
    for _ in range(3):  # the object, its attributes, what their containers hold
        level = [item for item in gc.get_referents(*level) if not isinstance(item, type)]
        if any(has_finalizer(type(item)) for item in level):
            raise FinalizerError(type(value))
        level = [item for item in level if type(item) in CONTAINERS and len(item) < _MANY]


# --- sizes -----------------------------------------------------------------------------------------------------------


def _sizes_of_class(cls: type) -> tuple[Size, ...]:
    """Return what asks objects of ``cls`` for their size in bytes; nothing where only their parts know it."""
    for base, size in _BUFFERS:
        if issubclass(cls, base):
            return (size,)
    mro = [base for base in cls.__mro__ if base is not object]
    if _is_pandas(cls):  # its own __sizeof__ adds up every text of a frame
        return (_columns,) if any(base.__name__ == "DataFrame" for base in mro) else (_nbytes,)
    found: list[Size] = [_nbytes] if any("nbytes" in vars(base) for base in mro) else []
    if any("__buffer__" in vars(base) for base in mro) or not all(_FLAGS(base) & _HEAP for base in mro):
        found.append(_buffer)
    if any("__sizeof__" in vars(base) and _FLAGS(base) & _HEAP for base in mro):
        found.append(_sizeof)
    return tuple(found)


def _known_size(value: Any, sizes: tuple[Size, ...]) -> int:
    """Return the size of ``value`` in bytes: the first that it tells; 0 where it tells none."""
    for size in sizes:
        try:
            return int(size(value))
        except Exception:  # noqa: BLE001, S112 - a class's own method raises anything
            continue
    return 0


def _is_pandas(cls: type) -> bool:
    """Return whether ``cls`` is one of pandas, or is made of one."""
    return any(str(base.__module__).partition(".")[0] == "pandas" for base in cls.__mro__)


def _columns(frame: Any) -> Any:
    return len(frame) * sum(dtype.itemsize for dtype in frame.dtypes)


def _nbytes(value: Any) -> Any:
    return value.nbytes


def _sizeof(value: Any) -> Any:
    return value.__sizeof__()


def _buffer(value: Any) -> int:
    with memoryview(value) as view:
        return view.nbytes


_BUFFERS: tuple[tuple[type, Size], ...] = (
    (str, str.__sizeof__),
    (bytes, bytes.__len__),
    (bytearray, bytearray.__len__),
    (array.array, array.array.__sizeof__),
    (memoryview, _nbytes),
    (io.BytesIO, io.BytesIO.__sizeof__),
    *((kind, kind.__sizeof__) for kind in SIZED),
)


# --- what is to be asked ---------------------------------------------------------------------------------------------

HOOKS = ("__reduce_ex__", "__reduce__", "__getstate__", "__setstate__", "__deepcopy__")
"""Methods by which a class has its own way of being copied."""


class Traits:
    """What is to be asked of objects of one class before they are copied.

    Arguments:
        cls: the class.
    """

    __slots__ = ("_finalized", "_kind", "_own", "_sizes", "_watched")

    def __init__(self, cls: type) -> None:
        self._kind = cls
        self._finalized = has_finalizer(cls)
        self._sizes = _sizes_of_class(cls)
        self._watched = cls.__weakrefoffset__ != 0  # negative where the interpreter manages it
        own = any(getattr(cls, name, None) is not getattr(object, name, None) for name in HOOKS)
        self._own = bool(_FLAGS(cls) & _HEAP) and (own or cls in copyreg.dispatch_table)

    def __bool__(self) -> bool:
        return self._finalized or self._watched or self._own or bool(self._sizes)

    @property
    def only_watched(self) -> bool:
        """Whether nothing is to be asked but whether a ``weakref.finalize`` watches an object."""
        return self._watched and not (self._finalized or self._own or self._sizes)

    def refuse(self, value: Any) -> None:
        """Refuse an object with a finalizer.

        Raises:
            FinalizerError: it has one, or holds one.
        """
        if self._finalized:
            raise FinalizerError(self._kind)
        if self._watched and weakref.getweakrefcount(value):
            refuse_finalizer(value)
        if self._own:
            _refuse_holder(value)

    def allow(self, value: Any, allowance: Allowance) -> None:
        """Refuse an object that says it is larger than is left; look at the clock before one is copied in its own way.

        Raises:
            TooLargeError: it is.
            TooSlowError: the time is over.
        """
        if self._sizes and _known_size(value, self._sizes) > allowance.left:
            raise TooLargeError
        if self._own:
            allowance.check_time()
            own_code_runs()


_TRAITS: dict[type, Traits] = {}


def traits(cls: type) -> Traits:
    """Return what is to be asked of objects of ``cls``, found out once."""
    try:
        return _TRAITS[cls]
    except KeyError:
        pass
    if len(_TRAITS) >= _MAX_CLASSES:
        _TRAITS.clear()
    made = _TRAITS[cls] = Traits(cls)
    return made
