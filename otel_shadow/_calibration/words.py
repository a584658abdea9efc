"""Sentences about proposals, the same on terminal and page."""

from __future__ import annotations

from otel_shadow._calibration.calibration import Calibration, TimeoutCheck
from otel_shadow._calibration.router import Change, Proposal, Proposals
from otel_shadow._calibration.timeout import TimeoutProposal
from otel_shadow.verdict.units import count, percent, plural

_HELD = {
    "within": "holds on the held-out sessions",
    "above": "does not hold on the held-out sessions: traffic changed, don't load it",
    "unclear": "not contradicted by the held-out sessions, which are too few to confirm it",
    "none": "no held-out session is accepted",
}


def outcome(proposal: Proposal, risk: str) -> str:
    """What became of one threshold."""
    certificate = proposal.certificate
    alpha = share(certificate.alpha)
    if proposal.certified:
        return f"certified: {risk} ≤ {alpha}; {_HELD[proposal.held]}"
    if certificate.reason == "few":
        return f"not enough data to certify {alpha} ({plural(certificate.sessions, 'session')}); kept"
    worst = certificate.curve[0]
    surest = f"even the surest {percent(worst.coverage, 0)} have {percent(worst.risk)} {risk}"
    return f"no threshold keeps {alpha}: {surest}; kept"


def share(value: float) -> str:
    """A share that somebody chose, with the digits it has."""
    return f"{value * 100:.4g} %"


def arrow(before: str, after: str) -> str:
    """From one to the other, or the one where nothing changes."""
    return after if before == after else f"{before} → {after}"


def heading(risk: str) -> str:
    """What a column of risks is called."""
    return risk[0].upper() + risk[1:]


def change(found: Change, risk: str) -> str:
    """What would change for the recorded pairs."""
    handed = found.after["handoff"] - found.before["handoff"]
    wrong = found.wrong_after - found.wrong_before
    noun = "errors" if risk == "error" else "disagreements with V1"
    if not handed and not wrong and found.after == found.before:
        return f"of {plural(found.pairs, 'recorded pair')}: nothing would change"
    return (
        f"of {plural(found.pairs, 'recorded pair')}: {_more(handed)} handoffs to a person "
        f"({count(found.before['handoff'])} → {count(found.after['handoff'])}), {_more(wrong)} {noun} acted upon "
        f"({count(found.wrong_before)} → {count(found.wrong_after)})"
    )


def _more(number: int) -> str:
    return f"{abs(number):,} {'more' if number >= 0 else 'fewer'}"


def scope(proposals: Proposals) -> str:
    """Whose thresholds."""
    return "All nodes" if proposals.node is None else proposals.node


def timeout(check: TimeoutCheck) -> str:
    """What became of a time limit."""
    proposal = check.proposal
    if proposal.timeout_ms is None:
        return _no_limit(proposal)
    shown = ""
    if check.held_out:
        shown = f"; held out: {check.held_out_late} of {check.held_out} later or failed"
    spent = f"{proposal.failed} failed, {proposal.censored} cut off"
    return (
        f"at most {percent(proposal.budget)} fall back, with confidence {percent(proposal.confidence, 0)}: the "
        f"{count(proposal.rank)}. of {plural(proposal.sessions, 'run')} in order of time ({spent}){shown}"
    )


def _no_limit(proposal: TimeoutProposal) -> str:
    if proposal.reason == "few":
        return f"not enough data: {plural(proposal.sessions, 'session')}, needed are {proposal.needed}"
    if proposal.reason == "failing":
        return (
            f"no limit keeps {percent(proposal.budget)}: {proposal.failed} of {proposal.sessions} runs failed (up to "
            f"{percent(proposal.failed_upper)}); mend V2 first"
        )
    under = proposal.collected_under_ms or 0.0
    return (
        f"not enough data: {proposal.censored} of {proposal.sessions} runs were cut off at about {under:,.0f} ms; "
        "collect under a longer V2_TIMEOUT_MS"
    )


def promise(calibration: Calibration) -> str:
    """What a certificate says and what it does not."""
    what = (
        "The label is agreement with V1: what is bounded is disagreement with V1, no error where V1 is wrong."
        if calibration.risk != "error"
        else "The label is a person's: what is bounded is V2's error."
    )
    confidence = percent(1 - calibration.options.delta, 0)
    return (
        f"{what} Each certificate holds with confidence {confidence}, taken alone, for sessions like the recorded "
        "ones, one decision each (Learn then Test, arXiv 2110.01052)."
    )
