"""When the pipeline fails: the application answers as if nothing were wrong, and what was lost can be seen."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from application import Application
from real_servers import KEEP_ALL, Collector, Jaeger, Prometheus, free_port
from waiting import until

from otel_shadow import semconv
from otel_shadow._dashboards.series_names import label, series

pytestmark = pytest.mark.servers

PLAN = ("match=120",)
SHORT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "2"}
"""Seconds per export, so that an application that ends while nobody answers does so soon."""


class Refusing(BaseHTTPRequestHandler):
    """A backend that refuses everything, as an overloaded one does."""

    def do_POST(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """A backend that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """A backend that is not there."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("fault", ["closed", "silent", "refusing"])
def test_answers_are_not_delayed_whatever_the_backend_does(
    tmp_path: Path, fault: str, request: pytest.FixtureRequest
) -> None:
    """Beside a process that exports nothing, at the same time: answers, memory and log are the same."""
    endpoint = request.getfixturevalue(fault)
    plain = Application(tmp_path / "plain", "plain", None, PLAN)
    faulty = Application(tmp_path / "faulty", "faulty", endpoint, PLAN, "http/protobuf", SHORT)
    try:
        plain.start()
        faulty.start()
        expected, found = plain.finish(), faulty.finish()
    finally:
        plain.end()
        faulty.end()
    # A delay by the export would be a time limit (seconds); what is allowed here is a loaded machine.
    assert statistics.median(found) < statistics.median(expected) * 2 + 10
    assert max(found) < 1000 * float(SHORT["OTEL_EXPORTER_OTLP_TIMEOUT"])
    assert faulty.peak_mib < plain.peak_mib + 64
    lines = faulty.lines(semconv.EVENT_V2) + faulty.lines(semconv.EVENT_BASELINE)
    assert len(lines) == 120


def test_the_pipeline_recovers_by_itself(tmp_path: Path, prometheus: Prometheus, jaeger: Jaeger) -> None:
    """The Collector is killed mid-run and comes back: counts in Prometheus are the log's, to the last one."""
    collector = Collector(tmp_path / "collector", prometheus.otlp, jaeger.otlp, KEEP_ALL)
    collector.start()
    application = Application(
        tmp_path / "killed", "killed", collector.grpc, ("match=200",), env={"ASSISTANT_PAUSE_S": "0.04"}
    )
    try:
        application.start()
        eligible = f'sum({series(semconv.ELIGIBLE)}{{instance="killed"}})'
        until(lambda: (prometheus.value(eligible) or 0) > 20)
        collector.kill()
        time.sleep(2)
        collector.start()
        application.finish()
        lines = application.lines(semconv.EVENT_V2) + application.lines(semconv.EVENT_BASELINE)
        assert len(lines) == 200
        until(lambda: prometheus.value(eligible) == 200)
        assert _by_status(prometheus, "killed") == Counter(
            line["shadow_status"] for line in application.lines(semconv.EVENT_V2)
        )
    finally:
        application.end()
        collector.stop()


def test_a_collector_that_comes_late_gets_everything_that_counts(
    tmp_path: Path, prometheus: Prometheus, jaeger: Jaeger
) -> None:
    """The Collector is down when the application starts: metrics are whole once it is there."""
    collector = Collector(tmp_path / "collector", prometheus.otlp, jaeger.otlp, KEEP_ALL)
    application = Application(
        tmp_path / "early", "early", collector.grpc, ("match=150",), env={"ASSISTANT_PAUSE_S": "0.04"}
    )
    try:
        application.start()
        until(lambda: (application.folder / "app.log").stat().st_size > 0)
        collector.start()
        application.finish()
        until(lambda: prometheus.value(f'sum({series(semconv.ELIGIBLE)}{{instance="early"}})') == 150)
    finally:
        application.end()
        collector.stop()


def test_a_prometheus_that_was_away_gets_what_it_missed(tmp_path: Path) -> None:
    """Prometheus is killed mid-run and comes back: the Collector kept what it could not deliver."""
    prometheus = Prometheus(tmp_path / "prometheus")
    prometheus.start()
    collector = Collector(tmp_path / "collector", prometheus.otlp, "127.0.0.1:9", KEEP_ALL)
    collector.start()
    application = Application(
        tmp_path / "missed", "missed", collector.grpc, ("match=150",), env={"ASSISTANT_PAUSE_S": "0.04"}
    )
    eligible = f'sum({series(semconv.ELIGIBLE)}{{instance="missed"}})'
    try:
        application.start()
        until(lambda: (prometheus.value(eligible) or 0) > 20)
        prometheus.kill()
        application.finish()
        prometheus.start()
        until(lambda: prometheus.value(eligible) == 150)
    finally:
        application.end()
        collector.stop()
        prometheus.stop()


def test_sigterm_under_load_loses_nothing_that_was_accepted(
    tmp_path: Path, collector: Collector, prometheus: Prometheus
) -> None:
    """A process that is told to go flushes pairs, log and metrics, well within the usual 30 seconds."""
    application = Application(
        tmp_path / "leaving", "leaving", collector.grpc, ("slow=5000",), env={"ASSISTANT_SLOW_S": "0.2"}
    )
    try:
        application.start()
        until(lambda: len((application.folder / "app.log").read_text().splitlines()) > 20)
        assert application.process is not None
        os.kill(application.process.pid, signal.SIGTERM)
        answered = application.finish(within=30)
    finally:
        application.end()
    pairs, baselines = application.lines(semconv.EVENT_V2), application.lines(semconv.EVENT_BASELINE)
    # The request that the signal cut short may have passed our node without being answered.
    assert len(answered) <= len(pairs) + len(baselines) <= len(answered) + 1
    mine = f'{series(semconv.ELIGIBLE)}{{instance="leaving"}}'
    until(lambda: prometheus.value(f"sum({mine})") == len(pairs) + len(baselines))


def test_what_the_sdk_drops_can_be_seen(tmp_path: Path, collector: Collector, prometheus: Prometheus) -> None:
    """A span queue that is far too small drops spans, and the SDK's own metric says how many."""
    tiny = {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8", "OTEL_BSP_SCHEDULE_DELAY": "3000"}
    visible = {"OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true"}
    Application(tmp_path / "dropping", "dropping", collector.grpc, ("match=200",), env=tiny | visible).run()
    dropped = 'sum(otel_sdk_processor_span_processed_total{instance="dropping",error_type="queue_full"})'
    assert until(lambda: prometheus.value(dropped)) > 0
    assert prometheus.value(f'sum({series(semconv.ELIGIBLE)}{{instance="dropping"}})') == 200


def _by_status(prometheus: Prometheus, instance: str) -> Counter[str]:
    name = label(semconv.STATUS)
    rows = prometheus.query(f'sum by ({name}) ({series(semconv.EXECUTIONS)}{{instance="{instance}"}}) > 0')
    return Counter({row["metric"][name]: int(row["value"][1]) for row in rows})
