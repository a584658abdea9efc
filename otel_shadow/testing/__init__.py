"""Tools for tests: template compliance of business nodes, and a capture of otel-shadow's telemetry."""

from __future__ import annotations

from typing import Any
from warnings import warn

from otel_shadow.testing.capture import CapturedSpan, ShadowCapture
from otel_shadow.testing.compliance import (
    GENERAL_CHECKS,
    Check,
    CheckResult,
    ComplianceReport,
    SampleState,
    Template,
    check_node,
    extracts,
    progresses,
)

__all__ = [
    "GENERAL_CHECKS",
    "CapturedSpan",
    "Check",
    "CheckResult",
    "ComplianceReport",
    "SampleState",
    "ShadowCapture",
    "Template",
    "check_node",
    "extracts",
    "progresses",
]


def __getattr__(name: str) -> Any:
    """Return ``SampleState`` under the name that it had in the release before, with a warning."""
    if name == "Sample":
        warn("otel_shadow.testing.Sample is now SampleState", DeprecationWarning, stacklevel=2)
        return SampleState
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
