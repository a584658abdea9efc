"""The pair of spans: names, parents, links, attributes with their types, and nothing of what was said."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from frozen import frozen
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import interrupt
from opentelemetry import baggage, context, trace
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from small_graphs import State, awaited, call, left, small_graph

from otel_shadow import semconv
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._runtime.shadow_context import is_shadow
from otel_shadow._runtime.sinks import Sink
from otel_shadow._telemetry.spans import OtelSpans
from otel_shadow.config import ShadowConfig
from otel_shadow.testing.capture import CapturedSpan, ShadowCapture, default_flags

TESTS = Path(__file__).resolve().parents[1]
MakeCapture = Callable[..., ShadowCapture]
BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def one(spans: list[CapturedSpan], name: str) -> CapturedSpan:
    (found,) = (span for span in spans if span.name == name)
    return found


def traced(name: str) -> Callable[[State], dict[str, Any]]:
    """A node with a span of its own, made by whoever instruments models."""

    def node(state: State) -> dict[str, Any]:
        with trace.get_tracer("llm", tracer_provider=PROVIDERS[0]).start_as_current_span(name):
            return left(state)

    return node


PROVIDERS: list[Any] = []


@pytest.fixture
def capture(make_shadow_capture: MakeCapture, monkeypatch: pytest.MonkeyPatch) -> ShadowCapture:
    monkeypatch.setattr(ShadowConfig, "digest", "0123456789ab")  # it changes with every key that the file gains
    made = make_shadow_capture({"session": {"message": "text", "steps": ["one"], "stage": "next_node"}})
    PROVIDERS[:] = [made.tracer_provider]
    return made


def test_the_pair_is_a_contract(capture: ShadowCapture) -> None:
    """Names, attributes with types and values, of both spans of a mismatch: frozen."""
    v2 = {"left": lambda _: {"trail": ["left"], "current_step": "two", "next_node": "__end__"}}
    call(capture.attach(small_graph(), v2))
    seen = [
        {
            "name": span.name,
            "status": span.status,
            "attributes": {name: f"{type(value).__name__}: {value}" for name, value in sorted(span.attributes.items())},
            "parent": span.parent_id,
            "links": list(span.links),
            "events": list(span.events),
        }
        for span in capture.spans()
    ]
    seen = json.loads(json.dumps(seen))
    assert seen == frozen("spans.json", seen)


@BOTH
def test_the_pair_are_siblings_and_linked(capture: ShadowCapture, is_async: bool) -> None:
    """Under a span of the application's both are its children, of one trace; the shadow links to its ``v1.node``."""
    graph = capture.attach(small_graph(awaited(left) if is_async else left), {"left": left})
    with capture.tracer_provider.get_tracer("app").start_as_current_span("request"):
        call(graph, is_async=is_async)
    spans = capture.spans()
    request, v1, v2 = (one(spans, name) for name in ("request", "v1.node", "v2.shadow"))
    assert {span.trace_id for span in spans} == {request.trace_id}
    assert (v1.parent_id, v2.parent_id) == (request.span_id, request.span_id)
    assert (v1.links, v2.links) == ((), (v1.span_id,))


def test_without_a_parent_the_shadow_is_its_v1s_child(capture: ShadowCapture) -> None:
    """So the pair stays in one trace."""
    call(capture.attach(small_graph(), {"left": left}))
    v1, v2 = capture.spans()
    assert (v1.name, v1.parent_id, v2.name, v2.parent_id) == ("v1.node", None, "v2.shadow", v1.span_id)
    assert v1.trace_id == v2.trace_id


@BOTH
def test_what_each_version_does_nests_under_it(capture: ShadowCapture, is_async: bool) -> None:
    """V1's model calls are children of ``v1.node``, V2's of ``v2.shadow``; only V2's carry the mark."""
    v1, v2 = traced("model v1"), traced("model v2")
    graph = capture.attach(small_graph(awaited(v1) if is_async else v1), {"left": awaited(v2) if is_async else v2})
    call(graph, is_async=is_async)
    spans = capture.spans()
    assert one(spans, "model v1").parent_id == one(spans, "v1.node").span_id
    assert one(spans, "model v2").parent_id == one(spans, "v2.shadow").span_id
    assert semconv.MODE not in one(spans, "model v1").attributes
    assert one(spans, "model v2").attributes[semconv.MODE] == "v2_shadow"


def test_a_thread_of_v2s_own_is_marked_by_opentelemetrys_context(capture: ShadowCapture) -> None:
    """A thread that carries OpenTelemetry's context, and nothing of ours, still makes marked spans."""

    def v2(state: State) -> dict[str, Any]:
        here = context.get_current()

        def other() -> None:
            context.attach(here)
            capture.tracer_provider.get_tracer("llm").start_span("elsewhere").end()

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return left(state)

    call(capture.attach(small_graph(), {"left": v2}))
    assert one(capture.spans(), "elsewhere").attributes[semconv.MODE] == "v2_shadow"


