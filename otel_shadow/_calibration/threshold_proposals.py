"""Proposals for the thresholds of router and intents: certified by fixed sequence testing, shown on held-out data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from otel_shadow._calibration.decisions import ScoredDecision, Split
from otel_shadow._calibration.fixed_sequence import START, Certificate, certify, lower_bound, upper_bound

ACTIONS = ("template", "llm_rag", "handoff")
"""From the highest threshold to the lowest: what is at or above it is answered by a template; by a template or with a
model; not handed to a person."""
DEFAULTS: Mapping[str, float] = {"template": 0.74, "llm_rag": 0.60, "handoff": 0.38}
STRICTNESS: Mapping[str, float] = {"template": 0.25, "llm_rag": 0.5, "handoff": 1.0}
"""Each action's share of α: a template's unwatched answer is held to less risk than what is merely not handed over."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a threshold accepts of ``total``, and how much of that is wrong; bounds are exact, one-sided at 1 − δ."""

    total: int
    accepted: int
    wrong: int
    coverage: float | None
    risk: float | None
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """One threshold.

    Arguments:
        name: the action, or the intent.
        node: whose; None is every node's.
        proposed: the new one; equal to ``current`` (or raised to the one below it) where nothing was certified.
        before, after: effects on the calibration sessions, one decision each.
        held_out_before, held_out_after: likewise on the sessions it was not chosen on.
        assumed: decisions of the calibration sessions whose label is not known and was taken as wrong.
    """

    name: str
    node: str | None
    current: float
    proposed: float
    certificate: Certificate
    before: Effect
    after: Effect
    held_out_before: Effect
    held_out_after: Effect
    assumed: int

    @property
    def certified(self) -> bool:
        """Whether there is a certificate (then ``proposed`` is it)."""
        return self.certificate.threshold is not None

    @property
    def held(self) -> str:
        """What the held-out sessions say: ``within`` α, ``above`` it, ``unclear``, or ``none`` of them accepted."""
        effect, alpha = self.held_out_after, self.certificate.alpha
        if effect.risk is None:
            return "none"
        if effect.lower > alpha:
            return "above"
        return "within" if effect.upper <= alpha else "unclear"


@dataclass(frozen=True, slots=True)
class Change:
    """What new thresholds would change for the recorded pairs, all turns counted: pairs per action before and after."""

    pairs: int
    before: Mapping[str, int]
    after: Mapping[str, int]
    wrong_before: int
    wrong_after: int
    """Wrong decisions that were, and would be, acted upon (not handed to a person)."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """The three thresholds of one node, or of all (``node`` None), and what they would change."""

    node: str | None
    thresholds: tuple[Proposal, ...]
    change: Change

    @property
    def any_certified(self) -> bool:
        return any(proposal.certified for proposal in self.thresholds)

    def values(self) -> dict[str, float]:
        """Return threshold per action, in order: template ≥ llm_rag ≥ handoff."""
        return {proposal.name: proposal.proposed for proposal in self.thresholds}


def propose_thresholds(
    data: Split,
    current: Mapping[str, float],
    alpha: float,
    delta: float,
    *,
    node: str | None = None,
    strictness: Mapping[str, float] = STRICTNESS,
    start: float = START,
) -> Proposals:
    """Return thresholds for the decisions of ``node`` (None: of all) in ``data``.

    ``alpha`` is the risk tolerated among decisions that are not handed over, of which each action has its share
    (``strictness``); ``delta`` the chance of being mistaken, for each threshold taken alone; ``start`` the coverage of
    the first threshold that is tested.
    """
    here = data.where(node=node)
    one_each = here.one_each()
    found: list[Proposal] = []
    for name in reversed(ACTIONS):
        floor = found[-1].proposed if found else 0.0
        found.append(_propose(name, node, one_each, current[name], floor, (alpha * strictness[name], delta, start)))
    thresholds = tuple(reversed(found))
    new = {proposal.name: proposal.proposed for proposal in thresholds}
    return Proposals(node, thresholds, change(here.all, current, new))


def propose_intents(
    data: Split, current: Mapping[str, float], alpha: float, delta: float, start: float = START
) -> tuple[Proposal, ...]:
    """Return a least score per intent (``ScoredDecision.group``)."""
    return tuple(
        _propose(name, None, data.where(group=name).one_each(), current.get(name, 0.5), 0.0, (alpha, delta, start))
        for name in sorted({one.group for one in data.all if one.group})
    )


def _propose(
    name: str, node: str | None, data: Split, current: float, floor: float, bounds: tuple[float, float, float]
) -> Proposal:
    """Return a threshold of at least ``floor``; ``bounds`` are α, δ and the coverage of the first threshold tested."""
    alpha, delta, start = bounds
    chosen, held_out = data.chosen_on, data.held_out
    certificate = certify([one.score for one in chosen], [one.wrong for one in chosen], alpha, delta, start=start)
    proposed = max(current if certificate.threshold is None else certificate.threshold, floor)
    return Proposal(
        name=name,
        node=node,
        current=current,
        proposed=proposed,
        certificate=certificate,
        before=effect(chosen, current, delta),
        after=effect(chosen, proposed, delta),
        held_out_before=effect(held_out, current, delta),
        held_out_after=effect(held_out, proposed, delta),
        assumed=sum(one.assumed for one in chosen),
    )


def effect(decisions: Sequence[ScoredDecision], threshold: float, delta: float) -> Effect:
    accepted = [one for one in decisions if one.score >= threshold]
    wrong, total = sum(one.wrong for one in accepted), len(decisions)
    return Effect(
        total=total,
        accepted=len(accepted),
        wrong=wrong,
        coverage=len(accepted) / total if total else None,
        risk=wrong / len(accepted) if accepted else None,
        lower=lower_bound(wrong, len(accepted), delta),
        upper=upper_bound(wrong, len(accepted), delta),
    )


def change(decisions: Sequence[ScoredDecision], current: Mapping[str, float], new: Mapping[str, float]) -> Change:
    """Return actions and wrong decisions acted upon, of every pair, under both sets of thresholds."""
    actions = ("template", "llm_rag", "fallback", "handoff")
    before, after = ([action_at(one.score, limits) for one in decisions] for limits in (current, new))
    return Change(
        pairs=len(decisions),
        before={action: before.count(action) for action in actions},
        after={action: after.count(action) for action in actions},
        wrong_before=sum(one.wrong and one.score >= current["handoff"] for one in decisions),
        wrong_after=sum(one.wrong and one.score >= new["handoff"] for one in decisions),
    )


def action_at(score: float, thresholds: Mapping[str, float]) -> str:
    """Return what the router does at ``score``: ``fallback`` lies between a person and a sure answer."""
    if score >= thresholds["template"]:
        return "template"
    if score >= thresholds["llm_rag"]:
        return "llm_rag"
    return "handoff" if score < thresholds["handoff"] else "fallback"
