"""The engine: decides what happens to an execution, and owns the threads that do it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor as FutureExecutor
from random import Random
from time import perf_counter, time
from typing import Any

from otel_shadow import semconv
from otel_shadow._runtime import background_log
from otel_shadow._runtime.dispatcher import Dispatcher, Factory
from otel_shadow._runtime.execution import LIVE, Assignment, Classify, Execution, classify
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.executors.process import ProcessExecutor, WorkerPool
from otel_shadow._runtime.executors.thread import UserExecutor
from otel_shadow._runtime.executors.worker_process import WorkerOptions
from otel_shadow._runtime.fault_barrier import FaultBarrier, passes
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.process_lifecycle import at_exit, cancel_at_exit, on_fork
from otel_shadow._runtime.record_queue import RecordQueue
from otel_shadow._runtime.redact import Redactor
from otel_shadow._runtime.shadow_context import SHADOW
from otel_shadow._runtime.sinks import NoSpans, Sink, Spans
from otel_shadow.cohorts import cohorts
from otel_shadow.config import ShadowConfig
from otel_shadow.flags import FeatureFlags, FlagSource
from otel_shadow.record import Arm, Mode, ShadowRecord

_MOST_SITES = 1000
_MOST_SESSIONS = 4096
"""Sessions of a node whose assignment is remembered."""
_LONGEST = 128
"""Characters of an id that is remembered."""
Inspect = Callable[[ShadowRecord, ExecutionResult, ExecutionResult], None]


class ShadowTrafficManager:
    """Runs V2 in shadow (or live, with V1 as its fallback) and sees to it that V1 never notices.

    Arguments:
        config: ``shadow.toml``; default: found by :meth:`ShadowConfig.load`.
        flags: where the flags come from; default: environment, then ``[flags]`` of the configuration.
        sinks: take the finished records; default none.
        spans: opens the spans; default none.
        redactor: default: keyed by ``OTEL_SHADOW_HASH_KEY``.
        clock: epoch seconds, for timestamps only (durations are monotonic).
        clock_name: ``simulated`` if the clock is made up; it is written on every line.
        new_id: makes pair ids; random hex digits by default.
        executor: threads of yours for blocking V2s, instead of ours.

    Raises:
        ConfigError: configuration or flags are wrong; every fault is listed.
    """

    def __init__(
        self,
        config: ShadowConfig | None = None,
        flags: FlagSource | None = None,
        *,
        sinks: Sequence[Sink] = (),
        spans: Spans | None = None,
        redactor: Redactor | None = None,
        clock: Callable[[], float] = time,
        clock_name: str = "system",
        new_id: Callable[[], str] | None = None,
        executor: FutureExecutor | None = None,
    ) -> None:
        self.config = config if config is not None else ShadowConfig.load()
        self.flags: FlagSource = flags or FeatureFlags.resolve(self.config.flags)
        self.redactor = redactor or Redactor(safe_id=self.config.privacy.safe_session_id)
        self.fault_barrier = FaultBarrier()
        self.spans: Spans = spans or NoSpans()
        self.clock = clock
        self.clock_name = clock_name
        self.new_id = new_id or _random_id
        self.v2_build = self.config.v2_build or _build_from_environment()
        self.config_digest = self.config.digest
        self.record_queue = RecordQueue(sinks, self.fault_barrier)
        self.workers = WorkerPool(self.config.process.workers, self._worker_options(), self.fault_barrier)
        executors: dict[str, Factory] = {"process": lambda: ProcessExecutor(self.workers)}
        if executor is not None:
            executors["thread"] = lambda: UserExecutor(executor)
        self.dispatcher = Dispatcher(self.config.limits, self.fault_barrier, executors)
        self.inspect: Inspect | None = None
        """Sees raw values beside each record, in a local run that shows them on the terminal. None in production."""
        self.sites: dict[tuple[str, str], ShadowedNode] = {}
        at_exit(self.shutdown)

    # --- V1's path -------------------------------------------------------------------------------------------------

    def enter(
        self,
        site: ShadowedNode,
        state: Any,
        configurable: Mapping[str, Any],
        classify: Classify = classify,
    ) -> Execution | None:
        """Begin an execution of ``site``. Never raises, never waits.

        Returns:
            The call to go through, or None where V1 is to run as if we were not there (``v1_only``, inside a shadow).
        """
        entered = perf_counter()
        try:
            flags = self.flags.current
            if flags.off or SHADOW.get() is not None:
                return None
            session = site.session_path(state, configurable)
            if session is not None and type(session) is not str:
                session = str(session)
            known = site.assignments.get(session)
            assignment = known[1] if known is not None and known[0] is flags else self._admission(site, flags, session)
            return (
                Execution(self, site, assignment, configurable, entered, classify) if assignment is not None else None
            )
        except BaseException as fault:
            if passes(fault):
                raise
            self.fault_barrier.caught("enter", site.node, fault)
            return None

    def _admission(self, site: ShadowedNode, flags: FeatureFlags, session: str | None) -> Assignment | None:
        """What :meth:`_admit` says; remembered, for it says the same of a session until the flags change."""
        assignment = self._admit(site, flags, session)
        if session is None or len(session) <= _LONGEST:  # an application may take a whole message for its session's id
            if len(site.assignments) >= _MOST_SESSIONS:
                site.assignments.clear()
            site.assignments[session] = flags, assignment
        return assignment

    def _admit(self, site: ShadowedNode, flags: FeatureFlags, session: str | None) -> Assignment | None:
        lots = cohorts(session) if session is not None else None
        mode = flags.mode_of_bucket(lots.rollout if lots else None)
        if mode is Mode.V2_LIVE and not site.table.live:
            mode = Mode.V2_SHADOW if flags.router_v2_shadow else Mode.V1_ONLY
        if mode is Mode.V1_ONLY:
            return None
        arms = self.config.arms
        held_out = arms.holdout_instance or (lots is not None and lots.holdout < arms.holdout)
        reason = None
        if mode is Mode.V2_LIVE:
            reason = LIVE
        elif held_out:
            reason = "holdout"
        elif lots is not None and lots.sample >= site.table.sample:
            reason = "sampled_out"
        arm = Arm.HOLDOUT if held_out else Arm.SHADOWED
        noise = lots is not None and lots.noise < arms.noise
        return Assignment(session, mode, arm, reason, noise, self._timeout_s(site, flags))

    def _timeout_s(self, site: ShadowedNode, flags: FeatureFlags) -> float:
        own = site.table.timeout_ms
        return (own if own is not None and not flags.timeout_is_explicit else flags.v2_timeout_ms) / 1000.0

    def _worker_options(self) -> WorkerOptions:
        table = self.config.process
        v2s = {node.v2 for node in self.config.nodes.values() if node.executor == "process" and node.v2}
        return WorkerOptions(
            path=tuple(sys.path),
            warm=tuple(sorted(v2s - {"self"})),
            init=(table.init,) if table.init else (),
            flush=("otel_shadow._telemetry.worker_flush:flush",),
            idle=table.idle_priority,
            memory_bytes=table.memory_bytes,
        )

    # --- the owner's side ------------------------------------------------------------------------------------------

    def site(self, graph: str, node: str, make: Callable[[], ShadowedNode]) -> ShadowedNode:
        """A site for a node. Graphs of one name have sites with one limiter and account, which see all executions.

        A program that names a graph per user would fill metrics and memory: after many names a graph is ``_other``.
        """
        found = make()
        if (graph, node) not in self.sites and len(self.sites) >= _MOST_SITES:
            found.graph = graph = semconv.OTHER
        first = self.sites.setdefault((graph, node), found)
        if first is not found:
            found.limiter, found.overhead_budget = first.limiter, first.overhead_budget
            return found
        for sink in self.record_queue.sinks:
            with self.fault_barrier("sink", node):
                sink.open(graph, node)
        return found

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every shadow that was accepted has run and its record is with the sinks.

        Arguments:
            timeout: seconds; kept even where a sink's own flush takes longer.

        Returns:
            Whether everything was done in time.
        """
        end = perf_counter() + timeout
        drained = self.dispatcher.drain(timeout)
        return self.record_queue.flush(max(end - perf_counter(), 0.05)) and drained

    def shutdown(self, timeout: float | None = None) -> None:
        """Finish or cancel what runs and flush, within ``timeout`` seconds (default ``limits.shutdown_seconds``).

        V1 goes on without shadows.
        """
        cancel_at_exit(self.shutdown)
        end = perf_counter() + (self.config.limits.shutdown_seconds if timeout is None else timeout)
        self.dispatcher.close(max((end - perf_counter()) * 0.6, 0.0))
        self.record_queue.flush(max(end - perf_counter(), 0.05))
        self.record_queue.end()
        background_log.settle(max(end - perf_counter(), 0.05))


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
    """Which V2 this is: ``OTEL_SHADOW_V2_BUILD``, else the service's version (``OTEL_RESOURCE_ATTRIBUTES``)."""
    if build := os.environ.get(semconv.ENV_V2_BUILD):
        return build
    pairs = (item.partition("=") for item in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((value for name, _, value in pairs if name.strip() == "service.version"), "unversioned")
