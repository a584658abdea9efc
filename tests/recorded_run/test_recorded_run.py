"""A recorded run: what real graphs with shadows say to the real OpenTelemetry SDK, and what a verdict says of evidence.

Whatever is renamed or merged inside, none of this may change. It imports public names only, and
``OTEL_SHADOW_UPDATE_GOLDEN=1`` writes the golden files anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import recorded_evidence as made_up
from recorded_evidence import Traffic
from recorded_golden import differences
from recorded_scenes import SCENES, recorded
from recorded_telemetry import Told

from otel_shadow import Arm, Mode, Outcome, ShadowRecord, Status, semconv

ROOT = Path(__file__).parents[2]
HASH_KEY = "the key of the recorded run"

NEVER_V1 = {
    Status.TIMEOUT: "V1 has no time limit of ours",
    Status.NOT_IMPLEMENTED: "of V2 alone, as the three below",
    Status.SHED: "",
    Status.BREAKER_OPEN: "",
    Status.OVER_BUDGET: "",
}
NEVER_V2 = {Status.NOT_RUN: "V1 of an execution that V2 served live"}
NEVER_TOLD = {Mode.V1_ONLY: "nothing is recorded then; the scene v1_only asserts the mode and an empty log"}
BASELINES = {
    "holdout", "sampled_out", "live", "retry", "not_captured:Slow", "not_captured:ConnectionError", "cancelled",
    "cancelled:loop_ended", "not_implemented", "shed:shutdown",
    *(f"shed:{reason}" for reason in semconv.LIMITER_REASONS),
}  # fmt: skip
"""A bare ``not_captured`` is not among them: it takes a fault of our own while the state is captured."""


@cache
def run() -> dict[str, Told]:
    """The recorded run, once for all tests."""
    with TemporaryDirectory() as folder:
        return recorded(Path(folder))


@pytest.fixture
def told(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Told]:
    """What each scene has told, under one hash key."""
    monkeypatch.setenv(semconv.ENV_HASH_KEY, HASH_KEY)
    return run()


@pytest.fixture
def records(told: dict[str, Told]) -> list[ShadowRecord]:
    return [record for scene in told.values() for record in scene.records]


@pytest.mark.parametrize("signal", ["lines", "spans", "events", "records"])
def test_what_is_told_of_each_execution_is_frozen(told: dict[str, Told], signal: str) -> None:
    """Log lines byte for byte, spans, log events and records: scene by scene, execution by execution."""
    found = {
        scene: getattr(all_of_it, "reasons" if signal == "records" else signal) for scene, all_of_it in told.items()
    }
    assert differences(f"{signal}.json", found) == ""


def test_metrics_are_frozen(told: dict[str, Told]) -> None:
    """Instruments and every point; the many series at zero are told of the first scene, of the others their number."""
    first, *others = told
    points = {
        first: {"points": told[first].metrics},
        **{scene: _without_zeros(told[scene].metrics) for scene in others},
    }
    assert differences("metrics.json", points) == ""
    instruments: dict[str, Any] = {}
    for scene in told.values():
        instruments |= scene.instruments
    assert set(instruments) <= {metric.name for metric in semconv.METRICS}
    assert differences("instruments.json", instruments) == ""


def _without_zeros(points: list[dict[str, Any]]) -> dict[str, Any]:
    zeros: dict[str, int] = {}
    for point in points:
        if point.get("value") == 0:
            zeros[point["name"]] = zeros.get(point["name"], 0) + 1
    return {"zeros": zeros, "points": [point for point in points if point.get("value") != 0]}


def test_the_run_has_every_word(records: list[ShadowRecord]) -> None:
    """Each status of either version, mode, arm, outcome and reason is there, but for a few that can't be."""
    v2s = [record.v2 for record in records if record.v2 is not None]
    assert {record.v1.status for record in records} == set(Status) - set(NEVER_V1)
    assert {v2.status for v2 in v2s} == set(Status) - set(NEVER_V2)
    assert {record.mode for record in records} == set(Mode) - set(NEVER_TOLD)
    assert {record.arm for record in records} == set(Arm)
    assert {record.comparison.outcome for record in records if record.is_pair} == set(Outcome)
    assert {record.fallback_reason for record in records} == {None, *semconv.FALLBACK_REASONS}
    assert {record.reason for record in records} == {None, *BASELINES}
    assert {record.served for record in records} == {"v1", "v2"}


