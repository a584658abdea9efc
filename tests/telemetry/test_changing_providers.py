"""Providers of OpenTelemetry come late, are flushed and shut down by the application, and hang: nothing is lost.

Each test runs in a process of its own: global providers can be set once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

PREAMBLE = """
import gc, json, logging, os, sys, threading, time
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from small_graphs import call, small_graph
from otel_shadow import ShadowInstrumentor

def v1_like(state): return {"trail": ["left"]}

def instrument(v2=v1_like, **more):
    config = {"arms": {"holdout": 0.0}, **more.pop("config", {})}
    ShadowInstrumentor().instrument(config=config, resolve_v2=lambda graph, node: v2 if node == "left" else None,
                                    raise_errors=True, **more)
    return ShadowInstrumentor().manager

def points(reader):
    found, data = {}, reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                found.setdefault(metric.name, []).extend(metric.data.data_points)
    return found

def lines(event='"event":"SHADOW_V2"'):
    path = os.environ["OTEL_SHADOW_LOG_FILE"]
    return [json.loads(line) for line in open(path) if event in line] if os.path.exists(path) else []

def within(seconds, holds):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end: time.sleep(0.02)
    return holds()

class Hanging(SpanExporter):
    def export(self, spans): threading.Event().wait()
    def shutdown(self): pass
"""


def run(tmp_path: Path, code: str, **env: str) -> Any:
    """Run ``code``, and return what it prints last, as JSON."""
    here = Path(__file__).parents[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "ROUTER_V2_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREAMBLE + textwrap.dedent(code)],
        cwd=tmp_path,
        env={
            **kept,
            "PYTHONPATH": os.pathsep.join((str(here), str(here.parent))),
            "OTEL_SHADOW_LOG_FILE": str(tmp_path / "app.log"),
            "OTEL_SHADOW_HASH_KEY": "a key for tests of providers, long",
            **env,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


class TestMeterProvider:
    """Zeros and gauges, wherever the meter provider comes from and whenever."""

    def test_zeros_are_there_at_the_first_look_of_a_provider_that_comes_late(self, tmp_path: Path) -> None:
        """Though nothing has run since: Prometheus would never see the first increase."""
        seen = run(
            tmp_path,
            """
            manager = instrument()
            graph = small_graph()
            reader = InMemoryMetricReader()
            metrics.set_meter_provider(MeterProvider([reader]))
            first = points(reader)
            call(graph); manager.flush(30)
            second = points(reader)
            print(json.dumps([{name: len(first.get(name, ())) for name in ("shadow.executions", "shadow.fallbacks",
                "shadow.comparisons", "shadow.queue.depth")}, sum(p.value for p in second["shadow.executions"])]))
            """,
        )
        assert seen == [
            {"shadow.executions": 9, "shadow.fallbacks": 4, "shadow.comparisons": 9, "shadow.queue.depth": 1},
            1,
        ]

    def test_a_provider_of_a_forked_child_gets_its_own_zeros(self, tmp_path: Path) -> None:
        """A worker that a server forks makes its providers itself."""
        seen = run(
            tmp_path,
            """
            manager = instrument()
            graph = small_graph()
            read, write = os.pipe()
            if not os.fork():
                reader = InMemoryMetricReader()
                metrics.set_meter_provider(MeterProvider([reader]))
                call(graph); manager.flush(30)
                found = points(reader)
                told = [len(found["shadow.fallbacks"]), sum(p.value for p in found["shadow.executions"])]
                os.write(write, json.dumps(told).encode())
                os._exit(0)
            os.wait()
            print(os.read(read, 1000).decode())
            """,
        )
        assert seen == [4, 1]

    def test_gauges_are_one_set_over_all_managers(self, tmp_path: Path) -> None:
        """Three managers one after the other: the newest one's bounds, once, and no errors are forgotten."""
        seen = run(
            tmp_path,
            """
            reader = InMemoryMetricReader()
            metrics.set_meter_provider(MeterProvider([reader]))
            told = []
            for number in range(3):
                manager = instrument(config={"sla": {"parity": 0.9 + number / 100}})
                manager.fault_barrier.counts["sink"] += 1
                call(small_graph()); manager.flush(30)
                found = points(reader)
                value = lambda name, key, of: [p.value for p in found[name] if p.attributes[key] == of]
                bounds = value("shadow.sla.objective", "shadow.criterion", "parity")
                sinks = value("shadow.swallowed", "shadow.operation", "sink")
                told.append([bounds, sinks, len(found["shadow.queue.depth"])])
                ShadowInstrumentor().uninstrument()
                del manager
                gc.collect()
            print(json.dumps(told))
            """,
        )
        assert seen == [[[0.9], [1], 1], [[0.91], [2], 1], [[0.92], [3], 1]]

    def test_managers_side_by_side_are_added_up(self, tmp_path: Path) -> None:
        """The nodes of both have their limiters told, under one name each."""
        seen = run(
            tmp_path,
            """
            from otel_shadow import ShadowConfig, ShadowTrafficManager
            from otel_shadow._langgraph.instrument.attach import attach
            reader = InMemoryMetricReader()
            metrics.set_meter_provider(MeterProvider([reader]))
            managers = [ShadowTrafficManager(ShadowConfig.from_mapping({"arms": {"holdout": 0.0}})) for _ in range(2)]
            for manager, node in zip(managers, ("left", "right")):
                graph = small_graph()
                attach(graph, manager, lambda _, name: v1_like if name == node else None)
                call(graph); manager.flush(30)
            found = points(reader)
            nodes = sorted({p.attributes["shadow.node.name"] for p in found["shadow.limiter.state"]})
            executions = sum(p.value for p in found["shadow.executions"])
            print(json.dumps([nodes, len(found["shadow.queue.depth"]), executions]))
            """,
        )
        assert seen == [["left", "right"], 1, 2]

    def test_a_graph_per_customer_has_series_once_it_runs(self, tmp_path: Path) -> None:
        """The first sixteen nodes have zeros at once; of a hundred others, those that run."""
        seen = run(
            tmp_path,
            """
            reader = InMemoryMetricReader()
            metrics.set_meter_provider(MeterProvider([reader]))
            manager = instrument()
            graphs = [small_graph(name=f"of-{number}") for number in range(100)]
            before = {p.attributes["shadow.graph.name"] for p in points(reader)["shadow.executions"]}
            call(graphs[99]); manager.flush(30)
            found = points(reader)
            after = {p.attributes["shadow.graph.name"] for p in found["shadow.executions"]}
            paused = {p.attributes["shadow.graph.name"] for p in found["shadow.limiter.state"]}
            print(json.dumps([len(before), sorted(after - before), paused == after]))
            """,
        )
        assert seen == [16, ["of-99"], True]


