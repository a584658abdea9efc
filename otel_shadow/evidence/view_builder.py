"""The view of a summary and its verdict: what terminal, page and JSON show of the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from otel_shadow import semconv
from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.view import (
    BandPoint,
    Confusion,
    EvidenceView,
    LatencyHistogram,
    MismatchGroup,
    ParityPoint,
)
from otel_shadow.verdict import latency
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Sample, Summary, milliseconds, moment
from otel_shadow.verdict.latency import Ranks
from otel_shadow.verdict.result import NodeVerdict, Verdict
from otel_shadow.verdict.rows import Rows
from otel_shadow.verdict.session_counts import within
from otel_shadow.verdict.trajectory import looks
from otel_shadow.verdict.window import Frame, frame

_HOUR = 3_600_000
_LOOKS = 96
_GROUPS = 50
_COARSER = latency.PER_115 // 16
_SAMPLES = 10
ALL = "*"
_OTHER_EVIDENCE = "the verdict was made from other evidence: give view_of the summary that evaluate judged"


def view_of(summary: Summary, verdict: Verdict) -> EvidenceView:
    """Return what to show of the evidence that ``verdict`` judged: its build, its window, up to its time.

    Raises:
        EvidenceError: ``verdict`` was made from other evidence than ``summary``.
    """
    found = frame(summary, verdict.policy, verdict.at)
    if _beginning(found) != _beginning(verdict):
        raise EvidenceError(_OTHER_EVIDENCE)
    later = summary.later_than(verdict.at)
    reading = replace(
        summary.reading,
        used=max(summary.reading.used - summary.duplicates, 0),
        duplicates=summary.duplicates,
        contradictory=len(summary.contradictory),
        out_of_window=found.earlier if found else 0,
        future=later,
    )
    if found is None:
        return EvidenceView(reading=reading, nodes=())
    rows = within(summary, replace(found.slice, at=milliseconds(verdict.at)))
    page = _Page(summary, rows, verdict)
    if not page.seen() <= set(page.nodes):
        raise EvidenceError(_OTHER_EVIDENCE)
    return EvidenceView(
        reading=reading,
        nodes=tuple(node.node for node in verdict.nodes),
        parity=page.parity(),
        bands=_bands(summary, verdict),
        latency=page.latency(),
        confusion=page.confusion(),
        mismatches=page.mismatches(),
        counts=page.counts(),
    )


def _beginning(judged: Frame | Verdict | None) -> tuple[str, str, datetime] | None:
    """Return the judged build, its configuration and the start of its window, which tell evidence apart."""
    if judged is None or judged.build is None or judged.window is None:
        return None
    return judged.build.build, judged.build.digest, judged.window.start


def _bands(summary: Summary, verdict: Verdict) -> tuple[BandPoint, ...]:
    """Return parity and handoff over time; a node judged against its noise floor has no absolute band."""
    assert verdict.window is not None
    start, end = verdict.window.start, max(verdict.window.end, verdict.at)
    end = min(end, verdict.window.end + timedelta(minutes=verdict.policy.session_idle_minutes))
    times = _times(start, end)
    points = []
    for node in verdict.nodes:
        for criterion in (semconv.CRITERION_PARITY, semconv.CRITERION_HANDOFF):
            result = node.criterion(criterion)
            if not result.measured or result.quantity != "share":
                continue
            path = looks(summary, verdict.policy, node=node.node, criterion=criterion, at=times, tests=result.tests)
            points += [
                BandPoint(node.node, criterion, item.at, item.estimate, item.lower, item.upper, item.sessions)
                for item in path
                if item.sessions
            ]
    return tuple(points)


def _times(start: datetime, end: datetime) -> list[datetime]:
    step = max((end - start) / _LOOKS, timedelta(minutes=1))
    count = int((end - start) / step)
    return [*(start + step * place for place in range(1, count)), end]


class _Page:
    """One build's rows, by node."""

    def __init__(self, summary: Summary, rows: Rows, verdict: Verdict) -> None:
        self.summary, self.rows, self.kinds = summary, rows, summary.signatures
        self.per_kind = np.bincount(rows.kind, minlength=len(self.kinds))
        self.names = {(node.graph, _own_name(node)): node.node for node in verdict.nodes}
        self.nodes = [node.node for node in verdict.nodes]

    def name(self, kind: ExecutionKind) -> str:
        return self.names.get((kind.graph, kind.node), kind.node)

    def seen(self) -> set[str]:
        """Return the names of the nodes that have rows."""
        return {self.name(kind) for kind, count in zip(self.kinds, self.per_kind.tolist(), strict=True) if count}

    def mask(self, chosen: Sequence[bool]) -> NDArray[np.bool_]:
        return np.array(chosen, bool)[self.rows.kind]

    def parity(self) -> tuple[ParityPoint, ...]:
        accepted = [bool(reason) for reason in self.summary.accepted]
        kinds = list(zip(self.kinds, accepted, strict=True))
        columns = {
            "matches": [kind.matched for kind in self.kinds],
            "comparisons": [kind.compared and not known for kind, known in kinds],
            "failures": [kind.attempted and kind.failed for kind in self.kinds],
            "executions": [kind.attempted for kind in self.kinds],
        }
        hours = self.rows.time // _HOUR
        first = int(hours.min())
        place = {name: index for index, name in enumerate(self.nodes)}
        node = np.array([place.get(self.name(kind), 0) for kind in self.kinds], np.int64)
        cell = (hours - first) * len(self.nodes) + node[self.rows.kind]
        sums = {
            name: np.bincount(cell[self.mask(chosen)], minlength=int(cell.max()) + 1)
            for name, chosen in columns.items()
        }
        found = []
        for index in np.flatnonzero(np.bincount(cell)):
            hour, which = divmod(int(index), len(self.nodes))
            numbers = {name: int(values[index]) for name, values in sums.items()}
            if numbers["comparisons"] or numbers["executions"]:
                found.append(ParityPoint(self.nodes[which], moment((first + hour) * _HOUR), **numbers))
        return tuple(sorted(found, key=lambda point: (self.nodes.index(point.node), point.hour)))

    def latency(self) -> tuple[LatencyHistogram, ...]:
        found = []
        for node in self.nodes:
            arms = {
                ("v1", "shadowed"): ([kind.latency_arm == "shadowed" for kind in self.kinds], self.rows.v1),
                ("v1", "holdout"): ([kind.latency_arm == "holdout" for kind in self.kinds], self.rows.v1),
                ("v2", "shadowed"): ([kind.executed for kind in self.kinds], self.rows.v2),
            }
            for (version, arm), (chosen, buckets) in arms.items():
                mine = [take and self.name(kind) == node for take, kind in zip(chosen, self.kinds, strict=True)]
                mask = self.mask(mine) & (buckets != latency.NONE)
                if mask.any():
                    found.append(
                        _histogram(node, version, arm, self.rows.session[mask], buckets[mask].astype(np.int64))
                    )
        return tuple(found)

    def confusion(self) -> tuple[Confusion, ...]:
        found = []
        for node in self.nodes:
            cells: Counter[tuple[str, str]] = Counter()
            for kind, count in zip(self.kinds, self.per_kind.tolist(), strict=True):
                if count and kind.compared and self.name(kind) == node and (kind.original_target or kind.shadow_target):
                    cells[kind.original_target or "?", kind.shadow_target or "?"] += count
            if cells:
                original = tuple(sorted({cell[0] for cell in cells}))
                shadow = tuple(sorted({cell[1] for cell in cells}))
                counts = tuple(tuple(cells[row, column] for column in shadow) for row in original)
                found.append(Confusion(node, original, shadow, counts))
        return tuple(found)

    def mismatches(self) -> tuple[MismatchGroup, ...]:
        """Return the heaviest fifty kinds of mismatches, accepted ones last."""
        groups: dict[tuple[object, ...], list[int]] = {}
        for place, (kind, count) in enumerate(zip(self.kinds, self.per_kind.tolist(), strict=True)):
            if count and kind.compared and not kind.matched:
                key = (
                    self.name(kind),
                    kind.route,
                    kind.steps,
                    kind.diff_fields,
                    kind.intent,
                    self.summary.accepted[place],
                )
                groups.setdefault(key, []).append(place)
        total = sum(int(self.per_kind[place]) for key, places in groups.items() if not key[-1] for place in places)
        found = [self._group(places, total) for places in groups.values()]
        return tuple(sorted(found, key=_rank)[:_GROUPS])

    def _group(self, places: Sequence[int], total: int) -> MismatchGroup:
        kind, reason = self.kinds[places[0]], self.summary.accepted[places[0]]
        count = int(self.per_kind[list(places)].sum())
        mask = np.isin(self.rows.kind, places)
        samples: list[Sample] = [
            sample for place in places for sample in self.summary.samples.get(self.kinds[place], ())
        ]
        return MismatchGroup(
            node=self.name(kind),
            route=kind.route,
            steps=kind.steps,
            fields=kind.diff_fields,
            intent=kind.intent or None,
            build=kind.build,
            count=count,
            sessions=len(np.unique(self.rows.session[mask])),
            share=0.0 if reason or not total else count / total,
            accepted=reason or None,
            samples=tuple(sorted(samples)[:_SAMPLES]),
        )

    def counts(self) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
        found: dict[str, dict[str, Counter[str]]] = {node: {} for node in (ALL, *self.nodes)}
        for place, (kind, count) in enumerate(zip(self.kinds, self.per_kind.tolist(), strict=True)):
            if not count:
                continue
            for heading, label in _labels(kind, self.summary.accepted[place]):
                for node in (ALL, self.name(kind)):
                    found[node].setdefault(heading, Counter())[label] += count
        return {
            node: {heading: dict(sorted(labels.items())) for heading, labels in sorted(headings.items())}
            for node, headings in found.items()
        }


