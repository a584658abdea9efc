"""Without an endpoint nothing is sent and nothing hangs; everything is there locally."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CONNECTIONS = """
import sys, json, atexit
seen = []
sys.addaudithook(lambda event, args: seen.append([event, str(args[1:])]) if event in (
    "socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.sendmsg") else None)
"""
APPLICATION = """
from otel_shadow import ShadowIntegrationMiddleware
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow.config import ShadowConfig
from small_graphs import call, left, small_graph
manager = ShadowTrafficManager(ShadowConfig.from_mapping({"arms": {"holdout": 0.0}}), log_file=sys.argv[1])
graph = ShadowIntegrationMiddleware({"left": left}, manager).attach(small_graph())
for is_async in (False, True):
    call(graph, is_async=is_async)
print(json.dumps({"flushed": manager.flush(30), "swallowed": manager.fault_barrier.counts, "connections": seen}))
"""


EVENTS = ["SHADOW_V2", "SHADOW_COMPARISON", "SHADOW_V2", "SHADOW_COMPARISON", "SHADOW_HEARTBEAT"]


def events(log: Path) -> list[str]:
    return [json.loads(line)["event"] for line in log.read_bytes().splitlines()]


def run(code: str, log: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", code, str(log)], cwd=TESTS, capture_output=True, text=True, check=True, timeout=60
    )
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_an_application_without_opentelemetry_sends_nothing(tmp_path: Path) -> None:
    """No SDK is configured: no connection is tried, flushing ends at once, and the lines are in the file."""
    log = tmp_path / "app.log"
    assert run(CONNECTIONS + APPLICATION, log) == {"flushed": True, "swallowed": {}, "connections": []}
    assert events(log) == EVENTS


def test_the_process_ends_by_itself_and_loses_nothing(tmp_path: Path) -> None:
    """An application that just returns from ``main``: pairs on their way are finished at exit."""
    log = tmp_path / "app.log"
    code = APPLICATION.replace("manager.flush(30)", "None")
    run("import sys, json; seen = []\n" + code, log)
    assert events(log) == EVENTS


def test_a_dead_endpoint_holds_nobody(tmp_path: Path) -> None:
    """An endpoint where nobody listens: answers come, lines are written, shutdown keeps its limit."""
    log = tmp_path / "app.log"
    at_once = "seen}))\nmanager.shutdown(1); sys.stdout.flush(); import os; os._exit(0)"
    code = """
import sys, json
seen = []
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter("http://127.0.0.1:9/v1/traces", timeout=1)))
trace.set_tracer_provider(provider)
""" + APPLICATION.replace("seen}))", at_once)
    told = run(code, log)
    assert (told["flushed"], told["swallowed"]) == (True, {})
    assert events(log) == EVENTS
