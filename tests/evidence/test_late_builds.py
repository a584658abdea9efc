"""A build that becomes known late: what a process told before it is not told as another build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_caused_by_shadow import COUNT, log, read_of, reads

from otel_shadow import semconv
from otel_shadow.verdict import evaluate

__all__ = ["reads"]  # the fixture: by both readers


def build_of(line: dict[str, Any], build: str) -> dict[str, Any]:
    return line | {"v2_build": build}


def early(line: dict[str, Any], share: int = 4) -> bool:
    return line["event"] != "SHADOW_HEARTBEAT" and int(line["pair_id"][-4:], 16) % share == 0


def test_what_came_before_is_of_the_build_that_the_process_told_later(tmp_path: Path) -> None:
    """Nothing is left out, and no other build is named."""
    content = [build_of(line, semconv.UNVERSIONED) if early(line) else line for line in log()]
    verdict = evaluate(read_of(tmp_path, content))
    assert verdict.build is not None
    assert (verdict.build.build, verdict.build.events, verdict.left_out) == ("1.4.0", COUNT, ())


@pytest.mark.parametrize("change", [{"process": "b"}, {"process": None}])
def test_another_process_keeps_what_it_said(tmp_path: Path, change: dict[str, Any]) -> None:
    """A build that nobody named is one of its own, as is one of lines without a process."""
    content = [build_of(line, semconv.UNVERSIONED) | change if early(line) else line for line in log()]
    verdict = evaluate(read_of(tmp_path, content))
    assert {one.build for one in (verdict.build, *verdict.left_out) if one is not None} == {"1.4.0", "unversioned"}


def test_a_process_that_told_two_builds_tells_nothing_of_before(tmp_path: Path) -> None:
    """Which one it was can't be known."""
    content = [
        build_of(line, semconv.UNVERSIONED) if early(line) else build_of(line, "2") if early(line, 3) else line
        for line in log()
    ]
    verdict = evaluate(read_of(tmp_path, content))
    assert {one.build for one in (verdict.build, *verdict.left_out) if one is not None} == {"1.4.0", "2", "unversioned"}
