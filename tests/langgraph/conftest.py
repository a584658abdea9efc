"""Fixtures of the LangGraph tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_shadow._langgraph.isolation.guards import install_guards, uninstall_guards


@pytest.fixture
def guards() -> Iterator[None]:
    """Guards installed for one test."""
    install_guards()
    yield
    uninstall_guards()
