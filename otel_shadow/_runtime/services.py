"""What every execution and every shadow run of a manager needs: put together once, never changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from otel_shadow._runtime.dispatcher import Dispatcher
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.record_queue import RecordQueue
from otel_shadow._runtime.redact import Redactor
from otel_shadow._runtime.sinks import Spans
from otel_shadow.config import ShadowConfig
from otel_shadow.flags import FlagSource
from otel_shadow.record import ShadowRecord

Inspect = Callable[[ShadowRecord, ExecutionResult, ExecutionResult], None]


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """The services of one manager.

    Arguments:
        config: ``shadow.toml``; it holds the side-effect policy (``tools``).
        flags: where the flags of this moment come from.
        redactor: makes what may leave the process.
        fault_barrier: swallows and counts what breaks in our own work.
        spans: opens the spans.
        record_queue: takes records that are to be made off V1's path.
        dispatcher: takes shadow runs.
        clock: epoch seconds, for timestamps only.
        clock_name: ``simulated`` where the clock is made up.
        new_id: makes pair ids.
        v2_build: which V2 this is.
        config_digest: 12 hex digits that change with whatever changes the pairs.
        inspect: sees each record beside the raw results, in a local run that shows values; None in production.
    """

    config: ShadowConfig
    flags: FlagSource
    redactor: Redactor
    fault_barrier: FaultBarrier
    spans: Spans
    record_queue: RecordQueue
    dispatcher: Dispatcher
    clock: Callable[[], float]
    clock_name: str
    new_id: Callable[[], str]
    v2_build: str
    config_digest: str
    inspect: Inspect | None = None


class _Generator(Random):
    """A generator of our own: applications seed and mock the shared one, and ``os.urandom`` is a system call."""

    def renew(self) -> None:
        """Seed it anew: parent and child of a fork must not make the same ids."""
        self.seed(os.urandom(32))


_RANDOM = _Generator(os.urandom(32))
on_fork(_RANDOM.renew)


def random_id() -> str:
    """Make a pair id: 16 random hex digits."""
    return f"{_RANDOM.getrandbits(64):016x}"
