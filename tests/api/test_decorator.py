"""Decorator, middleware and manager: V1 is what the caller gets, V2 is what nobody waits for."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, RetryPolicy, Send, StreamWriter, interrupt
from small_graphs import State, awaited, call, left, right, small_graph, where
from typing_extensions import TypedDict

from otel_shadow import ConfigError, ShadowIntegrationMiddleware, is_shadow, semconv, with_shadow_v2
from otel_shadow._api.manager import set_default_manager
from otel_shadow._langgraph.instrument.mark import mark_of
from otel_shadow.record import Status
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def v2_of(name: str = "right") -> Callable[[Any], dict[str, Any]]:
    """A V2 that goes on to ``name``."""
    return lambda _: {"trail": ["left"], "current_step": "one", "next_node": name}


def coloured(node: Callable[..., Any], is_async: bool) -> Callable[..., Any]:
    """``node`` as it is, or as a coroutine function with the same parameters."""
    if not is_async:
        return node

    @functools.wraps(node)
    async def again(*args: Any, **kwargs: Any) -> Any:
        return node(*args, **kwargs)

    return again


@pytest.fixture
def watched(shadow_capture: ShadowCapture) -> Iterator[ShadowCapture]:
    """A capture whose manager is the one that decorated nodes of this process use."""
    set_default_manager(shadow_capture.manager)
    yield shadow_capture
    set_default_manager(None)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """An event that V2 waits for; opened at the end, so that no thread outlives the test."""
    event = threading.Event()
    yield event
    event.set()


class TestDecorator:
    """``@with_shadow_v2``."""

    @BOTH
    def test_a_decorated_node_has_a_shadow_in_the_graph(self, watched: ShadowCapture, is_async: bool) -> None:
        """Compiling the graph is enough: V1 answers, V2 is compared."""

        @with_shadow_v2(coloured(v2_of(), is_async))
        def node(state: State) -> dict[str, Any]:
            return left(state)

        answer = call(small_graph(node), is_async=is_async)
        assert answer["trail"] == ["left", "right"]
        (line,) = watched.lines(semconv.EVENT_V2)
        assert (line["node"], line["comparison"], line["v1_served"]) == ("left", "match", True)

    def test_it_is_the_same_function(self) -> None:
        """The decorator marks and returns: name, signature and identity are the user's own."""

        def node(state: State, config: RunnableConfig) -> dict[str, Any]:
            return {}

        before = inspect.signature(node)
        assert with_shadow_v2(v2_of())(node) is node
        assert inspect.signature(node) == before

    def test_outside_a_graph_it_is_a_plain_function(self, watched: ShadowCapture) -> None:
        """Called by hand it runs V1 and nothing else, sync and async."""
        ran: list[str] = []

        @with_shadow_v2(lambda _: ran.append("v2"))
        def plain(state: dict[str, Any]) -> dict[str, Any]:
            return {"answer": state["x"] + 1}

        @with_shadow_v2(lambda _: ran.append("v2"))
        async def awaitable(state: dict[str, Any]) -> dict[str, Any]:
            return {"answer": state["x"] + 2}

        assert plain({"x": 1}) == {"answer": 2}
        assert asyncio.run(awaitable({"x": 1})) == {"answer": 3}
        assert inspect.iscoroutinefunction(awaitable)
        assert (ran, watched.lines()) == ([], [])

    @BOTH
    def test_every_injected_parameter_reaches_v1_and_v2(self, watched: ShadowCapture, is_async: bool) -> None:
        """Config, runtime, writer and store are injected into both, each its own."""
        seen: dict[str, dict[str, Any]] = {}

        def body(who: str, config: Any, runtime: Any, writer: StreamWriter, store: BaseStore) -> Any:
            seen[who] = {
                "thread": config["configurable"]["thread_id"],
                "context": runtime.context,
                "store": store.get(("ns",), "key").value,
                "shadow": is_shadow(),
            }
            writer({"from": who})
            get_stream_writer()({"also from": who})
            return left({})

        def v1(
            state: State, config: RunnableConfig, *, runtime: Runtime[Any], writer: StreamWriter, store: BaseStore
        ) -> Any:
            return body("v1", config, runtime, writer, store)

        def v2(
            state: State, config: RunnableConfig, *, runtime: Runtime[Any], writer: StreamWriter, store: BaseStore
        ) -> Any:
            return body("v2", config, runtime, writer, store)

        store = InMemoryStore()
        store.put(("ns",), "key", {"kept": 1})
        graph = StateGraph(State, context_schema=dict)
        graph.add_node("left", with_shadow_v2(coloured(v2, is_async))(coloured(v1, is_async)))
        graph.add_edge(START, "left")
        compiled = graph.compile(store=store, name="small")
        config: RunnableConfig = {"configurable": {"thread_id": "session_1"}}
        given: Any = ({"text": "hello"}, config)
        if is_async:

            async def collect() -> list[Any]:
                stream = compiled.astream(*given, context={"tenant": "t"}, stream_mode="custom")
                return [chunk async for chunk in stream]

            custom = asyncio.run(collect())
        else:
            custom = list(compiled.stream(*given, context={"tenant": "t"}, stream_mode="custom"))
        watched.settle()
        common = {"thread": "session_1", "context": {"tenant": "t"}, "store": {"kept": 1}}
        assert seen == {"v1": {**common, "shadow": False}, "v2": {**common, "shadow": True}}
        assert custom == [{"from": "v1"}, {"also from": "v1"}]

    def test_command_edges_drawing_and_schemas_are_the_graphs_own(self, watched: ShadowCapture) -> None:
        """Drawing, input and output schemas and the edges of a ``Command`` return type are those of the bare graph."""

        class Extra(TypedDict):
            text: str

        def node(state: Extra) -> Command[Literal["right", "__end__"]]:
            """Go right."""
            return Command(goto="right", update={"trail": ["left"]})

        def build(function: Callable[..., Any]) -> Any:
            graph = StateGraph(State)
            graph.add_node("left", function)
            graph.add_node("right", right)
            graph.add_edge(START, "left")
            return graph.compile(name="small")

        bare = build(node)
        shadowed = build(with_shadow_v2(v2_of())(node))
        assert shadowed.nodes["left"].node is not bare.nodes["left"].node
        assert shadowed.get_graph(xray=True).to_json() == bare.get_graph(xray=True).to_json()
        assert shadowed.get_graph().draw_mermaid() == bare.get_graph().draw_mermaid()
        for schema in ("get_input_jsonschema", "get_output_jsonschema"):
            assert getattr(shadowed, schema)() == getattr(bare, schema)()
        assert call(shadowed)["trail"] == call(bare)["trail"] == ["left", "right"]

    @pytest.mark.parametrize("kind", ["method", "partial", "callable", "async callable", "runnable", "subgraph"])
    def test_every_form_of_a_node_can_be_decorated(self, watched: ShadowCapture, kind: str) -> None:
        """Bound methods, partials, callable objects, runnables and compiled graphs are nodes, and can have a shadow."""

        class Nodes:
            def node(self, state: State) -> dict[str, Any]:
                return left(state)

            def __call__(self, state: State) -> dict[str, Any]:
                return left(state)

        class AsyncNode:
            async def __call__(self, state: State) -> dict[str, Any]:
                return left(state)

        forms: dict[str, Callable[[], Any]] = {
            "method": lambda: Nodes().node,
            "partial": lambda: functools.partial(lambda extra, state: left(state), 1),
            "callable": Nodes,
            "async callable": AsyncNode,
            "runnable": lambda: RunnableLambda(left),
            "subgraph": lambda: StateGraph(State).add_node("in", left).add_edge(START, "in").compile(),
        }
        graph = StateGraph(State)
        graph.add_node("left", with_shadow_v2(v2_of())(forms[kind]()))
        graph.add_node("right", right)
        graph.add_edge(START, "left")
        graph.add_conditional_edges("left", where, ["right", END])
        answer = call(graph.compile(name="small"), is_async=kind == "async callable")
        assert answer["trail"] == ["left", "right"]
        assert [line["node"] for line in watched.lines(semconv.EVENT_V2)] == ["left"]

    def test_v2_self_runs_v1_against_itself(self, watched: ShadowCapture) -> None:
        """``"self"`` measures the noise floor: every pair of a steady node matches."""
        call(small_graph(with_shadow_v2("self")(lambda state: left(state))))
        assert [line["comparison"] for line in watched.lines(semconv.EVENT_V2)] == ["match"]

    def test_a_comparison_of_the_decorators_own(self, watched: ShadowCapture) -> None:
        """``compare`` and ``compare_with`` are heard."""

        def differs(v1: Any, v2: Any) -> list[str]:
            return ["trail"]

        node = with_shadow_v2(v2_of(), compare_with=differs)(lambda state: left(state))
        call(small_graph(node))
        (line,) = watched.lines(semconv.EVENT_V2)
        assert (line["comparison"], line["diff_fields"], line["fields_compared"]) == ("mismatch", ["trail"], True)

    def test_shadow_toml_outranks_the_decorator(self, make_shadow_capture: MakeCapture) -> None:
        """A node's own table wins key by key; what it leaves out is the decorator's."""
        capture = make_shadow_capture({"nodes": {"left": {"sample": 1.0}}})
        node = with_shadow_v2(v2_of(), sample=0.0, live=False, manager=capture.manager)(lambda state: left(state))
        capture.attach(small_graph(node))
        table = capture.manager.nodes["small", "left"].table
        assert (table.sample, table.live) == (1.0, False)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"sample": 2.0}, "with_shadow_v2: sample: got 2.0"),
            ({"timeout_ms": 0}, "with_shadow_v2: timeout_ms: got 0"),
            ({"compare": {"feilds": []}}, "with_shadow_v2: compare"),
        ],
    )
    def test_a_bad_argument_is_an_error_at_once(self, arguments: dict[str, Any], words: str) -> None:
        """The explicit API raises, with what was read and what is expected."""
        with pytest.raises(ConfigError, match=words):
            with_shadow_v2(v2_of(), **arguments)

    def test_two_graphs_of_one_name_keep_their_own_comparison(self, watched: ShadowCapture) -> None:
        """LangGraph's default name is the same for all: targets and comparators are each graph's own all the same."""

        def other() -> Any:
            graph = StateGraph(State)
            node = with_shadow_v2(v2_of(), compare={"fields": ["trail"]})(lambda state: left(state))
            graph.add_node("left", node).add_node("elsewhere", right).add_edge(START, "left")
            graph.add_conditional_edges("left", lambda _: "elsewhere", ["elsewhere"])
            return graph.compile(name="small")

        first = small_graph(with_shadow_v2(v2_of())(lambda state: left(state)))
        second = other()
        for graph in (first, second):
            call(graph)
        seen = {
            line["decision_comparison"]["original_target"]: line["fields_compared"]
            for line in watched.lines(semconv.EVENT_V2)
        }
        assert seen == {"right": False, "elsewhere": True}


