"""The raw result of one version's run, and the capture from which V2 can run. Neither ever leaves the process."""

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


class Capture(Protocol):
    """A copy of one execution's input and surroundings, from which V2 can run."""

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
        """Add what V1 did, on V1's path; ``error``, which V1 raised, is not to be kept. Copying may raise anything."""

    def state(self) -> Any:
        """Make a fresh copy of the input."""

    def v1(self) -> ExecutionResult:
        """Return what V1 did."""

    def run(self, scope: ShadowContext, enter: Callable[[], None], *, again: bool = False) -> ExecutionResult:
        """Run V2 (``again``: V1, for the noise floor) isolated in this thread; ``enter`` is called just before it."""

    async def arun(self, scope: ShadowContext, enter: Callable[[], None], *, again: bool = False) -> ExecutionResult:
        """Await V2 (``again``: V1) isolated on the running loop; ``enter`` is called just before it."""
