"""What users, and we, test with: template compliance of business nodes, and a capture of our telemetry."""

from __future__ import annotations

from otel_shadow.testing.capture import CapturedSpan, ShadowCapture
from otel_shadow.testing.compliance import (
    GENERAL_CHECKS,
    Check,
    CheckResult,
    ComplianceReport,
    Sample,
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
    "Sample",
    "ShadowCapture",
    "Template",
    "check_node",
    "extracts",
    "progresses",
]
