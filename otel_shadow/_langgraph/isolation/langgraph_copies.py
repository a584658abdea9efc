"""Graphs inside a shadow run on LangGraph's code as it was when the guards came, and are no objects of its classes.

A monitor, or a test, that patches LangGraph's loop while production runs, or counts its objects, means production's
runs. A shadow runs at the same time in another thread: its loops, runners and queues are made of twins of those.
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

_PINNED: tuple[tuple[type, tuple[type, ...]], ...] = (
    (PregelLoop, (SyncPregelLoop, AsyncPregelLoop)),
    (PregelRunner, (PregelRunner,)),
    (SyncQueue, (SyncQueue,)),
    (AsyncQueue, (AsyncQueue,)),
)
"""Classes that initialise objects, and the classes that these objects have then."""
_OF_THE_CLASS_ITSELF = frozenset({"__dict__", "__weakref__", "_abc_impl"})


def pin_classes(patches: Patches) -> None:
    """Give objects that are made inside a shadow the twin of their class."""
    for base, kinds in _PINNED:
        twin = _twin(base, {})
        twins = {kind: twin if kind is base else _twin(kind, {base: twin}) for kind in kinds}
        patches.replace(base, "__init__", functools.partial(_pinning, twins))


def _pinning(twins: dict[type, type], original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if SHADOW.get() is not None and type(self) in twins:
            self.__class__ = twins[type(self)]
        original(self, *args, **kwargs)

    return init


def _twin(kind: type, bases: dict[type, type]) -> type:
    """A class with what ``kind`` has now, on ``bases`` instead of its own; ``super()`` in it means the twin."""
    cell = types.CellType()
    body = {name: _on(cell, item) for name, item in vars(kind).items() if name not in _OF_THE_CLASS_ITSELF}
    twin: type = type(kind)(kind.__name__, tuple(bases.get(base, base) for base in kind.__bases__), body)
    cell.cell_contents = twin
    return twin


def _on(cell: types.CellType, item: Any) -> Any:
    """A function whose ``__class__`` is in ``cell``; anything else as it is."""
    if not isinstance(item, types.FunctionType) or "__class__" not in item.__code__.co_freevars:
        return item
    held = dict(zip(item.__code__.co_freevars, item.__closure__ or (), strict=True))
    closure = tuple({**held, "__class__": cell}.values())
    made = types.FunctionType(item.__code__, item.__globals__, item.__name__, item.__defaults__, closure)
    made.__kwdefaults__ = item.__kwdefaults__
    return functools.update_wrapper(made, item)
