"""An application whose models and graphs are instrumented; its spans go to a file, one JSON object a line.

Run by ``test_instrumentations.py`` in an environment with the instrumentations. Arguments: a JSON object with ``which``
(instrumentation), ``last`` (instrumented after the nodes have their shadows), ``awaited``, ``live``, ``silent``,
``own_provider`` (the instrumentation's is not the global one), ``executor`` and ``file``. A worker process is told the
same by ``TEST_INSTRUMENTED``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

TOLD = json.loads(os.environ["TEST_INSTRUMENTED"])
TRACER = trace.get_tracer("app")


class State(TypedDict, total=False):
    answer: str


class ModelOfV1(GenericFakeChatModel):
    pass


class ModelOfV2(GenericFakeChatModel):
    pass


def model(side: str) -> Any:
    made = ModelOfV1 if side == "v1" else ModelOfV2
    return made(messages=iter([AIMessage("hello")]))


def in_thread(side: str) -> None:
    with TRACER.start_as_current_span("app thread", attributes={"side": side}):
        pass


def work(side: str) -> None:
    """Open spans around and beside a model's call, here and in a thread that gets OpenTelemetry's context."""
    with TRACER.start_as_current_span("app", attributes={"side": side}):
        model(side).invoke(f"secret of {side}")
        with ThreadPoolExecutor(1) as pool:
            carried = context.get_current()
            pool.submit(lambda: (context.attach(carried), in_thread(side))).result()


async def awork(side: str) -> None:
    with TRACER.start_as_current_span("app", attributes={"side": side}):
        await asyncio.gather(model(side).ainvoke(f"secret of {side}"), asyncio.to_thread(in_thread, side))
        async for _ in model(side).astream(f"secret of {side}"):
            pass


def called(side: str) -> Any:
    def node(state: State) -> State:
        work(side)
        return {"answer": "same"}

    return node


def awaited(side: str) -> Any:
    async def node(state: State) -> State:
        await awork(side)
        return {"answer": "same"}

    return node


v2_called, v2_awaited = called("v2"), awaited("v2")


def forms(side: str) -> dict[str, Any]:
    """Nodes of every form."""
    node = awaited(side) if TOLD["awaited"] else called(side)
    inner = StateGraph(State).add_node("innermost", node).add_edge(START, "innermost").compile(name=f"inner_{side}")
    made = {
        "plain": node,
        "runnable": RunnableLambda(node, name=f"runnable_{side}"),
        "chain": RunnableLambda(lambda state: state) | RunnableLambda(node) | RunnableLambda(lambda state: state),
        "graph": inner,
        "calls": acalling(inner) if TOLD["awaited"] else calling(inner),
    }
    if TOLD["live"]:
        del made["chain"]  # LangGraph makes its parts steps of the node
    return made


def calling(inner: Any) -> Any:
    return lambda state: inner.invoke({})


def acalling(inner: Any) -> Any:
    async def node(state: State) -> Any:
        return await inner.ainvoke({})

    return node


def provider() -> Any:
    made = TracerProvider(shutdown_on_exit=False)
    file = open(TOLD["file"], "a", buffering=1)  # noqa: SIM115 - until the process ends
    made.add_span_processor(
        SimpleSpanProcessor(ConsoleSpanExporter(out=file, formatter=lambda span: span.to_json(indent=None) + "\n"))
    )
    return made


def instrument() -> None:
    """Instrument as the argument says."""
    which = TOLD["which"]
    if which == "openinference":
        from openinference.instrumentation.langchain import LangChainInstrumentor as Instrumentor
    elif which == "openllmetry":
        from opentelemetry.instrumentation.langchain import LangchainInstrumentor as Instrumentor
    elif which == "genai":
        from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor as Instrumentor
    else:
        return
    own = {"tracer_provider": provider()} if TOLD["own_provider"] else {}
    Instrumentor().instrument(skip_dep_check=True, **own)


def in_worker() -> None:
    """Set up a worker process."""
    trace.set_tracer_provider(provider())
    instrument()


def main() -> None:
    """Run the graph twice inside a span of the application."""
    from otel_shadow import FeatureFlags, ShadowConfig, ShadowTrafficManager
    from otel_shadow._api.middleware import ShadowIntegrationMiddleware

    trace.set_tracer_provider(provider())
    if not TOLD["last"]:
        instrument()
    v1, v2 = forms("v1"), forms("v2")
    if TOLD["executor"] == "process":
        own = f"{__name__ if __name__ != '__main__' else 'instrumented_application'}:v2_"
        v1 = {"plain": v1["plain"]}
        v2 = {"plain": own + ("awaited" if TOLD["awaited"] else "called")}
    builder = StateGraph(State)
    for at, (name, node) in enumerate(v1.items()):
        builder.add_node(name, node).add_edge([START, *v1][at], name)
    graph = builder.compile(name="assistant")
    config = ShadowConfig.from_mapping(
        {
            "nodes": {
                name: {"timeout_ms": 60_000, "executor": TOLD["executor"]}
                | ({"v2": v2[name]} if isinstance(v2[name], str) else {})
                for name in v1
            },
            "process": {"init": "instrumented_application:in_worker", "idle_priority": False, "workers": 1},
            "privacy": {"suppress_instrumentation": TOLD["silent"]},
            "arms": {"holdout": 0.0},
        }
    )
    flags = FeatureFlags(router_v2_enabled=TOLD["live"], router_v2_percentage=100 if TOLD["live"] else 0)
    manager = ShadowTrafficManager(config, flags, log_file=os.devnull)
    given = {name: made for name, made in v2.items() if not isinstance(made, str)}
    ShadowIntegrationMiddleware(given, manager).attach(graph)
    if TOLD["last"]:
        instrument()

    async def awaiting() -> None:
        await graph.ainvoke({}, thread)
        await asyncio.to_thread(manager.flush, 60)

    for run in range(2):
        thread: Any = {"configurable": {"thread_id": f"t{run}"}}
        with TRACER.start_as_current_span("request"):
            if TOLD["awaited"]:
                asyncio.run(awaiting())
            else:
                graph.invoke({}, thread)
    manager.flush(60)
    print(json.dumps(dict(manager.fault_barrier.counts)))
    manager.shutdown(20)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
