"""What one execution did, with its raw values, and the capture from which V2 can do it again. Neither ever leaves."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow.record import Status


class Several(list[Any]):
    """The values of a field that one execution wrote more than once, in order."""


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """One version's execution, raw. It never leaves the process; observations made of it may.

    Arguments:
        status: what became of it.
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


class Capture(Protocol):
    """A copy of one execution's input and surroundings, from which V2 can run. Used off V1's path but for its end."""

    @property
    def is_async(self) -> bool:
        """Whether V2 is to be awaited (``arun``) or called (``run``)."""

    @property
    def loop(self) -> AbstractEventLoop | None:
        """Production's loop, where there is one."""

    @property
    def size(self) -> int:
        """Bytes it holds while waiting."""

    def complete(self, error: BaseException | None) -> None:
        """Add what V1 did, at V1's end and on V1's path. ``error`` is what V1 raised; it must not be kept.

        Raises:
            Exception: the user's classes raise anything when they are copied.
        """

    def state(self) -> Any:
        """Make a fresh copy of the input."""

    def v1(self) -> ExecutionResult:
        """Return what V1 did."""

    def run(self, scope: ShadowContext, enter: Callable[[], None], *, again: bool = False) -> ExecutionResult:
        """Run V2 isolated, in the calling thread.

        Arguments:
            scope: the mark of the shadow run.
            enter: called inside V2's context, just before V2.
            again: run V1 instead, for the noise floor.
        """

    async def arun(self, scope: ShadowContext, enter: Callable[[], None], *, again: bool = False) -> ExecutionResult:
        """Await V2 isolated, on the running loop; arguments as for :meth:`run`."""
