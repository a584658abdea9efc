"""Applications that use LangGraph in many ways, built anew for each comparison."""

from __future__ import annotations

import operator
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, RetryPolicy, Send, interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[str], operator.add]
    messages: Annotated[list[AnyMessage], add_messages]
    bag: dict[str, Any]


@dataclass
class App:
    """A compiled graph and the turns of a conversation with it."""

    graph: Any
    turns: list[Any] = field(default_factory=lambda: [{"n": 1, "bag": {"x": [1]}}])
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of each call."""
    only: str | None = None
    """``sync`` or ``async`` where it can be only one."""
    counts: bool = False
    """Its nodes count their calls in the process: V1 as its own V2 counts, too, and no isolation can help it."""
    side_by_side: bool = False
    """Nodes or tasks run in parallel."""

    def __post_init__(self) -> None:
        # a checkpoint saved in the background may be changed in place by then
        if self.graph.checkpointer:
            self.options["durability"] = "sync"


class Script(BaseChatModel):
    """A chat model that gives the n-th answer to the n-th question: it keeps no count, so that V2 may ask it too."""

    answers: list[AIMessage]

    @property
    def _llm_type(self) -> str:
        return "script"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        given = sum(isinstance(message, AIMessage) for message in messages)
        answer = self.answers[given % len(self.answers)].model_copy(update={"id": f"answer-{given}"})
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        answer = self._generate(messages).generations[0].message
        for word in re.split(r"(?<= )", str(answer.content)):
            yield ChatGenerationChunk(message=AIMessageChunk(word, id=answer.id, tool_calls=answer.tool_calls))


def model(*answers: AIMessage | str) -> Script:
    """A chat model that gives ``answers`` in turn, in chunks."""
    return Script(answers=[item if isinstance(item, AIMessage) else AIMessage(item) for item in answers])


def node(name: str) -> Callable[[State], dict[str, Any]]:
    def run(state: State) -> dict[str, Any]:
        return {"log": [name], "n": state.get("n", 0) + 1}

    return run


def a_chain() -> App:
    """Branches, reducers, a stream writer, a model, a store, a runtime context, checkpoints over two turns."""
    chat = model("hello there", "and bye")

    def talk(state: State, runtime: Runtime) -> dict[str, Any]:
        get_stream_writer()({"custom": state["n"]})
        runtime.store.put(("seen",), "n", {"n": state["n"]})
        return {"messages": [chat.invoke(state["messages"])], "bag": {**state["bag"], "who": runtime.context["who"]}}

    def change(state: State) -> dict[str, Any]:
        state["bag"]["x"].append(2)  # bad manners that some applications rely on
        return {"log": [str(state["bag"])]}

    graph = StateGraph(State, context_schema=dict)
    graph.add_node("a", node("a"), metadata={"kind": "first"})
    graph.add_node("talk", talk)
    graph.add_node("change", change)
    graph.add_node("z", node("z"))
    graph.add_edge(START, "a")
    graph.add_conditional_edges("a", lambda state: "talk" if state["n"] > 1 else "z", ["talk", "z"])
    graph.add_edge("talk", "change")
    graph.add_conditional_edges("change", lambda state: "z" if len(state["log"]) < 9 else END, ["z", END])
    compiled = graph.compile(checkpointer=InMemorySaver(), store=InMemoryStore(), name="chain")
    hello = [HumanMessage("hi", id="h")]
    return App(compiled, [{"n": 1, "bag": {"x": [1]}, "messages": hello}, {"n": 5}], {"context": {"who": "ana"}})


def subgraphs() -> App:
    """A graph in a graph in a graph, with a command to the parent."""
    inner = StateGraph(State)
    inner.add_node("inner", node("inner"))
    inner.add_node("up", lambda state: Command(graph=Command.PARENT, goto="after", update={"log": ["up"]}))
    inner.add_edge(START, "inner")
    inner.add_edge("inner", "up")
    middle = StateGraph(State)
    middle.add_node("deep", inner.compile())
    middle.add_node("after", node("after"))
    middle.add_edge(START, "deep")
    outer = StateGraph(State)
    outer.add_node("middle", middle.compile())
    outer.add_node("end", node("end"))
    outer.add_edge(START, "middle")
    outer.add_edge("middle", "end")
    return App(outer.compile(checkpointer=InMemorySaver()))


def interrupts() -> App:
    """Two questions to a human, answered."""

    def ask(state: State) -> dict[str, Any]:
        return {"log": [interrupt("name?"), interrupt({"age": "?"})]}

    graph = StateGraph(State)
    graph.add_node("a", node("a"))
    graph.add_node("ask", ask)
    graph.add_edge(START, "a")
    graph.add_edge("a", "ask")
    return App(graph.compile(checkpointer=InMemorySaver()), [{"n": 1}, Command(resume="ana"), Command(resume="9")])


def fan_out() -> App:
    """``Send`` to many, a deferred node, a join."""
    graph = StateGraph(State)
    graph.add_node("a", node("a"))
    graph.add_node("each", lambda state: {"log": [f"each {state['n']}"]})
    graph.add_node("b", node("b"), defer=True)
    graph.add_node("c", lambda state: {"log": ["c"]})
    graph.add_node("d", lambda state: {"log": ["d"]})
    graph.add_edge(START, "a")
    graph.add_edge(START, "c")
    graph.add_conditional_edges("a", lambda state: [Send("each", {"n": i}) for i in range(4)], ["each"])
    graph.add_edge("each", "b")
    graph.add_edge(["c", "each"], "d")
    return App(graph.compile(checkpointer=InMemorySaver()), side_by_side=True)


def retry_and_cache() -> App:
    """A node that fails twice, and one whose result is cached in the second turn."""
    tries: list[int] = []

    def flaky(state: State) -> dict[str, Any]:
        tries.append(1)
        if len(tries) % 3:
            raise ConnectionError
        return {"log": [f"try {len(tries)}"]}

    def cached(state: State) -> dict[str, Any]:
        return {"log": [f"after {len(tries)}"]}

    graph = StateGraph(State)
    graph.add_node("flaky", flaky, retry_policy=RetryPolicy(initial_interval=0.0, jitter=False))
    graph.add_node("cached", cached, cache_policy=CachePolicy(key_func=lambda *_: "key"))
    graph.add_edge(START, "flaky")
    graph.add_edge("flaky", "cached")
    return App(graph.compile(cache=InMemoryCache()), [{"n": 1}, {"n": 1}], counts=True)


def errors() -> App:
    """A node that raises, on a saver: the error, and the state it left."""

    def raises(state: State) -> dict[str, Any]:
        raise ValueError("no")

    graph = StateGraph(State)
    graph.add_node("a", node("a"))
    graph.add_node("raises", raises)
    graph.add_edge(START, "a")
    graph.add_edge("a", "raises")
    return App(graph.compile(checkpointer=InMemorySaver()))


def error_handlers() -> App:
    """A node with an error handler of its own."""

    def raises(state: State) -> dict[str, Any]:
        raise ValueError("no")

    def handles(state: State, error: Any) -> Command[Any]:
        return Command(goto="a", update={"log": ["handled"]})

    from langgraph.errors import NodeError

    handles.__annotations__["error"] = NodeError
    graph = StateGraph(State)
    graph.add_node("raises", raises, error_handler=handles)
    graph.add_node("a", node("a"))
    graph.add_edge(START, "raises")
    return App(graph.compile(checkpointer=InMemorySaver()))


def timeouts() -> App:
    """Nodes with time limits: one that keeps it, one that doesn't."""
    import asyncio

    async def quick(state: State) -> dict[str, Any]:
        return {"log": ["quick"]}

    async def slow(state: State) -> dict[str, Any]:
        await asyncio.sleep(0.5)
        return {"log": ["slow"]}

    graph = StateGraph(State)
    graph.add_node("quick", quick, timeout=5)
    graph.add_node("slow", slow, timeout=0.05)
    graph.add_edge(START, "quick")
    graph.add_edge("quick", "slow")
    return App(graph.compile(checkpointer=InMemorySaver()), only="async")


