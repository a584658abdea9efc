"""Replacement of attributes of other libraries' classes and modules, which is undone exactly."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

Wrap = Callable[[Any], Any]
_ABSENT: Any = object()


class Patches:
    """A set of replaced attributes."""

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any]] = []

    @property
    def installed(self) -> bool:
        return bool(self._done)

    def replace(self, owner: Any, name: str, wrap: Wrap) -> None:
        """Put ``wrap(original)`` where ``owner`` has ``name``; an owner that lacks it is left alone."""
        found = getattr(owner, name, _ABSENT)
        if found is _ABSENT:
            return
        own = vars(owner).get(name, _ABSENT)
        made = wrap(found)
        setattr(owner, name, made)
        self._done.append((owner, name, own, made))

    def has(self, owner: Any, name: str) -> bool:
        """Return whether ``owner``'s ``name`` is replaced now."""
        return any(at is owner and attribute == name for at, attribute, _, _ in self._done)

    def undo(self) -> None:
        """Put the originals back. What another library has wrapped since stays, with the replacement inside, inert."""
        while self._done:
            owner, name, own, made = self._done.pop()
            if vars(owner).get(name) is not made:
                continue
            if own is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, own)


def changing_arguments(change: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]) -> Wrap:
    """Return a wrap by which a function (or coroutine function) gets what ``change`` makes of its arguments."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def called(*given: Any, **named: Any) -> Any:
            args, kwargs = change(*given, **named)
            return original(*args, **kwargs)

        @functools.wraps(original)
        async def awaited(*given: Any, **named: Any) -> Any:
            args, kwargs = change(*given, **named)
            return await original(*args, **kwargs)

        return awaited if inspect.iscoroutinefunction(original) else called

    return wrap
