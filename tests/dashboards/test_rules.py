"""The rules: promtool's own judgement on them, and that none is untested or unexplained."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from real_servers import ROOT, binary

from otel_shadow import cli
from otel_shadow._dashboards import write_dashboards
from otel_shadow._dashboards.name_forms import FORMS, OTLP, NameForm, form_of
from otel_shadow._dashboards.rules import ALERTS

HERE = Path(__file__).parent
RULES = ROOT / "dashboards" / "rules"


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [binary("prometheus", "promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.servers
@pytest.mark.parametrize("name", ["recording", "alerts"])
def test_promtool_accepts_the_rules(name: str) -> None:
    """`promtool check rules` finds nothing to complain about."""
    done = promtool("check", "rules", RULES / f"{name}.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.servers
@pytest.mark.parametrize("name", ["recording", "alerts"])
def test_rules_on_synthetic_series(name: str) -> None:
    """Recorded quantities have the right values; alerts are silent, then fire, then resolve."""
    done = promtool("test", "rules", HERE / f"{name}.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def in_form(form: NameForm, value: Any) -> Any:
    """Synthetic series and expectations in a form of names."""
    if isinstance(value, list):
        return [in_form(form, item) for item in value]
    if not isinstance(value, dict):
        return form.document(value)
    queries = {key for key, item in value.items() if key in ("series", "expr", "labels") and isinstance(item, str)}
    return {
        form.document(key): form.expression(item) if key in queries else in_form(form, item)
        for key, item in value.items()
    }


@pytest.mark.servers
@pytest.mark.parametrize(
    ("word", "histograms"), [*((word, None) for word in FORMS if word != OTLP), ("utf8-with-suffixes", "classic")]
)
def test_rules_in_every_form(tmp_path: Path, word: str, histograms: str | None) -> None:
    """promtool accepts the rules in each form, and they pass the same tests, their names written in that form.

    Tests with native histograms have others of classic ones in their place.
    """
    write_dashboards(tmp_path, word, histograms)
    rules = [str(tmp_path / "rules" / f"{name}.yaml") for name in ("recording", "alerts")]
    assert promtool("check", "rules", *rules).returncode == 0
    form = form_of(word, histograms)
    for name in ("recording", "alerts", *(["classic"] if form.classic else [])):
        asked = in_form(form, yaml.safe_load((HERE / f"{name}.yaml").read_text()))
        asked["rule_files"] = rules if name == "classic" else [rules[("recording", "alerts").index(name)]]
        asked["tests"] = [one for one in asked["tests"] if not (form.classic and "{{schema" in str(one))]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(asked, sort_keys=False))
        done = promtool("test", "rules", tmp_path / f"{name}.yaml")
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_knows_every_form() -> None:
    """The words that the command takes are those of the forms, and another word is one clear error."""
    assert tuple(FORMS) == cli.METRIC_NAMES
    done = CliRunner().invoke(cli.cli, ["dashboards", "--out", "unused", "--metric-names", "openmetrics"])
    assert done.exit_code == 2
    assert "'openmetrics' is not one of 'otlp', 'otlp-without-suffixes', 'prometheus'" in done.output


@pytest.mark.servers
def test_a_wrong_expectation_fails(tmp_path: Path) -> None:
    """The synthetic tests can fail: with the thresholds of one alert moved, promtool says so."""
    write_dashboards(tmp_path)
    rules = tmp_path / "rules" / "alerts.yaml"
    rules.write_text(rules.read_text().replace("== -1", "== -2"))
    tests = (HERE / "alerts.yaml").read_text().replace("../../dashboards/rules", str(rules.parent))
    (tmp_path / "alerts.yaml").write_text(tests)
    done = promtool("test", "rules", tmp_path / "alerts.yaml")
    assert done.returncode != 0
    assert "ShadowVerdictNoGo" in done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_is_seen_silent_firing_and_resolved(alert: object) -> None:
    """Each alert's test has a moment of silence, then one of firing, then silence again."""
    assert _moments(alert.name) == [False, True, False]  # type: ignore[attr-defined]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_a_runbook_section(alert: object) -> None:
    """The runbook has a heading of the alert's name: what it means, what to look at, what to do."""
    headings = [line for line in (ROOT / "docs" / "runbook.md").read_text().splitlines() if line.startswith("## ")]
    assert f"## {alert.name}" in headings  # type: ignore[attr-defined]


def _moments(name: str) -> list[bool]:
    """Whether the alert is expected to fire, at each tested moment of the first test that has it."""
    for test in yaml.safe_load((HERE / "alerts.yaml").read_text())["tests"]:
        own = [case for case in test.get("alert_rule_test", ()) if case["alertname"] == name]
        queries = [case for case in test.get("promql_expr_test", ()) if f'"{name}"' in case["expr"]]
        if own or queries:
            return [bool(case.get("exp_alerts")) for case in own] or [bool(case.get("exp_samples")) for case in queries]
    return []
