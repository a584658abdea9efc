"""The places where shadow runs are executed, and what the dispatcher shares with them (thread, loop, process)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Job = Callable[[], None]


class Shadow(Protocol):
    """A shadow run, as the dispatcher and the executors see it."""

    deadline: float
    """Monotonic seconds after which it is given up; moved when the shadow run enters its next phase."""
    size: int
    queued_at: float
    """Monotonic seconds at which it was queued."""

    @property
    def executor(self) -> str:
        """The name of the executor that is to run it."""

    @property
    def is_async(self) -> bool:
        """Whether V2 is to be awaited in this process."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Production's loop, where V1 was awaited."""

    @property
    def called_on_loop(self) -> bool:
        """Whether V1 was called, not awaited, in the thread of a running loop."""

    @property
    def admission(self) -> Any:
        """What says whether this V2 may run on a loop of the application, and guards the loop against it."""

    @property
    def timeout_s(self) -> float:
        """V2's time limit in seconds."""

    @property
    def reported(self) -> bool:
        """Whether it has reported."""

    def admit(self, place: Any = None) -> bool:
        """Return whether to start it now, awaited at ``place``; if not, it has reported why."""

    def run(self) -> None:
        """Run it to its report, in a thread."""

    def shed(self, reason: str) -> None:
        """Report that it will not run."""

    def give_up(self, cancelled: bool, reason: str | None = None) -> None:
        """Report that it is over its time (or the process is ending). What it still does changes nothing."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one shadow run.

    Arguments:
        alive: whether it still holds a thread or a task (asked of one that was given up).
        give_up: leaves the shadow run, which is over its time, to itself; what it holds is never used again.
    """

    alive: Callable[[], bool]
    give_up: Callable[[], object] = lambda: None


class Executor(Protocol):
    """A place for shadow runs. The dispatcher's thread alone calls it; ``start`` must not wait for the shadow run."""

    @property
    def capacity(self) -> int | None:
        """The number of shadow runs it can take at once at this moment; None: as many as ``limits.concurrency``."""

    def start(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` and return its place."""

    def stop(self, timeout_s: float) -> None:
        """End what it holds, within ``timeout_s`` seconds."""