class TestHangs:
    """What hangs in one place starves no other."""

    @pytest.mark.parametrize("kind", ["SimpleSpanProcessor", "BatchSpanProcessor"])
    def test_lines_are_written_while_a_span_exporter_hangs(self, tmp_path: Path, kind: str) -> None:
        """The file is the last evidence: all pairs are in it, at once and after the end."""
        seen = run(
            tmp_path,
            f"""
            provider = TracerProvider()
            provider.add_span_processor({kind}(Hanging()))
            trace.set_tracer_provider(provider)
            import atexit; atexit.register(os._exit, 0)
            manager = instrument(config={{"limits": {{"shutdown_seconds": 1}}}})
            graph = small_graph()
            for number in range(20): call(graph, session=f"s{{number}}")
            done = within(20, lambda: len(lines()) == 20)
            print(json.dumps(len(lines())), flush=True)
            """,
        )
        assert seen == 20

    def test_a_sink_that_hangs_costs_the_others_nothing_and_its_losses_are_counted_by_name(
        self, tmp_path: Path
    ) -> None:
        """Its queue is bounded; metrics, lines and other sinks go on."""
        seen = run(
            tmp_path,
            """
            from otel_shadow import ShadowConfig, ShadowTrafficManager, Sink
            from otel_shadow._langgraph.instrument.attach import attach
            from otel_shadow._runtime import sink_queue
            sink_queue.SinkQueue.__init__.__defaults__ = (5, 1.0)
            class Stuck(Sink):
                def emit(self, record): threading.Event().wait()
            class Swift(Sink):
                seen = 0
                def emit(self, record): Swift.seen += 1
            reader = InMemoryMetricReader()
            metrics.set_meter_provider(MeterProvider([reader]))
            manager = ShadowTrafficManager(ShadowConfig.from_mapping(
                {"arms": {"holdout": 0.0}, "limits": {"shutdown_seconds": 1}}), sinks=[Stuck(), Swift()])
            graph = small_graph()
            attach(graph, manager, lambda _, name: v1_like if name == "left" else None)
            for number in range(20):
                call(graph, session=f"s{number}")
                within(20, lambda: len(lines()) == Swift.seen == number + 1)
            executions = sum(p.value for p in points(reader)["shadow.executions"])
            print(json.dumps([len(lines()), Swift.seen, executions, manager.fault_barrier.counts["dropped_other"]]))
            """,
        )
        assert seen == [20, 20, 20, 14], "one is stuck, five wait"

    def test_standard_error_that_blocks_keeps_no_metric_back(self, tmp_path: Path) -> None:
        """A container whose log driver reads no more: spans and metrics are told all the same."""
        seen = run(
            tmp_path,
            """
            import fcntl
            read, write = os.pipe()
            fcntl.fcntl(write, 1031, 4096)
            os.write(write, b"x" * 4096)
            os.dup2(write, 2)
            reader = InMemoryMetricReader()
            metrics.set_meter_provider(MeterProvider([reader]))
            manager = instrument(config={"limits": {"shutdown_seconds": 1}})
            graph = small_graph()
            for number in range(5): call(graph, session=f"s{number}")
            count = lambda: sum(p.value for p in points(reader)["shadow.executions"])
            within(20, lambda: count() == 5)
            print(json.dumps(count()), flush=True)
            os._exit(0)
            """,
            OTEL_SHADOW_LOG_FILE="stderr",
        )
        assert seen == 5


