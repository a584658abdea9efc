"""The raw result of one version's run, and the capture from which V2 can run. Neither ever leaves the process."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from otel_shadow._runtime.executors.trial import TrialJob
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow.record import Status

T = TypeVar("T")


class Several(list[Any]):
    """The values of a field that one execution wrote more than once, in order."""


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What one version did, raw. Only observations made of it may leave the process.

    Arguments:
        targets: where the workflow goes next, sorted.
        writes: state fields it wrote; a field written several times has :class:`Several` values.
        sends: arguments of ``Send`` decisions, compared but never written anywhere.
        error: the exception, or its class, if there was one.
        value: what V2 returned; at an interrupt, the values it asked with.
        custom: what V2 wrote to the stream.
    """

    status: Status
    targets: tuple[str, ...] = ()
    writes: Mapping[str, Any] = field(default_factory=dict)
    sends: Sequence[Any] = ()
    error: BaseException | type[BaseException] | None = None
    value: Any = None
    custom: Sequence[Any] = ()


class Place(Protocol):
    """A place on an event loop, at which a coroutine is run while the calling thread waits."""

    def wait(self, make: Callable[[], Coroutine[Any, Any, T]], context: Context, timeout_s: float) -> T:
        """Run what ``make`` makes in ``context`` for ``timeout_s`` seconds at most, and return its result."""


class Capture(Protocol):
    """A copy of one execution's input and surroundings, from which V2 can run."""

    @property
    def is_async(self) -> bool:
        """Whether V2 is to be awaited (``arun``) or called (``run``)."""

    @property
    def loop(self) -> AbstractEventLoop | None:
        """Production's loop, where there is one."""

    @property
    def called_on_loop(self) -> bool:
        """Whether V1 was called, not awaited, in the thread of a running loop."""

    @property
    def size(self) -> int:
        """Bytes it holds while waiting."""

    @property
    def spent_s(self) -> float:
        """Seconds that it made V1 wait while V1 ran."""

    def complete(self, error: BaseException | None, until: float) -> str | None:
        """Add what V1 did, on V1's path; ``error``, which V1 raised, is not to be kept. Copying may raise anything.

        It is to be done when this thread's processor time is ``until`` (s).

        Returns:
            Why no V2 can be compared with this V1; None where one can.
        """

    def state(self) -> Any:
        """Make a fresh copy of the input."""

    def v1(self) -> ExecutionResult:
        """Return what V1 did."""

    def run(
        self, scope: ShadowContext, enter: Callable[[], None], place: Place | None = None, *, again: bool = False
    ) -> ExecutionResult:
        """Run V2 isolated, awaited at ``place`` or called in this thread; ``enter`` is called just before it.

        Arguments:
            scope: the shadow run's context.
            enter: called where V2 begins.
            place: the loop on which V2 is awaited; None: it is called.
            again: run V1, for the noise floor.

        Raises:
            TimeoutError: V2 was awaited longer than its time limit.
        """

    def trial_job(self, scope: ShadowContext, path: str) -> TrialJob:
        """Make the job of a trial of V2, which a worker finds at ``path``. Anything may be raised."""
