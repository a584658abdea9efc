"""The spine, end to end, on the real workflow in a real LangGraph: what a first reader should run."""

from __future__ import annotations

import asyncio
import copy
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from otel_shadow import FeatureFlags, Mode, ShadowIntegrationMiddleware, semconv, with_shadow_v2
from otel_shadow._demo import workflow
from otel_shadow._demo.bundled import SCENARIOS
from otel_shadow._demo.state import BUSINESS_NODES
from otel_shadow._demo.v1 import V1_NODES
from otel_shadow._demo.v2 import V2_NODES, business
from otel_shadow._runtime.execution import Execution
from otel_shadow.cohorts import cohorts
from otel_shadow.config import ShadowConfig
from otel_shadow.testing import check_node
from otel_shadow.testing.capture import ShadowCapture
from otel_shadow.testing.templates import TEMPLATES

MakeCapture = Callable[..., ShadowCapture]
BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
TURNS = ("Olá, bom dia!", "Meu nome é Mariana", "Minha filha chama Ana e tem 8 anos", "amanhã às 15h", "sim")
CONFIG = Path(workflow.__file__).parent / "shadow.toml"


def settings(**changes: Any) -> ShadowConfig:
    """The demo's own configuration, nobody held out."""
    loaded = ShadowConfig.load(CONFIG).model_dump(mode="json", exclude_unset=True)
    return ShadowConfig.from_mapping({**loaded, "v2_build": "test", "arms": {"holdout": 0.0}, **changes})


def live(percentage: float = 100.0) -> FeatureFlags:
    return FeatureFlags(router_v2_enabled=True, router_v2_percentage=percentage, timeout_is_explicit=False)


def as_async(node: Callable[..., Any]) -> Callable[..., Any]:
    async def again(state: Any) -> Any:
        return node(state)

    return again


def talk(graph: Any, session: str = "session_1", turns: tuple[str, ...] = TURNS, *, is_async: bool = False) -> Any:
    """A whole conversation; what the assistant answered, turn by turn."""
    config = {"configurable": {"thread_id": session, "reference_datetime": "2025-01-09T10:00:00"}}
    answers = []
    for text in turns:
        given = {"messages": [HumanMessage(text)]}
        state = asyncio.run(graph.ainvoke(given, config)) if is_async else graph.invoke(given, config)
        answers.append(state["messages"][-1].content)
    return answers


def build(nodes: Any = "v1") -> Any:
    return workflow.build_graph(nodes, checkpointer=InMemorySaver())


@pytest.fixture
def bare() -> list[str]:
    """What the workflow answers without us."""
    return talk(build())


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_01_flag_initialisation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The six flags have the product's defaults, and the environment sets each."""
    assert FeatureFlags().model_dump() == {
        "router_v2_enabled": False,
        "router_v2_shadow": True,
        "router_v2_percentage": 0.0,
        "v2_timeout_ms": 5000,
        "shadow_logging": True,
        "router_v2_holdout": None,
    }
    for name, value in (("ROUTER_V2_ENABLED", "true"), ("ROUTER_V2_PERCENTAGE", "10"), ("V2_TIMEOUT_MS", "250")):
        monkeypatch.setenv(name, value)
    flags = FeatureFlags()
    assert (flags.router_v2_enabled, flags.router_v2_percentage, flags.v2_timeout_ms) == (True, 10.0, 250)


@pytest.mark.parametrize(
    ("flags", "mode", "served"),
    [
        (FeatureFlags(router_v2_shadow=False), Mode.V1_ONLY, "v1"),
        (FeatureFlags(), Mode.V2_SHADOW, "v1"),
        (live(), Mode.V2_LIVE, "v2"),
    ],
)
def test_02_architecture_mode(make_shadow_capture: MakeCapture, flags: FeatureFlags, mode: Mode, served: str) -> None:
    """``v1_only``, ``v2_shadow``, ``v2_live``: who answers in each, and what is written."""
    capture = make_shadow_capture(settings(), flags)
    answers = talk(capture.attach(build()))
    assert flags.architecture_mode("session_1") is mode
    assert answers == talk(build(served))
    assert {line["mode"] for line in capture.lines()} == (set() if mode is Mode.V1_ONLY else {str(mode)})


