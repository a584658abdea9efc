"""Replacing attributes of other people's classes and modules, and putting exactly the originals back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Wrap = Callable[[Any], Any]
_ABSENT: Any = object()


@dataclass(slots=True)
class Patches:
    """A set of replaced attributes."""

    _done: list[tuple[Any, str, Any, Any]] = field(default_factory=list)

    @property
    def installed(self) -> bool:
        """Whether anything is replaced now."""
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

    def undo(self) -> None:
        """Put the originals back. What someone else has wrapped since stays, with our inert part inside."""
        while self._done:
            owner, name, own, made = self._done.pop()
            if vars(owner).get(name) is not made:
                continue
            if own is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
