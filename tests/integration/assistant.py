"""An application of its own process: a LangGraph graph that knows nothing of us, and the V2 of its one business node.

``opentelemetry-instrument python assistant.py match=20 mismatch=2 error=1`` plays that many requests of each kind, each
in a session and under a root span of its own. What the kinds do is V2's business: V1 is always the same. Where
``held=5`` is part of the plan, those five come in slots of the holdout, and all others in ordinary ones.
"""

from __future__ import annotations

import operator
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from opentelemetry import trace

from otel_shadow.slots import slot_at

tracer = trace.get_tracer("assistant")
PAUSE_S = float(os.environ.get("ASSISTANT_PAUSE_S", "0.005"))
FIRST_SESSION = int(os.environ.get("ASSISTANT_FIRST_SESSION", "0"))
"""Sessions are numbered from here."""
SLOT_S, HOLDOUT, MARGIN_S = 2, 0.5, 0.5
"""The slots of time, and how much of one is left when a request begins in it."""
GO = Path(os.environ.get("ASSISTANT_GO", "go"))
"""File that a late V2 waits for, and ``wait=1`` of the plan with it."""
SLOW_S = float(os.environ.get("ASSISTANT_SLOW_S", "0.3"))


class State(TypedDict, total=False):
    """What the graph passes on."""

    text: str
    current_step: str
    next_node: str
    trail: Annotated[list[str], operator.add]


def triage(state: State) -> dict[str, Any]:
    """V1: works a moment, and goes on to the answer."""
    with tracer.start_as_current_span("v1.work"):
        time.sleep(PAUSE_S)
    return {"trail": ["triage"], "current_step": "done", "next_node": "answer"}


def triage_v2(state: State) -> dict[str, Any]:
    """V2: agrees, differs, fails, dawdles, or differs late, as the text says."""
    kind = state["text"]
    with tracer.start_as_current_span("v2.work"):
        time.sleep(SLOW_S if kind == "slow" else PAUSE_S)
        if kind == "late":
            wait_to_go()
        if kind == "error":
            raise ValueError("a message that must not leave the process")
    return {"trail": ["triage"], "current_step": "done", "next_node": END if kind in ("mismatch", "late") else "answer"}


def answer(state: State) -> dict[str, Any]:
    """The node after it."""
    return {"trail": ["answer"]}


def build() -> Any:
    """Compile the graph."""
    graph = StateGraph(State)
    graph.add_node("triage", triage)
    graph.add_node("answer", answer)
    graph.add_edge(START, "triage")
    graph.add_conditional_edges("triage", lambda state: state["next_node"], ["answer", END])
    graph.add_edge("answer", END)
    return graph.compile(name="assistant")


def wait_to_go() -> None:
    """Wait until the test says that it may go on."""
    while not GO.exists():
        time.sleep(0.01)


def wait_for_slot(held: bool) -> None:
    """Wait until there is time for a request in a slot of the holdout, or in an ordinary one."""
    while True:
        now = time.time()
        slot = slot_at(now, os.environ["OTEL_SERVICE_NAME"], SLOT_S, HOLDOUT)
        if slot.is_holdout is held and slot.start + SLOT_S - now > MARGIN_S:
            return
        time.sleep(0.01)


def main(plan: list[str]) -> None:
    """Play the requests; print how long the application waited for each, in milliseconds."""
    graph = build()
    number, slots = 0, any(part.startswith("held=") for part in plan)
    for part in plan:
        kind, _, times = part.partition("=")
        if kind == "wait":
            wait_to_go()
            continue
        for _ in range(int(times)):
            number += 1
            if slots:
                wait_for_slot(kind == "held")
            began = time.perf_counter()
            with tracer.start_as_current_span("request"):
                graph.invoke({"text": kind}, {"configurable": {"thread_id": f"session_{FIRST_SESSION + number}"}})
            print(f"{(time.perf_counter() - began) * 1000:.3f}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as application servers do
    try:
        main(sys.argv[1:])
    finally:
        print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB", flush=True)