@BOTH
def test_03_decorator(shadow_capture: ShadowCapture, bare: list[str], is_async: bool) -> None:
    """``@with_shadow_v2`` on the workflow's own nodes: the same conversation, and every execution has its pair."""
    colour = as_async if is_async else lambda node: node
    nodes = {
        name: with_shadow_v2(colour(V2_NODES[name]), manager=shadow_capture.manager)(colour(lambda s, v1=v1: v1(s)))
        for name, v1 in V1_NODES.items()
    }
    assert talk(build(nodes), is_async=is_async) == bare
    lines = shadow_capture.lines(semconv.EVENT_V2)
    assert len(lines) >= len(TURNS)
    assert {line["node"] for line in lines} >= {"greeting", "qualification", "scheduling"}
    assert {line["v1_served"] for line in lines} == {True}


def test_04_state_copy_without_mutation(make_shadow_capture: MakeCapture) -> None:
    """V2 gets the state as it was before V1 ran; what it does to its copy reaches nobody."""
    seen: list[Any] = []

    def v1(state: Any) -> Any:
        state["data"]["list"].append("by v1")
        return {"data": state["data"]}

    def v2(state: Any) -> Any:
        seen.append(copy.deepcopy(state["data"]))
        state["data"]["list"].append("by v2")
        state["data"]["new"] = "by v2"
        return {"data": {}}

    capture = make_shadow_capture()
    graph = StateGraph(dict)
    graph.add_node("node", lambda state: {"data": v1(state)["data"]})
    graph.add_edge(START, "node")
    compiled = capture.attach(graph.compile(), {"node": v2})
    given = {"data": {"list": ["given"]}}
    answer = compiled.invoke(given, {"configurable": {"thread_id": "session_1"}})
    capture.settle()
    assert seen == [{"list": ["given"]}]
    assert answer == {"data": {"list": ["given", "by v1"]}}


def test_05_consistent_hashing(make_shadow_capture: MakeCapture) -> None:
    """A session is served by the same version at every turn, in every graph, by every manager."""
    sessions = [f"session_{number}" for number in range(40)]
    served = []
    for _ in range(2):
        capture = make_shadow_capture(settings(), live(50))
        graph = capture.attach(build())
        for session in sessions:
            talk(graph, session, TURNS[:2])
        lines = capture.lines()
        by_session = {s: {line["mode"] for line in lines if line["session_id"] == s} for s in sessions}
        assert all(len(modes) == 1 for modes in by_session.values())
        served.append({s for s, modes in by_session.items() if modes == {"v2_live"}})
    assert served[0] == served[1] == {s for s in sessions if cohorts(s).rollout < 0.5}


def test_06_gradual_percentage() -> None:
    """From 0 to 100 per cent sessions only ever join; the share is the percentage, decimals included."""
    sessions = [f"session-{number}" for number in range(20_000)]
    before: set[str] = set()
    for percentage in (0, 0.5, 1, 5, 10, 25, 50, 100):
        flags = live(percentage)
        now = {s for s in sessions if flags.architecture_mode(s) is Mode.V2_LIVE}
        assert before <= now
        assert len(now) / len(sessions) == pytest.approx(percentage / 100, abs=0.01)
        before = now
    assert len(before) == len(sessions)


@pytest.mark.parametrize(
    ("node", "least"), [("greeting", 5), ("qualification", 9), ("information", 5), ("scheduling", 5)]
)
def test_07_node_compliance(node: str, least: int) -> None:
    """Each V2 business node meets every check of its template; V1's legacy nodes, which route and answer, do not."""
    report = check_node(getattr(business, node), TEMPLATES[node])
    assert report.passed, str(report)
    assert len(report.results) >= least
    assert not check_node(V1_NODES[node], TEMPLATES[node]).passed


@BOTH
def test_08_telemetry_format(make_shadow_capture: MakeCapture, is_async: bool) -> None:
    """One execution: two linked spans in one trace, its metrics, two lines, two events, joined by their ids."""
    capture = make_shadow_capture(settings())
    colour = as_async if is_async else lambda node: node
    graph = build({name: colour(node) for name, node in V1_NODES.items()})
    talk(
        capture.attach(graph, {name: colour(node) for name, node in V2_NODES.items()}),
        turns=TURNS[:1],
        is_async=is_async,
    )
    v1, v2 = capture.spans()
    execution, comparison = capture.lines()
    assert (v1.name, v2.name, v2.parent_id, v2.links) == ("v1.node", "v2.shadow", v1.span_id, (v1.span_id,))
    assert v1.trace_id == v2.trace_id == execution["trace_id"] == comparison["trace_id"]
    assert (execution["v1_span_id"], execution["v2_span_id"]) == (v1.span_id, v2.span_id)
    assert v2.attributes["shadow.status"] == execution["shadow_status"] == "success"
    assert capture.value(semconv.EXECUTIONS, shadow__node__name="greeting", shadow__status="success") == 1
    assert capture.value(semconv.COMPARISONS, shadow__node__name="greeting") == 1
    assert len(capture.exported()["events"]) > 1000