class TestFlushes:
    """The application flushes or ends its providers: what has been left by then is handed over first."""

    def test_v1s_span_is_exported_by_a_flush_with_the_answer(self, tmp_path: Path) -> None:
        """Serverless: the process is frozen next. V1's own spans don't hang in the air."""
        seen = run(
            tmp_path,
            """
            kept, provider = InMemorySpanExporter(), TracerProvider()
            provider.add_span_processor(BatchSpanProcessor(kept, schedule_delay_millis=60_000))
            trace.set_tracer_provider(provider)
            released = threading.Event()
            manager = instrument(lambda state: released.wait() and {"trail": ["left"]})
            graph, told = small_graph(), []
            for number in range(5):
                call(graph, session=f"s{number}")
                provider.force_flush()
                told.append(sum(s.name == "v1.node" for s in kept.get_finished_spans()))
            released.set()
            print(json.dumps(told))
            """,
        )
        assert seen == [1, 2, 3, 4, 5]

    def test_a_flush_in_a_forked_child_waits_for_the_childs_spans(self, tmp_path: Path) -> None:
        """Though the parent was waiting for a thread that hangs when it was forked."""
        seen = run(
            tmp_path,
            """
            class Gate(InMemorySpanExporter):
                def export(self, spans):
                    if os.getpid() == parent: threading.Event().wait()
                    return super().export(spans)
            parent, kept, provider = os.getpid(), Gate(), TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(kept))
            trace.set_tracer_provider(provider)
            manager = instrument(config={"limits": {"shutdown_seconds": 1}})
            graph = small_graph()
            call(graph)
            provider.force_flush()
            read, write = os.pipe()
            if not os.fork():
                ended = lambda: sum(s.name == "v1.node" for s in kept.get_finished_spans())
                for number in range(1, 6):  # the thread of the queue is asleep when the next one comes
                    call(graph)
                    provider.force_flush()
                    if ended() < number: break
                    time.sleep(0.05)
                os.write(write, json.dumps(ended()).encode())
                os._exit(0)
            os.wait()
            print(os.read(read, 100).decode(), flush=True)
            os._exit(0)
            """,
        )
        assert seen == 5

    def test_a_flush_waits_for_no_exporter_that_hangs(self, tmp_path: Path) -> None:
        """It waits for the thread that ends spans once, a tenth of a second, and not at each flush."""
        seen = run(
            tmp_path,
            """
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(Hanging()))
            trace.set_tracer_provider(provider)
            manager = instrument(config={"limits": {"shutdown_seconds": 1}})
            graph = small_graph()
            ends = manager.record_queue.span_ends
            waits = []
            wait = threading.Event.wait
            threading.Event.wait = lambda self, timeout=None: waits.append(timeout) or wait(self, timeout)
            for number in range(5):
                call(graph, session=f"s{number}")
                provider.force_flush()
            threading.Event.wait = wait
            print(json.dumps(waits.count(0.1)), flush=True)
            os._exit(0)
            """,
        )
        assert seen == 1

    def test_the_spans_of_pairs_are_out_after_a_flush_of_the_manager(self, tmp_path: Path) -> None:
        """``manager.flush`` has the provider export what it holds."""
        seen = run(
            tmp_path,
            """
            kept, provider = InMemorySpanExporter(), TracerProvider()
            provider.add_span_processor(BatchSpanProcessor(kept, schedule_delay_millis=60_000))
            manager = instrument(tracer_provider=provider)
            call(small_graph())
            manager.flush(30)
            print(json.dumps(sorted(s.name for s in kept.get_finished_spans())))
            """,
        )
        assert seen == ["v1.node", "v2.shadow"]

    def test_providers_that_are_made_last_get_all_at_the_end(self, tmp_path: Path) -> None:
        """Their own exit handlers are the younger ones, hence called first, but for ours."""
        run(
            tmp_path,
            """
            class Written(SpanExporter):
                def export(self, spans):
                    with open("spans", "a") as file: file.writelines(f"{s.name}\\n" for s in spans)
                    return SpanExportResult.SUCCESS
                def shutdown(self): pass
            manager = instrument(lambda state: time.sleep(0.3) or {"trail": ["left"]})
            graph = small_graph()
            provider = TracerProvider()
            provider.add_span_processor(BatchSpanProcessor(Written()))
            trace.set_tracer_provider(provider)
            call(graph)
            print(0)
            """,
        )
        assert sorted((tmp_path / "spans").read_text().split()) == ["v1.node", "v2.shadow"]


