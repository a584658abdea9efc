"""Canaries: what identifies somebody is planted wherever it can come from, and is found in nothing that leaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, Send, interrupt
from opentelemetry import baggage, context
from typing_extensions import TypedDict

from otel_shadow import FeatureFlags, side_effect
from otel_shadow.testing.capture import MOMENT, ShadowCapture

NAME, CHILD = "Zuleika Brandão", "Quitéria"
PHONE, DIGITS = "+55 11 98765-4321", "5511987654321"
EMAIL = "zuleika.b@example.org"
MESSAGE = "quero matricular minha filha"
CANARIES = (NAME, "Zuleika", "Brandão", CHILD, PHONE, "98765", DIGITS, EMAIL, "example.org", MESSAGE, "matricular")
LINE = f"{MESSAGE} {CHILD}, sou {NAME}, {PHONE}, {EMAIL}"
SETTINGS: dict[str, Any] = {
    "session": {"id": "who", "message": "messages[-1].content", "stage": "stage", "intent": "intent", "steps": ["one"]},
    "nodes": {
        "left": {
            "compare": {"fields": ["*"]},
            "observe": {"numbers": ["slots", "who"], "categories": {"intent": ["buy"], "stage": ["one"]}},
        }
    },
    "flags": {"timeout_ms": 300},
}


class Canary(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    who: str
    current_step: str
    stage: str
    intent: str
    slots: dict[str, Any]
    answer: Any


def forms(text: str) -> set[bytes]:
    """The encodings in which a text could hide."""
    plain = {text, text.lower(), text.upper(), json.dumps(text)[1:-1], quote(text), repr(text)[1:-1]}
    return {form.encode() for form in plain} | {text.encode("latin-1"), text.encode("utf-16-le")}


def found(data: bytes) -> list[str]:
    """The canaries in ``data``."""
    return [canary for canary in CANARIES if any(form in data for form in forms(canary))]


def update(**more: Any) -> dict[str, Any]:
    """An answer that is full of canaries: in values, in keys, in a step, a stage and an intent made up on the way."""
    said = AIMessage(LINE, name="zuleika", additional_kwargs={NAME: PHONE})
    return {
        "messages": [said],
        "current_step": f"ask {NAME}",
        "stage": EMAIL,
        "intent": MESSAGE,
        "slots": {NAME: {PHONE: CHILD}, EMAIL: [DIGITS]},
        "answer": {CHILD: LINE},
        **more,
    }


def v1(state: Canary) -> dict[str, Any]:
    return update(answer={CHILD: "V1"})


class UntoldError(Exception):
    """An error whose message is nobody's business."""


def fails(state: Canary) -> Any:
    raise UntoldError(LINE) from KeyError(PHONE)


def fails_by_a_made_up_class(state: Canary) -> Any:
    raise type(f"Error of {NAME}", (Exception,), {})(LINE)


def returns_nonsense(state: Canary) -> Any:
    return LINE


def asks(state: Canary) -> Any:
    return interrupt({"question": LINE, NAME: PHONE})


def goes_elsewhere(state: Canary) -> Any:
    return Command(goto=[Send("right", {"who": NAME, "answer": LINE})], update=update())


def decides_for_nobody(state: Canary) -> Any:
    return Command(goto=f"node of {NAME}", update=update())


def calls_tools(state: Canary) -> Any:
    for name in (f"call {NAME}", "call_zuleika", EMAIL):
        tool = StructuredTool.from_function(lambda: LINE, name=name, description=LINE)
        with pytest.raises(Exception):  # noqa: B017 - blocked, whatever the guard raises
            tool.invoke({})
        with pytest.raises(Exception):  # noqa: B017 - as above
            side_effect(name=name)(lambda: LINE)()
    return update(messages=[ToolMessage(LINE, tool_call_id=PHONE, name="call_zuleika")])


class Uncopyable:
    """A value that nothing can copy."""

    def __reduce__(self) -> Any:
        raise UntoldError(LINE)

    def __deepcopy__(self, memo: Any) -> Any:
        raise UntoldError(LINE)


V2S: dict[str, Callable[[Canary], Any]] = {
    f.__name__: f
    for f in (
        v1, fails, fails_by_a_made_up_class, returns_nonsense, asks, goes_elsewhere, decides_for_nobody, calls_tools,
        lambda state: update(),
    )
}  # fmt: skip
IDS = (NAME, PHONE, EMAIL, DIGITS, "zuleika_brandao", LINE)


def graph(node: Callable[[Canary], Any], saver: Any) -> Any:
    builder = StateGraph(Canary)
    builder.add_node("left", node)
    builder.add_node("right", lambda state: {"answer": LINE})
    builder.add_edge(START, "left")
    builder.add_conditional_edges("left", lambda state: "right" if state.get("intent") else END, ["right", END])
    return builder.compile(name="canaries", checkpointer=saver)


def play(capture: ShadowCapture, node: Callable[[Canary], Any], v2: Any, who: str, **more: Any) -> None:
    """One turn of ``who``, with canaries in the run's configuration as well."""
    saver = None if "answer" in more else InMemorySaver()  # which would refuse what can't be copied
    compiled = capture.attach(graph(node, saver), {"left": v2})
    given = {"messages": [HumanMessage(LINE, name="zuleika", id=PHONE)], "who": who, "slots": {NAME: PHONE}, **more}
    config = {
        "configurable": {"thread_id": who, "user": NAME},
        "metadata": {"user": NAME, EMAIL: PHONE},
        "tags": [EMAIL],
        "run_name": NAME,
    }
    token = context.attach(baggage.set_baggage("user", NAME))
    try:
        compiled.invoke(given, config)
    except UntoldError:
        assert node is fails
    finally:
        context.detach(token)