def test_v2_sees_the_baggage_that_v1_saw(make_shadow_capture: MakeCapture) -> None:
    """And no more; with ``propagate = "all"`` the mark too, for every client sends its baggage."""
    seen: dict[str, Any] = {}

    def says(who: str) -> Callable[[State], dict[str, Any]]:
        def node(state: State) -> dict[str, Any]:
            seen[who] = dict(baggage.get_all())
            return left(state)

        return node

    token = context.attach(baggage.set_baggage("tenant", "t1"))
    try:
        for propagate in ("none", "internal hosts", "all"):
            capture = make_shadow_capture({"privacy": {"propagate": propagate}})
            call(capture.attach(small_graph(says("v1")), {"left": says(propagate)}))
            capture.settle()
    finally:
        context.detach(token)
    assert seen == {
        "v1": {"tenant": "t1"},
        "none": {"tenant": "t1"},
        "internal hosts": {"tenant": "t1"},
        "all": {"tenant": "t1", "shadow.mode": "v2_shadow"},
    }


def test_the_callers_context_is_as_it_was(capture: ShadowCapture) -> None:
    """After the node the caller's span is current again, also when V1 raised."""

    def failing(state: State) -> Any:
        raise ValueError

    tracer = capture.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("request") as request:
        call(capture.attach(small_graph(), {"left": left}))
        assert trace.get_current_span() is request
        with pytest.raises(ValueError):
            call(capture.attach(small_graph(failing), {"left": left}))
        assert trace.get_current_span() is request


def test_v1s_span_lies_within_its_parents(capture: ShadowCapture) -> None:
    """It ends when V1 does, though it is finished off V1's path; the shadow's may end after the root."""
    gate = threading.Event()

    def slow(state: State) -> dict[str, Any]:
        gate.wait(30)
        return left(state)

    graph = capture.attach(small_graph(), {"left": slow})
    with capture.tracer_provider.get_tracer("app").start_as_current_span("request"):
        call(graph)
    gate.set()
    spans = capture.spans(still=False)
    request, v1, v2 = (one(spans, name) for name in ("request", "v1.node", "v2.shadow"))
    assert request.started_ns <= v1.started_ns <= v1.ended_ns <= request.ended_ns
    assert v2.ended_ns > request.ended_ns


@pytest.mark.parametrize(
    ("kind", "status", "error", "span_status"),
    [
        ("success", "success", None, "UNSET"),
        ("error", "error", "ZeroDivisionError", "ERROR"),
        ("timeout", "timeout", "timeout", "ERROR"),
        ("interrupt", "interrupt", None, "UNSET"),
    ],
)
def test_every_shadow_that_started_has_a_span(
    make_shadow_capture: MakeCapture, kind: str, status: str, error: str | None, span_status: str
) -> None:
    """Whatever became of it: status, the error's type, and no event, for events would hold messages and stacks."""
    gate = threading.Event()

    def v2(state: State) -> Any:
        match kind:
            case "error":
                return 1 / 0
            case "timeout":
                return gate.wait(60)
            case "interrupt":
                return interrupt("may I?")
        return left(state)

    capture = make_shadow_capture({"flags": {"timeout_ms": 100}})
    call(capture.attach(small_graph(checkpointer=InMemorySaver()), {"left": v2}))
    span = one(capture.spans(), "v2.shadow")
    gate.set()
    assert (span.attributes[semconv.STATUS], span.status, span.events) == (status, span_status, ())
    assert span.attributes.get(semconv.ERROR_TYPE) == error


def test_a_shadow_that_the_end_of_the_process_cut_off_has_a_span(shadow_capture: ShadowCapture) -> None:
    """Shutting down does not wait for a V2 that hangs: it is recorded as cancelled."""
    gate, began = threading.Event(), threading.Event()

    def v2(state: State) -> Any:
        began.set()
        gate.wait(60)

    call(shadow_capture.attach(small_graph(), {"left": v2}))
    assert began.wait(30)
    shadow_capture.manager.shutdown(0.2)
    gate.set()
    assert one(shadow_capture.spans(), "v2.shadow").attributes[semconv.STATUS] == "cancelled"