class TestBuild:
    """V2's build is by default the service's version, as OpenTelemetry's resource has it."""

    @pytest.mark.parametrize(
        ("resource", "environment", "build"),
        [
            ({"service.version": "2.1.0"}, "", "2.1.0"),
            ({"service.version": "2.1.0"}, "service.version=1.0.0", "2.1.0"),
            ({}, "service.version=2.1.0%2B7,service.name=shop", "2.1.0+7"),
            ({}, "", "unversioned"),
        ],
    )
    def test_the_resource_names_it(
        self, tmp_path: Path, resource: dict[str, str], environment: str, build: str
    ) -> None:
        """Set in code, by the variable, by both."""
        seen = run(
            tmp_path,
            f"""
            trace.set_tracer_provider(TracerProvider(resource=Resource.create({resource!r})))
            manager = instrument()
            call(small_graph()); manager.flush(30)
            print(json.dumps([line["v2_build"] for line in lines()]))
            """,
            **({"OTEL_RESOURCE_ATTRIBUTES": environment} if environment else {}),
        )
        assert seen == [build]

    def test_a_provider_that_comes_late_names_it_from_then_on(self, tmp_path: Path) -> None:
        """Made after the graph, it counts; a meter provider alone will do."""
        seen = run(
            tmp_path,
            """
            manager = instrument()
            graph = small_graph()
            call(graph); manager.flush(30)
            metrics.set_meter_provider(MeterProvider(resource=Resource.create({"service.version": "3"})))
            call(graph); manager.flush(30)
            print(json.dumps([line["v2_build"] for line in lines()]))
            """,
        )
        assert seen == ["unversioned", "3"]


