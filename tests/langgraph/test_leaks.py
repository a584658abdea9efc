"""Each way in which a naive shadow leaks into production: seen leaking without the isolation, and not with it."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForLLMRun, get_usage_metadata_callback
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.cache.memory import InMemoryCache as NodeCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_store, get_stream_writer
from langgraph.func import task
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages, push_message
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, interrupt
from shadow_harness import AFTER, BEFORE, ISOLATED, NAIVE, Shadow, World

THREAD = {"configurable": {"thread_id": "demo_001"}}
SECRET = "v2 speaks"

Leak = Callable[[World], bool]
LEAKS: list[Leak] = []


def leak(scenario: Leak) -> Leak:
    """Register a scenario: it plays production with a V2 beside it, and tells whether V2 left a trace."""
    LEAKS.append(scenario)
    return scenario


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("scenario", LEAKS, ids=lambda scenario: scenario.__name__)
def test_a_naive_shadow_leaks(scenario: Leak, is_async: bool) -> None:
    """Without the isolation the trace is there: the test of the isolation can fail."""
    assert scenario(World(NAIVE, is_async))


@pytest.mark.usefixtures("guards")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("scenario", LEAKS, ids=lambda scenario: scenario.__name__)
def test_the_isolated_shadow_does_not(scenario: Leak, is_async: bool) -> None:
    """With the isolation V2 runs to its end and leaves no trace."""
    assert not scenario(World(ISOLATED, is_async))


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    log: Annotated[list[str], operator.add]
    bag: dict[str, Any]


class Speaker(BaseChatModel):
    """A chat model that says one thing; all of them look the same to a cache."""

    says: str

    @property
    def _llm_type(self) -> str:
        return "speaker"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {}

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        return "speaker"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
        answer = AIMessage(self.says, usage_metadata=usage, response_metadata={"model_name": "speaker"})
        return ChatResult(generations=[ChatGeneration(message=answer)])


def build(world: World, v1: Callable[..., Any], **compiled: Any) -> Any:
    """A graph of the one node ``a``."""
    context = compiled.pop("context_schema", None)
    node = compiled.pop("node", {})
    graph = StateGraph(State, context_schema=context) if context else StateGraph(State)
    graph.add_node("a", world.node(v1), **node)
    graph.add_edge(START, "a")
    graph.add_edge("a", END)
    return graph.compile(**compiled)


def quiet(state: State) -> dict[str, Any]:
    """A V1 that does nothing of note."""
    return {"log": ["v1"]}


def well(world: World, beside: Shadow) -> None:
    """V2 ran; isolated, it also succeeded."""
    assert beside.ran
    if world.isolated:
        assert [e.error for e in beside.executions] == [None] * beside.ran


def speak(state: State) -> dict[str, Any]:
    """A V2 that asks a model."""
    Speaker(says=SECRET).invoke("hello")
    return {"log": ["v2"]}


@leak
def tokens_in_the_messages_stream(world: World) -> bool:
    graph = build(world, quiet)
    beside = world.shadow(graph, "a", world.node(speak))
    chunks = world.stream(graph, {}, stream_mode="messages")
    well(world, beside)
    return any(SECRET in str(chunk) for chunk in chunks)


@leak
def events(world: World) -> bool:
    graph = build(World(world.mode, True), quiet)
    beside = world.shadow(graph, "a", World(world.mode, True).node(speak))

    async def collect() -> list[Any]:
        return [event async for event in graph.astream_events({}, version="v2")]

    seen = asyncio.run(collect())
    well(world, beside)
    return any(SECRET in str(event) for event in seen)


@leak
def callbacks_of_the_caller(world: World) -> bool:
    class Ear(BaseCallbackHandler):
        heard = False

        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            self.heard = self.heard or SECRET in str(response)

    ear = Ear()
    graph = build(world, quiet)
    beside = world.shadow(graph, "a", world.node(speak))
    world.invoke(graph, {}, {"callbacks": [ear]})
    well(world, beside)
    return ear.heard


@leak
def usage_counters_of_the_caller(world: World) -> bool:
    graph = build(world, quiet)
    beside = world.shadow(graph, "a", world.node(speak))
    with get_usage_metadata_callback() as usage:
        world.invoke(graph, {})
    well(world, beside)
    if world.isolated:
        assert [scope.tokens for scope in beside.scopes] == [{"input": 7, "output": 3}]
    return bool(usage.usage_metadata)


@leak
def handlers_that_the_environment_switches_on(world: World) -> bool:
    from contextvars import ContextVar

    from langchain_core.tracers import context as tracers

    heard: list[str] = []

    class Ear(BaseCallbackHandler):
        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            heard.append(str(response))

    graph = build(world, quiet)
    beside = world.shadow(graph, "a", world.node(speak))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_EAR", "true")
        tracers.register_configure_hook(ContextVar("ear", default=None), True, Ear, "TEST_EAR")
        try:
            world.invoke(graph, {})
        finally:
            tracers._configure_hooks.pop()
    well(world, beside)
    return any(SECRET in said for said in heard)


@leak
def stream_writer(world: World) -> bool:
    def v2(state: State, runtime: Runtime) -> dict[str, Any]:
        get_stream_writer()(SECRET)
        runtime.stream_writer(SECRET)
        return {}

    graph = build(world, quiet)
    beside = world.shadow(graph, "a", world.node(v2))
    chunks = world.stream(graph, {}, stream_mode="custom")
    well(world, beside)
    if world.isolated:
        assert beside.executions[0].custom == [SECRET, SECRET]
    return bool(chunks)


@leak
def store_writes(world: World) -> bool:
    def v2(state: State) -> dict[str, Any]:
        store = get_store()
        before = store.get(("people",), "ana")
        store.put(("people",), "ana", {"age": 9})
        store.put(("people",), "rui", {"age": 5})
        store.delete(("people",), "eva")
        names = sorted(item.key for item in store.search(("people",)))
        return {"log": [str(before.value), str(store.get(("people",), "ana").value), *names]}

    async def av2(state: State) -> dict[str, Any]:
        store = get_store()
        before = await store.aget(("people",), "ana")
        await store.aput(("people",), "ana", {"age": 9})
        await store.aput(("people",), "rui", {"age": 5})
        await store.adelete(("people",), "eva")
        names = sorted(item.key for item in await store.asearch(("people",)))
        return {"log": [str(before.value), str((await store.aget(("people",), "ana")).value), *names]}

    store = InMemoryStore()
    store.put(("people",), "ana", {"age": 8})
    store.put(("people",), "eva", {"age": 3})
    graph = build(world, quiet, store=store)
    beside = world.shadow(graph, "a", av2 if world.is_async else v2)
    world.invoke(graph, {})
    well(world, beside)
    if world.isolated:
        assert beside.executions[0].value == {"log": ["{'age': 8}", "{'age': 9}", "ana", "rui"]}
    found = {item.key: item.value for item in store.search(("people",))}
    return found != {"ana": {"age": 8}, "eva": {"age": 3}}


@leak
def the_humans_answer(world: World) -> bool:
    def v1(state: State) -> dict[str, Any]:
        return {"log": [f"v1 heard {interrupt('v1 asks')}"]}

    def v2(state: State) -> dict[str, Any]:
        return {"log": [f"v2 heard {interrupt('v2 asks')}"]}

    graph = build(world, v1, checkpointer=InMemorySaver())
    beside = world.shadow(graph, "a", world.node(v2), when=BEFORE)
    world.invoke(graph, {}, THREAD)
    result = world.invoke(graph, Command(resume="yes"), THREAD)
    assert beside.ran == 2
    if world.isolated:
        asked, answered = beside.executions
        assert (asked.status, asked.value) == ("interrupt", ("v2 asks",))
        assert answered.value == {"log": ["v2 heard yes"]}
    return result.get("log") != ["v1 heard yes"]


@leak
def pushed_messages(world: World) -> bool:
    def v2(state: State) -> dict[str, Any]:
        push_message(AIMessage(SECRET, id="m2"))
        return {}

    graph = build(world, quiet)
    beside = world.shadow(graph, "a", world.node(v2))
    result = world.invoke(graph, {"messages": [HumanMessage("hi")]})
    well(world, beside)
    if world.isolated:
        assert list(beside.executions[0].writes) == ["messages"]
    return SECRET in str(result["messages"])


@leak
def the_node_cache(world: World) -> bool:
    def v2(state: State) -> dict[str, Any]:
        push_message(AIMessage(SECRET, id="m2"))
        return {}

    policy = {"cache_policy": CachePolicy(key_func=lambda *_: "same")}
    cache = NodeCache()
    graph = build(world, quiet, cache=cache, node=policy)
    beside = world.shadow(graph, "a", world.node(v2))
    world.invoke(graph, {"messages": [HumanMessage("hi")]})
    well(world, beside)
    plain = build(world, quiet, cache=cache, node=policy)
    return SECRET in str(world.invoke(plain, {"messages": [HumanMessage("hi")]})["messages"])


def caller(graph: Any, world: World) -> Callable[..., Any]:
    """A node that runs a graph inside itself."""

    def call(state: State) -> dict[str, Any]:
        graph.invoke({"log": ["sub"]})
        return {"log": ["v2"]}

    async def acall(state: State) -> dict[str, Any]:
        await graph.ainvoke({"log": ["sub"]})
        return {"log": ["v2"]}

    return acall if world.is_async else call


@leak
def checkpoints_of_a_subgraph(world: World) -> bool:
    saver = InMemorySaver()
    graph = build(world, quiet, checkpointer=saver)
    beside = world.shadow(graph, "a", caller(build(world, quiet), world))
    world.invoke(graph, {}, THREAD)
    well(world, beside)
    return any(saved.config["configurable"]["checkpoint_ns"] for saved in saver.list(THREAD))


@leak
def a_subgraph_in_the_stream(world: World) -> bool:
    graph = build(world, quiet)
    beside = world.shadow(graph, "a", caller(build(world, quiet), world))
    chunks = world.stream(graph, {}, stream_mode="updates", subgraphs=True)
    well(world, beside)
    return any(namespace for namespace, _ in chunks)


@leak
def namespaces_of_v1s_own_subgraph(world: World) -> bool:
    remembering = build(world, quiet, checkpointer=True)
    saver = InMemorySaver()
    graph = build(world, caller(remembering, World(world.mode, False)), checkpointer=saver)
    if world.is_async:
        acall = caller(remembering, world)
        graph = build(World(world.mode, False), acall, checkpointer=saver)
    beside = world.shadow(graph, "a", caller(remembering, world), when=BEFORE)
    world.invoke(graph, {}, THREAD)
    well(world, beside)
    found = {saved.config["configurable"]["checkpoint_ns"] for saved in saver.list(THREAD)}
    return found != {"", "a"}


@leak
def another_graph_with_its_own_saver(world: World) -> bool:
    saver = InMemorySaver()
    other = build(world, quiet, checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "other"}}

    def v2(state: State) -> dict[str, Any]:
        other.invoke({"log": ["x"]}, config)
        return {}

    async def av2(state: State) -> dict[str, Any]:
        await other.ainvoke({"log": ["x"]}, config)
        return {}

    graph = build(world, quiet, checkpointer=InMemorySaver())
    beside = world.shadow(graph, "a", av2 if world.is_async else v2)
    world.invoke(graph, {}, THREAD)
    well(world, beside)
    return bool(list(saver.list(None)))


@leak
def state_updates_of_another_graph(world: World) -> bool:
    saver = InMemorySaver()
    other = build(world, quiet, checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "other"}}

    def v2(state: State) -> dict[str, Any]:
        other.update_state(config, {"log": ["x"]}, as_node="a")
        return {"log": other.get_state(config).values["log"]}

    async def av2(state: State) -> dict[str, Any]:
        await other.aupdate_state(config, {"log": ["x"]}, as_node="a")
        return {"log": (await other.aget_state(config)).values["log"]}

    graph = build(world, quiet)
    beside = world.shadow(graph, "a", av2 if world.is_async else v2)
    world.invoke(graph, {}, THREAD)
    well(world, beside)
    if world.isolated:
        assert beside.executions[0].value == {"log": ["x"]}
    return bool(list(saver.list(None)))


@task
def double(number: int) -> int:
    """A task of V2's."""
    return 2 * number


