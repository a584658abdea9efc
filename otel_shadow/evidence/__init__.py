"""Reading evidence: log files, OTLP JSON files, saved summaries, all into one summary; and what to show of it."""

from __future__ import annotations

from otel_shadow.evidence.view import (
    BandPoint,
    Confusion,
    EvidenceView,
    LatencyHistogram,
    MismatchGroup,
    ParityPoint,
    Reading,
    Sample,
)

__all__ = [
    "BandPoint",
    "Confusion",
    "EvidenceView",
    "LatencyHistogram",
    "MismatchGroup",
    "ParityPoint",
    "Reading",
    "Sample",
]
