"""What the attacks share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def handler() -> Iterator[Callable[[logging.Handler], None]]:
    """Give the application's root logger a handler; it is gone after the test."""
    root, added = logging.getLogger(), []

    def add(made: logging.Handler) -> None:
        root.addHandler(made)
        added.append(made)

    yield add
    for made in added:
        root.removeHandler(made)


@pytest.fixture
def quiet_threads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Exceptions that ended a thread, instead of a warning."""
    import threading

    seen: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    return seen
