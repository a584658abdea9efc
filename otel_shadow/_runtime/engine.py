"""The shadowed nodes of a manager, and the end of its threads. Imports neither LangGraph nor OpenTelemetry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from otel_shadow import semconv
from otel_shadow._runtime import background_log
from otel_shadow._runtime.executors.process import WorkerPool
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.process_lifecycle import at_exit, cancel_at_exit
from otel_shadow._runtime.services import Services

_MOST_NODES = 1000


class Engine:
    """The owner of everything that runs: shadowed nodes, queues, threads and worker processes."""

    def __init__(self, services: Services, workers: WorkerPool) -> None:
        self.services = services
        self.workers = workers
        self.config = services.config
        self.flags = services.flags
        self.spans = services.spans
        self.fault_barrier = services.fault_barrier
        self.record_queue = services.record_queue
        self.record_queue.counts.about = self._about
        self.dispatcher = services.dispatcher
        self.nodes: dict[tuple[str, str], ShadowedNode] = {}
        """The first shadowed node of each graph's and node's name."""
        at_exit(self.shutdown, self.config.limits.shutdown_seconds, self._is_used)

    def add(self, node: ShadowedNode) -> None:
        """Take in a shadowed node. Graphs of one name share its limiter and overhead budget, which see all executions.

        A program that names a graph per user would fill metrics and memory: after 1,000 names a graph is ``_other``.
        """
        if (node.graph, node.name) not in self.nodes and len(self.nodes) >= _MOST_NODES:
            node.graph = semconv.OTHER
        node.counts = self.record_queue.counts.of(node.graph, node.name)
        first = self.nodes.setdefault((node.graph, node.name), node)
        if first is not node:
            node.limiter, node.overhead_budget = first.limiter, first.overhead_budget
            return
        for sink in self.record_queue.sinks:
            with self.fault_barrier("sink", node.name):
                sink.open(node.graph, node.name)

    def _about(self) -> Mapping[str, Any]:
        """Return what every heartbeat says of this process."""
        services = self.services
        return {
            "service": services.holdout.service,
            "timestamp": datetime.fromtimestamp(services.clock(), UTC),
            "v2_build": services.v2_build,
            "config_digest": services.config_digest,
            "key_id": services.redactor.key_id,
            "clock": services.clock_name,
        }

    def start_workers(self) -> None:
        """Start the worker processes now, and return at once; else they start with the first shadow run that needs one.

        A server that forks calls it in each process that answers requests.
        """
        self.workers.start_workers()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every shadow run that was accepted has ended and its record is with the sinks.

        Arguments:
            timeout: seconds; kept even where a sink's own flush takes longer.

        Returns:
            Whether everything was done in time.
        """
        end = perf_counter() + timeout
        drained = self.dispatcher.drain(timeout)
        return self.record_queue.flush(max(end - perf_counter(), 0.05)) and drained

    def _is_used(self) -> bool:
        """Return whether anything was executed in this process, and not in the one that it was forked from."""
        return self.dispatcher.used or self.record_queue.used

    def shutdown(self, timeout: float | None = None) -> None:
        """Finish or cancel what runs and flush; V1 goes on without shadows.

        Arguments:
            timeout: seconds for all of it; default ``limits.shutdown_seconds``.
        """
        cancel_at_exit(self.shutdown)
        end = perf_counter() + (self.config.limits.shutdown_seconds if timeout is None else timeout)
        self.dispatcher.close(max((end - perf_counter()) * 0.6, 0.0))
        self.record_queue.close(max(end - perf_counter(), 0.05))
        background_log.settle(max(end - perf_counter(), 0.05))
