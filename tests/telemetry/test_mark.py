"""The mark of a shadow: on whatever V2 causes, whoever records it, and on nothing else."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry._logs import Logger as ApiLogger
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from small_graphs import State, awaited, call, left, small_graph

from otel_shadow import semconv
from otel_shadow._runtime.shadow_context import is_shadow
from otel_shadow._telemetry import shadow_mark
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
MARK = {semconv.MODE: "v2_shadow", semconv.VERSION: "v2"}


class Composite(SpanProcessor):
    """A vendor's own in place of the SDK's, which calls its processors by other means."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self.export = SimpleSpanProcessor(exporter)
        self.at_start: list[dict[str, Any]] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.at_start.append(dict(span.attributes or {}))

    def on_end(self, span: Any) -> None:
        self.export.on_end(span)


class Wrapper(trace.TracerProvider):
    """A vendor's provider around the SDK's, whose tracers and spans are the vendor's, too."""

    def __init__(self, inner: TracerProvider) -> None:
        self.inner = inner

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return WrappingTracer(self.inner.get_tracer(*args, **kwargs))


class WrappingTracer(trace.Tracer):
    def __init__(self, inner: trace.Tracer) -> None:
        self.inner = inner

    def start_span(self, name: str, context: Any = None, *args: Any, **kwargs: Any) -> Any:
        return self.inner.start_span(name, context, *args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner.start_as_current_span(*args, **kwargs)


class ForeignSpan(trace.NonRecordingSpan):
    """A span of an agent that has no SDK."""

    def __init__(self, name: str, attributes: Any) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.name = name
        self.attributes = dict(attributes or {})


class ForeignTracer(trace.Tracer):
    """An agent's tracer: it implements the API, without the SDK."""

    def __init__(self) -> None:
        self.spans: list[ForeignSpan] = []

    def start_span(
        self, name: str, context: Any = None, kind: Any = None, attributes: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        self.spans.append(ForeignSpan(name, attributes))
        return self.spans[-1]

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return trace.use_span(self.start_span(*args, **kwargs))


def kept(provider: TracerProvider) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def pair_of(make: MakeCapture, node: Callable[[str], object], is_async: bool = False, **config: Any) -> ShadowCapture:
    """Run ``node`` in V1 and in V2, with who is running."""

    def run(state: State) -> dict[str, Any]:
        node("V2" if is_shadow() else "V1")
        return left(state)

    capture = make(config)
    capture.attach(graph := small_graph(awaited(run) if is_async else run), {"left": awaited(run) if is_async else run})
    call(graph, is_async=is_async)
    capture.settle()
    return capture


def marks(spans: Any) -> dict[str, dict[str, Any]]:
    return {span.name: {key: span.attributes[key] for key in MARK if key in span.attributes} for span in spans}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_spans_are_marked_whatever_the_providers_processor_is(make_shadow_capture: MakeCapture, is_async: bool) -> None:
    """A composite of a vendor's is not one of the SDK's two: what it calls sees the mark when the span starts."""
    exporter = InMemorySpanExporter()
    composite = Composite(exporter)
    provider = TracerProvider(active_span_processor=composite, shutdown_on_exit=False)  # type: ignore[arg-type]
    tracer = Wrapper(provider).get_tracer("vendor")
    pair_of(make_shadow_capture, lambda who: tracer.start_span(f"chat of {who}", attributes={"a": 1}).end(), is_async)
    assert composite.at_start == [{"a": 1}, {"a": 1, **MARK}]
    assert marks(exporter.get_finished_spans()) == {"chat of V1": {}, "chat of V2": MARK}


def test_spans_of_an_agent_without_the_sdk_are_marked(make_shadow_capture: MakeCapture) -> None:
    """Agents of vendors implement the API's tracer by themselves."""
    tracer = ForeignTracer()
    pair_of(make_shadow_capture, lambda who: tracer.start_span(f"chat of {who}"))
    assert marks(tracer.spans) == {"chat of V1": {}, "chat of V2": MARK}


def test_a_sampler_sees_the_mark(make_shadow_capture: MakeCapture) -> None:
    """So that a rule can keep or drop what V2 does, at the head."""
    seen: dict[str, Any] = {}

    class Noting(Sampler):
        def should_sample(self, context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any) -> SamplingResult:
            seen[name] = dict((args[1] if len(args) > 1 else kwargs.get("attributes")) or {})
            return SamplingResult(Decision.DROP)

        def get_description(self) -> str:
            return "noting"

    tracer = TracerProvider(sampler=Noting(), shutdown_on_exit=False).get_tracer("llm")
    pair_of(make_shadow_capture, lambda who: tracer.start_span(f"chat of {who}").end())
    assert seen == {"chat of V1": {}, "chat of V2": MARK}


def test_the_mark_outlives_the_limit_of_attributes(make_shadow_capture: MakeCapture) -> None:
    """An instrumentation that sets more attributes than a span may have pushes out the oldest, not the mark."""
    provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=8), shutdown_on_exit=False)
    exporter = kept(provider)

    def chat(who: str) -> None:
        with provider.get_tracer("llm").start_as_current_span(f"chat of {who}") as span:
            for number in range(20):
                span.set_attribute(f"llm.message.{number}", "hello")

    pair_of(make_shadow_capture, chat)
    v1, v2 = exporter.get_finished_spans()
    assert marks([v1, v2]) == {"chat of V1": {}, "chat of V2": MARK}
    assert (len(v1.attributes or {}), len(v2.attributes or {})) == (8, 8)


