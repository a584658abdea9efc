"""The e-processes: against their definition, their guarantee, and their own inverse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_shadow.verdict.sequential import DOWN, UP, Counts, crossing, running, sessions_needed

histories = st.lists(
    st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=40
)
bounds = st.floats(0.05, 0.99)


def by_definition(history: list[tuple[int, int]], m: float, max_turns: int | None, up: bool) -> float:
    """E by the formula of the docstring, one session and one bet at a time."""
    total = 0.0
    for f in UP if up else DOWN:
        product = 1.0
        for k, n in history:
            if max_turns is None:
                x, size = k / n, 1.0
                product *= 1 + f / m * (x - m) if up else 1 - f / (1 - m) * (x - m)
            else:
                size = float(max_turns)
                y = (k - m * n) * min(1.0, max_turns / n)
                product *= 1 + f / (size * m) * y if up else 1 - f / (size * (1 - m)) * y
        total += product
    return total / len(UP)


@settings(max_examples=60)
@given(histories, bounds)
def test_evidence_is_the_mean_of_the_products_it_is_defined_by(history: list[tuple[int, int]], m: float) -> None:
    """Both units, both sides: what the histogram gives is what the formula gives session by session."""
    k, n = (np.array(values) for values in zip(*history, strict=True))
    counts = Counts.of(k, n)
    for unit, turns in ((counts.session_unit(), None), (counts.event_unit(20), 20)):
        assert unit.log_up(m) == pytest.approx(math.log(by_definition(history, m, turns, True)), abs=1e-9)
        assert unit.log_down(m) == pytest.approx(math.log(by_definition(history, m, turns, False)), abs=1e-9)


@settings(max_examples=60)
@given(histories, bounds, st.randoms(use_true_random=False), st.integers(1, 5))
def test_evidence_does_not_depend_on_order_or_split(
    history: list[tuple[int, int]], m: float, random: object, parts: int
) -> None:
    """Any permutation, and any merge of shards, changes log E by less than 1e-9."""
    k, n = (np.array(values) for values in zip(*history, strict=True))
    whole = Counts.of(k, n)
    shuffled = list(range(len(history)))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    shards = [Counts.of(k[shuffled[part::parts]], n[shuffled[part::parts]]) for part in range(parts)]
    merged = Counts.of(*(np.concatenate([getattr(shard, name) for shard in shards]) for name in ("k", "n", "sessions")))
    assert merged.event_unit(20).log_up(m) == pytest.approx(whole.event_unit(20).log_up(m), abs=1e-9)
    assert merged.session_unit().log_down(m) == pytest.approx(whole.session_unit().log_down(m), abs=1e-9)


@settings(max_examples=40)
@given(histories)
def test_the_band_is_the_set_of_bounds_that_are_not_rejected(history: list[tuple[int, int]]) -> None:
    """Just inside the band nothing is rejected; just outside it is."""
    k, n = (np.array(values) for values in zip(*history, strict=True))
    level = math.log(20.0)
    for unit in (Counts.of(k, n).session_unit(), Counts.of(k, n).event_unit(20)):
        lower, upper = unit.lower(level), unit.upper(level)
        assert 0.0 <= lower <= unit.mean + 1e-9
        assert unit.mean - 1e-9 <= upper <= 1.0
        if lower > 1e-3:
            assert unit.log_up(lower - 1e-4) >= level > unit.log_up(min(lower + 1e-4, 1.0))
        if upper < 1 - 1e-3:
            assert unit.log_down(upper + 1e-4) >= level > unit.log_down(max(upper - 1e-4, 1e-6))


def test_running_evidence_ends_where_the_histogram_does() -> None:
    """The path over time and the count at its end are one formula."""
    rng = np.random.default_rng(5)
    n = rng.integers(1, 25, 300)
    k = rng.binomial(n, 0.96)
    unit, scale = Counts.of(k, n).event_unit(20), np.minimum(1.0, 20 / n) / 20
    assert running(n * scale, k * scale, 0.95, UP)[-1] == pytest.approx(unit.log_up(0.95), abs=1e-9)
    assert running(np.ones(300), 1 - k / n, 0.05, DOWN)[-1] == pytest.approx(
        Counts.of(k, n).session_unit().log_down(0.95), abs=1e-9
    )


def test_everything_agreeing_and_nothing_agreeing_have_closed_bands() -> None:
    """The extremes k = n and k = 0 need no special case by the caller."""
    all_, none = Counts.of(np.full(500, 3), np.full(500, 3)), Counts.of(np.zeros(500), np.full(500, 3))
    assert all_.session_unit().upper(3.0) == 1.0
    assert all_.session_unit().lower(3.0) > 0.98
    assert none.session_unit().lower(3.0) == 0.0
    assert none.session_unit().upper(3.0) < 0.02


def test_sessions_needed_is_how_much_more_of_the_same_it_takes() -> None:
    """Repeating the evidence until the answer's number reaches the threshold, and not before."""
    counts = Counts.of(np.array([6, 6, 6, 5]), np.full(4, 6), np.array([20, 20, 20, 4]))
    capital, level = counts.session_unit().capital_up(0.95), math.log(20.0)
    wanted = sessions_needed(capital, counts.total, level)
    assert wanted is not None
    times = wanted / counts.total
    grown = Counts(counts.k, counts.n, counts.sessions * times)
    assert grown.session_unit().log_up(0.95) == pytest.approx(level, abs=1e-3)


def test_evidence_that_shrinks_never_suffices() -> None:
    """Below the bound, no number of sessions like these is a proof."""
    counts = Counts.of(np.array([5, 6]), np.array([6, 6]), np.array([50, 50]))
    assert sessions_needed(counts.session_unit().capital_up(0.95), counts.total, math.log(20.0)) is None


def test_crossing_finds_either_side() -> None:
    """The search brackets outwards from the mean, down as well as up."""
    assert crossing(lambda m: 10 * (0.8 - m), 0.8, 0.0, 3.0) == pytest.approx(0.5, abs=1e-5)
    assert crossing(lambda m: 10 * (m - 0.2), 0.2, 1.0, 3.0) == pytest.approx(0.5, abs=1e-5)
    assert crossing(lambda m: 0.0, 0.5, 1.0, 3.0) == 1.0


@pytest.mark.parametrize("sessions", [1, 3, 10, 50, 400, 3000])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.86, 0.99, 1.0])
def test_crossing_asks_for_little_evidence(sessions: int, share: float) -> None:
    """A band costs two dozen looks at the evidence at most, whatever its shape, and ends where that reaches 3."""
    unit = Counts.of(np.floor(np.linspace(0, 4, sessions) * share), np.full(sessions, 4)).event_unit(20)
    for evidence, end in ((unit.log_up, 0.0), (unit.log_down, 1.0)):
        asked: list[float] = []
        found = crossing(lambda m, evidence=evidence, asked=asked: asked.append(m) or evidence(m), unit.mean, end, 3.0)
        assert len(asked) <= 24
        if found != end:
            assert evidence(found) >= 3.0 > evidence(found + (5e-6 if end == 0.0 else -5e-6))
