"""What would speed a waiting verdict up, and is not said by what is missing."""

from __future__ import annotations

from typing import Final

from otel_shadow import semconv
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.result import Decision, Verdict

_TENTH: Final = 0.1
"""Share of the time that is enough for the holdout once latency now is proven."""


def advice(verdict: Verdict, holdout: float) -> tuple[Reason, ...]:
    """Return what makes a waiting verdict faster.

    Arguments:
        verdict: with its criteria.
        holdout: the largest share of the time in which no shadow started; 0 where the holdout had no slots.
    """
    now = next((row for row in verdict.criteria if row.criterion == semconv.CRITERION_LATENCY_NOW), None)
    if verdict.decision is not Decision.WAIT or now is None or now.decision is not Decision.GO:
        return ()
    if holdout <= _TENTH + 0.01:
        return ()
    return (Reason(Role.ADVICE, ReasonKind.SMALLER_HOLDOUT, have=holdout, needed=_TENTH),)
