"""The summary: the same from any order, any split, any way of filling it; every pair once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import at, columns, summary

from otel_shadow.verdict import ExecutionKind, Policy, Summary, Verdict, evaluate


def numbers(verdict: Verdict) -> list[object]:
    """Everything that a verdict says of its criteria, without the last bits of its logs."""
    facts = []
    for node in verdict.nodes:
        for result in node.criteria:
            logs = [None if log is None else round(log, 9) for log in (result.log_e_go, result.log_e_no_go)]
            facts.append((node.node, result.criterion, result.decision, result.estimate, result.counts, logs))
    return [verdict.decision, verdict.window, *facts]


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 6), st.booleans())
def test_any_order_and_any_split_give_the_same_verdict(seed: int, parts: int, by_event: bool) -> None:
    """Twenty replicas' logs, two saved halves, or one file: sessions may even be torn apart between them."""
    given_ = columns(sessions=120, hours=26.0, nodes=("greeting", "scheduling"), seed=seed, failure=0.02)
    whole = Summary.from_arrays(**given_)
    rng = np.random.default_rng(seed)
    order = rng.permutation(720)
    owner = rng.integers(0, parts, 720) if by_event else (np.arange(720) * parts) // 720
    shards = [
        Summary.from_arrays(**{name: values[order][owner == part] for name, values in given_.items()})
        for part in range(parts)
    ]
    merged = shards[0].merge(*shards[1:])
    assert len(merged) == len(whole)
    assert numbers(evaluate(merged, at=at(27))) == numbers(evaluate(whole, at=at(27)))


def test_a_pair_told_twice_counts_once() -> None:
    """Reading the same evidence again, whole or in part, changes nothing but the count of duplicates."""
    given_ = columns(sessions=100)
    whole = Summary.from_arrays(**given_)
    half = Summary.from_arrays(**{name: values[:300] for name, values in given_.items()})
    merged = whole.merge(half, whole)
    assert len(merged) == 600
    assert merged.duplicates == 900
    assert numbers(evaluate(merged, at=at(50))) == numbers(evaluate(whole, at=at(50)))


def test_executions_without_an_id_are_never_duplicates() -> None:
    """Two equal executions without pair ids are two."""
    one = Summary.from_arrays("a", [1, 1], [100.0, 100.0], [True, True])
    assert len(one.merge(one)) == 4


def test_a_pair_told_in_two_ways_is_left_out_for_good() -> None:
    """Contradictory evidence is no evidence, however the parts are merged, and no GO stands beside it."""
    given_ = columns()
    lie = {name: values[:1].copy() for name, values in given_.items()}
    lie["match"], lie["pair"], lie["status"], lie["arm"] = [0.0], given_["pair"][10:11], ["success"], ["shadowed"]
    whole, liar = Summary.from_arrays(**given_), Summary.from_arrays(**lie)
    for merged in (whole.merge(liar), liar.merge(whole), liar.merge(whole).merge(whole)):
        assert len(merged) == len(whole) - 1
        assert len(merged.contradictory) == 1
        verdict = evaluate(merged, at=at(49))
        assert verdict.decision == "WAIT"
        assert "recorded more than once, with different contents" in verdict.blockers[0]
    assert evaluate(whole, at=at(49)).decision == "GO"


def test_adding_one_by_one_is_adding_at_once() -> None:
    """``add`` takes one execution or many."""
    given_ = columns(sessions=20)
    grown = Summary()
    for place in range(120):
        grown.add(**{name: values[place] for name, values in given_.items()})
    assert numbers(evaluate(grown, at=at(50))) == numbers(evaluate(Summary.from_arrays(**given_), at=at(50)))


def test_a_v1_that_went_on_inside_is_due_no_shadow_and_stays_in_its_arm() -> None:
    """The held-out arm has V1s that go on inside as well, and can't tell them."""
    kind = ExecutionKind("greeting", pair=False, reason="resumed_inside")
    assert (kind.eligible, kind.latency_arm) == (False, "shadowed")


