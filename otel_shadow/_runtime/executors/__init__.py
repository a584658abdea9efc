"""The places where shadow runs are executed, and what the dispatcher shares with them (thread, loop, process)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Job = Callable[[], None]


class Shadow(Protocol):
    """A shadow run, as the dispatcher and the executors see it."""

    deadline: float
    """Monotonic seconds after which it is given up; moved when the shadow run enters its next phase."""
    is_async: bool
    size: int

    @property
    def executor(self) -> str:
        """The name of the executor that is to run it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Production's loop, where V1 was awaited."""

    @property
    def reported(self) -> bool:
        """Whether it has reported."""

    def accepted(self) -> None:
        """Do what is due before the shadow run starts, now that it has left V1's path."""

    def admit(self) -> bool:
        """Return whether to start it now; if not, it has reported why."""

    def run(self) -> None:
        """Run it to its report, in a thread."""

    async def arun(self, aside: Callable[[Job], object] | None = None) -> None:
        """Run it to its report on a loop, within its time limit; ``aside`` takes jobs that should not run there."""

    def shed(self, reason: str) -> None:
        """Report that it will not run."""

    def give_up(self, cancelled: bool) -> None:
        """Report that it is over its time (or the process is ending). What it still does changes nothing."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one shadow run.

    Arguments:
        alive: whether it still holds a thread or a task (asked of one that was given up).
        give_up: leaves the shadow run, which is over its time, to itself; what it holds is never used again.
        lost: whether the place is gone, taken down with a neighbour that was given up.
    """

    alive: Callable[[], bool]
    give_up: Callable[[], object] = lambda: None
    lost: Callable[[], bool] = lambda: False


class Executor(Protocol):
    """A place for shadow runs. The dispatcher's thread alone calls it; ``start`` must not wait for the shadow run."""

    @property
    def capacity(self) -> int | None:
        """The number of shadow runs it can take at once at this moment; None: as many as ``limits.concurrency``."""

    @property
    def stuck(self) -> int:
        """The number of threads left behind by shadow runs which ended in time themselves."""

    def start(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` and return its place."""

    def stop(self, timeout_s: float) -> None:
        """End what it holds, within ``timeout_s`` seconds."""