@task
async def adouble(number: int) -> int:
    """The same, awaited."""
    return 2 * number


@leak
def tasks(world: World) -> bool:
    def v2(state: State) -> dict[str, Any]:
        futures = [double(n) for n in (1, 2)]
        return {"log": [str(future.result()) for future in futures]}

    async def av2(state: State) -> dict[str, Any]:
        return {"log": [str(n) for n in await asyncio.gather(adouble(1), adouble(2))]}

    graph = build(world, quiet)
    beside = world.shadow(graph, "a", av2 if world.is_async else v2)
    chunks = world.stream(graph, {}, stream_mode="updates")
    well(world, beside)
    if world.isolated:
        assert beside.executions[0].value == {"log": ["2", "4"]}
    return "double" in str(chunks)


@leak
def changes_in_place_to_the_state(world: World) -> bool:
    def v1(state: State) -> dict[str, Any]:
        return {"log": sorted(state["bag"])}

    def v2(state: State) -> dict[str, Any]:
        state["bag"]["from v2"] = 1
        return {"log": []}

    graph = build(world, v1)
    beside = world.shadow(graph, "a", world.node(v2), when=BEFORE)
    result = world.invoke(graph, {"bag": {"x": 1}})
    well(world, beside)
    return result["log"] != ["x"]


