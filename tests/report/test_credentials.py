"""Credentials of endpoints stay out of what commands show and log, also where exporters fail."""

from __future__ import annotations

import logging
import socket

import pytest

from otel_shadow._report.credentials import keep_credentials_from_logs, without_credentials
from otel_shadow._report.sdk_providers import meter_provider

SECRET = "s3cr3t-0f-the-c0llector"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://shop:{SECRET}@127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://127.0.0.1:4318/v1/traces?api-key={SECRET}&x=1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"a=b,api-key={SECRET}"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", f"authorization=Basic%20{SECRET}=="),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", f"a=b,{SECRET}"),
    ],
)
def test_no_credential_of_the_environment_stands_in_a_text(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Wherever it stands there, escaped or not; the rest of the text stays."""
    monkeypatch.setenv(name, value)
    secret = value.replace("%20", " ")
    assert SECRET not in without_credentials(f"Failed to export to {value} with {secret}")
    assert without_credentials("no answer of 127.0.0.1") == "no answer of 127.0.0.1"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("place", ["http://shop:{}@127.0.0.1:{}", "http://127.0.0.1:{1}/v1/metrics?api-key={0}"])
def test_an_exporter_that_fails_logs_no_credentials(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, protocol: str, place: str
) -> None:
    """The SDK's own exporters log the address, and what was raised with it."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc")
    with socket.create_server(("127.0.0.1", 0)) as one:
        down = one.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", place.format(SECRET, down))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1")
    factory = logging.getLogRecordFactory()
    try:
        provider = meter_provider()
        provider.get_meter("m").create_counter("c").add(1)
        provider.force_flush(2000)
        provider.shutdown(2000)
    finally:
        logging.setLogRecordFactory(factory)
    assert caplog.records
    assert SECRET not in caplog.text


def test_other_loggers_are_left_alone() -> None:
    """Records of an application are its own."""
    factory = logging.getLogRecordFactory()
    try:
        keep_credentials_from_logs()
        made = logging.getLogRecordFactory()
        keep_credentials_from_logs()
        assert logging.getLogRecordFactory() is made
        assert made("app", logging.INFO, "f", 1, "%s", ("x",), None).args == ("x",)
    finally:
        logging.setLogRecordFactory(factory)