def test_v1s_exception_is_a_type_and_a_status(shadow_capture: ShadowCapture) -> None:
    """Neither the message nor the stack trace of V1's exception is exported; nor is a description of the status."""

    def failing(state: State) -> Any:
        raise ValueError("Maria Silva")

    with pytest.raises(ValueError):
        call(shadow_capture.attach(small_graph(failing), {"left": left}))
    v1 = one(shadow_capture.spans(), "v1.node")
    assert (v1.status, v1.attributes[semconv.ERROR_TYPE], v1.events) == ("ERROR", "ValueError", ())
    assert b"Maria" not in shadow_capture.exported()["spans"]


def test_a_holdout_has_its_v1_span(make_shadow_capture: MakeCapture) -> None:
    """The baseline is measured through the same wrapper, span included."""
    capture = make_shadow_capture({"arms": {"holdout": 1.0}})
    call(capture.attach(small_graph(), {"left": left}))
    (span,) = capture.spans()
    assert (span.name, span.attributes[semconv.ARM]) == ("v1.node", "holdout")


class Kept(Sink):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def emit(self, record: Any) -> None:
        self.seen.append(record)


def run_with(provider: Any) -> Any:
    """One pair's record under ``provider``."""
    kept, config = Kept(), ShadowConfig.from_mapping({"arms": {"holdout": 0.0}})
    manager = ShadowTrafficManager(
        config, default_flags(config), tracer_provider=provider, log_file="/dev/null", sinks=[kept]
    )
    from otel_shadow import ShadowIntegrationMiddleware

    call(ShadowIntegrationMiddleware({"left": left}, manager).attach(small_graph()))
    assert manager.flush(30)
    manager.shutdown(1)
    assert manager.fault_barrier.counts == {}
    (record,) = kept.seen
    return record


def test_unsampled_traces_have_records_all_the_same() -> None:
    """Head sampling drops spans, never metrics or lines; the line still has the trace id."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    record = run_with(provider)
    assert (record.trace_sampled, str(record.comparison.outcome)) == (False, "match")
    assert len(record.trace_id) == 32
    assert len(record.v2.span_id) == 16


def test_without_a_provider_there_are_records_without_ids() -> None:
    """Nobody configured OpenTelemetry: nothing breaks, and ids are absent, not zeros."""
    record = run_with(trace.NoOpTracerProvider())
    assert (record.trace_id, record.v1.span_id, record.v2.span_id) == (None, None, None)


def test_a_provider_that_is_set_later_is_used() -> None:
    """The application configures OpenTelemetry after we were built: spans and metrics go there."""
    code = """
from opentelemetry import metrics, trace
from otel_shadow import ShadowIntegrationMiddleware
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow.config import ShadowConfig
from small_graphs import call, left, small_graph
manager = ShadowTrafficManager(ShadowConfig.from_mapping({"arms": {"holdout": 0.0}}), log_file="/dev/null")
graph = ShadowIntegrationMiddleware({"left": left}, manager).attach(small_graph())
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
spans, reader, provider = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))
def v2(state):
    with trace.get_tracer("llm").start_as_current_span("model"):
        return left(state)
graph = ShadowIntegrationMiddleware({"left": v2}, manager).attach(small_graph())
call(graph)
assert manager.flush(30)
print(sorted((span.name, span.attributes.get("shadow.mode", "")) for span in spans.get_finished_spans()))
found = reader.get_metrics_data().resource_metrics[0].scope_metrics
print(any(m.name == "shadow.node.duration" for scope in found for m in scope.metrics))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "[('model', 'v2_shadow'), ('v1.node', 'v2_shadow'), ('v2.shadow', 'v2_shadow')]",
        "True",
    ], done.stderr


@pytest.mark.parametrize("trusted", [False, True])
def test_a_mark_from_outside_is_believed_where_that_is_configured(
    make_shadow_capture: MakeCapture, trusted: bool
) -> None:
    """Else whoever calls could hide production's spans from boards that leave out shadow traffic."""
    capture = make_shadow_capture({"privacy": {"trust_incoming_mark": trusted}})
    PROVIDERS[:] = [capture.tracer_provider]
    graph = capture.attach(small_graph(traced("model v1")), {"left": traced("model v2")})
    token = context.attach(baggage.set_baggage(semconv.BAGGAGE_MODE, "v2_shadow"))
    try:
        with capture.tracer_provider.get_tracer("web").start_as_current_span("request"):
            call(graph)
        capture.settle()
        capture.manager.spans.close()  # type: ignore[attr-defined]
        capture.tracer_provider.get_tracer("web").start_span("after the end").end()
    finally:
        context.detach(token)
    spans = capture.spans()
    marks = {span.name: span.attributes.get(semconv.MODE) for span in spans if span.name in EXPECTED}
    production = "v2_shadow" if trusted else None
    assert marks == {
        "request": production, "model v1": production, "model v2": "v2_shadow", "after the end": None,
    }  # fmt: skip
    assert one(spans, "v1.node").attributes[semconv.VERSION] == "v1"