class TestMiddleware:
    """``ShadowIntegrationMiddleware``."""

    def test_attach_and_detach(self, shadow_capture: ShadowCapture) -> None:
        """A compiled graph gets its shadows, and is rid of them."""
        middleware = ShadowIntegrationMiddleware({"left": v2_of()}, shadow_capture.manager)
        graph = middleware.attach(small_graph())
        call(graph)
        assert len(shadow_capture.records) == 1
        call(middleware.detach(graph))
        assert len(shadow_capture.records) == 1

    def test_wrap_leaves_the_function_alone(self, shadow_capture: ShadowCapture) -> None:
        """``wrap`` marks a copy: the user's function has no mark, the copy has its signature."""
        middleware = ShadowIntegrationMiddleware({"left": v2_of()}, shadow_capture.manager)

        def node(state: State, config: RunnableConfig) -> dict[str, Any]:
            return left(state)

        wrapped = middleware.wrap("left", node)
        assert mark_of(node) is None
        assert inspect.signature(wrapped) == inspect.signature(node)
        assert call(shadow_capture.attach(small_graph(wrapped)))["trail"] == ["left", "right"]
        assert len(shadow_capture.records) == 1

    def test_wrap_keeps_an_async_callable_one(self, shadow_capture: ShadowCapture) -> None:
        """An object with an async ``__call__`` is still awaited."""

        class AsyncNode:
            async def __call__(self, state: State) -> dict[str, Any]:
                return left(state)

        wrapped = ShadowIntegrationMiddleware({"left": v2_of()}, shadow_capture.manager).wrap("left", AsyncNode())
        answer = call(shadow_capture.attach(small_graph(wrapped)), is_async=True)
        assert answer["trail"] == ["left", "right"]

    def test_a_v2_for_a_node_that_is_not_there_is_an_error(self, shadow_capture: ShadowCapture) -> None:
        """The error names the graph, the wrong node and the right ones."""
        with pytest.raises(ConfigError, match="graph 'small' has no node 'lfet'; it has left, right"):
            shadow_capture.attach(small_graph(), {"lfet": v2_of()})

    def test_a_wrong_path_to_v2_is_logged_and_v1_runs(
        self, make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture
    ) -> None:
        """V2 can't be imported: the pair is recorded as ``not_implemented``, and V1 answers."""
        capture = make_shadow_capture({"nodes": {"left": {"v2": "no_such_module:node"}}})
        assert call(capture.attach(small_graph()))["trail"] == ["left", "right"]
        (line,) = capture.lines()
        assert (line["event"], line["reason"]) == (semconv.EVENT_BASELINE, "not_implemented")
        assert "no_such_module:node" in caplog.text
        assert capture.value(semconv.EXECUTIONS, shadow__status="not_implemented") == 1


