"""The verdict beside the servers: watched from the Collector's file and shown in Prometheus, and counts alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from application import Application
from real_servers import ROOT, Collector, Prometheus, free_port
from waiting import until

from otel_shadow import semconv
from otel_shadow._dashboards.series_names import label, series

POLICY = "[sla]\nsession_idle_minutes = 0.02\n"
PLAN = ("match=45", "mismatch=5")


def verdict(*arguments: str | Path, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "otel_shadow.cli", "verdict", *map(str, arguments)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=kept | {"PYTHONPATH": str(ROOT)} | env
    )


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Sessions close at once."""
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def fresh(tmp_path: Path, prometheus: Prometheus) -> Iterator[Collector]:
    """A Collector whose file holds this test's evidence alone."""
    server = Collector(tmp_path / "collector", prometheus.otlp, "127.0.0.1:9", {})
    server.start()
    yield server
    server.stop()


@pytest.fixture
def watcher(fresh: Collector, policy: Path) -> Iterator[subprocess.Popen[str]]:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": fresh.grpc, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    env["OTEL_SERVICE_NAME"] = "watcher"
    arguments = (fresh.evidence.parent / "*.jsonl", "--watch", "--every", "1", "--config", policy)
    process = verdict(*arguments, **env)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.servers
def test_the_watched_verdict_is_on_the_wall(
    tmp_path: Path, fresh: Collector, prometheus: Prometheus, watcher: subprocess.Popen[str]
) -> None:
    """From the Collector's file of log events to gauges in Prometheus, while evidence arrives; SIGTERM ends it."""
    application = Application(tmp_path / "wall", "wall", fresh.grpc, PLAN, env={"ASSISTANT_FIRST_SESSION": "7000"})
    application.run()
    pairs = application.lines(semconv.EVENT_V2)
    place = 'shadow_graph_name="assistant",job="watcher"'
    overall = f'{series(semconv.VERDICT)}{{{place},{label(semconv.NODE)}="",{label(semconv.CRITERION)}="overall"}}'
    assert until(lambda: prometheus.query(overall))[0]["value"][1] == "0"
    served = f'{series(semconv.VERDICT_ESTIMATE)}{{{place},{label(semconv.CRITERION)}="v1_served"}}'
    until(lambda: {row["value"][1] for row in prometheus.query(served)} == {"1"})
    parity = f'{place},{label(semconv.CRITERION)}="parity",{label(semconv.NODE)}="triage"'
    until(lambda: prometheus.value(f"{series(semconv.VERDICT_ESTIMATE)}{{{parity}}}") is not None)
    low, high = (
        prometheus.value(f"{series(one)}{{{parity}}}") for one in (semconv.VERDICT_LOWER, semconv.VERDICT_UPPER)
    )
    assert low is not None
    assert high is not None
    assert 0 <= low < high <= 1
    assert len(pairs) > 30
    watcher.terminate()
    out, err = watcher.communicate(timeout=30)
    assert watcher.returncode == 3, err
    assert "WAIT" in out
    assert "Traceback" not in err


@pytest.mark.servers
def test_counts_alone_say_what_they_can_and_what_they_cannot(
    tmp_path: Path, collector: Collector, prometheus: Prometheus
) -> None:
    """`verdict --prometheus` prints the log's rates, names what it doesn't know, and is never a verdict."""
    application = Application(
        tmp_path / "counted", "counted", collector.grpc, PLAN, env={"ASSISTANT_FIRST_SESSION": "8000"}
    )
    application.run()
    lines = application.lines(semconv.EVENT_V2)
    eligible = f'sum({series(semconv.ELIGIBLE)}{{instance="counted",{label(semconv.ARM)}="shadowed"}})'
    until(lambda: prometheus.value(eligible) == len(lines))
    process = verdict("--prometheus", prometheus.url)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    own = out.partition("triage  (graph assistant, service counted)\n")[2]
    parity = next(line for line in own.splitlines() if "Functional parity" in line)
    matched = sum(line["comparison"] == "match" for line in lines) / len(lines)
    assert float(parity.split("%")[0].split()[-1]) / 100 == pytest.approx(matched, abs=0.02)
    assert "sessions" in out.partition("can't tell")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--prometheus", f"http://127.0.0.1:{free_port()}"), "no answer of a Prometheus"),
        (("--prometheus", "localhost:9090"), "expected a base address such as http://localhost:9090"),
        (("--prometheus", "http://127.0.0.1:1", "app.log"), "SOURCE...: not together with --prometheus"),
        (("--watch", "--json", "app.log"), "--json: not together with --watch"),
        (("--every", "5", "app.log"), "--every: not together with one look"),
        ((), "Missing argument 'SOURCE...'"),
    ],
)
def test_wrong_use_is_one_clear_error(arguments: tuple[str, ...], said: str) -> None:
    """Exit code 2, the remedy on standard error, no traceback."""
    process = verdict(*arguments)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said in err
    assert "Traceback" not in err
