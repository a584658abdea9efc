"""Evidence: executions read from log files, OTLP JSON files and saved summaries, in one summary; and what to show."""

from __future__ import annotations

from otel_shadow.errors import EvidenceError, require

require("numpy", "analysis")

from otel_shadow.evidence.growing_logs import Watch  # noqa: E402 - after the check that names the missing extra
from otel_shadow.evidence.read_sources import Progress, read  # noqa: E402
from otel_shadow.evidence.saved_summary import load, save  # noqa: E402
from otel_shadow.evidence.view import (  # noqa: E402
    BandPoint,
    Confusion,
    EvidenceView,
    LatencyHistogram,
    MismatchGroup,
    ParityPoint,
)
from otel_shadow.evidence.view_builder import view_of  # noqa: E402
from otel_shadow.verdict.executions import Sample  # noqa: E402
from otel_shadow.verdict.lines_read import Reading  # noqa: E402

__all__ = [
    "BandPoint",
    "Confusion",
    "EvidenceError",
    "EvidenceView",
    "LatencyHistogram",
    "MismatchGroup",
    "ParityPoint",
    "Progress",
    "Reading",
    "Sample",
    "Watch",
    "load",
    "read",
    "save",
    "view_of",
]
