"""One shadowed node: its configuration, its limits, and the assignments of its sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from otel_shadow._runtime.assignment import Assignments
from otel_shadow._runtime.compare import Comparator, Differ
from otel_shadow._runtime.executors.loop_admission import LoopAdmission, V2Code
from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow._runtime.limits import Limiter, OverheadBudget
from otel_shadow._runtime.observer import Observer
from otel_shadow._runtime.record_counts import NodeCounts
from otel_shadow._runtime.services import Services, random_id
from otel_shadow.config import NodeTable
from otel_shadow.record import Status

Classify = Callable[[BaseException], Status]
RunId = Callable[[Any], str]


def classify(error: BaseException) -> Status:
    """Return the status that an exception of a plain function stands for."""
    cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
    return Status.CANCELLED if cancelled else Status.ERROR


def random_run_id(call: Any) -> str:
    """Return an id of its own for a call of which nothing is known."""
    return random_id()


class ShadowedNode:
    """One configured node of one graph.

    Arguments:
        targets: names that a decision may have: the graph's nodes.
        table: the node's own configuration; default ``config.nodes[name]``.
        differ: a comparison function of the user's, instead of ``compare.function``.
        tools: names of tools that a record may carry, besides those of ``[tools]``.
        classify: gives the status that an exception of V1 stands for.
        run_id: gives an id of the run to which a call of the node belongs: the session where there is no other.
        code: what V2's code is, where it is awaited; default: unknown.
    """

    def __init__(
        self,
        services: Services,
        graph: str,
        name: str,
        targets: Iterable[str] = (),
        table: NodeTable | None = None,
        differ: Differ | None = None,
        classify: Classify = classify,
        *,
        tools: frozenset[str] = frozenset(),
        run_id: RunId = random_run_id,
        code: V2Code | None = None,
    ) -> None:
        config = services.config
        self.services = services
        self.graph = graph
        self.name = name
        self.table = table or config.nodes.get(name) or NodeTable()
        self.classify = classify
        self.tools = tools | config.tools.known
        self.comparator = Comparator(self.table.compare, differ)
        self.observer = Observer(config, self.table, targets)
        self.session_path = self.observer.session_path
        self.assignments = Assignments(config.arms, self.table, services.holdout, run_id)
        self.limiter = Limiter(name, config.limits)
        self.overhead_budget = OverheadBudget()
        self.counts = NodeCounts()
        self.admission = LoopAdmission(
            graph,
            name,
            services.build,
            code or V2Code(),
            accepted=self.table.executor == "loop",
            state=services.state,
            trial=services.trial,
        )

    @property
    def off(self) -> bool:
        """Whether no session runs V2 at this moment: then V1 runs with nothing around it."""
        try:
            return self.services.flags.current.off
        except BaseException as fault:
            if is_from_outside(fault):
                raise
            return False  # what is wrong with the flags is counted where the execution begins
