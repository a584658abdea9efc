"""The end of a process whose V2 hangs or is still at work: it comes, and says nothing untrue of V2."""

from __future__ import annotations

from pathlib import Path

import preloaded
import pytest

APPLICATION = Path(__file__).with_name("hanging_application.py")
ROOT = Path(__file__).resolve().parents[2]


def run(form: str, colour: str) -> list[str]:
    """What the application printed; it has ended by itself."""
    code = APPLICATION.read_text(encoding="utf-8")
    done = preloaded.run(code, str(APPLICATION), form, colour, cwd=ROOT, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize(
    "form",
    ["plain", "awaited", "thread", "graph", "parallel", "handler", "handler_and_flush", "handler_in_thread"],
)
def test_a_v2_that_hangs_keeps_no_process(form: str, colour: str) -> None:
    """However V2 hangs (in a thread, a task, a pool of the loop's, LangGraph's or LangChain's, in a log handler of its
    own, whose lock ``logging`` waits for at the end): users are served, it is a timeout, and the process ends.
    """
    *served, statuses = run(form, colour)
    assert served == ["['left', 'right']"] * 3
    assert statuses in ("['timeout']", "['cancelled', 'timeout']")


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("form", ["own_pool", "in_parallel"])
def test_a_process_that_ends_is_no_error_of_v2s(form: str, colour: str) -> None:
    """At its end the interpreter starts no job in a pool: a V2 that needs one finishes in ours, or is cancelled."""
    *served, statuses = run(form, colour)
    assert served == ["['left', 'right']"] * 3
    assert statuses == ("['success']" if form == "in_parallel" else "['cancelled']")