@BOTH
def test_09_timeout_handling(
    make_shadow_capture: MakeCapture, bare: list[str], gate: threading.Event, is_async: bool
) -> None:
    """V2 sleeps a minute: the whole conversation is answered while none has ended, and every pair is a timeout."""
    ended: list[str] = []

    def blocks(state: Any) -> Any:
        gate.wait(60)
        ended.append("v2")

    async def sleeps(state: Any) -> Any:
        await asyncio.sleep(60)
        ended.append("v2")

    capture = make_shadow_capture(settings(flags={"timeout_ms": 100}, limits={"breaker_failures": 1000}))
    colour = as_async if is_async else lambda node: node
    graph = build({name: colour(node) for name, node in V1_NODES.items()})
    capture.attach(graph, dict.fromkeys(BUSINESS_NODES, sleeps if is_async else blocks))
    assert talk(graph, is_async=is_async) == bare
    assert ended == []
    lines = capture.lines(semconv.EVENT_V2)
    assert len(lines) >= len(TURNS)
    assert {line["shadow_status"] for line in lines} == {"timeout"}
    assert {line["v1_served"] for line in lines} == {True}
    assert capture.value(semconv.EXECUTIONS, shadow__status="timeout") == len(lines)


def judged(capture: ShadowCapture, folder: Path) -> Any:
    """The verdict on the captured lines, as of three days later."""
    evidence = pytest.importorskip("otel_shadow.evidence")
    from otel_shadow.verdict import evaluate

    log = folder / "app.log"
    log.write_bytes(capture.log_bytes())
    return evaluate(evidence.read([str(log)]), at=datetime(2025, 1, 12, tzinfo=UTC))


def test_10_sla_tracking(make_shadow_capture: MakeCapture, tmp_path: Path) -> None:
    """The log is the evidence: every criterion of the SLA is in the verdict, and a few pairs are never a GO."""
    capture = make_shadow_capture(settings())
    graph = capture.attach(build())
    for number in range(12):
        talk(graph, f"session_{number}")
    verdict = judged(capture, tmp_path)
    assert str(verdict.decision) == "WAIT"
    assert {node.node for node in verdict.nodes} >= {"greeting", "qualification", "scheduling"}
    for node in verdict.nodes:
        assert {result.criterion for result in node.criteria} >= {
            "parity", "handoff", "latency_now", "latency_after", "v1_served",
        }  # fmt: skip
    assert {name for name in capture.metrics() if name.startswith("shadow.sla")} == {"shadow.sla.objective"}


@BOTH
@pytest.mark.parametrize("failure", ["raises", "hangs", "nonsense"])
def test_11_fallback(
    make_shadow_capture: MakeCapture, bare: list[str], gate: threading.Event, is_async: bool, failure: str
) -> None:
    """V2 is live and fails: V1 answers the same turn on the original input, counted with the reason."""

    def broken(state: Any) -> Any:
        state["messages"].clear()
        if failure == "raises":
            raise ValueError("Maria")
        return gate.wait(60) if failure == "hangs" else "not an update"

    async def hangs(state: Any) -> Any:
        await asyncio.sleep(60)

    reason = {"raises": "error", "hangs": "timeout", "nonsense": "unusable_output"}[failure]
    capture = make_shadow_capture(
        settings(), FeatureFlags(**(live().model_dump() | {"v2_timeout_ms": 50}), timeout_is_explicit=True)
    )
    colour = as_async if is_async else lambda node: node
    graph = build({name: colour(node) for name, node in V1_NODES.items()})
    v2 = hangs if is_async and failure == "hangs" else colour(broken)
    capture.attach(graph, dict.fromkeys(BUSINESS_NODES, v2))
    assert talk(graph, is_async=is_async) == bare
    lines = capture.lines()
    assert {line["fallback_reason"] for line in lines} == {reason}
    assert capture.value(semconv.FALLBACKS, shadow__reason=reason) == len(lines) >= len(TURNS)


@BOTH
def test_12_v1_exception_untouched(make_shadow_capture: MakeCapture, is_async: bool) -> None:
    """V1's exception reaches the caller as the very object, and its message reaches no signal."""
    error = RuntimeError("Mariana, 11 91234-5678")

    def failing(state: Any) -> Any:
        raise error

    colour = as_async if is_async else lambda node: node
    capture = make_shadow_capture(settings())
    graph = capture.attach(build({"greeting": colour(failing)}))
    with pytest.raises(RuntimeError) as caught:
        talk(graph, turns=TURNS[:1], is_async=is_async)
    assert caught.value is error
    (line,) = capture.lines(semconv.EVENT_V2)
    assert (line["v1_status"], line["v1_error_type"], line["v1_served"]) == ("error", "RuntimeError", True)
    assert all(b"Mariana" not in data and b"91234" not in data for data in capture.exported().values())