def _rank(group: MismatchGroup) -> tuple[object, ...]:
    """Return the key of a total order: it holds all that groups are told apart by."""
    told = (group.node, group.route, group.fields, group.steps or "", group.intent or "", group.accepted or "")
    return (group.accepted is not None, -group.count, *told)


def _own_name(node: NodeVerdict) -> str:
    return node.node.removeprefix(f"{node.graph}/") if node.graph else node.node


def _labels(kind: ExecutionKind, accepted: str) -> list[tuple[str, str]]:
    labels = [("arm", kind.arm), ("mode", kind.mode), ("v1_status", kind.v1_status), ("intent", kind.intent)]
    if kind.pair:
        labels += [("v2_status", kind.v2_status), ("comparison", "accepted" if accepted else kind.comparison)]
    else:
        labels.append(("baseline", kind.reason))
    if kind.live:
        labels.append(("served", kind.served))
    labels += [("fallback", kind.fallback_reason), ("error_type", kind.v2_error_type)]
    return [(heading, label) for heading, label in labels if label]


def _histogram(
    node: str, version: str, arm: str, session: NDArray[np.uint64], buckets: NDArray[np.int64]
) -> LatencyHistogram:
    shown = buckets // _COARSER
    lowest = int(shown.min())
    counts = np.bincount(shown - lowest)
    owners = np.unique(session, return_inverse=True)[1].ravel()
    ranks = Ranks.of(owners, buckets)
    edges = tuple(latency.edge_ms((lowest + place) * _COARSER) for place in range(len(counts) + 1))
    return LatencyHistogram(
        node, version, arm, edges, tuple(counts.tolist()), ranks.percentile_ms(0.5), ranks.percentile_ms(0.95)
    )
