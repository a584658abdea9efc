"""The verdict: a summary of evidence and a policy in, GO / NO-GO / WAIT out. Pure: no clock, no I/O."""

from __future__ import annotations

from otel_shadow.policy import Bounds, Policy
from otel_shadow.verdict.result import Build, CriterionResult, Decision, NodeVerdict, Part, Verdict, Window

__all__ = [
    "Bounds",
    "Build",
    "CriterionResult",
    "Decision",
    "NodeVerdict",
    "Part",
    "Policy",
    "Verdict",
    "Window",
]