def test_13_log_line_contract(make_shadow_capture: MakeCapture) -> None:
    """Every line is one JSON object of at most 4,096 bytes with the product's keys first."""
    capture = make_shadow_capture(settings())
    talk(capture.attach(build()))
    raw = capture.log_bytes() if capture.records else b""
    assert raw.endswith(b"\n")
    for data in raw.splitlines(keepends=True):
        assert len(data) <= semconv.LINE_MAX_BYTES
        line = json.loads(data)
        first = {
            "SHADOW_V2": ["event", "event_type", "session_id", "user_message_hash", "original_stage", "shadow_stage"],
            "SHADOW_COMPARISON": ["event", "event_type", "node_name", "session_id", "v1_current_step"],
        }[line["event"]]
        assert list(line)[: len(first)] == first
        assert line["timestamp"] == "2025-01-09T10:30:45.123Z"


@BOTH
def test_14_zero_impact_on_the_conversation(make_shadow_capture: MakeCapture, bare: list[str], is_async: bool) -> None:
    """With the shadow on, every answer, state and checkpoint is what it is without."""

    def history(graph: Any) -> list[Any]:
        config = {"configurable": {"thread_id": "session_1"}}
        states = [snapshot.values for snapshot in graph.get_state_history(config)]
        return [[(m.type, m.content) for m in s.get("messages", [])] + [s.get("current_step")] for s in states]

    colour = as_async if is_async else lambda node: node
    nodes = {name: colour(node) for name, node in V1_NODES.items()}
    capture = make_shadow_capture(settings())
    alone, shadowed = build(nodes), capture.attach(build(nodes))
    assert talk(shadowed, is_async=is_async) == talk(alone, is_async=is_async) == bare
    capture.settle()
    assert history(shadowed) == history(alone)
    assert capture.swallowed == {}


def test_15_the_three_scenarios(make_shadow_capture: MakeCapture) -> None:
    """A greeting without a name, one with it, and a qualification with name and age: each makes its pair."""
    capture = make_shadow_capture(settings())
    graph = capture.attach(build())
    for scenario in SCENARIOS:
        given = {"messages": [HumanMessage(scenario.message)], **scenario.state}
        graph.invoke(given, {"configurable": {"thread_id": scenario.id}})
    seen = {(line["session_id"], line["node"]) for line in capture.lines(semconv.EVENT_V2)}
    assert {(scenario.id, scenario.node) for scenario in SCENARIOS} <= seen


def test_16_a_bug_of_ours_that_alters_v1s_answer_is_a_no_go(
    make_shadow_capture: MakeCapture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evidence of "V1 always served" is taken apart from what it watches: a planted bug turns the verdict NO-GO."""
    original = Execution.produced

    def altering(self: Execution, value: Any) -> Any:
        result = original(self, value)
        return {**result, "education_level": "altered"} if isinstance(result, dict) else result

    def run() -> tuple[Any, Any]:
        capture = make_shadow_capture(settings())
        graph = capture.attach(build())
        for number in range(40):
            talk(graph, f"session_{number}", TURNS[:3])
        verdict = judged(capture, tmp_path)
        return verdict, {line["v1_served"] for line in capture.lines(semconv.EVENT_V2)}

    honest, served = run()
    assert served == {True}
    assert str(honest.decision) != "NO-GO"
    monkeypatch.setattr(Execution, "produced", altering)
    verdict, served = run()
    assert served == {False}
    assert str(verdict.decision) == "NO-GO"
    blamed = {result.criterion for node in verdict.nodes for result in node.criteria if str(result.decision) == "NO-GO"}
    assert "v1_served" in blamed


def test_17_middleware_and_manager_by_hand(make_shadow_capture: MakeCapture, bare: list[str]) -> None:
    """``ShadowIntegrationMiddleware`` on a compiled graph, detached again: with and without, the same answers."""
    capture = make_shadow_capture(settings())
    middleware = ShadowIntegrationMiddleware(V2_NODES, capture.manager)
    graph = middleware.attach(build())
    assert talk(graph) == bare
    pairs = len(capture.records)
    assert pairs >= len(TURNS)
    middleware.detach(graph)
    assert talk(graph, "session_2") == bare
    assert len(capture.records) == pairs
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromtimestamp(capture.manager.services.clock(), UTC)