class TestSpans:
    """What samplers and limits see."""

    def test_a_sampler_by_attributes_sees_the_same_of_both_sides(self, tmp_path: Path) -> None:
        """Graph, node, mode and arm are there when a span starts."""
        seen = run(
            tmp_path,
            """
            from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
            told = {}
            class Noting(Sampler):
                def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, *_, **__):
                    told[name] = dict(attributes or {})
                    return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
                def get_description(self): return "noting"
            trace.set_tracer_provider(TracerProvider(sampler=Noting()))
            manager = instrument()
            call(small_graph(name="shop")); manager.flush(30)
            print(json.dumps(told))
            """,
        )
        shared = {
            "shadow.graph.name": "shop",
            "shadow.node.name": "left",
            "shadow.mode": "v2_shadow",
            "shadow.arm": "shadowed",
        }
        assert seen == {
            "v1.node": {**shared, "shadow.version": "v1"},
            "v2.shadow": {**shared, "shadow.version": "v2"},
        }

    def test_a_processor_that_is_added_later_sees_attributes_at_the_start(self, tmp_path: Path) -> None:
        """While the SDK's own processors and samplers are alone, which read none then, V1 is spared their cost."""
        seen = run(
            tmp_path,
            """
            from opentelemetry.sdk.trace import SpanProcessor
            provider, told = TracerProvider(), []
            provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
            class Noting(SpanProcessor):
                def on_start(self, span, parent_context=None):
                    told.append((span.name, span.attributes.get("shadow.node.name")))
            manager = instrument(tracer_provider=provider)
            graph = small_graph()
            call(graph); manager.flush(30)
            before = manager.spans._is_read
            provider.add_span_processor(Noting())
            for _ in range(2): call(graph); manager.flush(30)
            print(json.dumps([before, manager.spans._is_read, [one for one in told if one[0] == "v1.node"]]))
            """,
        )
        assert seen == [False, True, [["v1.node", None], ["v1.node", "left"]]]

    @pytest.mark.parametrize("limit", [8, 12, 18])
    def test_a_limit_on_attributes_drops_the_least_important(self, tmp_path: Path, limit: int) -> None:
        """What identifies the pair and its outcome stay."""
        seen = run(
            tmp_path,
            """
            kept, provider = InMemorySpanExporter(), TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(kept))
            trace.set_tracer_provider(provider)
            logging.disable(logging.CRITICAL)
            manager = instrument()
            call(small_graph()); manager.flush(30)
            print(json.dumps({s.name: list(s.attributes) for s in kept.get_finished_spans()}))
            """,
            OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=str(limit),
        )
        identity = [
            "shadow.graph.name",
            "shadow.node.name",
            "shadow.mode",
            "shadow.arm",
            "shadow.version",
            "shadow.pair.id",
        ]
        assert seen["v1.node"][-6:] == identity
        assert seen["v2.shadow"][-8:] == [*identity, "shadow.status", "shadow.comparison"]

    def test_the_scope_has_a_version_and_a_schema_url(self, tmp_path: Path) -> None:
        """In all three signals."""
        seen = run(
            tmp_path,
            """
            from opentelemetry.sdk._logs import LoggerProvider
            from opentelemetry.sdk._logs import export
            kept, provider = InMemorySpanExporter(), TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(kept))
            trace.set_tracer_provider(provider)
            reader = InMemoryMetricReader()
            metrics.set_meter_provider(MeterProvider([reader]))
            InMemory = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter
            events, logs = InMemory(), LoggerProvider()
            logs.add_log_record_processor(export.SimpleLogRecordProcessor(events))
            _logs.set_logger_provider(logs)
            manager = instrument()
            call(small_graph()); manager.flush(30)
            scopes = [s.instrumentation_scope for s in kept.get_finished_spans()]
            found = [s for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics]
            scopes += [s.scope for s in found if s.scope.name == "otel_shadow"]
            scopes += [one.instrumentation_scope for one in events.get_finished_logs()]
            print(json.dumps(sorted({(s.name, s.version, s.schema_url) for s in scopes})))
            """,
        )
        from otel_shadow import semconv

        assert seen == [["otel_shadow", semconv.scope_version(), semconv.SCHEMA_URL]]
