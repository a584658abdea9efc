"""Graphs inside a shadow run on LangGraph's code as it was when the guards came.

A monitor, or a test, that patches LangGraph's classes while production runs means production's runs. A shadow runs at
the same time in another thread; with its objects on private subclasses it is not counted among them.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from langgraph._internal._queue import AsyncQueue, SyncQueue  # type: ignore[attr-defined]
from langgraph.pregel._loop import AsyncPregelLoop, PregelLoop, SyncPregelLoop

from otel_shadow.langgraph.patches import Patches
from otel_shadow.runtime.scope import SHADOW

_PINNED: tuple[tuple[type, tuple[type, ...]], ...] = (
    (PregelLoop, (SyncPregelLoop, AsyncPregelLoop)),
    (SyncQueue, (SyncQueue,)),
    (AsyncQueue, (AsyncQueue,)),
)
"""Classes that initialise objects, and the classes that these objects have then."""


def pin_classes(patches: Patches) -> None:
    """Give objects that are made inside a shadow a class whose methods are today's."""
    for base, kinds in _PINNED:
        held = _holding(base, (base,))
        pinned = {kind: held if kind is base else _holding(kind, (kind, held)) for kind in kinds}
        patches.replace(base, "__init__", functools.partial(_pinning, pinned))


def _pinning(pinned: dict[type, type], original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if SHADOW.get() is not None and type(self) in pinned:
            self.__class__ = pinned[type(self)]
        original(self, *args, **kwargs)

    return init


def _holding(kind: type, bases: tuple[type, ...]) -> type:
    """A class that holds the functions which ``kind`` itself has now; ``super()`` in them goes on along ``bases``."""
    functions = {
        name: item
        for name, item in vars(kind).items()
        if isinstance(item, types.FunctionType) and not name.startswith("__")
    }
    return type(kind.__name__, bases, {**functions, "__slots__": (), "__module__": kind.__module__})
