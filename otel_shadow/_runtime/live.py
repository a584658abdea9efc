"""Live mode: V2 answers; where V2 fails or exceeds its time limit, V1 answers within the same execution."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import perf_counter, thread_time
from typing import Any

from otel_shadow._runtime.code_location import code_location
from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.execution import Execution
from otel_shadow._runtime.fault_barrier import passes
from otel_shadow._runtime.rate_limit import is_rate_limited
from otel_shadow._runtime.redact import error_type
from otel_shadow._runtime.time_limit import V2TimeoutError
from otel_shadow.record import Observation, Status

_FAILURES = {"timeout": Status.TIMEOUT, "not_implemented": Status.NOT_IMPLEMENTED}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A live V2 and what surrounds it.

    Arguments:
        passing: exceptions that are no failure of V2 and pass through (interrupts, parent commands, drains).
        unusable: exceptions that mean that the graph can't use V2's answer.
        commit: hands V2's writes and answers to the run, which gets them only then.
    """

    passing: tuple[type[BaseException], ...]
    unusable: tuple[type[BaseException], ...]
    commit: Callable[[], None]

    def reason(self, error: BaseException) -> str:
        """Return why V1 answers in place of V2."""
        if isinstance(error, V2TimeoutError):
            return "timeout"
        if isinstance(error, NotImplementedError):
            return "not_implemented"
        return "unusable_output" if isinstance(error, self.unusable) else "error"


class _V2Serves:
    """A block in which V2 serves an execution. Its end notes what became of V2, and swallows V2's failure.

    An interrupt, a parent command and a drain pass, with V2's writes committed; a cancellation and an exit pass. After
    any other exception the code behind the block runs: V1 answers there.
    """

    def __init__(self, execution: Execution, attempt: Attempt) -> None:
        self._execution = execution
        self._attempt = attempt

    def __enter__(self) -> None:
        self._execution.open_live_span()
        self._started = self._execution.end_work()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        worked, self._ended = thread_time(), perf_counter()
        self._execution.begin_work(self._ended, worked)
        if error is None:
            self._served(Status.SUCCESS)
        elif isinstance(error, self._attempt.passing):
            with self._execution.node.services.fault_barrier("commit", self._execution.node.name):
                self._attempt.commit()
            self._served(Status.SUCCESS)
        elif passes(error):
            self._served(Status.CANCELLED)
        else:
            self._failed(error)
            return True
        return False

    def _served(self, status: Status) -> None:
        self._execution.served = "v2"
        self._execution.v2 = self._observation(status, None)

    def _failed(self, error: BaseException) -> None:
        reason = self._attempt.reason(error)
        self._execution.fallback_reason = reason
        failed = self._observation(_FAILURES.get(reason, Status.ERROR), error_type(error))
        location = code_location(error) if reason != "timeout" else None  # that is raised by otel-shadow
        self._execution.v2 = replace(failed, location=location, rate_limited=is_rate_limited(error))
        show(f"live V2 of node {self._execution.node.name!r}", error)
        self._execution.close_live_span()

    def _observation(self, status: Status, kind: str | None) -> Observation:
        return Observation(status, self._ended - self._started, error_type=kind, span_id=self._execution.span.span_id)


def serve(execution: Execution, attempt: Attempt, v2: Callable[[], Any], v1: Callable[[], Any]) -> Any:
    """Return V2's value, or V1's where V2 failed.

    Raises:
        BaseException: what V1 raised where V2 failed; an interrupt, a parent command, a cancellation or an exit of V2.
    """
    with _V2Serves(execution, attempt):
        value = v2()
        attempt.commit()
        return execution.produced(value)
    return execution.through(v1)


async def aserve(
    execution: Execution, attempt: Attempt, v2: Callable[[], Awaitable[Any]], v1: Callable[[], Awaitable[Any]]
) -> Any:
    """Await V2 and return its value, or V1's where V2 failed; raises what :func:`serve` raises."""
    with _V2Serves(execution, attempt):
        value = await v2()
        attempt.commit()
        return execution.produced(value)
    return await execution.athrough(v1)
