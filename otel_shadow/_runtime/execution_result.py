"""What one execution did, with its raw values. A result never leaves the process; observations made of it may."""

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
    """One execution, raw.

    Arguments:
        status: what became of it.
        targets: where the workflow goes next, sorted.
        writes: state fields it wrote; a field written several times has :class:`Several` values.
        sends: arguments of ``Send`` decisions, compared but never written anywhere.
        error: the exception, or its class, if there was one.
    """

    status: Status
    targets: tuple[str, ...] = ()
    writes: Mapping[str, Any] = field(default_factory=dict)
    sends: Sequence[Any] = ()
    error: BaseException | type[BaseException] | None = None


class Work(Protocol):
    """One captured execution of V1, able to run V2 on the same input. Everything here runs off V1's path."""

    @property
    def is_async(self) -> bool:
        """Whether V2 is to be awaited (``arun``) or called (``run``)."""

    @property
    def loop(self) -> AbstractEventLoop | None:
        """Production's loop, where there is one."""

    @property
    def size(self) -> int:
        """Bytes it holds while waiting."""

    def state(self) -> Any:
        """A fresh copy of the input."""

    def v1(self) -> ExecutionResult:
        """What V1 did."""

    def run(self, scope: ShadowContext, enter: Callable[[], None], *, again: bool = False) -> ExecutionResult:
        """Run V2 (``again``: V1) isolated, in the calling thread; ``enter()`` is called inside its context."""

    async def arun(self, scope: ShadowContext, enter: Callable[[], None], *, again: bool = False) -> ExecutionResult:
        """The same, awaited."""
