"""The one way in which tests wait: for an event that is bound to come, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
PATIENCE_S = 120.0
"""Longer than a busy machine takes for anything that a test waits for."""


def until(claim: Callable[[], T], within: float = PATIENCE_S) -> T:
    """Return the first true value of ``claim()``, asked again and again; the last answer is in the failure.

    In a coroutine: ``await asyncio.to_thread(until, claim)``.

    Arguments:
        claim: it may raise ``OSError`` or ``LookupError`` while what it looks for is not there.
        within: seconds until the test fails.
    """
    end, pause = time.monotonic() + within, 0.001
    while True:
        try:
            value: Any = claim()
        except (OSError, LookupError) as error:
            value, seen = None, repr(error)
        else:
            seen = repr(value)
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"not within {within} s: {claim}: last seen {seen[:2000]}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
