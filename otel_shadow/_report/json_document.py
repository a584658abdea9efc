"""The verdict as one JSON document: a stable shape for scripts, described in ``docs/cli.md``.

Adding a key is compatible; changing or removing one raises ``schema``.
"""

from __future__ import annotations

import json
from typing import Any, Final

from otel_shadow.evidence.view import EvidenceView, LatencyHistogram
from otel_shadow.verdict.json_data import plain
from otel_shadow.verdict.result import Verdict

SCHEMA: Final = 1


def document(verdict: Verdict, evidence: EvidenceView) -> dict[str, Any]:
    """Plain data: the verdict's keys, and ``evidence`` with what it was made from.

    Numbers are finite or null, times RFC 3339 in UTC. Latency histograms are told by their quantiles.
    """
    shown = {name: plain(getattr(evidence, name)) for name in _EVIDENCE}
    shown["latency"] = [_quantiles(histogram) for histogram in evidence.latency]
    return {"schema": SCHEMA, **verdict.to_dict(), "evidence": shown}


def text(verdict: Verdict, evidence: EvidenceView) -> str:
    """``document`` as indented JSON, without a newline at its end."""
    return json.dumps(document(verdict, evidence), ensure_ascii=False, indent=2, allow_nan=False)


_EVIDENCE: Final = ("reading", "nodes", "counts", "confusion", "mismatches", "parity", "bands")


def _quantiles(histogram: LatencyHistogram) -> dict[str, Any]:
    named = {name: getattr(histogram, name) for name in ("node", "version", "arm", "p50_ms", "p95_ms")}
    return {**plain(named), "executions": sum(histogram.counts)}
