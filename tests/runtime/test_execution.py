"""What is noted of an execution besides its versions: who caused it, and when the first part of the answer came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from opentelemetry import baggage, context
from opentelemetry.context import Context
from small_graphs import call, left, small_graph

from otel_shadow import semconv
from otel_shadow._runtime.execution import begin
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]


@pytest.mark.parametrize("trusted", [False, True])
def test_a_line_says_whether_a_shadow_of_another_service_caused_it(
    make_shadow_capture: MakeCapture, trusted: bool
) -> None:
    """The mark that the other service's V2 sends as baggage is on the line where it is believed, shadow or not."""
    privacy = {"trust_incoming_mark": trusted}
    capture = make_shadow_capture({"nodes": {"left": {"sample": 0.5}}, "privacy": privacy})
    graph = capture.attach(small_graph(), {"left": left})
    for mark in ("v2_shadow", "v2_live", None):
        token = context.attach(baggage.set_baggage(semconv.BAGGAGE_MODE, mark, Context()) if mark else Context())
        for number in range(8):
            call(graph, session=f"session_{number}")
        context.detach(token)
    lines = [line for line in capture.lines() if "caused_by_shadow" in line]
    assert {line["event"] for line in lines} == {semconv.EVENT_V2, semconv.EVENT_BASELINE}
    told = [line["caused_by_shadow"] for line in lines]
    assert told == [trusted] * 8 + [False] * 16


@pytest.mark.parametrize("is_async", [False, True])
def test_the_first_part_of_a_v1_that_streams_is_timed(make_shadow_capture: MakeCapture, is_async: bool) -> None:
    """From its entry to its first chunk: not later, and not at all where it doesn't stream."""
    capture = make_shadow_capture()
    graph = capture.attach(small_graph(), {"left": left})
    execution = begin(capture.manager.nodes["small", "left"], {"text": "x"}, {"thread_id": "session_1"})
    assert execution is not None

    async def chunks() -> AsyncIterator[str]:
        yield "a"
        release()
        yield "b"

    def release() -> None:
        assert execution is not None
        seen.append(execution.first_part_s)

    async def awaited() -> None:
        assert execution is not None
        async for chunk in execution.athrough_stream(chunks()):
            execution.result = chunk

    def called() -> Iterator[str]:
        yield "a"
        release()
        yield "b"

    seen: list[float | None] = []
    with execution:
        if is_async:
            asyncio.run(awaited())
        else:
            for chunk in execution.through_stream(called()):
                execution.result = chunk
    call(graph)
    streamed, plain = (record for record in capture.records if record.node == "left")
    assert [streamed.first_part_s] == seen
    assert streamed.first_part_s is not None
    assert streamed.v1.latency_s is not None
    assert 0.0 < streamed.first_part_s < streamed.v1.latency_s
    assert plain.first_part_s is None
