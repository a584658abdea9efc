"""The verdict: a summary of evidence and a policy in, GO / NO-GO / WAIT out. Pure: no clock, no I/O.

>>> summary = Summary.from_arrays(node, session, timestamp, match, status, v1_latency_ms, arm)  # doctest: +SKIP
>>> evaluate(summary, Policy(), at=datetime(2025, 1, 11, tzinfo=UTC)).decision                   # doctest: +SKIP
"""

from __future__ import annotations

from otel_shadow.errors import require
from otel_shadow.policy import Bounds, Policy

require("numpy", "analysis")

from otel_shadow.verdict.evaluation import evaluate, prepare  # noqa: E402 - after the check that names the missing extra
from otel_shadow.verdict.execution_kind import ExecutionKind, Signature  # noqa: E402
from otel_shadow.verdict.executions import Sample, Summary  # noqa: E402
from otel_shadow.verdict.lines_read import Reading  # noqa: E402
from otel_shadow.verdict.result import (  # noqa: E402
    Build,
    CriterionResult,
    Decision,
    NodeVerdict,
    Part,
    Verdict,
    Window,
)
from otel_shadow.verdict.rows import Rows  # noqa: E402
from otel_shadow.verdict.trajectory import Look, looks  # noqa: E402

__all__ = [
    "Bounds",
    "Build",
    "CriterionResult",
    "Decision",
    "ExecutionKind",
    "Look",
    "NodeVerdict",
    "Part",
    "Policy",
    "Reading",
    "Rows",
    "Sample",
    "Signature",
    "Summary",
    "Verdict",
    "Window",
    "evaluate",
    "looks",
    "prepare",
]
