"""What a calibration says: frozen, for terminal, JSON, page and file alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from otel_shadow._calibration.decisions import ScoredDecision, Split, split
from otel_shadow._calibration.fixed_sequence import START, USEFUL_SESSIONS
from otel_shadow._calibration.labels import Labels, Names, intent_decisions, router_decisions
from otel_shadow._calibration.pairs import COUNTED, Pair, PairSet
from otel_shadow._calibration.threshold_proposals import (
    ACTIONS,
    DEFAULTS,
    STRICTNESS,
    Proposal,
    Proposals,
    action_at,
    propose_intents,
    propose_thresholds,
)
from otel_shadow._calibration.timeout import TimeoutProposal, propose_timeout
from otel_shadow.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for.

    Arguments:
        alpha: risk that is tolerated among decisions that are not handed to a person.
        delta: chance of being mistaken, each threshold taken alone.
        held_out: share of the sessions, the last ones, to show the proposal on.
        current: thresholds in force; ``current_nodes`` has those of single nodes, ``current_intents`` the intents'.
        budget: share of requests that may fall back (V2's errors and timeouts).
        strictness: each action's share of ``alpha``.
        start: coverage of the first threshold that is tested.

    Numbers out of range are a ConfigError, which names each by its option of the command.
    """

    alpha: float = 0.05
    delta: float = 0.05
    held_out: float = 0.25
    current: tuple[tuple[str, float], ...] = tuple(DEFAULTS.items())
    current_nodes: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    current_intents: tuple[tuple[str, float], ...] = ()
    budget: float = 0.03
    names: Names = field(default_factory=Names)
    strictness: tuple[tuple[str, float], ...] = tuple(STRICTNESS.items())
    start: float = START

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        if problems := list(self._problems()):
            raise ConfigError(problems)

    def _problems(self) -> Iterator[str]:
        for name, value in (("alpha", self.alpha), ("delta", self.delta)):
            if not 0 < value < 1:
                yield f"--{name} {value:g}: expected a number between 0 and 1"
        if not 0 < self.start <= 1:
            yield f"--start {self.start:g}: expected a coverage above 0, at most 1"
        if not 0 <= self.held_out < 1:
            yield f"--held-out {self.held_out:g}: expected a share from 0 to below 1"
        for name, share in self.strictness:
            if name not in ACTIONS:
                yield f"--strictness {name}: no such action; expected {', '.join(ACTIONS)}"
            if not 0 < share <= 1:
                yield f"--strictness {name}={share:g}: expected a share of alpha in (0, 1]"

    def thresholds(self, node: str | None = None) -> dict[str, float]:
        return dict(self.current) | dict(dict(self.current_nodes).get(node or "", ()))


@dataclass(frozen=True, slots=True)
class TimeoutCheck:
    """A time limit for ``node`` (None: the whole workflow), and how many held-out runs it would have cut or lost."""

    node: str | None
    proposal: TimeoutProposal
    held_out: int
    held_out_late: int


class Risk(StrEnum):
    """What the risk is: an error of V2 where people labelled decisions, else only its disagreement with V1."""

    ERROR = "error"
    DISAGREEMENT = "disagreement with V1"


@dataclass(frozen=True, slots=True)
class Calibration:
    """All proposals of one run."""

    risk: Risk
    options: Options
    build: str
    simulated: bool
    sources: tuple[str, ...]
    first: float
    last: float
    pairs: int
    labelled: int
    sessions: int
    held_out_sessions: int
    overall: Proposals
    nodes: tuple[Proposals, ...]
    intents: tuple[Proposal, ...]
    timeouts: tuple[TimeoutCheck, ...]
    notes: tuple[str, ...]

    @property
    def proposes(self) -> bool:
        return (
            any(scope.any_certified for scope in (self.overall, *self.nodes))
            or any(intent.certified for intent in self.intents)
            or any(check.proposal.timeout_ms is not None for check in self.timeouts)
        )


