"""The verdict on the terminal and as JSON: frozen texts, plain when piped, and safe to print."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date

import pytest
import sample_verdict
from golden import golden
from rich.console import Console

from otel_shadow import semconv
from otel_shadow._report import terminal
from otel_shadow._report.verdict_command import json_text
from otel_shadow._report.verdict_document import verdict_document
from otel_shadow.evidence.view import EvidenceView, Reading
from otel_shadow.policy import Policy
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.result import Decision, Verdict


def printed(verdict: Verdict, evidence: EvidenceView, width: int | None = None) -> str:
    out = io.StringIO()
    console = terminal.console(out, width)
    terminal.show(verdict_document(verdict, evidence, page=False), console)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


@pytest.mark.parametrize("decision", list(Decision))
def test_the_terminal_report_is_frozen(decision: Decision, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pipe gets, word by word."""
    monkeypatch.delenv("COLUMNS", raising=False)
    verdict = sample_verdict.verdict(decision)
    text = printed(verdict, sample_verdict.evidence(verdict))
    assert golden(f"terminal-{decision.value.lower()}.txt", text) == text


def test_the_json_document_is_frozen() -> None:
    """Scripts read these keys; changing one is a decision seen in the diff."""
    verdict = sample_verdict.verdict(Decision.WAIT, simulated=True)
    text = json_text(verdict, sample_verdict.evidence(verdict)) + "\n"
    assert golden("verdict.json", text) == text


def test_the_json_document_is_strict_json_with_the_exit_code() -> None:
    """No NaN, a schema, and the same exit code as the command's."""
    verdict = sample_verdict.verdict(Decision.NO_GO)
    found = json.loads(json_text(verdict, sample_verdict.evidence(verdict)))
    assert (found["schema"], found["decision"], found["exit_code"]) == (2, "NO-GO", 1)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Tables fold instead of breaking the window."""
    verdict = sample_verdict.verdict(Decision.NO_GO)
    assert max(map(len, printed(verdict, sample_verdict.evidence(verdict), width).splitlines())) <= width


def test_a_pipe_gets_no_escape_codes_and_a_terminal_gets_colours() -> None:
    """Plain when piped."""
    verdict = sample_verdict.verdict()
    view = verdict_document(verdict, sample_verdict.evidence(verdict), page=False)
    assert "\x1b" not in printed(verdict, sample_verdict.evidence(verdict))
    coloured = io.StringIO()
    terminal.show(view, Console(file=coloured, force_terminal=True, color_system="standard", width=100, markup=False))
    assert "\x1b[" in coloured.getvalue()


def test_a_name_from_a_log_cant_draw_on_the_terminal() -> None:
    """Escape codes, direction marks and rich's own markup in names are shown, not obeyed."""
    planted = "\x1b]0;owned\x07[bold]name\u202e\nGO  all is well"
    verdict, evidence = sample_verdict.hostile(planted)
    text = printed(verdict, evidence)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[bold]" in text
    assert "\nGO  all is well" not in text


@pytest.mark.parametrize("simulated", [True, False])
def test_every_output_says_when_the_clock_was_simulated(simulated: bool) -> None:
    """Terminal and JSON, if and only if it was."""
    verdict = sample_verdict.verdict(simulated=simulated)
    evidence = sample_verdict.evidence(verdict)
    assert ("clock was simulated" in printed(verdict, evidence)) is simulated
    assert json.loads(json_text(verdict, evidence))["simulated"] is simulated


def test_no_evidence_is_a_report_too() -> None:
    """WAIT, its reason, the policy, and nothing that looks like a number."""
    verdict = Verdict(Decision.WAIT, sample_verdict.START, None, Policy(), (), (), sample_verdict.NOTHING)
    text = printed(verdict, EvidenceView(Reading(), ()))
    assert text.startswith("WAIT  Not enough evidence: no evidence at all")
    assert "min_sessions=30" in text


def test_a_no_go_promises_no_date() -> None:
    """After a NO-GO the build is done: no earliest GO, even where one was computed."""
    verdict = replace(sample_verdict.verdict(Decision.NO_GO), eta=sample_verdict.START)
    text = printed(verdict, sample_verdict.evidence(verdict))
    assert "a GO is possible" not in text
    assert "Earliest GO" not in text


def test_no_word_of_a_log_changes_what_is_told() -> None:
    """A rule's reason that speaks of a simulated clock is told under a simulated clock too; node names stay whole."""
    planted = (
        Reason(Role.WARNING, ReasonKind.SIMULATED),
        Reason(Role.WARNING, ReasonKind.EXPIRED, names=("the clock was simulated",), day=date(2025, 1, 1)),
        Reason(Role.MISSING, ReasonKind.SESSIONS, semconv.CRITERION_PARITY, "x", have=0, needed=1),
        Reason(Role.MISSING, ReasonKind.SESSIONS, semconv.CRITERION_LATENCY_NOW, "handoff", have=0, needed=20_000),
    )
    verdict = replace(sample_verdict.verdict(Decision.WAIT, simulated=True), reasons=planted)
    text = " ".join(printed(verdict, sample_verdict.evidence(verdict)).split())
    assert text.count("clock was simulated") == 2
    assert "What is missing first: x: 1 more closed session (0 of 1 so far)" in text
    assert "; handoff: 20,000 more closed sessions (0 of 20,000 so far)" in text
