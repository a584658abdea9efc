"""Fixtures of the LangGraph tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shadow_harness import ENGINES

from otel_shadow._langgraph.isolation.guards import install_guards, uninstall_guards


@pytest.fixture
def guards() -> Iterator[None]:
    """Guards installed for one test."""
    install_guards()
    yield
    uninstall_guards()


@pytest.fixture(autouse=True)
def _engines_end() -> Iterator[None]:
    """The harness's engines end with their test."""
    yield
    while ENGINES:
        ENGINES.pop().shutdown(1.0)
