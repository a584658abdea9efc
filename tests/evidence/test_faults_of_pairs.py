"""What limits a verdict limits the pairs of ``calibrate`` and ``coverage`` too: the same faults, from the same list."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from recorded import START
from test_missing_lines import EACH, process, without

from otel_shadow._calibration.pairs import read_pairs
from otel_shadow.evidence import read
from otel_shadow.verdict import evaluate
from otel_shadow.verdict.reasons import ReasonKind, Role
from otel_shadow.verdict.wording import sentences

Lines = list[bytes]
END = START + timedelta(hours=48)


def changed(content: Lines, change: Callable[[int, dict[str, Any]], None]) -> Lines:
    items = [json.loads(line) for line in content]
    for number, item in enumerate(items):
        change(number, item)
    return [json.dumps(item).encode() + b"\n" for item in items]


def of_two_services(content: Lines) -> Lines:
    return changed(content, lambda number, item: item.update(service="shop" if number % 4 else "school"))


def lost(content: Lines) -> Lines:
    return without(content, lambda item: 100 <= item["sequence"] < 118)


def torn(content: Lines) -> Lines:
    return [line[:150] + b"\n" if number % 30 == 0 else line for number, line in enumerate(content)]


def pairs_alone(content: Lines) -> Lines:
    return [line for line in content if b"SHADOW_V2" in line and b"SHADOW_HEARTBEAT" not in line]


def of_two_keys(content: Lines) -> Lines:
    return changed(content, lambda number, item: item.update(key_id="k1" if number % 2 else "k2"))


def of_a_later_schema(content: Lines) -> Lines:
    return changed(content, lambda number, item: item.update(schema=99) if number % 9 == 0 else None)


@pytest.mark.parametrize(
    ("damage", "days", "kind", "blocks"),
    [
        (lost, 0, ReasonKind.LOST, True),
        (torn, 0, ReasonKind.HALF_READ, True),
        (of_a_later_schema, 0, ReasonKind.OTHER_SCHEMA, True),
        (of_two_keys, 0, ReasonKind.KEYS, True),
        (of_two_services, 0, ReasonKind.BESIDE, False),
        (pairs_alone, 0, ReasonKind.NO_BASELINES, False),
        (lambda content: content, 90, ReasonKind.STALE, False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_every_fault_of_the_verdict_is_told_of_the_pairs(
    tmp_path: Path, damage: Callable[[Lines], Lines], days: int, kind: ReasonKind, blocks: bool
) -> None:
    """Each blocker of the evidence blocks or is a note, each warning is a note, in the verdict's own words."""
    (tmp_path / "app.log").write_bytes(b"".join(damage([*process("a"), *process("b", begin=0.1)])))
    sources, at = [str(tmp_path / "app.log")], END + timedelta(days=days)
    faults = [one for one in evaluate(read(sources), at=at).reasons if one.role in (Role.BLOCKER, Role.WARNING)]
    assert kind in {one.kind for one in faults}
    found = read_pairs(sources, at=at)
    assert len(found.pairs) > EACH / 4
    assert bool(found.blockers) is blocks
    told = " | ".join((*found.blockers, *found.notes))
    of_evidence = [one for one in faults if one.kind is not ReasonKind.HOURS_AGAINST]
    assert [text for _, text in sentences(of_evidence) if text not in told] == []


def test_whole_evidence_blocks_nothing(tmp_path: Path) -> None:
    """Two processes whose every line is there."""
    (tmp_path / "app.log").write_bytes(b"".join([*process("a"), *process("b", begin=0.1)]))
    found = read_pairs([str(tmp_path / "app.log")], at=END)
    assert (found.blockers, [note for note in found.notes if "GO" in note]) == ((), [])