class TestV1:
    """What reaches the caller is V1's."""

    @BOTH
    def test_v1s_exception_is_the_very_object(self, shadow_capture: ShadowCapture, is_async: bool) -> None:
        """The exception that V1 raised is the one that the caller catches, with its own traceback and context."""
        cause = KeyError("cause")
        error = ValueError("Maria")

        def failing(state: State) -> dict[str, Any]:
            raise error from cause

        graph = shadow_capture.attach(small_graph(coloured(failing, is_async)), {"left": v2_of()})
        with pytest.raises(ValueError, match="Maria") as caught:
            call(graph, is_async=is_async)
        assert caught.value is error
        assert error.__cause__ is cause
        (line,) = shadow_capture.lines(semconv.EVENT_V2)
        assert (line["v1_status"], line["v1_error_type"], line["v1_served"]) == ("error", "ValueError", True)
        assert (line["comparison"], line["shadow_status"]) == ("none", "success")

    @BOTH
    def test_v1s_value_is_the_very_object(self, shadow_capture: ShadowCapture, is_async: bool) -> None:
        """What V1 put into the state is in the answer, not a copy of it."""
        thing = object()
        node = coloured(lambda _: {"items": [thing], "trail": ["left"]}, is_async)
        graph = shadow_capture.attach(small_graph(node), {"left": v2_of()})
        assert call(graph, is_async=is_async)["items"][0] is thing

    @BOTH
    def test_v2_gets_the_state_before_v1_changed_it(self, shadow_capture: ShadowCapture, is_async: bool) -> None:
        """V1 mutates its input in place; V2 sees the input as it was, and its own changes reach nobody."""
        seen: list[Any] = []

        def v1(state: State) -> dict[str, Any]:
            state["data"]["deep"].append("v1")
            return {"trail": ["left"], "data": state["data"]}

        def v2(state: State) -> dict[str, Any]:
            seen.append([*state["data"]["deep"]])
            state["data"]["deep"].append("v2")
            return {"trail": ["left"], "data": state["data"]}

        given = {"data": {"deep": ["given"]}}
        graph = shadow_capture.attach(small_graph(coloured(v1, is_async)), {"left": coloured(v2, is_async)})
        answer = call(graph, given, is_async=is_async)
        shadow_capture.settle()
        assert answer["data"] == {"deep": ["given", "v1"]}
        assert seen == [["given"]]

    @BOTH
    def test_nobody_waits_for_a_v2_that_hangs(
        self, make_shadow_capture: MakeCapture, gate: threading.Event, is_async: bool
    ) -> None:
        """The answer is there while V2 is still blocked; then V2 is a timeout."""
        began = threading.Event()

        def hanging(state: State) -> dict[str, Any]:
            began.set()
            gate.wait(60)
            return left(state)

        capture = make_shadow_capture({"flags": {"timeout_ms": 150}})
        graph = capture.attach(small_graph(awaited(left) if is_async else left), {"left": coloured(hanging, is_async)})
        answer = call(graph, is_async=is_async)
        assert answer["trail"] == ["left", "right"]
        capture.settle()
        assert began.is_set()
        assert not gate.is_set()  # the answer came, V2 began, and it can't have ended
        (line,) = capture.lines(semconv.EVENT_V2)
        assert (line["shadow_status"], line["v1_served"], line["comparison"]) == ("timeout", True, "none")

    @BOTH
    def test_v2_runs_in_another_thread_than_v1(self, shadow_capture: ShadowCapture, is_async: bool) -> None:
        """A V2 that blocks its thread blocks nobody else's; an awaited one here begins after V1's loop has ended."""
        threads: dict[str, int] = {}

        def who(name: str) -> Callable[[State], dict[str, Any]]:
            def node(state: State) -> dict[str, Any]:
                threads[name] = threading.get_ident()
                return left(state)

            return coloured(node, is_async)

        call(shadow_capture.attach(small_graph(who("v1")), {"left": who("v2")}), is_async=is_async)
        shadow_capture.settle()
        assert threads["v1"] != threads["v2"]

    @BOTH
    @pytest.mark.parametrize(
        ("v2", "status", "error_type"),
        [
            ("raises", "error", "ZeroDivisionError"),
            ("exits", "error", "SystemExit"),
            ("interrupts", "interrupt", None),
            ("returns nonsense", "error", "InvalidUpdateError"),
            ("is not written yet", "not_implemented", "NotImplementedError"),
        ],
    )
    def test_what_becomes_of_v2_is_recorded_and_not_felt(
        self, shadow_capture: ShadowCapture, is_async: bool, v2: str, status: str, error_type: str | None
    ) -> None:
        """An error, an exit, an interrupt, an answer that the graph can't use: an outcome, and V1 answers."""

        def exits(state: State) -> Any:
            raise SystemExit(3)

        def not_yet(state: State) -> Any:
            raise NotImplementedError

        bodies: dict[str, Callable[[State], Any]] = {
            "raises": lambda state: 1 / 0,
            "exits": exits,
            "interrupts": lambda state: interrupt("may I?"),
            "returns nonsense": lambda state: 42,
            "is not written yet": not_yet,
        }
        graph = shadow_capture.attach(
            small_graph(coloured(left, is_async), checkpointer=InMemorySaver()),
            {"left": coloured(bodies[v2], is_async)},
        )
        answer = call(graph, is_async=is_async)
        assert answer["trail"] == ["left", "right"]
        assert "__interrupt__" not in answer
        line = shadow_capture.lines()[0]
        seen = line["shadow_status"] if line["event"] == semconv.EVENT_V2 else line["reason"]
        assert (seen, line["v2_error_type"], line["v1_served"]) == (status, error_type, True)
        assert shadow_capture.value(semconv.EXECUTIONS, shadow__status=status) == 1
        assert shadow_capture.swallowed == {}

    def test_one_side_alone_interrupting_is_a_mismatch(self, shadow_capture: ShadowCapture) -> None:
        """V2 asks where V1 answers: that is a difference the parity counts."""
        graph = small_graph(checkpointer=InMemorySaver())
        call(shadow_capture.attach(graph, {"left": lambda _: interrupt("may I?")}))
        (line,) = shadow_capture.lines(semconv.EVENT_V2)
        assert line["comparison"] == "mismatch"

    def test_an_input_that_cant_be_copied_costs_the_shadow_only(self, shadow_capture: ShadowCapture) -> None:
        """V1 runs; the line says why there is no shadow, by the type's name."""
        graph = shadow_capture.attach(small_graph(), {"left": v2_of()})
        assert call(graph, {"items": [threading.Lock()]})["trail"] == ["left", "right"]
        (line,) = shadow_capture.lines()
        assert line["event"] == semconv.EVENT_BASELINE
        assert line["reason"].startswith("not_captured:")
        assert "lock" in line["reason"]

    def test_a_holdout_session_has_no_shadow_and_is_measured(self, make_shadow_capture: MakeCapture) -> None:
        """The baseline of the latency criterion: the same wrapper, no shadow."""
        capture = make_shadow_capture({"arms": {"holdout": 1.0}})
        ran: list[int] = []
        call(capture.attach(small_graph(), {"left": lambda _: ran.append(1)}))
        (line,) = capture.lines()
        assert (line["event"], line["arm"], line["reason"]) == (semconv.EVENT_BASELINE, "holdout", "holdout")
        assert ran == []
        assert capture.value(semconv.ELIGIBLE, shadow__arm="holdout") == 1

    def test_the_share_that_is_sampled_out_says_so(self, make_shadow_capture: MakeCapture) -> None:
        """``sample`` is a share of sessions: the others are baselines."""
        capture = make_shadow_capture({"nodes": {"left": {"sample": 0.0}}})
        call(capture.attach(small_graph(), {"left": v2_of()}))
        (line,) = capture.lines()
        assert (line["event"], line["reason"]) == (semconv.EVENT_BASELINE, "sampled_out")

    def test_after_shutdown_v1_goes_on(self, shadow_capture: ShadowCapture) -> None:
        """A manager that was shut down sheds; V1 answers."""
        graph = shadow_capture.attach(small_graph(), {"left": v2_of()})
        shadow_capture.manager.shutdown(1.0)
        assert call(graph)["trail"] == ["left", "right"]

    def test_a_run_inside_a_shadow_has_no_shadow_of_its_own(self, shadow_capture: ShadowCapture) -> None:
        """V2 that calls a shadowed graph does not breed shadows."""
        inner = shadow_capture.attach(small_graph(name="inner"), {"left": v2_of()})

        def v2(state: State) -> dict[str, Any]:
            call(inner)
            return left(state)

        call(shadow_capture.attach(small_graph(), {"left": v2}))
        assert [(line["graph"], line["shadow_status"]) for line in shadow_capture.lines(semconv.EVENT_V2)] == [
            ("small", "success")
        ]

    @BOTH
    def test_streams_carry_v1_alone(self, shadow_capture: ShadowCapture, is_async: bool) -> None:
        """``updates`` and ``values`` are those of the bare graph."""

        def chunks(graph: Any) -> list[Any]:
            config = {"configurable": {"thread_id": "session_1"}}
            if not is_async:
                return list(graph.stream({"text": "x"}, config, stream_mode=["updates", "values"]))

            async def collect() -> list[Any]:
                stream = graph.astream({"text": "x"}, config, stream_mode=["updates", "values"])
                return [chunk async for chunk in stream]

            return asyncio.run(collect())

        assert chunks(shadow_capture.attach(small_graph(), {"left": v2_of("__end__")})) == chunks(small_graph())

    def test_the_reducers_of_the_state_are_not_run_on_v2s_writes(self, shadow_capture: ShadowCapture) -> None:
        """Channels of the run hold what V1 wrote, once."""

        class Counted(TypedDict):
            total: Annotated[int, lambda a, b: a + b]

        graph = StateGraph(Counted)
        graph.add_node("left", lambda _: {"total": 1})
        graph.add_edge(START, "left")
        compiled = graph.compile(name="small")
        shadow_capture.attach(compiled, {"left": lambda _: {"total": 100}})
        answer = compiled.invoke({"total": 0}, {"configurable": {"thread_id": "session_1"}})
        shadow_capture.settle()
        assert answer == {"total": 1}

    def test_a_cancelled_v1_is_cancelled(self, shadow_capture: ShadowCapture) -> None:
        """Cancelling the run cancels V1 at once, shadow or no shadow; the line says so."""
        began = asyncio.Event()

        async def slow(state: State) -> dict[str, Any]:
            began.set()
            await asyncio.sleep(60)
            return left(state)

        graph = shadow_capture.attach(small_graph(slow), {"left": coloured(v2_of(), True)})

        async def run() -> None:
            task = asyncio.create_task(graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "session_1"}}))
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(run())
        assert [record.v1.status for record in shadow_capture.records] == [Status.CANCELLED]


