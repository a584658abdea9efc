"""The doctor compares how long the Collector's tail sampling waits with how long a shadow run may take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from langgraph.graph import MessagesState, StateGraph
from real_servers import ROOT

from otel_shadow import with_shadow_v2
from otel_shadow._doctor import Finding, Severity
from otel_shadow._doctor.collector_wait import check_wait
from otel_shadow.cli import cli
from otel_shadow.config import ShadowConfig

SHIPPED = ROOT / "collector" / "config.yaml"
SAMPLER = "processors: {{tail_sampling: {{{}}}}}"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("V2_TIMEOUT_MS", "OTEL_BSP_SCHEDULE_DELAY", "COLLECTOR_WAIT_AFTER_ROOT", "COLLECTOR_WAIT"):
        monkeypatch.delenv(name, raising=False)


def told(file: Path, **data: object) -> Finding:
    (finding,) = check_wait(file, ShadowConfig.model_validate(data))
    return finding


def written(folder: Path, text: str) -> Path:
    (folder / "collector.yaml").write_text(text)
    return folder / "collector.yaml"


def test_the_shipped_configuration_suffices_for_the_defaults() -> None:
    """20 s after the root are enough for twice 5 s, the batch's 5 s and a second; a run may last 74 s."""
    finding = told(SHIPPED)
    assert finding.severity is Severity.OK
    assert finding.text.endswith(
        "decision_wait_after_root_received is 20 s, enough for 16 s (2 × 5 s of V2's time limit + 5 s of "
        "OTEL_BSP_SCHEDULE_DELAY + 1 s); decision_wait leaves a run of the graph 74 s"
    )


@pytest.mark.parametrize(
    "data",
    [{"flags": {"timeout_ms": 8000}}, {"nodes": {"a": {"v2": "a:b"}, "slow": {"v2": "a:b", "timeout_ms": 8000}}}],
)
def test_a_longer_limit_needs_a_longer_wait(data: dict[str, object]) -> None:
    """8 s of any node need 22 s: a problem that names both times, what is lost, and the settings to change."""
    finding = told(SHIPPED, **data)
    assert finding.severity is Severity.PROBLEM
    assert "is 20 s, and a shadow run's span may come after 22 s" in finding.text
    assert "mismatches too (its line and its counts are not)" in finding.text
    assert finding.remedy.startswith("set decision_wait_after_root_received: 22s, and decision_wait to that and")


def test_variables_are_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the Collector's and the SDK's variables say counts, and the limit of the environment above all others."""
    monkeypatch.setenv("COLLECTOR_WAIT_AFTER_ROOT", "11s")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "500")
    assert told(SHIPPED).severity is Severity.PROBLEM  # 11.5 s
    monkeypatch.setenv("V2_TIMEOUT_MS", "4000")
    finding = told(SHIPPED, nodes={"slow": {"v2": "a:b", "timeout_ms": 60000}})
    assert finding.severity is Severity.OK
    assert "is 11 s, enough for 9.5 s" in finding.text


def test_limits_of_decorators_count_where_the_graph_is_known() -> None:
    """A decorator's 30 s need 66 s, which the shipped configuration does not wait."""

    def v2(state: MessagesState) -> dict[str, object]:
        return {}

    @with_shadow_v2(v2, timeout_ms=30_000)
    def node(state: MessagesState) -> dict[str, object]:
        return {}

    graph = StateGraph(MessagesState).add_node("node", node).set_entry_point("node").compile()
    (finding,) = check_wait(SHIPPED, ShadowConfig(), graph)
    assert finding.severity is Severity.PROBLEM
    assert "may come after 66 s (2 × 30 s" in finding.text
    (outranked,) = check_wait(SHIPPED, ShadowConfig.model_validate({"flags": {"timeout_ms": 5000}}), graph)
    assert outranked.severity is Severity.OK


@pytest.mark.parametrize(
    ("settings", "severity", "said"),
    [
        ("policies: []", Severity.OK, "tail_sampling.decision_wait is 30 s, enough for 16 s"),
        ("decision_wait: 10s", Severity.PROBLEM, "tail_sampling.decision_wait is 10 s, and"),
        ("decision_wait: 1m0.5s", Severity.OK, "leaves a run of the graph 44.5 s"),
        ("decision_wait: 10s, decision_wait_after_root_received: 30s", Severity.PROBLEM, "decision_wait is 10 s, and"),
        (
            "decision_wait: 1h, decision_wait_after_root_received: 900ms",
            Severity.PROBLEM,
            "root_received is 0.9 s, and",
        ),
        ("decision_wait: '${env:NOT_KNOWN_HERE}'", Severity.NOTE, "${env:NOT_KNOWN_HERE} can't be read here as a time"),
        ("decision_wait: soon", Severity.NOTE, "soon can't be read here as a time"),
    ],
)
def test_ways_to_write_a_wait(tmp_path: Path, settings: str, severity: Severity, said: str) -> None:
    """The processor's own defaults, Go's durations, the shorter of both waits, and variables that only it knows."""
    finding = told(written(tmp_path, SAMPLER.format(settings)))
    assert (finding.severity, said in finding.text) == (severity, True), finding


@pytest.mark.parametrize(
    "text",
    [
        "processors: {tail_sampling/shadow: {decision_wait: 1s}}",
        "kind: OpenTelemetryCollector\nspec: {config: {processors: {tail_sampling: {decision_wait: 1s}}}}",
        "a: 1\n---\nconfig: {processors: {tail_sampling: {decision_wait: 1s}}}",
        "data:\n  relay: |\n    processors:\n      tail_sampling:\n        decision_wait: 1s\n",
    ],
    ids=["named", "operator", "second document", "config map"],
)
def test_places_of_a_sampler(tmp_path: Path, text: str) -> None:
    """A sampler with a name, in an operator's resource, in a chart's values, in the text of a ConfigMap."""
    assert told(written(tmp_path, text)).severity is Severity.PROBLEM


def test_without_a_tail_sampler_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    """A Collector that keeps every trace decides nothing too early; without the option nothing is said."""
    assert told(written(tmp_path, "receivers: {otlp: {}}\n")).severity is Severity.OK
    assert list(check_wait(None, ShadowConfig())) == []


@pytest.mark.parametrize(
    ("text", "said"), [(None, "No such file or directory"), ("a: [", "it is no YAML"), ("\x00", "it is no YAML")]
)
def test_a_file_that_is_none(tmp_path: Path, text: str | None, said: str) -> None:
    """One problem that names the file and the option, and no traceback; doctor's exit code is 1."""
    file = tmp_path / "collector.yaml" if text is None else written(tmp_path, text)
    done = CliRunner().invoke(cli, ["doctor", "--collector-config", str(file)], standalone_mode=False)
    line = next(line for line in done.output.splitlines() if "collector's wait" in line)
    assert f"{file}: {said}; expected the Collector's configuration" in line
    assert done.return_value == 1


def test_what_reads_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML the problem says how to install it."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    finding = told(written(tmp_path, "a: 1"))
    assert finding.severity is Severity.PROBLEM
    assert finding.remedy == "yaml is not installed: pip install 'otel-shadow[dashboards]'"
