"""The doctor sends one of each signal, says which arrived, was refused or got no answer, and shows no secret."""

from __future__ import annotations

import http.server
import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_servers import Collector, Prometheus, free_port

from otel_shadow._doctor import Finding
from otel_shadow._doctor.sent_signals import check_backends

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
SECRET = "s3cr3t-0f-the-c0llector"


@pytest.fixture(autouse=True)
def _none_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


class _Backend(http.server.BaseHTTPRequestHandler):
    """A stand-in for a vendor's: it refuses what ``refused`` names with that status."""

    refused: dict[str, int]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.refused.get(self.path, 200))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def backend() -> Iterator[http.server.ThreadingHTTPServer]:
    _Backend.refused = {}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def sent(monkeypatch: pytest.MonkeyPatch, **env: str) -> list[Finding]:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return list(check_backends())


def test_a_backend_that_refuses_one_signal_is_told_with_the_status(
    monkeypatch: pytest.MonkeyPatch, backend: http.server.ThreadingHTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The others arrived; neither the address's password nor what the exporter logs is shown."""
    _Backend.refused = {"/v1/logs": 401}
    address = f"http://127.0.0.1:{backend.server_port}"
    endpoint = f"http://shop:{SECRET}@127.0.0.1:{backend.server_port}"
    with caplog.at_level(logging.DEBUG):
        told = sent(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert [(str(finding.severity), finding.text) for finding in told] == [
        ("ok", f"{address} (http/protobuf) took a test span"),
        ("ok", f"{address} (http/protobuf) took a test metric point"),
        ("problem", f"{address} (http/protobuf) did not take a test log record: refused with 401"),
    ]
    assert told[2].remedy == "correct OTEL_EXPORTER_OTLP_HEADERS"
    assert SECRET not in "".join(record.getMessage() for record in caplog.records if "urllib3" not in record.name)


def test_a_signal_without_an_exporter_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, backend: http.server.ThreadingHTTPServer
) -> None:
    """Nor is any where the SDK is off."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{backend.server_port}"}
    env |= {"OTEL_TRACES_EXPORTER": "otlp_proto_http", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "console"}
    (told,) = sent(monkeypatch, **env)
    assert told.text.endswith("(http/protobuf) took a test span")
    assert sent(monkeypatch, OTEL_SDK_DISABLED="true") == []


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_nobody_there_and_nobody_answering_are_told(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    """Within a bounded time, however the exporter takes it."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = sent(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert [finding.text.partition(": no ")[2] for finding in told] == ["answer within 4 s"] * 3
    told = sent(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert {str(finding.severity) for finding in told} == {"problem"}
    assert {finding.text.partition("record: ")[2] for finding in told[2:]} <= {
        "nobody answers there",
        "no connection (ConnectionError)",
    }


@pytest.mark.parametrize(
    ("endpoint", "protocol", "remedy"),
    [
        ("http://127.0.0.1:4317", "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
        ("http://127.0.0.1:4318", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        ("127.0.0.1:9", "grpc", "OTEL_EXPORTER_OTLP_INSECURE=true"),
        (f"http://shop:{SECRET}@127.0.0.1:9", "grpc", "OTEL_EXPORTER_OTLP_HEADERS"),
        (f"htp:/{SECRET}@x:y?key={SECRET}", "http/protobuf", "correct the endpoint"),
    ],
)
def test_what_is_wrong_with_an_endpoint_is_said_where_it_can_be_seen(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, protocol: str, remedy: str
) -> None:
    """A port of the other protocol, no scheme, credentials that gRPC does not know."""
    env = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    (told,) = sent(monkeypatch, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint, **env)
    assert str(told.severity) == "problem"
    assert remedy in told.remedy
    assert SECRET not in str(told)


@pytest.mark.servers
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_real_collector_takes_all_three_and_nothing_of_it_is_evidence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, protocol: str
) -> None:
    """The Collector's file of evidence stays as it is: it takes otel-shadow's scope, not the doctor's."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    collector = Collector(tmp_path, f"{nowhere}/otlp", nowhere, {})
    collector.start()
    try:
        endpoint = collector.grpc if protocol == "grpc" else collector.http
        told = sent(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        assert [str(finding.severity) for finding in told] == ["ok", "ok", "ok"]
    finally:
        collector.stop()
    assert not collector.evidence.exists() or collector.evidence.read_text() == ""


@pytest.mark.servers
def test_prometheus_refuses_a_point_of_delta_temporality(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The point is sent as the exporter's preference has it; an ordinary one is a series of the doctor's own."""
    prometheus = Prometheus(tmp_path)
    prometheus.start()
    env = {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{prometheus.otlp}/v1/metrics",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    try:
        (told,) = sent(monkeypatch, **env)
        assert str(told.severity) == "ok"
        (told,) = sent(monkeypatch, **env, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta")
        assert str(told.severity) == "problem"
        assert told.remedy.startswith("set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative")
        (series,) = prometheus.query('{__name__=~".*shadow.*"}')
        assert series["metric"]["__name__"] == "otel_shadow_doctor_total"
    finally:
        prometheus.stop()
