"""Names from logs and answers, wherever they are shown."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sample_evidence

from otel_shadow import evidence
from otel_shadow._report import html_page, terminal
from otel_shadow._report.shown_text import clean
from otel_shadow._report.verdict_command import json_text
from otel_shadow._report.verdict_document import verdict_document
from otel_shadow.verdict import Policy, evaluate

HOSTILE = "a\x1b[31m\x07\x9b31m\u202egpj\u2066\u200f\u061c\u2028<script>x</script>"
HARMFUL = set("\x1b\x07\x9b\u202e\u2066\u200f\u061c\u2028")


@pytest.fixture
def shown(tmp_path: Path) -> dict[str, str]:
    """What is shown of a node with a name like that."""
    sample_evidence.write(tmp_path / "app.log", replace(sample_evidence.WAIT, nodes=(HOSTILE,)))
    summary = evidence.read([str(tmp_path / "app.log")])
    verdict = evaluate(summary, Policy(), datetime(2025, 1, 11, 5, tzinfo=UTC))
    view = evidence.view_of(summary, verdict)
    out = io.StringIO()
    terminal.show(verdict_document(verdict, view, page=False), terminal.console(out))
    page = html_page.page(verdict_document(verdict, view, page=True, trace_url=None))
    return {"terminal": out.getvalue(), "page": page, "json": json_text(verdict, view)}


def test_no_name_draws_or_turns_the_writing(shown: dict[str, str]) -> None:
    """On the terminal, on the page and in the JSON document, which people print on a terminal too."""
    assert {where: HARMFUL & set(text) for where, text in shown.items()} == {
        "terminal": set(), "page": set(), "json": set(),
    }  # fmt: skip
    assert "<script>x" not in shown["page"]


def test_a_parser_of_the_json_gets_the_name_itself(shown: dict[str, str]) -> None:
    """Only its writing is escaped."""
    assert [node["node"] for node in json.loads(shown["json"])["nodes"]] == [HOSTILE]


def test_a_lone_surrogate_can_be_printed() -> None:
    """It can't be encoded: it was an error of otel-shadow itself."""
    assert clean("\ud800a\u202e").encode() == b"\xef\xbf\xbda\xef\xbf\xbd"
