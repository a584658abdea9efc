"""Small lies: words that are equal to others, tokens beyond counting, keys of any bytes, a telemetry that breaks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from small_graphs import call, left, small_graph

from otel_shadow import ShadowInstrumentor, semconv
from otel_shadow._runtime.redact import Redactor, declared
from otel_shadow.testing.capture import ShadowCapture


@pytest.fixture
def instrumentor() -> Iterator[ShadowInstrumentor]:
    made = ShadowInstrumentor()
    yield made
    made.uninstrument()


class Liar(str):
    """Equal to a declared word, and something else."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("one")


def test_a_word_that_is_equal_to_another(make_shadow_capture: Any) -> None:
    """What is written is compared by its letters."""
    assert declared(Liar("Maria Silva"), frozenset({"one"})) == semconv.OTHER
    assert declared(Liar("one"), frozenset({"one"})) == "one"
    capture = make_shadow_capture({"session": {"steps": ["one"], "stage": "text", "stages": ["one"]}})
    graph = capture.attach(small_graph(), {"left": lambda state: {**left(state), "current_step": Liar("Maria")}})
    call(graph, {"text": Liar("Maria Silva")})
    assert all(b"Maria" not in said for said in capture.exported().values())


@pytest.mark.parametrize(("claimed", "counted"), [(10**30, 2**40), (-5, 0), (7, 7)])
def test_tokens_beyond_counting(shadow_capture: ShadowCapture, claimed: int, counted: int) -> None:
    """A model claims what no exporter can write: the other metrics are exported all the same."""
    usage: Any = {"input_tokens": claimed, "output_tokens": 1, "total_tokens": claimed + 1}

    def v2(state: Any) -> Any:
        answer = AIMessage("hello", usage_metadata=usage)
        GenericFakeChatModel(messages=iter([answer])).invoke("hi")
        return left(state)

    call(shadow_capture.attach(small_graph(), {"left": v2}))
    (record,) = shadow_capture.records
    assert dict(record.tokens) == {"input": counted, "output": 1}
    assert shadow_capture.exported()["metrics"]


def test_a_key_of_any_bytes() -> None:
    """A secret from the environment need not be text."""
    assert Redactor("\udcff\udcfe").digest("a") == Redactor(b"\xff\xfe").digest("a") != Redactor(b"\xff").digest("a")


def test_a_telemetry_that_can_not_be_set_up(instrumentor: ShadowInstrumentor, caplog: pytest.LogCaptureFixture) -> None:
    """A provider that raises: one line says that we are off, other instrumentations go on, V1 runs."""

    class Broken:
        def get_meter(self, *_: Any, **__: Any) -> Any:
            raise ValueError("Maria Silva")

    with caplog.at_level(logging.ERROR, logger="otel_shadow"):
        instrumentor.instrument(config={}, meter_provider=Broken())
    assert [record.getMessage() for record in caplog.records] == [
        "otel-shadow is off, the application runs V1 only: ValueError"
    ]
    assert call(small_graph())["trail"] == ["left", "right"]
    instrumentor.uninstrument()
    with pytest.raises(ValueError):
        instrumentor.instrument(config={}, meter_provider=Broken(), raise_errors=True)
