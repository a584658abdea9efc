"""The proposals as a TOML file that the workflow and the flags load; nothing that runs is changed by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from otel_shadow._calibration.calibration import Calibration
from otel_shadow._calibration.threshold_proposals import Proposal


def proposal_file(calibration: Calibration) -> str:
    """Return the text of the file with the proposals.

    ``[thresholds]`` and ``[thresholds.nodes.X]`` are the router's, ``[intents]`` the intents', ``[flags]`` and
    ``[nodes.X]`` have the time limits, ``[calibration]`` tells where they come from. What was not certified is left out
    or said to be kept.
    """
    blocks = [_head(calibration), *_thresholds(calibration), *_intents(calibration), *_timeouts(calibration)]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _head(calibration: Calibration) -> list[str]:
    options = calibration.options
    known = {
        "risk": calibration.risk,
        "alpha": options.alpha,
        "delta": options.delta,
        "held_out": options.held_out,
        "v2_build": calibration.build,
        "pairs": calibration.pairs,
        "sessions": calibration.sessions,
        "first": _time(calibration.first),
        "last": _time(calibration.last),
        "simulated_clock": calibration.simulated,
    }
    return [
        "# Proposed by otel-shadow calibrate. Read it, then load it: nothing that runs was changed.",
        "[calibration]",
        *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in known.items()),
    ]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _thresholds(calibration: Calibration) -> Iterator[list[str]]:
    for scope in (calibration.overall, *calibration.nodes):
        if scope.any_certified:
            table = "thresholds" if scope.node is None else f"thresholds.nodes.{json.dumps(scope.node)}"
            lines = (f"{one.name} = {one.proposed!r}  # {_remark(one, calibration.risk)}" for one in scope.thresholds)
            yield [f"[{table}]", *lines]


def _remark(proposal: Proposal, risk: str) -> str:
    if proposal.certified:
        return f"{risk} at most {proposal.certificate.alpha:.4g} among what it accepts, was {proposal.current:g}"
    if proposal.proposed == proposal.current:
        return f"kept: nothing certified at {proposal.certificate.alpha:.4g}"
    return f"raised from {proposal.current:g} to the threshold below it; nothing certified of its own"


def _intents(calibration: Calibration) -> Iterator[list[str]]:
    certified = [proposal for proposal in calibration.intents if proposal.certified]
    if certified:
        lines = (f"{json.dumps(one.name)} = {one.proposed!r}  # {_remark(one, calibration.risk)}" for one in certified)
        yield ["# The least score at which an intent counts.", "[intents]", *lines]


def _timeouts(calibration: Calibration) -> Iterator[list[str]]:
    for check in calibration.timeouts:
        proposal = check.proposal
        if proposal.timeout_ms is None:
            continue
        heading = "[flags]" if check.node is None else f"[nodes.{json.dumps(check.node)}]"
        what = f"# At most {proposal.budget:.4g} of the requests fall back, with confidence {proposal.confidence:.4g}"
        note = f"{what}; order statistic {proposal.rank} of {proposal.sessions}."
        yield [*([note] if check.node is None else []), heading, f"timeout_ms = {proposal.timeout_ms}"]