def test_the_run_has_every_kind_of_pair(records: list[ShadowRecord]) -> None:
    """How pairs differ, what is observed, counted, blocked and left unsaid."""
    pairs = [record for record in records if record.is_pair]
    kinds = {(record.comparison.decisions_match, record.comparison.steps_match) for record in pairs}
    assert kinds >= {(True, True), (True, False), (False, True), (False, False), (None, None), (True, None)}
    assert {record.comparison.self_match for record in pairs} == {True, False, None}
    assert any(record.comparison.compared_fields and record.comparison.diff_fields for record in pairs)
    assert any(record.tokens for record in pairs)
    assert {tool for record in pairs for tool in record.blocked_tools} == {"book_visit", semconv.OTHER}
    assert {type(value) for record in pairs for value in record.v1.observed.values()} == {float, int, str}
    sides = {(record.v1.status, record.v2.status) for record in pairs if record.v2}
    asked = (Status.INTERRUPT, Status.SUCCESS)
    assert sides >= {(asked[0], asked[0]), asked, asked[::-1]}
    assert {record.clock for record in records} == {"system", "simulated"}
    words = [(record.v1.step, record.v1.stage, record.intent) for record in pairs]
    assert (semconv.OTHER,) * 3 in words
    assert {"parent:after", semconv.OTHER, semconv.END} <= {record.v2.target for record in pairs if record.v2}


def test_the_run_has_every_metric(told: dict[str, Told]) -> None:
    """Every instrument but those of ``verdict --watch``, every limiter's state, both kinds of tokens."""
    by_watch = {metric.name for metric in semconv.METRICS if metric.name.startswith(semconv.VERDICT.name)}
    points = [point for scene in told.values() for point in scene.metrics]
    assert {point["name"] for point in points} == {metric.name for metric in semconv.METRICS} - by_watch
    paused = [point for point in points if point["name"] == semconv.LIMITER_STATE.name and point["value"] == 1]
    assert {point["attributes"][semconv.REASON] for point in paused} == set(semconv.LIMITER_REASONS)
    assert {name for scene in told.values() for name in (span["name"] for span in scene.spans)} >= {
        semconv.SPAN_V1_NODE, semconv.SPAN_V2_NODE, semconv.SPAN_V2_SHADOW,
    }  # fmt: skip


def test_nothing_personal_is_told(told: dict[str, Told]) -> None:
    """No name that a scene has put into a state, a message, an exception, an id or a word."""
    assert set(told) == set(SCENES)
    for scene in told.values():
        signals = (scene.lines, scene.spans, scene.metrics, scene.events)
        assert "Maria" not in json.dumps(signals, ensure_ascii=False)


# --- the verdict ------------------------------------------------------------------------------------------------------