EXPECTED = ("request", "model v1", "model v2", "after the end")


def test_every_provider_marks_and_keeps_its_processors(capture: ShadowCapture) -> None:
    """Also a provider of an instrumentation's own, made early or late; one whose class gives up its default processor
    for any other (as Phoenix's does) keeps it.
    """

    class Jealous(TracerProvider):
        def add_span_processor(self, span_processor: Any) -> None:
            raise AssertionError("a processor of ours")

    exporter = InMemorySpanExporter()
    early = Jealous(shutdown_on_exit=False)
    early._active_span_processor.add_span_processor(SimpleSpanProcessor(exporter))

    def node(state: State) -> dict[str, Any]:
        late = TracerProvider(shutdown_on_exit=False)
        late.add_span_processor(SimpleSpanProcessor(exporter))
        name = "of V2" if is_shadow() else "of V1"
        for provider in (early, late):
            provider.get_tracer("somebody's").start_span(name).end()
        return left(state)

    call(capture.attach(small_graph(node), {"left": node}))
    capture.settle()
    marks = {(span.name, span.attributes.get(semconv.VERSION)) for span in exporter.get_finished_spans()}
    assert marks == {("of V1", None), ("of V2", "v2")}


@pytest.mark.filterwarnings("ignore:LogRecord init with")  # the SDK 1.37 warns of what it does by itself
def test_log_records_of_v2_are_marked(capture: ShadowCapture) -> None:
    """Whatever provider they go to; V1's are not."""
    told: list[tuple[Any, Any]] = []

    class Noting(LogRecordProcessor):
        def on_emit(self, record: Any) -> None:
            told.append((record.log_record.body, (record.log_record.attributes or {}).get(semconv.VERSION)))

        def shutdown(self) -> None:
            """Do nothing."""

        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(Noting())

    def node(state: State) -> dict[str, Any]:
        body = "of V2" if is_shadow() else "of V1"
        provider.get_logger("somebody's").emit(LogRecord(body=body, context=context.get_current()))
        return left(state)

    call(capture.attach(small_graph(node), {"left": node}))
    capture.settle()
    assert told == [("of V1", None), ("of V2", "v2")]


def test_an_inner_pair_lies_inside_the_outer_node(capture: ShadowCapture) -> None:
    """Where an instrumentation makes the run's span current inside both nodes, the inner pair stays siblings."""
    tracer = capture.tracer_provider.get_tracer("langchain")
    inner = capture.attach(small_graph(name="inner"), {"left": left})

    def outer(state: State) -> dict[str, Any]:
        token = context.attach(runs[0])  # what OpenLLMetry and the GenAI instrumentation do
        try:
            call(inner)
        finally:
            context.detach(token)
        return left(state)

    graph = capture.attach(small_graph(outer, name="outer"), {"left": left})
    with tracer.start_as_current_span("run"):
        runs = [context.get_current()]
        call(graph)
    spans = capture.spans()
    by_id = {span.span_id: span for span in spans}
    outer_v1 = next(span for span in spans if span.name == "v1.node" and span.attributes[semconv.GRAPH] == "outer")
    pair = [span for span in spans if span.attributes.get(semconv.GRAPH) == "inner"]
    assert sorted(span.name for span in pair) == ["v1.node", "v2.shadow"]
    assert {by_id[span.parent_id or ""].span_id for span in pair} == {outer_v1.span_id}


def test_instrumentations_can_be_silenced_inside_the_shadow(make_shadow_capture: MakeCapture) -> None:
    """``[privacy] suppress_instrumentation``: model instrumentations record prompts by rules of their own."""
    seen: list[Any] = []
    capture = make_shadow_capture({"privacy": {"suppress_instrumentation": True}})

    def v2(state: State) -> dict[str, Any]:
        seen.append(context.get_value("suppress_instrumentation"))
        return left(state)

    call(capture.attach(small_graph(), {"left": v2}))
    capture.settle()
    assert seen == [True]


def test_a_tracer_that_raises_is_not_felt(shadow_capture: ShadowCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken tracer costs spans, not answers: V1 is served, the pair recorded, the error counted."""

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no spans today")

    monkeypatch.setattr(shadow_capture.tracer_provider, "get_tracer", broken)
    spans = shadow_capture.manager.spans
    assert isinstance(spans, OtelSpans)
    monkeypatch.setattr(spans._tracer, "start_span", broken)
    assert call(shadow_capture.attach(small_graph(), {"left": left}))["trail"] == ["left", "right"]
    assert [str(record.comparison.outcome) for record in shadow_capture.records] == ["match"]
    assert shadow_capture.swallowed["span"] == 2
