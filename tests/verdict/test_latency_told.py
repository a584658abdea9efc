"""Latencies as they are told, and their NO-GO, while sample, load or the share of holdout slots change."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.bars import falls_with_load
from benchmarks.looks import AFTER, NOW
from benchmarks.turns import DAY, START, Floats, Turns, by_day, columns, constant, geometric, one_turn, times, traffic
from otel_shadow.policy import Policy
from otel_shadow.verdict import CriterionResult, Decision, Summary, evaluate
from otel_shadow.verdict.latency import Ranks, Ratio, shift
from otel_shadow.verdict.stretches import Ratios, Side, Stretch
from tests.verdict.streams import columns as plain_columns

BY_15 = shift(1.15)


def row(turns: Turns, criterion: str, v1: Floats, v2: Floats | None = None, days: float = 2.1) -> CriterionResult:
    """What the verdict tells of one criterion."""
    given = columns(turns, np.ones(len(turns), bool), None, v1, v2)
    at = datetime.fromtimestamp(START + days * DAY, UTC)
    return evaluate(Summary.from_arrays(**given), Policy(criteria=(criterion,)), at).criterion(criterion)


def test_a_slow_day_that_was_hardly_sampled_counts_as_a_day() -> None:
    """V2 takes 1.5 times as long on a day of which a tenth was sampled, as long as V1 on the next: told is +33 %."""
    rng = np.random.default_rng(1)
    turns = traffic(rng, 2, 1500.0, geometric(4.0), sample=by_day([0.1, 1.0]))
    v1 = times(rng, turns)
    found = row(turns, AFTER, v1, times(rng, turns) * by_day([1.5, 1.0])(turns.at))
    assert found.estimate == pytest.approx(1.33, abs=0.06)


@pytest.mark.parametrize("ratio", [1.3, 1.5])
def test_a_slow_down_is_told_though_shadows_run_when_the_load_is_low(ratio: float) -> None:
    """The probability of a shadow falls to a sixteenth with the load: told is the slow-down, not what was sampled."""
    rng = np.random.default_rng(2)
    turns = traffic(rng, 2, 6000.0, one_turn, holdout=constant(1.0 / 3.0), adaptive=falls_with_load, load_sd=0.5)
    v1 = times(rng, turns)
    assert row(turns, NOW, np.where(turns.held, v1, ratio * v1)).estimate == pytest.approx(ratio, rel=0.08)


@pytest.mark.parametrize(("criterion", "slower"), [(NOW, 1.0), (NOW, 1.4), (AFTER, 1.1)])
def test_what_is_told_lies_inside_what_is_proven_and_inside_the_band(criterion: str, slower: float) -> None:
    """The estimate is that of the proven limit: never above it, nor outside the band, whatever was sampled when."""
    rng = np.random.default_rng(3)
    turns = traffic(
        rng, 2, 1500.0, geometric(3.0), holdout=by_day([1.0 / 3.0, 0.1]), sample=by_day([1.0, 0.2]), load_sd=0.3
    )
    pace = by_day([1.0, 2.5])(turns.at)
    v1, v2 = times(rng, turns) * pace, times(rng, turns) * pace * slower
    found = row(turns, criterion, np.where(turns.held, v1, v1 * slower), v2, days=2.0 + 1.0 / 24.0)
    assert found.proven is not None
    assert found.estimate is not None
    assert found.estimate <= found.proven
    assert (found.lower or 0.0) <= found.estimate <= (found.upper or np.inf)


@pytest.mark.parametrize("pace", [3.0, 1.0 / 3.0])
@pytest.mark.parametrize("share", [[1.0 / 3.0, 0.1], [0.1, 1.0 / 3.0]])
def test_a_change_of_the_holdout_while_v1_changes_by_itself_is_no_evidence(pace: float, share: list[float]) -> None:
    """V1 is three times as slow, or as fast, from the hour on at which the share of holdout slots changes: no NO-GO."""
    rng = np.random.default_rng(4)
    turns = traffic(rng, 2, 4000.0, one_turn, holdout=by_day(share))
    found = row(turns, NOW, times(rng, turns) * by_day([1.0, pace])(turns.at))
    assert found.decision is not Decision.NO_GO
    assert found.log_e_no_go is not None
    assert found.log_e_no_go < 1.0
    assert found.estimate == pytest.approx(1.0, abs=0.1)


def test_a_slow_down_in_the_second_stretch_is_a_no_go() -> None:
    """Equal speeds at a third, twice as slow in ordinary slots at a tenth: the stretch itself is evidence."""
    rng = np.random.default_rng(5)
    turns = traffic(rng, 3, 6000.0, one_turn, holdout=by_day([1.0 / 3.0, 0.1, 0.1]))
    v1 = times(rng, turns)
    slower = np.where(turns.held, 1.0, by_day([1.0, 2.0, 2.0])(turns.at))
    assert row(turns, NOW, v1 * slower, days=3.1).decision is Decision.NO_GO


def test_lines_that_tell_no_slots_and_whose_shares_differ_are_no_evidence() -> None:
    """Lines from before the upgrade: the arms' shares change with V1's speed, and it is neither GO nor NO-GO."""

    def arm(rng: np.random.Generator, length: int) -> np.ndarray:
        early = np.arange(length) < length // 2
        return np.where(rng.random(length) < np.where(early, 0.6, 0.05), "holdout", "shadowed")

    def slow_later(rng: np.random.Generator, length: int) -> Floats:
        return np.asarray(rng.lognormal(3.0, 0.3, length) * np.where(np.arange(length) < length // 2, 1.0, 3.0))

    given = plain_columns(sessions=6000, turns=1, holdout=0.0, arm=arm, v1_latency_ms=slow_later)
    held = given["arm"] == "holdout"
    given["status"] = np.where(held, "", "success")
    given["match"] = np.where(held, np.nan, 1.0)
    verdict = evaluate(Summary.from_arrays(**given), Policy(criteria=(NOW,)))
    assert verdict.criterion(NOW).decision is Decision.WAIT


def test_a_no_go_on_shares_needs_the_estimate_outside() -> None:
    """Parity .90 on a day that was sampled as a whole, .99 on two days of which a fifth was: .96 is told, no NO-GO."""
    rng = np.random.default_rng(6)
    turns = traffic(rng, 3, 2500.0, one_turn, sample=by_day([1.0, 0.2, 0.2]))
    match = rng.random(len(turns)) < by_day([0.90, 0.99, 0.99])(turns.begun)
    at = datetime.fromtimestamp(START + 3.1 * DAY, UTC)
    verdict = evaluate(Summary.from_arrays(**columns(turns, match)), Policy(criteria=("parity",)), at)
    found = verdict.criterion("parity")
    assert found.estimate == pytest.approx(0.96, abs=0.01)
    assert found.log_e_no_go is not None
    assert found.log_e_no_go > found.threshold_no_go  # type: ignore[operator]
    assert found.decision is Decision.WAIT


def test_stretches_share_the_capital_by_when_they_begin() -> None:
    """Three quarters for the first, three sixteenths for the second, and the rest keeps its own."""
    rng = np.random.default_rng(7)

    def stretch(first: int, slow: int) -> Stretch:
        return Stretch(Ranks.of(np.arange(200), rng.integers(0, 40, 200) + slow), first)

    early, late = (stretch(1, 0), stretch(5, 90)), (stretch(9, 0), stretch(3, 120))
    sides = [Side(400, 400, {0.1: late[place], 1.0 / 3.0: early[place]}) for place in (0, 1)]
    found = Ratios.of(*sides, paired=False)
    assert found is not None
    assert [share for share, _ in found.stretches] == [1.0 / 3.0, 0.1]
    each = [Ratio.of(a.ranks, b.ranks, paired=False).log_above(BY_15) for a, b in (early, late)]
    expected = np.log(0.75 * np.exp(each[0]) + 0.1875 * np.exp(each[1]) + 0.0625)
    assert found.log_above(BY_15) == pytest.approx(expected, abs=1e-9)
