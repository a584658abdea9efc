"""V2 sees of OpenTelemetry's context what V1 saw, in every executor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from small_graphs import call, small_graph
from v2_functions import awaited_surroundings, surroundings

from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
BAGGAGE = {"tenant": "t 1", "flag": "a,b=c;d", "plan": "ü"}
HELD: dict[str, Any] = {"association": {"user": 7}, "session.id": "s_1"}


@pytest.fixture
def in_a_request() -> Iterator[None]:
    """A caller's trace, with its state, baggage, and values that SDKs of vendors keep in the context."""
    caller = SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, TraceFlags(1), TraceState([("vendor", "abc")])
    )
    inside = trace.set_span_in_context(NonRecordingSpan(caller), Context())
    for key, value in BAGGAGE.items():
        inside = baggage.set_baggage(key, value, inside)
    for key, value in HELD.items():
        inside = context.set_value(key, value, inside)
    token = context.attach(inside)
    yield
    context.detach(token)


def seen(make: MakeCapture, executor: str, is_async: bool = False) -> tuple[Any, Any, Any]:
    """What V1 and V2 have seen, and the pair's record."""
    both: list[tuple[Any, Any]] = []
    v2 = f"v2_functions:{'awaited_' if is_async else ''}surroundings"
    config = {
        "nodes": {"left": {"v2": v2, "executor": executor, "timeout_ms": 60_000}},
        "process": {"idle_priority": False},
        "arms": {"holdout": 0.0},
    }
    capture = make(config, inspect=lambda record, v1, v2: both.append((v1.writes["data"], v2.writes["data"])))
    graph = small_graph(awaited_surroundings if is_async else surroundings)
    attach(graph, capture.manager)
    call(graph, is_async=is_async)
    capture.settle()
    [(v1_saw, v2_saw)], [record] = both, capture.records
    return v1_saw, v2_saw, record


@pytest.mark.usefixtures("in_a_request")
@pytest.mark.parametrize(("executor", "is_async"), [("thread", False), ("auto", True), ("process", False)])
def test_v2_sees_what_v1_saw(make_shadow_capture: MakeCapture, executor: str, is_async: bool) -> None:
    """Baggage whole, values of plain keys, and the trace's state."""
    v1_saw, v2_saw, _ = seen(make_shadow_capture, executor, is_async)
    assert v1_saw == {"baggage": BAGGAGE, "held": HELD, "tracestate": "vendor=abc"}
    assert v2_saw == v1_saw


@pytest.mark.usefixtures("in_a_request")
def test_what_can_t_go_to_a_process_stays(make_shadow_capture: MakeCapture) -> None:
    """A value that can't be pickled, or is large, is left out there; the others go, and V2 runs."""
    inside = context.set_value("lock", threading.Lock())
    inside = context.set_value("too long", "x" * 100_000, inside)
    inside = baggage.set_baggage("odd", threading.Lock(), inside)
    token = context.attach(inside)
    try:
        _, v2_saw, record = seen(make_shadow_capture, "process")
    finally:
        context.detach(token)
    assert v2_saw == {"baggage": BAGGAGE, "held": HELD, "tracestate": "vendor=abc"}
    assert record.v2.status == "success"