def test_what_a_span_does_at_its_end_is_the_same(make_shadow_capture: MakeCapture) -> None:
    """A marked span ends at the time given, once, and its second end is as the SDK's."""
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = kept(provider)

    def chat(who: str) -> None:
        span = provider.get_tracer("llm").start_span("chat", start_time=1)
        span.end(end_time=2)
        span.end(end_time=3)

    pair_of(make_shadow_capture, chat)
    assert [(span.start_time, span.end_time) for span in exporter.get_finished_spans()] == [(1, 2), (1, 2)]


class Records(LogRecordProcessor):
    """A vendor's composite of log processors, in place of the SDK's."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, dict[str, Any]]] = []

    def on_emit(self, record: Any) -> None:
        inner = record.log_record
        self.seen.append((inner.body, {key: value for key, value in (inner.attributes or {}).items() if key in MARK}))

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


@pytest.mark.filterwarnings("ignore:LogRecord init with")  # the SDK 1.37 warns of what it does by itself
@pytest.mark.parametrize("attributes", [None, {"a": 1}])
def test_records_are_marked_whatever_the_providers_processor_is(
    make_shadow_capture: MakeCapture, attributes: dict[str, Any] | None
) -> None:
    """And the caller's own attributes are left as they were."""
    records = Records()
    provider = LoggerProvider(multi_log_record_processor=records, shutdown_on_exit=False)  # type: ignore[arg-type]

    def say(who: str) -> None:
        record = LogRecord(body=f"of {who}", context=context.get_current(), attributes=attributes)
        provider.get_logger("shop").emit(record)

    pair_of(make_shadow_capture, say)
    assert records.seen == [("of V1", {}), ("of V2", MARK)]
    assert attributes in (None, {"a": 1})


def test_records_of_an_agent_without_the_sdk_are_marked(make_shadow_capture: MakeCapture) -> None:
    """By a record or by its parts."""
    told: list[Any] = []

    class Foreign(ApiLogger):
        def enabled(self, **_: Any) -> bool:
            return True

        def emit(self, record: Any = None, **parts: Any) -> None:
            told.append(dict((parts.get("attributes") if record is None else record.attributes) or {}))

    def say(who: str) -> None:
        Foreign("agent").emit(LogRecord(body=who, context=context.get_current()))
        Foreign("agent").emit(body=who, attributes={"a": 1})

    pair_of(make_shadow_capture, say)
    assert told == [{}, {"a": 1}, MARK, {"a": 1, **MARK}]


@pytest.mark.filterwarnings("ignore:LogRecord init with")
def test_a_thread_that_carries_only_opentelemetrys_context_is_marked(make_shadow_capture: MakeCapture) -> None:
    """As the threading instrumentation starts it: spans and records, in every mode of propagation."""
    provider, records = TracerProvider(shutdown_on_exit=False), Records()
    exporter = kept(provider)
    logs = LoggerProvider(multi_log_record_processor=records, shutdown_on_exit=False)  # type: ignore[arg-type]

    def in_a_thread(who: str) -> None:
        here = context.get_current()

        def other() -> None:
            context.attach(here)
            provider.get_tracer("llm").start_span(f"chat of {who}").end()
            logs.get_logger("shop").emit(LogRecord(body=f"of {who}"))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    pair_of(make_shadow_capture, in_a_thread, privacy={"propagate": "none"})
    assert marks(exporter.get_finished_spans()) == {"chat of V1": {}, "chat of V2": MARK}
    assert records.seen == [("of V1", {}), ("of V2", MARK)]


@pytest.fixture
def wrapped_again() -> Iterator[None]:
    """A second copy of the module, as a reload makes it, beside the first; both wrap."""
    before = {kind: vars(kind)[method] for kind, method in _wrapped()}
    hooks = {base: vars(base)["__init_subclass__"] for base in (trace.Tracer, ApiLogger)}
    spec = importlib.util.find_spec(shadow_mark.__name__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    copy.wrap_in_subclasses(trace.Tracer, "start_span", copy._marking_spans)
    copy.wrap_in_subclasses(ApiLogger, "emit", copy._marking_records)
    yield
    for (kind, method), original in zip(_wrapped(), before.values(), strict=True):
        setattr(kind, method, original)
    for base, hook in hooks.items():
        base.__init_subclass__ = hook  # type: ignore[assignment, method-assign]


def _wrapped() -> list[tuple[Any, str]]:
    from opentelemetry.sdk._logs import Logger
    from opentelemetry.sdk.trace import Tracer

    return [(Tracer, "start_span"), (Logger, "emit")]


@pytest.mark.filterwarnings("ignore:LogRecord init with")
def test_wrapping_twice_does_no_harm(make_shadow_capture: MakeCapture, request: pytest.FixtureRequest) -> None:
    """Two copies of otel-shadow in a process, or one that was loaded anew: one mark, and each span once."""
    pair_of(make_shadow_capture, lambda who: None)  # wrapped once
    request.getfixturevalue("wrapped_again")
    provider, records = TracerProvider(shutdown_on_exit=False), Records()
    exporter = kept(provider)
    logs = LoggerProvider(multi_log_record_processor=records, shutdown_on_exit=False)  # type: ignore[arg-type]

    def both(who: str) -> None:
        provider.get_tracer("llm").start_span(f"chat of {who}").end()
        logs.get_logger("shop").emit(LogRecord(body=f"of {who}", context=context.get_current()))

    pair_of(make_shadow_capture, both)
    assert [span.name for span in exporter.get_finished_spans()] == ["chat of V1", "chat of V2"]
    assert marks(exporter.get_finished_spans()) == {"chat of V1": {}, "chat of V2": MARK}
    assert records.seen == [("of V1", {}), ("of V2", MARK)]
