"""The engine: owns the threads, the shadowed nodes and their services. It knows no telemetry and no LangGraph."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor as FutureExecutor
from random import Random
from time import perf_counter, time

from otel_shadow import semconv
from otel_shadow._runtime import background_log
from otel_shadow._runtime.dispatcher import Dispatcher, Factory
from otel_shadow._runtime.executors.process import WorkerPool
from otel_shadow._runtime.executors.thread import ThreadExecutor
from otel_shadow._runtime.executors.worker_process import WorkerOptions
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.process_lifecycle import at_exit, cancel_at_exit, on_fork
from otel_shadow._runtime.record_queue import RecordQueue
from otel_shadow._runtime.redact import Redactor
from otel_shadow._runtime.services import Inspect, Services
from otel_shadow._runtime.sinks import Sink, Spans
from otel_shadow.config import ShadowConfig
from otel_shadow.flags import FlagSource

_MOST_NODES = 1000


class Engine:
    """The owner of everything that runs: shadowed nodes, queues, threads and worker processes.

    Arguments:
        config: ``shadow.toml``.
        flags: where the flags come from.
        sinks: take the finished records.
        spans: opens the spans.
        redactor: default: keyed by ``OTEL_SHADOW_HASH_KEY``.
        clock: epoch seconds, for timestamps only (durations are monotonic).
        clock_name: ``simulated`` if the clock is made up; it is written on every line.
        new_id: makes pair ids; random hex digits by default.
        executor: threads of yours for blocking V2s, instead of ours.
        inspect: sees each record beside the raw results of V1 and V2; for a local run that shows values.
    """

    def __init__(
        self,
        config: ShadowConfig,
        flags: FlagSource,
        *,
        sinks: Sequence[Sink],
        spans: Spans,
        redactor: Redactor | None = None,
        clock: Callable[[], float] = time,
        clock_name: str = "system",
        new_id: Callable[[], str] | None = None,
        executor: FutureExecutor | None = None,
        inspect: Inspect | None = None,
    ) -> None:
        self.config = config
        self.flags = flags
        self.spans = spans
        self.fault_barrier = FaultBarrier()
        self.record_queue = RecordQueue(sinks, self.fault_barrier)
        self.workers = WorkerPool(config.process.workers, _worker_options(config), self.fault_barrier)
        executors: dict[str, Factory] = {"process": lambda: self.workers}
        if executor is not None:
            executors["thread"] = lambda: ThreadExecutor(executor)
        self.dispatcher = Dispatcher(config.limits, self.fault_barrier, executors)
        self.services = Services(
            config=config,
            flags=flags,
            redactor=redactor or Redactor(safe_id=config.privacy.safe_session_id),
            fault_barrier=self.fault_barrier,
            spans=spans,
            record_queue=self.record_queue,
            dispatcher=self.dispatcher,
            clock=clock,
            clock_name=clock_name,
            new_id=new_id or _random_id,
            v2_build=config.v2_build or _build_from_environment(),
            config_digest=config.digest,
            inspect=inspect,
        )
        self.nodes: dict[tuple[str, str], ShadowedNode] = {}
        """The first shadowed node of each graph's and node's name."""
        at_exit(self.shutdown)

    def add(self, node: ShadowedNode) -> None:
        """Take in a shadowed node. Graphs of one name share its limiter and overhead budget, which see all executions.

        A program that names a graph per user would fill metrics and memory: after 1,000 names a graph is ``_other``.
        """
        if (node.graph, node.name) not in self.nodes and len(self.nodes) >= _MOST_NODES:
            node.graph = semconv.OTHER
        first = self.nodes.setdefault((node.graph, node.name), node)
        if first is not node:
            node.limiter, node.overhead_budget = first.limiter, first.overhead_budget
            return
        for sink in self.record_queue.sinks:
            with self.fault_barrier("sink", node.name):
                sink.open(node.graph, node.name)

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

    def shutdown(self, timeout: float | None = None) -> None:
        """Finish or cancel what runs and flush; V1 goes on without shadows.

        Arguments:
            timeout: seconds for all of it; default ``limits.shutdown_seconds``.
        """
        cancel_at_exit(self.shutdown)
        end = perf_counter() + (self.config.limits.shutdown_seconds if timeout is None else timeout)
        self.dispatcher.close(max((end - perf_counter()) * 0.6, 0.0))
        self.record_queue.flush(max(end - perf_counter(), 0.05))
        self.record_queue.end()
        background_log.settle(max(end - perf_counter(), 0.05))


def _worker_options(config: ShadowConfig) -> WorkerOptions:
    table = config.process
    v2s = {node.v2 for node in config.nodes.values() if node.executor == "process" and node.v2}
    return WorkerOptions(
        path=tuple(sys.path),
        warm=tuple(sorted(v2s - {"self"})),
        init=(table.init,) if table.init else (),
        flush=("otel_shadow._telemetry.worker_flush:flush",),
        idle=table.idle_priority,
        memory_bytes=table.memory_bytes,
    )


class _Generator(Random):
    """A generator of our own: applications seed and mock the shared one, and ``os.urandom`` is a system call."""

    def renew(self) -> None:
        """Seed it anew: parent and child of a fork must not make the same ids."""
        self.seed(os.urandom(32))


_RANDOM = _Generator(os.urandom(32))
on_fork(_RANDOM.renew)


def _random_id() -> str:
    return f"{_RANDOM.getrandbits(64):016x}"


def _build_from_environment() -> str:
    """Return which V2 this is: ``OTEL_SHADOW_V2_BUILD``, else the service's version (``OTEL_RESOURCE_ATTRIBUTES``)."""
    if build := os.environ.get(semconv.ENV_V2_BUILD):
        return build
    pairs = (item.partition("=") for item in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((value for name, _, value in pairs if name.strip() == "service.version"), "unversioned")