def calibrate(pairs: PairSet, options: Options, labels: Labels | None = None) -> Calibration:
    """Return what ``pairs`` propose; an EvidenceError says what to configure where they lack what is needed."""
    decisions = router_decisions(pairs, options.names, labels)
    data = split(decisions, options.held_out)
    intents = split(intent_decisions(pairs, options.names, labels), options.held_out)
    alpha, delta, start = options.alpha, options.delta, options.start
    overall, *by_node = (
        propose_thresholds(
            data, options.thresholds(node), alpha, delta, node=node, strictness=dict(options.strictness), start=start
        )
        for node in (None, *sorted({one.node for one in decisions}))
    )
    return Calibration(
        risk=Risk.DISAGREEMENT if labels is None else Risk.ERROR,
        options=options,
        build=pairs.build,
        simulated=pairs.simulated,
        sources=pairs.sources,
        first=pairs.pairs[0].at,
        last=pairs.pairs[-1].at,
        pairs=len(pairs.pairs),
        labelled=len(decisions),
        sessions=len({one.session for one in data.chosen_on}),
        held_out_sessions=len({one.session for one in data.held_out}),
        overall=overall,
        nodes=tuple(by_node),
        intents=propose_intents(intents, dict(options.current_intents), alpha, delta, start),
        timeouts=tuple(_timeouts(pairs, options)),
        notes=(*pairs.notes, *_notes(decisions, pairs, options, labels)),
    )


def _timeouts(pairs: PairSet, options: Options) -> Iterator[TimeoutCheck]:
    runs = {pair.pair_id: pair for pair in pairs.pairs if pair.status in COUNTED and pair.latency_ms is not None}
    data = split(
        [ScoredDecision(one.pair_id, one.session, one.node, one.at, 0.0, wrong=False) for one in runs.values()],
        options.held_out,
    )
    for node in (None, *sorted({pair.node for pair in runs.values()})):
        yield _timeout(node, data.where(node=node).one_each(), runs, options)


def _timeout(node: str | None, data: Split, runs: Mapping[str, Pair], options: Options) -> TimeoutCheck:
    chosen, shown = ([runs[one.id] for one in part] for part in (data.chosen_on, data.held_out))
    proposal = propose_timeout(
        [pair.latency_ms or 0.0 for pair in chosen],
        [pair.status == "error" for pair in chosen],
        [pair.status == "timeout" for pair in chosen],
        budget=options.budget,
        confidence=1 - options.delta,
    )
    limit = proposal.timeout_ms or 0
    late = sum(pair.status in ("error", "timeout") or (pair.latency_ms or 0.0) > limit for pair in shown)
    return TimeoutCheck(node, proposal, len(shown), late)


def _notes(decisions: list[ScoredDecision], pairs: PairSet, options: Options, labels: Labels | None) -> Iterator[str]:
    if assumed := sum(one.assumed for one in decisions):
        yield (
            f"{assumed:,} decisions were handed to a person and where the router would have gone was not observed: "
            f"they count as wrong; add {options.names.planned} to [nodes.X.observe] categories to know"
        )
    told = [one for one in decisions if one.action in (*ACTIONS, "fallback")]
    if strange := sum(one.action != action_at(one.score, options.thresholds(one.node)) for one in told):
        now = ", ".join(f"{name} {value:g}" for name, value in options.current)
        yield (
            f"{strange:,} of {len(told):,} recorded actions don't follow the thresholds taken as current ({now}): name "
            "the file in force with --current"
        )
    if labels is not None:
        yield (
            f"{len(decisions):,} of {len(pairs.pairs):,} pairs have a label ({len(labels):,} labels): what is "
            "said holds for traffic like the labelled sessions; label a random sample"
        )
    sessions = len({one.session for one in decisions})
    if sessions < USEFUL_SESSIONS:
        yield (
            f"{sessions:,} sessions; from about {USEFUL_SESSIONS:,} on an answer is useful: with fewer, what is "
            "certified holds, but less can be certified"
        )
