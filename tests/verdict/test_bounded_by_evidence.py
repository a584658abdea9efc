"""What a verdict takes is bounded by the evidence, however long the calendar is that a clock or a policy spans."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from otel_shadow.policy import Policy
from otel_shadow.verdict import Decision, Summary, evaluate
from otel_shadow.verdict.dense_codes import dense, split
from otel_shadow.verdict.heartbeats import Beat
from otel_shadow.verdict.reasons import ReasonKind

START = datetime(2026, 3, 2, tzinfo=UTC)
AT = datetime(2026, 3, 4, 1, tzinfo=UTC)
EXECUTIONS = 6000


def columns(**more: Any) -> dict[str, Any]:
    """A good V2 over two days, three executions a session, a third of the sessions held out."""
    rng = np.random.default_rng(1)
    number = np.arange(EXECUTIONS)
    session = number // 3
    held = session % 3 == 0
    given = {
        "node": np.array(["a", "b"])[number % 2],
        "session": session,
        "timestamp": START.timestamp() + 48.5 * 3600 * session / session.max() + number % 3,
        "match": np.where(held, np.nan, rng.random(EXECUTIONS) < 0.99),
        "status": np.where(held, "", "success"),
        "v1_latency_ms": rng.lognormal(3, 0.5, EXECUTIONS),
        "v2_latency_ms": np.where(held, np.nan, rng.lognormal(3, 0.5, EXECUTIONS)),
        "arm": np.where(held, "holdout", "shadowed"),
        "pair": number,
    }
    return given | more


def with_one_of(year: int) -> Summary:
    """The same, and one execution more, of that year."""
    given = columns()
    stamp = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    changed = {"session": 10**8, "timestamp": stamp, "pair": 10**9}
    return Summary.from_arrays(
        **{name: np.append(column, changed.get(name, column[-1])) for name, column in given.items()}
    )


@pytest.mark.parametrize("at", [None, AT], ids=["at the last", "at a time"])
@pytest.mark.parametrize(("year", "kind"), [(1970, ReasonKind.EARLIER), (2190, ReasonKind.LATER)])
def test_one_clock_that_is_years_off_costs_a_sentence(year: int, kind: ReasonKind, at: datetime | None) -> None:
    """Window and numbers are those of the others; the one is told."""
    good, odd = evaluate(Summary.from_arrays(**columns()), at=at), evaluate(with_one_of(year), at=at)
    assert (odd.decision, odd.window) == (good.decision, good.window)
    assert [row.proven for row in odd.criteria] == pytest.approx([row.proven for row in good.criteria], abs=1e-9)
    assert {one.kind: one.have for one in odd.reasons}[kind] == 1


def test_a_heartbeat_of_2190_does_not_make_the_evidence_old() -> None:
    """Where no time is given it is the last that can be believed."""
    beat = Beat(1, "", "", "a", "", "", 1, (), False, 6_942_000_000_000)
    summary = Summary.from_arrays(**columns())
    assert evaluate(summary.merge(Summary(beats=[beat]))).at == evaluate(summary).at


@pytest.mark.parametrize("hours", [1e-2, 1e-4, 1e-7])
def test_cycles_and_blocks_of_a_moment_end(hours: float) -> None:
    """Tens of thousands of cycles, or hundreds of millions of blocks, of which few hold anything."""
    summary = Summary.from_arrays(**columns())
    assert evaluate(summary, Policy(block_hours=hours), AT).decision is Decision.GO
    assert evaluate(summary, Policy(cycle_hours=hours), AT).decision is Decision.WAIT
    assert evaluate(summary, Policy(cycle_hours=hours, window_hours=700.0), AT).decision is Decision.WAIT


@pytest.mark.parametrize("months", [700])
def test_a_line_a_month_since_1970_is_no_calendar_of_20_000_days(months: int) -> None:
    """What is worked out is as long as the evidence."""
    number = np.arange(months)
    given = {"node": "a", "session": number, "timestamp": number * 30.4 * 86400.0, "match": True, "pair": number}
    summary = Summary.from_arrays(**given)
    assert evaluate(summary).decision is Decision.WAIT
    assert evaluate(summary, Policy(cycle_hours=0.5)).decision is Decision.WAIT


@pytest.mark.parametrize(
    ("slot_seconds", "holdout"), [(1e-9, 0.5), (1e300, 0.5), (60.0, 1e-300), (60.0, 0.99999), (-5.0, 0.3)]
)
def test_slots_of_any_length_are_read(slot_seconds: float, holdout: float) -> None:
    """What a line says of its slots is no reason for an error, nor for a table of all blocks of the calendar."""
    given = columns(slot_seconds=slot_seconds, holdout=holdout, probability=0.5)
    assert evaluate(Summary.from_arrays(**given), at=AT).decision is not Decision.NO_GO


def test_a_build_on_each_line_is_read() -> None:
    """A name for each line makes neither a table of builds and minutes nor a pass over all lines for each."""
    given = columns(build=np.char.add("b", np.arange(EXECUTIONS).astype(str)))
    assert len(evaluate(Summary.from_arrays(**given), at=AT).left_out) == EXECUTIONS - 1


@pytest.mark.parametrize("values", [[], [5], [3, 1, 3], [-(10**15), 10**15, 0], list(range(40, 0, -1))])
def test_numbers_are_numbered_anew(values: list[int]) -> None:
    """In their order, and back again; each code has its places."""
    given = np.array(values, np.int64)
    place, found = dense(given)
    assert found.tolist() == sorted(set(values))
    assert found[place].tolist() == values
    assert {code: at.tolist() for code, at in split(given)} == {
        code: [place for place, value in enumerate(values) if value == code] for code in sorted(set(values))
    }
