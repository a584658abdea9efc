"""``otel-shadow doctor``: finds what is wrong before production does.

The worst shadow is one that silently does nothing.
"""

from __future__ import annotations

from otel_shadow._doctor.checks import Finding, Severity, examine

__all__ = ["Finding", "Severity", "examine"]
