"""Saved evidence of the release before: it is read, and counts once beside the log that it was made from.

``release_0_1`` holds a log and its summary (format 1), both written by that release's own code.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence import load, read, save
from otel_shadow.verdict import evaluate

FOLDER = Path(__file__).parent / "release_0_1"


def test_a_summary_of_the_release_before_is_read() -> None:
    """Its executions are those of its log, read today."""
    found, log = load(FOLDER / "summary.npz"), read([str(FOLDER / "app.log.gz")])
    assert (len(found), found.reading.used, found.beats) == (48, 48, ())
    kinds = [Counter(one.signatures[place] for place in one.rows.kind.tolist()) for one in (found, log)]
    assert kinds[0] == kinds[1]
    assert evaluate(found).criteria == evaluate(log).criteria
    assert evaluate(found).node("greeting").criterion("parity").counts["match"] == 20


def test_it_counts_once_beside_its_log_and_can_be_saved_again(tmp_path: Path) -> None:
    """Merged, saved in today's format and merged again."""
    sources = [str(FOLDER / "summary.npz"), str(FOLDER / "app.log.gz")]
    merged = read(sources)
    assert (len(merged), merged.duplicates, len(merged.contradictory)) == (48, 48, 0)
    save(merged, tmp_path / "today.npz")
    again = read([str(tmp_path / "today.npz"), *sources])
    assert (len(again), len(again.contradictory)) == (48, 0)
    assert evaluate(again).criteria == evaluate(merged).criteria


@pytest.mark.parametrize("facts", [
    b"[]", b"1", b"{}", b'{"format":1}', b'{"format":2,"signatures":1}', b"[" * 100_000,
    b'{"format":' + b"9" * 5000 + b"}", b'{"format":1,"signatures":[{"node":"\\ud800"}]}', b'{"format":{"a":[]}}',
    b'{"format":[1]}', b"\xff", b"",
])  # fmt: skip
def test_facts_of_any_form_are_one_complaint(tmp_path: Path, facts: bytes) -> None:
    """Whatever a file claims to be."""
    with np.load(FOLDER / "summary.npz") as file:
        columns = {name: file[name] for name in file.files if name != "facts"}
    with (tmp_path / "s.npz").open("wb") as out:
        np.savez(out, facts=np.frombuffer(facts, np.uint8), **columns)
    with pytest.raises(EvidenceError, match=r"s\.npz: (is not a complete summary|a summary of format)"):
        load(tmp_path / "s.npz")
