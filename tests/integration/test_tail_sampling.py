"""What the Collector keeps of the traces, told by Jaeger: everything worth looking at, and a share of the rest."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from application import Application
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import StatusCode
from real_servers import ROOT, Collector, Jaeger
from waiting import until

from otel_shadow import semconv
from otel_shadow._doctor import Severity
from otel_shadow._doctor.collector_wait import check_wait
from otel_shadow.config import ShadowConfig

pytestmark = pytest.mark.servers

WAIT_S = 4.0
SHARE = 0.25
SETTINGS = {
    "COLLECTOR_WAIT_AFTER_ROOT": f"{WAIT_S:.0f}s", "COLLECTOR_WAIT": "30s", "COLLECTOR_SLOW_DELTA_MS": "250",
    "COLLECTOR_KEEP_PERCENT": "0",
}  # fmt: skip
GOOD: dict[str, Any] = {
    semconv.STATUS: "success", semconv.COMPARISON: "match", semconv.DECISION_MATCH: True, semconv.STEPS_MATCH: True,
    semconv.V1_LATENCY_MS: 20.5, semconv.V2_LATENCY_MS: 21.0, semconv.LATENCY_DELTA_MS: 0.5, semconv.V1_SERVED: True,
}  # fmt: skip


class Repeatable(IdGenerator):
    """Ids from a seed: the share of the rest is chosen by the trace id, so the test sees the same one every time."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128) or 1


class Sender:
    """Sends pairs to one Collector, span by span; ``seed`` sets their ids apart from other tests'."""

    def __init__(self, collector: Collector, seed: str) -> None:
        self.provider = TracerProvider(id_generator=Repeatable(seed), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=collector.grpc, insecure=True)
        self.provider.add_span_processor(SimpleSpanProcessor(exporter))
        self.tracer = self.provider.get_tracer(semconv.SCOPE)

    def begin(self) -> tuple[str, Span, Span]:
        """A request that has ended, its `v1.node`, and its shadow, still open."""
        root = self.tracer.start_span("request")
        inside = trace.set_span_in_context(root)
        self.tracer.start_span(semconv.SPAN_V1_NODE, inside).end()
        shadow = self.tracer.start_span(semconv.SPAN_V2_SHADOW, inside)
        root.end()
        return trace.format_trace_id(root.get_span_context().trace_id), root, shadow  # type: ignore[return-value]

    def pair(self, failed: bool = False, **changed: Any) -> str:
        """A whole pair; keywords are names of semconv's constants."""
        trace_id, _, shadow = self.begin()
        self.finish(shadow, failed, **changed)
        return trace_id

    def finish(self, shadow: Span, failed: bool = False, **changed: Any) -> None:
        shadow.set_attributes(GOOD | {getattr(semconv, name): value for name, value in changed.items()})
        if failed:
            shadow.set_status(StatusCode.ERROR)
        shadow.end()


@pytest.fixture(scope="module")
def sampling(tmp_path_factory: pytest.TempPathFactory, jaeger: Jaeger) -> Iterator[Collector]:
    """The same configuration, with nothing of the rest kept and shorter waits."""
    nowhere = "http://127.0.0.1:9/api/v1/otlp"
    server = Collector(tmp_path_factory.mktemp("sampling"), nowhere, jaeger.otlp, SETTINGS)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sender(sampling: Collector, request: pytest.FixtureRequest) -> Iterator[Sender]:
    made = Sender(sampling, request.node.name)
    yield made
    made.provider.shutdown()


def names(jaeger: Jaeger, trace_id: str) -> list[str]:
    return sorted(span["name"] for span in jaeger.spans(trace_id))


WHOLE = sorted(["request", semconv.SPAN_V1_NODE, semconv.SPAN_V2_SHADOW])


def test_everything_worth_looking_at_is_kept(sender: Sender, jaeger: Jaeger) -> None:
    """Mismatches, errors, timeouts, slow pairs (by a fraction of a millisecond) and fallbacks are kept whole."""
    dull = [sender.pair(), sender.pair(LATENCY_DELTA_MS=249.9), sender.pair(LATENCY_DELTA_MS=250.0)]
    kept = {
        "mismatch": sender.pair(COMPARISON="mismatch", DECISION_MATCH=False),
        "step": sender.pair(COMPARISON="mismatch", STEPS_MATCH=False),
        "error": sender.pair(True, STATUS="error", COMPARISON="none"),
        "timeout": sender.pair(True, STATUS="timeout", COMPARISON="none"),
        "comparator": sender.pair(COMPARISON="error"),
        "not served": sender.pair(V1_SERVED=False),
        "slow": sender.pair(LATENCY_DELTA_MS=250.5),
        "fallback": sender.pair(FALLBACK_REASON="timeout"),
    }
    for why, trace_id in kept.items():
        assert until(lambda wanted=trace_id: names(jaeger, wanted)) == WHOLE, why
    assert [names(jaeger, trace_id) for trace_id in dull] == [[], [], []]


def test_a_late_shadow_decides_for_the_whole_trace(sender: Sender, jaeger: Jaeger) -> None:
    """A shadow that ends a second after its root, within the wait, and differs: the whole trace is kept."""
    trace_id, _, shadow = sender.begin()
    time.sleep(WAIT_S / 4)
    sender.finish(shadow, COMPARISON="mismatch")
    assert until(lambda: names(jaeger, trace_id)) == WHOLE