class TestExecutions:
    """What is one execution, and so one pair."""

    def events(self, capture: ShadowCapture) -> list[tuple[str, Any]]:
        return [
            (line["event"], line.get("reason")) for line in capture.lines() if line["event"] != semconv.EVENT_COMPARISON
        ]

    def test_a_retry_is_no_new_pair(self, shadow_capture: ShadowCapture) -> None:
        """V1 fails once and is retried: one pair, and a baseline that is not counted as one more to shadow."""
        attempts: list[int] = []

        def flaky(state: State) -> dict[str, Any]:
            attempts.append(1)
            if len(attempts) == 1:
                raise ConnectionError
            return left(state)

        graph = StateGraph(State)
        graph.add_node("left", flaky, retry_policy=RetryPolicy(initial_interval=0.0, jitter=False))
        graph.add_edge(START, "left")
        assert call(shadow_capture.attach(graph.compile(name="small"), {"left": v2_of()}))["trail"] == ["left"]
        assert sorted(self.events(shadow_capture), key=str) == [("SHADOW_BASELINE", "retry"), ("SHADOW_V2", None)]
        assert shadow_capture.value(semconv.ELIGIBLE) == 1

    def test_a_resumed_execution_is_a_new_pair(self, shadow_capture: ShadowCapture) -> None:
        """Both versions ask, the human answers V1 and V2 alike: two pairs, an interrupt and a value."""

        def asking(state: State) -> dict[str, Any]:
            return {**left(state), "text": interrupt("may I?")}

        graph = shadow_capture.attach(small_graph(asking, checkpointer=InMemorySaver()), {"left": asking})
        call(graph)
        assert call(graph, Command(resume="yes"))["text"] == "yes"
        lines = shadow_capture.lines(semconv.EVENT_V2)
        assert [(line["v1_status"], line["shadow_status"], line["comparison"]) for line in lines] == [
            ("interrupt", "interrupt", "match"),
            ("success", "success", "match"),
        ]
        assert len({line["pair_id"] for line in lines}) == 2

    def test_a_cache_hit_has_no_pair(self, shadow_capture: ShadowCapture) -> None:
        """V1 did not run: there is nothing to shadow."""
        graph = StateGraph(State)
        graph.add_node("left", left, cache_policy=CachePolicy(key_func=lambda *_: "same"))
        graph.add_edge(START, "left")
        compiled = shadow_capture.attach(graph.compile(name="small", cache=InMemoryCache()), {"left": v2_of()})
        for _ in range(3):
            assert call(compiled)["trail"] == ["left"]
        assert len(shadow_capture.records) == 1

    @BOTH
    def test_each_branch_of_a_fan_out_is_an_execution(self, shadow_capture: ShadowCapture, is_async: bool) -> None:
        """Three sends, three pairs, each on its own input."""

        def worker(state: State) -> dict[str, Any]:
            return {"trail": [state["text"]]}

        graph = StateGraph(State)
        graph.add_node("worker", coloured(worker, is_async))
        graph.add_conditional_edges(START, lambda _: [Send("worker", {"text": t}) for t in "abc"], ["worker"])
        compiled = shadow_capture.attach(graph.compile(name="fan"), {"worker": coloured(worker, is_async)})
        assert sorted(call(compiled, is_async=is_async)["trail"]) == ["a", "b", "c"]
        lines = shadow_capture.lines(semconv.EVENT_V2)
        assert [line["comparison"] for line in lines] == ["match"] * 3

    def test_a_loop_makes_a_pair_each_time(self, shadow_capture: ShadowCapture) -> None:
        """The same node three times in one run: three pairs."""
        graph = StateGraph(State)
        graph.add_node("left", lambda state: {"trail": ["again"]})
        graph.add_edge(START, "left")
        graph.add_conditional_edges("left", lambda s: "left" if len(s["trail"]) < 3 else END, ["left", END])
        compiled = shadow_capture.attach(graph.compile(name="small"), {"left": lambda _: {"trail": ["again"]}})
        call(compiled)
        lines = shadow_capture.lines(semconv.EVENT_V2)
        assert [line["decision_comparison"]["shadow_target"] for line in lines] == ["left", "left", "__end__"]
        assert {line["comparison"] for line in lines} == {"match"}

    def test_a_node_of_a_subgraph(self, shadow_capture: ShadowCapture) -> None:
        """The inner graph's node has its shadow, under the inner graph's name."""
        inner = shadow_capture.attach(small_graph(name="inner"), {"left": v2_of()})
        outer = StateGraph(State)
        outer.add_node("sub", inner)
        outer.add_edge(START, "sub")
        assert call(outer.compile(name="outer"))["trail"] == ["left", "right"]
        assert [(line["graph"], line["node"]) for line in shadow_capture.lines(semconv.EVENT_V2)] == [("inner", "left")]