@tool
def weather(city: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> ToolMessage:
    """Tell the weather."""
    # an id of its own: one that the reducer sets in place may or may not be in the write that is being saved
    return ToolMessage(f"sunny in {city}", tool_call_id=tool_call_id, id="sunny")


ASKS = AIMessage("", id="asks", tool_calls=[{"name": "weather", "args": {"city": "Recife"}, "id": "c1"}])
QUESTION = {"messages": [HumanMessage("weather in Recife?", id="q")]}


def react_agent() -> App:
    """The prebuilt agent, with a tool."""
    from langgraph.prebuilt import create_react_agent

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # langgraph 1.x says where else it lives now
        return App(create_react_agent(model(ASKS, "it is sunny"), [weather], checkpointer=InMemorySaver()), [QUESTION])


def agent() -> App:
    """LangChain's agent, with a tool."""
    from langchain.agents import create_agent

    return App(create_agent(model(ASKS, "it is sunny"), [weather], checkpointer=InMemorySaver()), [QUESTION])


def functional() -> App:
    """``@entrypoint`` with tasks, a question, and the value of the turn before."""

    @task
    def double(n: int) -> int:
        return 2 * n

    @entrypoint(checkpointer=InMemorySaver())
    def flow(n: int, *, previous: int | None) -> dict[str, Any]:
        doubled = [future.result() for future in [double(n), double(n + 1)]]
        return {"doubled": doubled, "previous": previous}

    return App(flow, [1, 2], only="sync", side_by_side=True)


def afunctional() -> App:
    """The same, awaited."""

    @task
    async def double(n: int) -> int:
        return 2 * n

    @entrypoint(checkpointer=InMemorySaver())
    async def flow(n: int, *, previous: int | None) -> dict[str, Any]:
        return {"doubled": [await double(n), await double(n + 1)], "previous": previous}

    return App(flow, [1, 2], only="async")


def tools_and_messages() -> App:
    """Messages state with removal by id and a tool message."""

    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [ToolMessage("x", tool_call_id="c1", id="t"), ("ai", "done")]}

    graph = StateGraph(MessagesState)
    graph.add_sequence([("answer", answer), ("again", lambda state: {"messages": [AIMessage("again", id="t2")]})])
    graph.add_edge(START, "answer")
    return App(graph.compile(), [{"messages": [HumanMessage("hi", id="h")]}])


APPS = (
    a_chain, subgraphs, interrupts, fan_out, retry_and_cache, errors, error_handlers, timeouts, react_agent, agent,
    functional, afunctional, tools_and_messages,
)  # fmt: skip
