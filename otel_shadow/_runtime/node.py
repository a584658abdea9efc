"""One shadowed node: its configuration, its limits, and the assignments of its sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from otel_shadow._runtime.assignment import Assignments
from otel_shadow._runtime.compare import Comparator, Differ
from otel_shadow._runtime.fault_barrier import passes
from otel_shadow._runtime.limits import Limiter, OverheadBudget
from otel_shadow._runtime.observer import Observer
from otel_shadow._runtime.services import Services
from otel_shadow.config import NodeTable
from otel_shadow.record import Status

Classify = Callable[[BaseException], Status]


def classify(error: BaseException) -> Status:
    """Return the status that an exception of a plain function stands for."""
    cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
    return Status.CANCELLED if cancelled else Status.ERROR


class ShadowedNode:
    """One configured node of one graph.

    Arguments:
        targets: names that a decision may have: the graph's nodes.
        table: the node's own configuration; default ``config.nodes[name]``.
        differ: a comparison function of the user's, instead of ``compare.function``.
        classify: gives the status that an exception of V1 stands for.
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
    ) -> None:
        config = services.config
        self.services = services
        self.graph = graph
        self.name = name
        self.table = table or config.nodes.get(name) or NodeTable()
        self.classify = classify
        self.comparator = Comparator(self.table.compare, differ)
        self.observer = Observer(config, self.table, targets)
        self.session_path = self.observer.session_path
        self.assignments = Assignments(config.arms, self.table)
        self.limiter = Limiter(name, config.limits)
        self.overhead_budget = OverheadBudget()

    @property
    def off(self) -> bool:
        """Whether no session runs V2 at this moment: then V1 runs with nothing around it."""
        try:
            return self.services.flags.current.off
        except BaseException as fault:
            if passes(fault):
                raise
            return False  # what is wrong with the flags is counted where the execution begins