@leak
def v1s_changes_in_place_to_v2s_input(world: World) -> bool:
    seen: list[list[str]] = []

    def v1(state: State) -> dict[str, Any]:
        state["bag"]["from v1"] = 1
        return {}

    def v2(state: State) -> dict[str, Any]:
        seen.append(sorted(state["bag"]))
        return {}

    graph = build(world, v1)
    beside = world.shadow(graph, "a", world.node(v2), when=AFTER)
    world.invoke(graph, {"bag": {"x": 1}})
    well(world, beside)
    return seen != [["x"]]


HAS_DRAIN = hasattr(Runtime(), "control")


def draining(world: World) -> bool:
    """V2 asks the run to stop: the node after ``a`` never runs."""

    def v2(state: State, runtime: Runtime) -> dict[str, Any]:
        runtime.control.request_drain()
        return {}

    graph = StateGraph(State)
    graph.add_node("a", world.node(quiet))
    graph.add_node("b", world.node(lambda state: {"log": ["b"]}))
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    compiled = graph.compile()
    beside = world.shadow(compiled, "a", world.node(v2))
    try:
        result = world.invoke(compiled, {})
    except Exception as drained:
        return type(drained).__name__ == "GraphDrained"
    well(world, beside)
    return result["log"] != ["v1", "b"]