def test_what_ends_after_the_wait_is_lost(sender: Sender, jaeger: Jaeger) -> None:
    """A mismatch that comes after its trace was let go is lost, as the documentation says."""
    late, _, shadow = sender.begin()
    begun_later = sender.pair(COMPARISON="mismatch")
    assert until(lambda: names(jaeger, begun_later)) == WHOLE
    sender.finish(shadow, COMPARISON="mismatch")
    after = sender.pair(COMPARISON="mismatch")
    assert until(lambda: names(jaeger, after)) == WHOLE
    assert names(jaeger, late) == []


def late(folder: Path, collector: Collector, before_it_ends: Callable[[], object]) -> dict[str, Any]:
    """Play one request whose V2 ends, and differs, after ``before_it_ends``; return the pair's line."""
    application = Application(
        folder / "application", "assistant", collector.grpc, ("late=1", "wait=1"),
        env={"ASSISTANT_GO": str(folder / "go"), "V2_TIMEOUT_MS": "100000"},
    )  # fmt: skip
    application.start()
    try:
        assert application.process is not None
        assert application.process.stdout is not None
        assert application.process.stdout.readline().strip()  # the request has been answered: its root span has ended
        before_it_ends()
        (folder / "go").touch()
        application.finish()
    finally:
        application.end()
    (line,) = application.lines(semconv.EVENT_V2)
    assert line["comparison"] == "mismatch"
    return line


def test_a_v2_that_ends_within_the_wait_is_kept(tmp_path: Path, jaeger: Jaeger) -> None:
    """The product's own mismatch, whose V2 ends after the root: both spans of the pair are where the line says."""
    settings = SETTINGS | {"COLLECTOR_WAIT_AFTER_ROOT": "12s"}
    collector = Collector(tmp_path / "collector", "http://127.0.0.1:9/api/v1/otlp", jaeger.otlp, settings)
    collector.start()
    try:
        line = late(tmp_path, collector, lambda: None)
        spans = until(lambda: {span["spanId"]: span["name"] for span in jaeger.spans(line["trace_id"])})
    finally:
        collector.stop()
    assert spans[line["v1_span_id"]] == semconv.SPAN_V1_NODE
    assert spans[line["v2_span_id"]] == semconv.SPAN_V2_SHADOW


def test_a_v2_that_ends_after_the_wait_is_in_its_line_alone(
    tmp_path: Path, sampling: Collector, sender: Sender, jaeger: Jaeger
) -> None:
    """The trace of the product's mismatch was let go before V2 ended: the store has none of it, the line everything.

    The doctor, asked of this Collector and this limit, says so beforehand.
    """

    def decided() -> None:
        begun_later = sender.pair(COMPARISON="mismatch")
        assert until(lambda: names(jaeger, begun_later)) == WHOLE

    line = late(tmp_path, sampling, decided)
    after = sender.pair(COMPARISON="mismatch")
    assert until(lambda: names(jaeger, after)) == WHOLE
    assert jaeger.spans(line["trace_id"]) == []
    assert line["v2_span_id"]
    assert line["shadow_latency_ms"] > WAIT_S * 1000
    (finding,) = check_wait(written(tmp_path, sampling), ShadowConfig.model_validate({"flags": {"timeout_ms": 100000}}))
    assert finding.severity is Severity.PROBLEM
    assert f"is {WAIT_S:g} s, and a shadow run's span may come after 206 s" in finding.text


def written(folder: Path, collector: Collector) -> Path:
    """The configuration that the Collector runs, its variables filled in."""
    text = (ROOT / "collector" / "config.yaml").read_text()
    for name, value in collector.env.items():
        text = re.sub(rf"\$\{{env:{name}:-[^}}]*\}}", lambda _, value=value: value, text)
    (folder / "collector.yaml").write_text(text)
    return folder / "collector.yaml"


def test_a_late_span_of_a_kept_trace_follows_it(sender: Sender, jaeger: Jaeger) -> None:
    """V1's own error keeps the trace; the shadow that ends after the decision still joins it."""
    root = sender.tracer.start_span("request")
    inside = trace.set_span_in_context(root)
    v1 = sender.tracer.start_span(semconv.SPAN_V1_NODE, inside)
    v1.set_status(StatusCode.ERROR)
    v1.end()
    shadow = sender.tracer.start_span(semconv.SPAN_V2_SHADOW, inside)
    root.end()
    trace_id = trace.format_trace_id(root.get_span_context().trace_id)
    until(lambda: len(names(jaeger, trace_id)) == 2)
    sender.finish(shadow)  # type: ignore[arg-type]
    until(lambda: names(jaeger, trace_id) == WHOLE)


def test_a_share_of_the_rest_is_kept(tmp_path: Any, jaeger: Jaeger) -> None:
    """Of pairs that agree, about the configured share is kept, each of them whole."""
    settings = SETTINGS | {"COLLECTOR_KEEP_PERCENT": f"{SHARE * 100:.0f}", "COLLECTOR_WAIT_AFTER_ROOT": "1s"}
    collector = Collector(tmp_path / "collector", "http://127.0.0.1:9/api/v1/otlp", jaeger.otlp, settings)
    collector.start()
    sender = Sender(collector, "share")
    try:
        dull = [sender.pair() for _ in range(200)]
        last = sender.pair(COMPARISON="mismatch")
        assert until(lambda: names(jaeger, last)) == WHOLE
        kept = [found for trace_id in dull if (found := names(jaeger, trace_id))]
        assert all(found == WHOLE for found in kept)
        assert SHARE / 2 < len(kept) / len(dull) < SHARE * 2
    finally:
        sender.provider.shutdown()
        collector.stop()
