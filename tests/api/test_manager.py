"""The manager as it is exported: real telemetry by default, and its former names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otel_shadow import ShadowConfig, ShadowTrafficManager

TESTS = Path(__file__).resolve().parents[1]
APPLICATION = """
import json
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otel_shadow import ShadowIntegrationMiddleware, ShadowTrafficManager
from small_graphs import call, left, small_graph

spans, reader, provider = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))

manager = ShadowTrafficManager()
call(ShadowIntegrationMiddleware({"left": left}, manager).attach(small_graph()), session="session_4")
assert manager.flush(30)

scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
found = {metric.name: metric.data.data_points for scope in scopes for metric in scope.metrics}
print(json.dumps({
    "spans": sorted(span.name for span in spans.get_finished_spans()),
    "timed": sum(point.count for point in found["shadow.node.duration"]),
    "matches": sum(point.value for point in found["shadow.comparisons"]),
}))
"""


def test_the_exported_manager_makes_spans_metrics_and_lines_by_default(tmp_path: Path) -> None:
    """``ShadowTrafficManager()``, told nothing at all, speaks to the process's own providers and writes lines."""
    lines = tmp_path / "shadow.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", APPLICATION],
        cwd=TESTS,
        env={**os.environ, "OTEL_SHADOW_LOG_FILE": str(lines), "ROUTER_V2_HOLDOUT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"spans": ["v1.node", "v2.shadow"], "timed": 2, "matches": 1}
    events = [json.loads(line)["event"] for line in lines.read_text(encoding="utf-8").splitlines()]
    assert events == ["SHADOW_V2", "SHADOW_COMPARISON", "SHADOW_HEARTBEAT"]


WEAK = """
import logging, sys
from otel_shadow import ShadowConfig, ShadowTrafficManager
logging.basicConfig(format="%(message)s")
managers = [ShadowTrafficManager(ShadowConfig()) for _ in range(2)]
for manager in managers:
    manager.shutdown()
"""


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("demo", "has 4 bytes, and 16 are the least"),
        ("one-secret-for-all-replicas", "is made of common words only"),
        ("b8e2f4a6c0d1e3f5", None),
        ("", None),
    ],
)
def test_a_weak_hash_key_is_told_once_at_the_start(key: str, told: str | None) -> None:
    """One warning a process, without the key itself; a good key and none at all are no reason for one."""
    env = {**os.environ, "OTEL_SHADOW_HASH_KEY": key}
    done = subprocess.run(
        [sys.executable, "-c", WEAK], cwd=TESTS.parent, env=env, capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stderr.splitlines() if "OTEL_SHADOW_HASH_KEY" in line]
    assert [line.partition(": ")[2].partition(": ")[0] for line in lines] == (
        [f"OTEL_SHADOW_HASH_KEY {told}"] if told else []
    )
    assert not key or key not in done.stderr


def test_the_former_factory_makes_the_same_manager_and_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """``otel_shadow.assembly.build_manager`` still leads to it, for one release."""
    monkeypatch.delitem(sys.modules, "otel_shadow.assembly", raising=False)
    with pytest.warns(DeprecationWarning, match=r"otel_shadow\.assembly is now otel_shadow\._api\.manager"):
        from otel_shadow.assembly import build_manager  # type: ignore[import-not-found]
    with pytest.warns(DeprecationWarning, match=r"build_manager is now otel_shadow\.ShadowTrafficManager"):
        manager = build_manager(log_file=os.devnull)
    manager.shutdown()
    assert type(manager) is ShadowTrafficManager


def test_what_was_runtime_manager_is_the_exported_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class that was imported from ``otel_shadow.runtime.manager`` is the one that users make."""
    for name in ("otel_shadow.runtime", "otel_shadow.runtime.manager"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.warns(DeprecationWarning, match=r"otel_shadow\.runtime(\.manager)? is now"):
        from otel_shadow.runtime.manager import ShadowTrafficManager as former  # type: ignore[import-not-found]
    assert former is ShadowTrafficManager


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("emitter", lambda manager: manager.record_queue),
        ("runner", lambda manager: manager.dispatcher),
        ("shield", lambda manager: manager.fault_barrier),
        ("sites", lambda manager: manager.nodes),
        ("clock_name", lambda manager: manager.services.clock_name),
    ],
)
def test_a_former_attribute_leads_to_the_present_one_and_warns(former: str, now: Callable[[Any], Any]) -> None:
    """Code that reads a manager's parts by their former names works for one release more."""
    manager = ShadowTrafficManager(ShadowConfig(), log_file=os.devnull)
    with pytest.warns(DeprecationWarning, match=rf"ShadowTrafficManager\.{former} is now "):
        assert getattr(manager, former) is now(manager)
    with pytest.raises(AttributeError, match="no attribute 'never_was'"):
        manager.never_was  # noqa: B018
    manager.shutdown()