@pytest.fixture(scope="module")
def everything() -> Iterator[tuple[dict[str, bytes], str]]:
    """All signals of all outcomes, in the bytes in which they leave, and all that we log."""
    import logging

    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(logging.Formatter().format(record))  # type: ignore[method-assign]
    logging.getLogger("otel_shadow").addHandler(handler)
    gate = threading.Event()
    captures = [ShadowCapture(SETTINGS)]
    for number, (_, v2) in enumerate(sorted(V2S.items())):
        play(captures[0], v1, v2, IDS[number % len(IDS)])
    for who in IDS:
        play(captures[0], v1, v1, who)
    play(captures[0], fails, v1, NAME)
    play(captures[0], v1, v1, NAME, answer=Uncopyable())
    play(captures[0], v1, lambda state: gate.wait(60), NAME)
    play(captures[0], v1, "zuleika.brandao:node", NAME)
    for config, flags in (
        ({**SETTINGS, "arms": {"holdout": 1.0}}, None),
        (SETTINGS, FeatureFlags(router_v2_enabled=True, router_v2_percentage=100)),
    ):
        captures.append(ShadowCapture(config, flags))
        for v2 in (v1, fails, fails_by_a_made_up_class, returns_nonsense):
            play(captures[-1], v1, v2, NAME)
    for capture in captures:
        capture.settle()
    gate.set()
    parts = {
        f"{name} {number}": data for number, capture in enumerate(captures) for name, data in capture.exported().items()
    }
    logging.getLogger("otel_shadow").removeHandler(handler)
    yield parts, "\n".join(logged)
    for capture in captures:
        capture.close()


def test_the_canaries_would_be_found() -> None:
    """The search finds each canary, plain and escaped: it can fail."""
    assert found(LINE.encode()) == [canary for canary in CANARIES if canary != DIGITS]
    assert found(json.dumps({"k": NAME}).encode()) == [NAME, "Zuleika", "Brandão"]
    assert EMAIL in found(quote(EMAIL).encode())


def test_every_outcome_was_played(everything: tuple[dict[str, bytes], str]) -> None:
    """The signals that are searched hold what they should: all statuses, all events, both modes."""
    parts, _ = everything
    lines = [json.loads(line) for name, data in parts.items() if name.startswith("lines") for line in data.splitlines()]
    statuses = {line.get("shadow_status") for line in lines}
    assert {"success", "error", "timeout", "interrupt"} <= statuses
    assert {line["event"] for line in lines} == {"SHADOW_V2", "SHADOW_COMPARISON", "SHADOW_BASELINE"}
    assert {line.get("fallback_reason") for line in lines} >= {None, "error", "unusable_output"}
    assert {line["v1_status"] for line in lines} >= {"success", "error", "not_run"}
    assert {line.get("comparison") for line in lines} >= {"match", "mismatch", "none"}
    assert any(line.get("blocked_tools") for line in lines)
    assert any(str(line.get("reason")).startswith("not_captured") for line in lines)
    assert any(line.get("diff_fields") for line in lines)


@pytest.mark.parametrize("signal", ["spans", "metrics", "events", "lines"])
def test_no_canary_leaves_by(signal: str, everything: tuple[dict[str, bytes], str]) -> None:
    """Not one byte of a name, phone number, address or message, in any encoding."""
    parts, _ = everything
    seen = {name: found(data) for name, data in parts.items() if name.startswith(signal)}
    assert len(seen) == 3
    assert all(len(parts[name]) > 500 for name in seen)
    assert {name: canaries for name, canaries in seen.items() if canaries} == {}


def test_no_canary_is_logged(everything: tuple[dict[str, bytes], str]) -> None:
    """What we tell the application's own log is types and node names (and the path of a V2 that can't be imported)."""
    _, logged = everything
    assert "left" in logged
    assert found(logged.replace("zuleika.brandao:node", "").encode()) == []


def test_ids_are_hashed_alike_in_every_signal(everything: tuple[dict[str, bytes], str]) -> None:
    """One session is one hash, in spans and lines, so that evidence joins."""
    parts, _ = everything
    line = next(json.loads(line) for line in parts["lines 0"].splitlines() if json.loads(line)["event"] == "SHADOW_V2")
    assert len(line["session_id"]) == 12
    assert line["session_id"].encode() in parts["spans 0"]


def test_no_canary_is_on_the_page(
    everything: tuple[dict[str, bytes], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the HTML page nor the terminal nor the JSON of the verdict has one."""
    command = pytest.importorskip("otel_shadow._report.verdict_command")
    parts, _ = everything
    log, page = tmp_path / "app.log", tmp_path / "report.html"
    log.write_bytes(b"".join(data for name, data in parts.items() if name.startswith("lines")))
    at = datetime.fromtimestamp(MOMENT, UTC) + timedelta(hours=2)
    for as_json in (False, True):
        command.judge(sources=(str(log),), as_json=as_json, html=page, at=at)
    told = capsys.readouterr().out
    assert "left" in told
    assert len(page.read_bytes()) > 10_000
    assert (found(page.read_bytes()), found(told.encode())) == ([], [])
