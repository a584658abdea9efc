"""``otel-shadow doctor``: checks a set-up before production, above all that a shadow would run at all."""

from __future__ import annotations

from otel_shadow._doctor.checks import examine
from otel_shadow._doctor.findings import Finding, Severity

__all__ = ["Finding", "Severity", "examine"]
