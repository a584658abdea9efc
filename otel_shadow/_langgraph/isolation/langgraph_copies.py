"""Copies of LangGraph's classes: graphs inside a shadow run execute LangGraph as it was when the guards were installed.

A monitor or a test may patch LangGraph's loop, or count its objects, to observe production's runs. Shadow runs go on at
the same time in other threads: their loops, runners and queues are objects of copied classes, out of the patch's reach.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from langgraph._internal._queue import AsyncQueue, SyncQueue  # type: ignore[attr-defined]
from langgraph.pregel._loop import AsyncPregelLoop, PregelLoop, SyncPregelLoop
from langgraph.pregel._runner import PregelRunner

from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.shadow_context import SHADOW

_COPIED: tuple[tuple[type, tuple[type, ...]], ...] = (
    (PregelLoop, (SyncPregelLoop, AsyncPregelLoop)),
    (PregelRunner, (PregelRunner,)),
    (SyncQueue, (SyncQueue,)),
    (AsyncQueue, (AsyncQueue,)),
)
"""Classes that initialise objects, and the classes that these objects have then."""
_OF_THE_CLASS_ITSELF = frozenset({"__dict__", "__weakref__", "_abc_impl"})


def copy_classes(patches: Patches) -> None:
    """Give objects that are made inside a shadow run the copy of their class."""
    for base, kinds in _COPIED:
        copied = _copy(base, {})
        copies = {kind: copied if kind is base else _copy(kind, {base: copied}) for kind in kinds}
        patches.replace(base, "__init__", functools.partial(_made_of, copies))


def _made_of(copies: dict[type, type], original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if SHADOW.get() is not None and type(self) in copies:
            self.__class__ = copies[type(self)]
        original(self, *args, **kwargs)

    return init


def _copy(kind: type, bases: dict[type, type]) -> type:
    """Make a class with what ``kind`` has now, on ``bases`` instead of its own; ``super()`` in it means the copy."""
    cell = types.CellType()
    body = {name: _on(cell, item) for name, item in vars(kind).items() if name not in _OF_THE_CLASS_ITSELF}
    copied: type = type(kind)(kind.__name__, tuple(bases.get(base, base) for base in kind.__bases__), body)
    cell.cell_contents = copied
    return copied


def _on(cell: types.CellType, item: Any) -> Any:
    """Return a function with its ``__class__`` in ``cell``; anything else as it is."""
    if not isinstance(item, types.FunctionType) or "__class__" not in item.__code__.co_freevars:
        return item
    held = dict(zip(item.__code__.co_freevars, item.__closure__ or (), strict=True))
    closure = tuple({**held, "__class__": cell}.values())
    made = types.FunctionType(item.__code__, item.__globals__, item.__name__, item.__defaults__, closure)
    made.__kwdefaults__ = item.__kwdefaults__
    return functools.update_wrapper(made, item)
