"""The capture as pytest fixtures: ``pytest_plugins = ["otel_shadow.testing.fixtures"]`` in a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otel_shadow.testing.capture import ShadowCapture


@pytest.fixture
def make_shadow_capture() -> Iterator[Callable[..., ShadowCapture]]:
    """Make captures with a configuration or flags of the test's own; they are closed after it."""
    made: list[ShadowCapture] = []

    def make(config: Any = None, flags: Any = None, **more: Any) -> ShadowCapture:
        made.append(ShadowCapture(config, flags, **more))
        return made[-1]

    yield make
    for capture in made:
        capture.close()


@pytest.fixture
def shadow_capture(make_shadow_capture: Callable[..., ShadowCapture]) -> ShadowCapture:
    """Make a manager with an empty configuration whose spans, metrics and lines stay in memory."""
    return make_shadow_capture()
