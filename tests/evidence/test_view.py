"""What the page shows adds up to what was read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recorded import log

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence import EvidenceView, read, view_of
from otel_shadow.verdict import Summary, Verdict, evaluate
from otel_shadow.verdict.json_data import plain


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Verdict, EvidenceView]:
    path = tmp_path_factory.mktemp("log") / "app.log"
    path.write_bytes(b"".join(log(3000)))
    summary = read([str(path)])
    verdict = evaluate(summary)
    return summary, verdict, view_of(summary, verdict)


def test_hours_add_up_to_the_criteria(judged: tuple[Summary, Verdict, EvidenceView]) -> None:
    """Every compared pair is in one hour of its node."""
    _, verdict, shown = judged
    for node in verdict.nodes:
        counts = node.criterion("parity").counts
        hours = [point for point in shown.parity if point.node == node.node]
        assert sum(point.matches for point in hours) == counts["match"]
        assert sum(point.comparisons for point in hours) == counts["match"] + counts["mismatch"]
        assert sum(point.executions for point in hours) == node.criterion("handoff").events
        assert len({point.hour for point in hours}) == len(hours)


def test_the_band_ends_where_the_verdict_stands(judged: tuple[Summary, Verdict, EvidenceView]) -> None:
    """The last point of the band over time is the criterion's own band."""
    _, verdict, shown = judged
    for node in verdict.nodes:
        for criterion in ("parity", "handoff"):
            last = [point for point in shown.bands if (point.node, point.criterion) == (node.node, criterion)][-1]
            row = node.criterion(criterion)
            assert (last.lower, last.upper) == pytest.approx((row.lower, row.upper), abs=1e-4)


def test_histograms_and_confusion_count_everything(judged: tuple[Summary, Verdict, EvidenceView]) -> None:
    """Executions per arm and decisions per pair."""
    _, verdict, shown = judged
    for node in verdict.nodes:
        arms = {(item.version, item.arm): item for item in shown.latency if item.node == node.node}
        counts = node.criterion("v1_served").counts
        assert sum(arms["v1", "shadowed"].counts) == counts["shadowed"]
        assert sum(arms["v1", "holdout"].counts) == counts["holdout"]
        assert all(len(item.edges_ms) == len(item.counts) + 1 for item in arms.values())
        confusion = next(item for item in shown.confusion if item.node == node.node)
        assert sum(map(sum, confusion.counts)) == node.criterion("parity").events


def test_mismatches_are_grouped_and_lead_to_their_traces(judged: tuple[Summary, Verdict, EvidenceView]) -> None:
    """The heaviest first, shares of the whole, up to ten pairs to open, told apart by build and intent."""
    _, verdict, shown = judged
    total = sum(node.criterion("parity").counts["mismatch"] for node in verdict.nodes)
    assert sum(group.count for group in shown.mismatches) == total
    assert sum(group.share for group in shown.mismatches) == pytest.approx(1.0)
    assert [group.count for group in shown.mismatches] == sorted((g.count for g in shown.mismatches), reverse=True)
    for group in shown.mismatches:
        assert group.fields == ("current_step", "outbox")
        assert group.route.endswith("->scheduling")
        assert group.build == "1.4.0"
        assert 1 <= len(group.samples) <= min(10, group.count)
        assert group.sessions <= group.count
        assert all(len(sample.trace_id) == 32 for sample in group.samples)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_mismatches_that_tie_keep_their_places(order: list[int]) -> None:
    """Groups alike in count, node, route and fields are told by steps, then by intent, however the lines came."""
    told = {"v2_step": ["y", "y", "x", "x"], "intent": ["price", "enrol", "visit", "price"]}
    columns = {name: [values[place] for place in order] for name, values in told.items()}
    summary = Summary.from_arrays(
        "greeting", order, [0.0, 1.0, 2.0, 3.0], False, original_target="a", shadow_target="b", v1_step="s",
        steps_match=False, **columns,
    )  # fmt: skip
    shown = view_of(summary, evaluate(summary))
    assert [(group.steps, group.intent) for group in shown.mismatches] == [
        ("s->x", "price"), ("s->x", "visit"), ("s->y", "enrol"), ("s->y", "price")
    ]  # fmt: skip


def test_counts_are_there_for_the_whole_and_for_each_node(judged: tuple[Summary, Verdict, EvidenceView]) -> None:
    """Statuses, outcomes and reasons of the baseline."""
    summary, _, shown = judged
    whole = shown.counts["*"]
    assert sum(whole["arm"].values()) == len(summary)
    assert whole["baseline"] == {"holdout": 300}
    for heading, labels in whole.items():
        for label, count in labels.items():
            assert count == sum(shown.counts[node].get(heading, {}).get(label, 0) for node in shown.nodes)


@pytest.mark.parametrize(
    ("node", "at"), [("billing", 0.0), ("greeting", 86_400.0)], ids=["other nodes", "other window"]
)
def test_a_verdict_of_other_evidence_is_refused(node: str, at: float) -> None:
    """One sentence says that summary and verdict don't belong together, and which summary does."""
    other = evaluate(Summary.from_arrays("greeting", [0, 1], [0.0, 1.0], True))
    with pytest.raises(EvidenceError, match="give view_of the summary that evaluate judged"):
        view_of(Summary.from_arrays(node, [0, 1], [at, at + 1.0], True), other)


def test_a_verdict_without_evidence_belongs_to_an_empty_view_only() -> None:
    """Evidence where the verdict had none is other evidence, too."""
    nothing = evaluate(Summary())
    with pytest.raises(EvidenceError, match="other evidence"):
        view_of(Summary.from_arrays("greeting", [0], [-1.0], True), nothing)
    assert view_of(Summary(), nothing).nodes == ()


def test_everything_is_plain_json(judged: tuple[Summary, Verdict, EvidenceView]) -> None:
    """No value needs special care."""
    _, _, shown = judged
    json.dumps(plain(shown), allow_nan=False)


def test_an_empty_window_has_an_empty_view(tmp_path: Path) -> None:
    """Asked about a time before all evidence."""
    path = tmp_path / "app.log"
    path.write_bytes(b"".join(log(30)))
    from datetime import UTC, datetime

    summary = read([str(path)])
    verdict = evaluate(summary, at=datetime(2024, 1, 1, tzinfo=UTC))
    shown = view_of(summary, verdict)
    assert shown.nodes == ()
    assert shown.reading.future == 30
