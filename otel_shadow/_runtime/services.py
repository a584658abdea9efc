"""Services of one manager, which its executions and shadow runs share: put together once, never changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from otel_shadow._runtime.dispatcher import Dispatcher
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.executors.trial import Trial
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.holdout_clock import HoldoutClock
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.record_queue import RecordQueue
from otel_shadow._runtime.redact import Redactor
from otel_shadow._runtime.sinks import Spans
from otel_shadow._runtime.state_directory import StateDirectory
from otel_shadow.config import ShadowConfig
from otel_shadow.flags import FlagSource
from otel_shadow.record import ShadowRecord

Inspect = Callable[[ShadowRecord, ExecutionResult, ExecutionResult], None]


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """Everything that an execution and a shadow run need besides their node."""

    config: ShadowConfig
    flags: FlagSource
    redactor: Redactor
    fault_barrier: FaultBarrier
    spans: Spans
    record_queue: RecordQueue
    dispatcher: Dispatcher
    clock: Callable[[], float]
    """Epoch seconds, for timestamps and slots of time."""
    holdout: HoldoutClock
    """Says what is held out by that clock, and knows the service's name."""
    clock_name: str
    """``simulated`` where the clock is made up, else ``system``."""
    new_id: Callable[[], str]
    """Makes pair ids."""
    build: Callable[[], str]
    """Returns V2's build as it is known now: OpenTelemetry's resource, which names it by default, may come late."""
    config_digest: str
    """12 hex digits that change with whatever changes the pairs."""
    state: StateDirectory | None = None
    """Keeps what outlives a restart; None: nothing does."""
    trial: Trial | None = None
    """Tries awaited V2s in a worker before they run on V1's loop; None: they run there at once, guarded."""
    inspect: Inspect | None = None
    """Sees each record beside the raw results of V1 and V2, in a local run that shows values."""

    @property
    def v2_build(self) -> str:
        return self.build()


_RANDOM = Random()  # noqa: S311 - ids are no secret
"""Applications seed and mock the shared generator, and ``os.urandom`` would be a system call for each id."""
on_fork(_RANDOM.seed)  # from the system's randomness: parent and child of a fork must not make the same ids


def random_id() -> str:
    """Make a pair id: 16 random hex digits."""
    return f"{_RANDOM.getrandbits(64):016x}"
