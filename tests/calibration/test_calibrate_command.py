"""``otel-shadow calibrate``: proposals, the file that is loaded, the words, and bad input."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from otel_shadow._demo.v2.thresholds import Thresholds
from otel_shadow.cli import main
from otel_shadow.flags import FeatureFlags
from otel_shadow.record import Status
from tests.calibration.window import observed, record, traffic, write_log


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,500 sessions whose V2 is risky below a confidence of 0.4."""
    return write_log(tmp_path_factory.mktemp("window") / "app.log", traffic(1500))


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as leave:
        main([str(argument) for argument in arguments])
    return int(leave.value.code or 0)


def test_the_file_is_what_workflow_and_flags_load(window: Path, tmp_path: Path) -> None:
    """Thresholds in order, near where the risk falls; the time limit reaches the flags."""
    out = tmp_path / "thresholds.toml"
    assert run("calibrate", window, "--out", out) == 0
    limits = Thresholds.from_file(out, "greeting")
    assert 0.25 < limits.handoff <= 0.45
    assert limits.handoff <= limits.llm_rag <= limits.template
    assert 0 < limits.intents["ask_information"] < 1
    assert 90 <= FeatureFlags.from_file(out).v2_timeout_ms <= 130
    assert tomllib.loads(out.read_text(encoding="utf-8"))["calibration"]["risk"] == "disagreement with V1"


def test_the_environment_outranks_the_file(window: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag that is set stays as it is."""
    out = tmp_path / "thresholds.toml"
    run("calibrate", window, "--out", out)
    monkeypatch.setenv("V2_TIMEOUT_MS", "4321")
    assert FeatureFlags.from_file(out).v2_timeout_ms == 4321


def test_without_labels_it_is_disagreement_never_error(
    window: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Terminal, page and file say "disagreement with V1"; the word "error" is nowhere in what they say of it."""
    out, page = tmp_path / "t.toml", tmp_path / "page.html"
    run("calibrate", window, "--out", out, "--html", page)
    body = re.sub(
        r"<style>.*?</style>|<svg.*?</svg>|<script>.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.S
    )
    for told in (capsys.readouterr().out, body, out.read_text(encoding="utf-8")):
        assert "isagreement with V1" in told
        assert not re.search(r"\berrors?\b(?! where V1 is wrong)", told), told


def test_with_labels_it_is_an_error(window: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Human labels judge V2 itself: here it is right wherever it differs, so everything can be certified."""
    labels = tmp_path / "labels.jsonl"
    rows = ({"pair_id": one.pair_id, "correct": True} for one in traffic(1500))
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert run("calibrate", window, "--labels", labels, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["risk"] == "error"
    handoff = found["overall"]["thresholds"][-1]
    assert handoff["after"]["wrong"] == 0
    assert handoff["proposed"] < 0.01


def test_the_json_document_has_before_after_and_held_out(window: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each threshold has coverage and risk before and after, on both parts, and what would change is counted."""
    run("calibrate", window, "--json")
    found = json.loads(capsys.readouterr().out)
    for one in found["overall"]["thresholds"]:
        for part in ("before", "after", "held_out_before", "held_out_after"):
            assert {"coverage", "risk", "accepted", "wrong", "total"} <= one[part].keys()
    assert sum(found["overall"]["change"]["after"].values()) == 4500
    assert found["sessions"] + found["held_out_sessions"] == 1500


def test_the_page_asks_the_network_for_nothing(window: Path, tmp_path: Path) -> None:
    """One file with its plots in it; text from logs is escaped."""
    log = write_log(tmp_path / "odd.log", traffic(200, node="<script>alert(1)</script>"))
    page = tmp_path / "page.html"
    run("calibrate", log, "--html", page)
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "<script>alert" not in text
    assert not re.search(r"(?:src|href)=\"https?:", text)


def test_too_little_says_so_and_proposes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Thirty sessions: "not enough data" for each threshold and the time limit, exit code 3, no file."""
    out = tmp_path / "thresholds.toml"
    assert run("calibrate", write_log(tmp_path / "app.log", traffic(30)), "--out", out) == 3
    told = capsys.readouterr().out
    assert told.count("not enough data") >= 5
    assert not out.exists()


def test_cut_off_runs_ask_for_a_longer_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tenth of V2's runs timed out: no limit can be told from them."""
    records = [
        record(number, observed=observed(0.9),
               **({"status": Status.TIMEOUT, "latency_s": 0.2} if number % 10 == 0 else {}))
        for number in range(600)
    ]  # fmt: skip
    run("calibrate", write_log(tmp_path / "app.log", records))
    assert "collect under a longer V2_TIMEOUT_MS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--alpha", "1.5"], "--alpha 1.5: expected a number between 0 and 1"),
        (["--held-out", "1"], "--held-out 1: expected a share from 0 to below 1"),
        (["--observed", "certainty", "x"], "--observed certainty: expected one of confidence"),
        (["--observed", "confidence", "score"], '[nodes.greeting.observe] numbers = ["score"]'),
        (["--strictness", "handoff", "0"], "--strictness handoff=0: expected a share of alpha"),
        (["--build", "none"], "no pair of V2 build 'none'"),
        (["--labels", "absent.jsonl"], "absent.jsonl: can't be read"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    window: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    """What was given, and what is expected; no traceback."""
    assert run("calibrate", window, *arguments) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[thresholds]\ntemplate = 1.4\n", "thresholds.template = 1.4: expected a number from 0 to 1"),
        ("[thresholds]\ntemplate = 0.2\n", "expected handoff <= llm_rag <= template"),
        ("[thresholds]\nmodel = 0.2\n", "thresholds.model: no such threshold"),
        ("[thresholds.nodes.greeting]\nhandoff = 'x'\n", "thresholds.nodes.greeting.handoff = 'x'"),
        ("thresholds = 3\n", "expected a table"),
        ("not toml", "neither TOML nor"),
    ],
)
def test_thresholds_out_of_range_are_named(
    window: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    """Every value of the file in force that no confidence could meet."""
    current = tmp_path / "current.toml"
    current.write_text(content, encoding="utf-8")
    assert run("calibrate", window, "--current", current) == 2
    assert told in capsys.readouterr().err


def test_recorded_actions_that_follow_other_thresholds_are_noted(
    window: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named the wrong file in force, the recorded actions give it away."""
    current = tmp_path / "current.toml"
    current.write_text("[thresholds]\ntemplate = 0.99\n", encoding="utf-8")
    run("calibrate", window, "--current", current)
    assert "recorded actions don't follow the thresholds taken as current" in " ".join(capsys.readouterr().out.split())


def test_what_it_wrote_can_be_named_as_current(
    window: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second calibration of the same window proposes what is in force: nothing would change."""
    out = tmp_path / "thresholds.toml"
    run("calibrate", window, "--out", out)
    capsys.readouterr()
    assert run("calibrate", window, "--current", out) == 0
    assert "nothing would change" in capsys.readouterr().out