def test_times_come_in_three_forms() -> None:
    """Seconds, datetime64 and aware datetimes of any zone mean the same instant."""
    moment = datetime(2025, 1, 9, 10, 30, 45, 123000, tzinfo=UTC)
    forms = ([moment.timestamp()], np.array(["2025-01-09T10:30:45.123"], "datetime64[ms]"), [moment], moment)
    assert {int(Summary.from_arrays("a", [1], form).rows.time[0]) for form in forms} == {1736418645123}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"status": ["bad"]}, "status: got 'bad', expected one of"),
        ({"arm": ["left"]}, "arm: got 'left'"),
        ({"match": ["yes"]}, "match: give booleans"),
        ({"match": [3]}, "match: give booleans"),
        ({"timestamp": [datetime(2025, 1, 1)]}, "aware datetimes"),  # noqa: DTZ001 - the point of the test
        ({"timestamp": [float("nan")]}, "finite seconds"),
        ({"session": [1, 2]}, "session has shape"),
        ({"colour": ["red"]}, "no such column: colour"),
    ],
)
def test_wrong_columns_are_named(wrong: dict[str, object], told: str) -> None:
    """One sentence: which column, what was read, what is expected."""
    given_ = {"node": ["a"], "session": [1], "timestamp": [1.0], "match": [True]} | wrong
    with pytest.raises(ValueError, match=told):
        Summary.from_arrays(**given_)


@dataclass(frozen=True)
class Known:
    """A rule as ``[[accept]]`` gives it."""

    reason: str = "renamed step"
    expires: date = date(2026, 1, 1)
    node: str | None = None
    fields: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


def mismatch(**more: object) -> ExecutionKind:
    return ExecutionKind("greeting", comparison="mismatch", v2_status="success", **more)  # type: ignore[arg-type]


ROUTED = {"decisions_match": False, "original_target": "a", "shadow_target": "b"}
STEPPED = {"steps_match": False, "v1_step": "x", "v2_step": "y"}
FIELDS = {"fields_compared": True, "diff_fields": ("age", "name")}


@pytest.mark.parametrize(
    ("rule", "pair", "accepted"),
    [
        (Known(targets=("a->b",)), mismatch(**ROUTED), True),
        (Known(targets=("b->a",)), mismatch(**ROUTED), False),
        (Known(targets=("a->b",), node="other"), mismatch(**ROUTED), False),
        (Known(targets=("a->b",)), mismatch(**ROUTED, **STEPPED), False),
        (Known(targets=("a->b",), steps=("x->y",)), mismatch(**ROUTED, **STEPPED), True),
        (Known(steps=("x->y",)), mismatch(**STEPPED), True),
        (Known(fields=("age",)), mismatch(**FIELDS), False),
        (Known(fields=("age", "name", "more")), mismatch(**FIELDS), True),
        (Known(fields=("age", "name")), mismatch(**FIELDS, **ROUTED), False),
        (Known(fields=("age", "name")), mismatch(diff_fields=("age",), **ROUTED), False),
        (Known(targets=("a->b",)), mismatch(diff_fields=("age",), **ROUTED), True),
        (Known(targets=("a->b",), fields=("age",), steps=("x->y",)), mismatch(), False),
        (Known(targets=("a->b",)), ExecutionKind("greeting", comparison="match", v2_status="success", **ROUTED), False),
    ],
)
def test_a_rule_accepts_a_pair_whose_every_difference_it_names(
    rule: Known, pair: ExecutionKind, accepted: bool
) -> None:
    """Decision, step and compared fields each need their name; fields that are only shown don't."""
    found = Summary(signatures=[pair]).accepting([rule], at(0))
    assert bool(found.accepted[0]) is accepted


def test_an_expired_rule_accepts_nothing_and_is_told() -> None:
    """The last day still counts; the day after does not."""
    kinds = [mismatch(**ROUTED)]
    rule = Known(targets=("a->b",), expires=date(2025, 1, 9))
    assert Summary(signatures=kinds).accepting([rule], datetime(2025, 1, 9, 23, tzinfo=UTC)).accepted == (
        "renamed step",
    )
    assert Summary(signatures=kinds).accepting([rule], datetime(2025, 1, 10, 1, tzinfo=UTC)).accepted == ("",)
    late = summary().accepting([rule], at(48))
    assert any("expired" in warning for warning in evaluate(late, Policy(), at(49)).warnings)


def test_an_expired_rule_stays_expired_when_evidence_is_added() -> None:
    """Neither adding, merging nor choosing a build brings it back."""
    rule = Known(targets=("a->b",), expires=date(2025, 1, 9))
    pair = {"match": [False], "decisions_match": [False], "original_target": "a", "shadow_target": "b", "build": "1"}
    evidence = Summary.from_arrays("a", [1], [1.0], **pair).accepting([rule], datetime(2025, 2, 1, tzinfo=UTC))
    evidence.add("a", [2], [2.0], **pair)
    for found in (evidence, evidence.merge(Summary.from_arrays("a", [3], [3.0], **pair)), evidence.of_build("1")):
        assert (found.accepted, found.expired_rules) == (("",), (rule,))
    assert len(evidence.of_build("2")) == 0