NAMED = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from otel_shadow import ShadowConfig, ShadowIntegrationMiddleware, ShadowTrafficManager, Sink
from small_graphs import call, left, small_graph

class Seen(Sink):
    def emit(self, record):
        seen.add((record.service, record.v2_build))

def provider(name):
    return TracerProvider(resource=Resource.create({"service.name": name} if name else {}))

seen, (own, shared) = set(), sys.argv[1:]
config = ShadowConfig.from_mapping({"arms": {"holdout": 0.5}})
manager = ShadowTrafficManager(config, tracer_provider=provider(own) if own else None, sinks=[Seen()])
if shared != "-":
    trace.set_tracer_provider(provider(shared))
call(ShadowIntegrationMiddleware({"left": left}, manager).attach(small_graph()))
manager.shutdown()
print(*seen.pop(), sep="|")
"""


@pytest.mark.parametrize(
    ("env", "own", "shared", "service"),
    [
        ({"OTEL_SERVICE_NAME": "named"}, "own", "shared", "named|unversioned"),
        ({"OTEL_SERVICE_NAME": "named", "OTEL_RESOURCE_ATTRIBUTES": "service.name=listed"}, "", "-",
         "named|unversioned"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b, service.name = sch%C3%B6n%2C%20da ,service.version=1%2B2"}, "", "shared",
         "schön, da|1+2"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name="}, "", "shared", "shared|unversioned"),
        ({}, "own", "shared", "own|unversioned"),
        ({}, "", "shared", "shared|unversioned"),
        ({}, "", "", "unknown_service|unversioned"),
        ({}, "", "-", "unknown_service|unversioned"),
    ],
)  # fmt: skip
def test_the_service_has_the_name_of_opentelemetrys_resource(
    env: dict[str, str], own: str, shared: str, service: str
) -> None:
    """The environment's by the SDK's rules, else the tracer provider's, also one that is set after the manager."""
    done = subprocess.run(
        [sys.executable, "-c", NAMED, own, shared],
        cwd=TESTS, env={**os.environ, **env, "OTEL_SHADOW_LOG_FILE": os.devnull, "PYTHONIOENCODING": "utf-8"},
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.stdout.strip() == service, done.stderr


SHARED_OUT = """
import logging, sys
from otel_shadow import ShadowConfig, ShadowTrafficManager
logging.basicConfig(format="%(message)s")
for _ in range(2):
    ShadowTrafficManager(ShadowConfig.from_mapping({"arms": eval(sys.argv[1])})).shutdown()
"""


@pytest.mark.parametrize(
    ("arms", "told"),
    [
        (
            {"holdout": 0.15, "slot_seconds": 60},
            "a holdout of 0.15 is no whole part of the time, and is taken as one slot in 7",
        ),
        ({"holdout": 0.1}, "0.1 is taken as one slot of 60 s in 10;"),
        ({"holdout": 0.15}, "0.15 is taken as one slot of 60 s in 7;"),
        ({"holdout": 0.1, "slot_seconds": 60}, None),
        ({"holdout": 0.0}, None),
        ({"noise": 0.1}, None),
    ],
)
def test_a_share_that_may_be_meant_of_sessions_is_told_once(arms: dict[str, float], told: str | None) -> None:
    """``[arms] holdout`` was a share of the sessions: one warning a process, which says what it is taken as."""
    done = subprocess.run(
        [sys.executable, "-c", SHARED_OUT, repr(arms)],
        cwd=TESTS, env={**os.environ, "OTEL_SHADOW_LOG_FILE": os.devnull}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if "of the time" in line]
    assert len(lines) == (told is not None)
    assert told is None or told in lines[0]


@pytest.mark.parametrize(("share", "told"), [("0.1", 0), ("0.333", 0), ("0", 0), ("0.4", 1)])
def test_a_flag_that_is_no_whole_part_of_the_time_is_told_once(share: str, told: int) -> None:
    """``ROUTER_V2_HOLDOUT`` outranks the file: nothing is said of that."""
    env = {**os.environ, "OTEL_SHADOW_LOG_FILE": os.devnull, "ROUTER_V2_HOLDOUT": share}
    done = subprocess.run(
        [sys.executable, "-c", SHARED_OUT, "{'holdout': 0.15}"],
        cwd=TESTS, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if "of the time" in line]
    assert (
        lines
        == ["otel-shadow: a holdout of 0.4 is no whole part of the time, and is taken as one slot in 2 (0.5)"] * told
    )