OLD = Traffic(60, hours=3, after_h=-5, build="1.9.0", digest="0ddba11c0de0", seed=2, mismatch=0.2)
CLEAN = Traffic(2400, mismatch=0.004, failure=0.002, shed=0.01, retold=500, live=50, holdout=3)
BAD = Traffic(900, mismatch=0.12, failure=0.08, v2_speed=1.5, loss=0.003, shed=0.2, noisy=0.01, live=20)
THIN = Traffic(80, hours=40, silence=(8, 22), mismatch=0.05, failure=0.02, noisy=0.2)
OTHERS = Traffic(10, hours=4, after_h=1, key_id="ffffffff", seed=3, clock="simulated")
ACCEPTED = """
[[accept]]
reason = "the outbox is written elsewhere"
expires = 2025-02-01
fields = ["outbox"]

[[accept]]
reason = "the step has another name"
expires = 2025-01-01
node = "greeting"
steps = ["step_a->step_b"]
"""
POLICIES = {
    "go": '[sla]\nmax_turns = 1\nintents = ["price", "visit"]\n',
    "no-go": '[sla]\nmax_turns = 1\nintents = ["enrol"]\n[sla.nodes.greeting]\nparity = 0.8\n',
    "wait": '[sla]\nmin_sessions = 100\nintents = ["price", "visit"]\n[sla.nodes.scheduling]\nparity = 0.9\n',
}
CODES = {"go": 0, "no-go": 1, "wait": 3}
SAID = {
    "go": {"warnings", "notes"},
    "no-go": {"warnings", "notes", "missing"},
    "wait": {"warnings", "notes", "missing", "blockers"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three logs and what each is judged by."""
    place = tmp_path_factory.mktemp("made_up")
    made_up.log(place / "go.log", OLD, CLEAN, broken=True)
    made_up.log(place / "no-go.log", BAD, broken=True)
    made_up.log(place / "wait.log", OLD, THIN, OTHERS, broken=True, other_schema=3, twofold=2)
    for name, policy in POLICIES.items():
        (place / f"{name}.toml").write_text(policy + ACCEPTED, encoding="utf-8")
    return place


def command(folder: Path, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    """``otel-shadow verdict`` in a process of its own."""
    ours = ("OTEL_", "ROUTER_V2_", "V2_TIMEOUT_MS", "SHADOW_LOGGING", "COLUMNS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    sources = (f"{name}.log", "--config", f"{name}.toml", "--at", "2025-01-11T05:00:00Z")
    return subprocess.run(
        [sys.executable, "-m", "otel_shadow.cli", "verdict", *sources, *more], cwd=folder, check=False, timeout=300,
        env={**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip


@pytest.mark.parametrize("name", POLICIES)
def test_the_document_and_the_page_of_a_verdict_are_frozen(folder: Path, name: str) -> None:
    """``--json``, and the text that the page shows; the exit code is the verdict's."""
    done = command(folder, name, "--json", "--html", f"{name}.html")
    assert (done.returncode, done.stderr) == (CODES[name], "")
    document = json.loads(done.stdout)
    assert {key for key in ("warnings", "notes", "missing", "blockers", "advice") if document[key]} == SAID[name]
    page = list(Visible((folder / f"{name}.html").read_text(encoding="utf-8")))
    found = [differences(f"verdict_{name}.json", rounded(document)), differences(f"page_{name}.json", page)]
    assert found == ["", ""]


def test_what_the_terminal_shows_is_frozen(folder: Path) -> None:
    """The tables of all three, with their exit codes."""
    done = {name: command(folder, name) for name in POLICIES}
    assert {name: (one.returncode, one.stderr) for name, one in done.items()} == {
        name: (code, "") for name, code in CODES.items()
    }
    shown = {name: [line.rstrip() for line in one.stdout.splitlines()] for name, one in done.items()}
    assert differences("terminal.json", shown) == ""


def rounded(value: Any) -> Any:
    """Without the digits that another processor may compute otherwise."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


class Visible(HTMLParser):
    """The texts of a page in their order, and the labels of its plots; not what is inside them, which is drawn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._hidden = 0
        self._found: list[str] = []
        self.feed(text)
        self.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._say(dict(attrs).get("aria-label") or "")
        self._hidden += tag in ("svg", "style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("svg", "style", "script")

    def handle_data(self, data: str) -> None:
        self._say(data)

    def _say(self, text: str) -> None:
        words = " ".join(text.split())
        if words and not self._hidden:
            self._found.append(words)