if HAS_DRAIN:
    leak(draining)


@dataclass
class Context:
    """A mutable runtime context with a client in it."""

    basket: list[str] = field(default_factory=list)
    client: Any = None


class Client:
    """Something that can't be copied, and is V2's to use."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("clients can't be copied")


@leak
def the_runtime_context(world: World) -> bool:
    def v2(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        runtime.context.basket.append("v2")
        return {"log": [type(runtime.context.client).__name__]}

    traces = []
    for context in (Context(), Context(client=Client()), Context(client=Client())):
        graph = build(world, quiet, context_schema=Context)
        beside = world.shadow(graph, "a", world.node(v2), when=BEFORE)
        world.invoke(graph, {}, context=context)
        well(world, beside)
        traces.append(bool(context.basket))
    return any(traces)


@leak
def objects_in_configurable(world: World) -> bool:
    def v2(state: State, config: Any) -> dict[str, Any]:
        config["configurable"]["basket"].append("v2")
        config["metadata"]["notes"].append("v2")
        return {"log": [type(config["configurable"]["client"]).__name__]}

    v2.__annotations__["config"] = "RunnableConfig"
    basket: list[str] = []
    notes: list[str] = []
    graph = build(world, quiet)
    beside = world.shadow(graph, "a", world.node(v2), when=BEFORE)
    config = {"configurable": {"basket": basket, "client": Client()}, "metadata": {"notes": notes}}
    world.invoke(graph, {}, config)
    well(world, beside)
    return bool(basket or notes)


@leak
def the_cache_of_model_answers(world: World) -> bool:
    def asking(model: Speaker) -> Callable[..., Any]:
        return lambda state: {"log": [model.invoke("hello").content]}

    before = get_llm_cache()
    set_llm_cache(InMemoryCache())
    try:
        graph = build(world, asking(Speaker(says="v1 speaks")))
        beside = world.shadow(graph, "a", world.node(asking(Speaker(says=SECRET))), when=BEFORE)
        result = world.invoke(graph, {})
    finally:
        set_llm_cache(before)
    well(world, beside)
    return result["log"] != ["v1 speaks"]


@leak
def a_models_own_cache(world: World) -> bool:
    cache = InMemoryCache()

    def asking(model: Speaker) -> Callable[..., Any]:
        return lambda state: {"log": [model.invoke("hello").content]}

    graph = build(world, asking(Speaker(says="v1 speaks", cache=cache)))
    beside = world.shadow(graph, "a", world.node(asking(Speaker(says=SECRET, cache=cache))), when=BEFORE)
    result = world.invoke(graph, {})
    well(world, beside)
    return result["log"] != ["v1 speaks"]


@leak
def langsmith(world: World) -> bool:
    from langsmith import Client as LangSmith
    from langsmith import traceable
    from langsmith.run_helpers import tracing_context

    names: list[str] = []

    class Collector(LangSmith):
        def create_run(self, name: str, inputs: Any, run_type: Any, **kwargs: Any) -> None:
            names.append(name)

        def update_run(self, run_id: Any, **kwargs: Any) -> None:
            """Ends don't matter here."""

    @traceable(name="traced by v2")
    def traced() -> None:
        """Something of V2's."""

    def v2(state: State) -> dict[str, Any]:
        traced()
        Speaker(says=SECRET, name="v2 model").invoke("hello")
        return {}

    graph = build(world, quiet)
    beside = world.shadow(graph, "a", world.node(v2))
    with tracing_context(enabled=True, client=Collector(api_key="none", auto_batch_tracing=False)):
        world.invoke(graph, {})
    well(world, beside)
    assert "LangGraph" in names
    return any("v2" in name for name in names)


@leak
def spans(world: World) -> bool:
    from opentelemetry import context, trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")

    def v2(state: State) -> dict[str, Any]:
        with tracer.start_as_current_span("inside v2"):
            return {}

    def enter() -> None:
        context.attach(trace.set_span_in_context(tracer.start_span("v2.shadow")))

    graph = build(world, quiet)
    beside = world.shadow(graph, "a", world.node(v2), **({"enter": enter} if world.isolated else {}))
    with tracer.start_as_current_span("production") as production:
        world.invoke(graph, {})
    well(world, beside)
    [inside] = [span for span in exporter.get_finished_spans() if span.name == "inside v2"]
    return inside.parent is not None and inside.parent.span_id == production.get_span_context().span_id


def test_the_drain_leak_is_tested_where_langgraph_can_drain() -> None:
    """The scenario is left out only on versions whose runtime has no control."""
    assert HAS_DRAIN or tuple(map(int, version("langgraph").split(".")[:2])) < (1, 2)
