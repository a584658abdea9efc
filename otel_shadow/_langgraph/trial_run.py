"""The trial of an awaited V2 in a worker: it runs twice on a captured state, guarded as any shadow run is."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from otel_shadow._langgraph.isolation.configuration import enter_shadow
from otel_shadow._langgraph.isolation.guards import install_guards
from otel_shadow._langgraph.process_run import Task, worker_config, worker_v2
from otel_shadow._runtime.code_location import thread_location
from otel_shadow._runtime.executors.driven import Drive
from otel_shadow._runtime.executors.loop_guard import LoopGuard
from otel_shadow._runtime.executors.loop_side import DRIVER, SIDES, LoopSide
from otel_shadow._runtime.executors.trial import MOST_S, TrialReport
from otel_shadow.background_thread import BackgroundThread

Send = Callable[[TrialReport], None]
_LOOK_S = 0.01
_HANGS_S = 1.0


class _Recorder(LoopGuard):
    """A guard that pauses nothing and remembers the longest step of a call."""

    longest = 0.0
    position: str | None = None

    def charge(self, seconds: float, modules_before: int) -> bool:
        """Remember the step if it is the longest."""
        seen, self.seen_at = self.seen_at, None
        if seconds > self.longest:
            self.longest, self.position = seconds, seen
        return False


def try_twice(payload: bytes, timeout_s: float, send: Send) -> None:
    """Run V2 twice on one loop, and send what came of it.

    Passed: it answered, or failed by its own error, and no charged step of the second call took over 20 ms.

    Raises:
        BaseException: V2 can't be imported here.
    """
    task: Task = pickle.loads(payload)  # noqa: S301 - from the parent process
    install_guards()
    v2 = worker_v2(task.path)
    before = set(sys.modules)
    position = asyncio.run(_runs(task, v2, timeout_s, send))
    loaded = tuple(sorted(name for name in set(sys.modules) - before if name != "__main__"))
    if position.longest > MOST_S:
        send(TrialReport("blocked", position.position, position.longest, loaded))
    send(TrialReport("passed", None, position.longest, loaded))


async def _runs(task: Task, v2: Any, timeout_s: float, send: Send) -> _Recorder:
    recorder = _Recorder("trial", task.path)
    loop = asyncio.get_running_loop()
    BackgroundThread(target=_watch, args=(SIDES.of(loop), recorder, timeout_s, send)).start()
    for _ in range(2):
        recorder.longest, recorder.position = 0.0, None
        again: Task = pickle.loads(pickle.dumps(task, 5))  # noqa: S301 - made here
        context = contextvars.copy_context()
        config = worker_config(again, awaited=True)
        context.run(enter_shadow, again.scope, config)
        drive = Drive(loop, recorder, v2.ainvoke(again.state, config), context)
        with suppress(BaseException):
            await asyncio.wait({drive.root}, timeout=timeout_s)
        drive.close()
    return recorder


def _watch(side: LoopSide, recorder: _Recorder, timeout_s: float, send: Send) -> None:
    """Note where a step holds the loop; one that does not end is the end of the trial."""
    nap = threading.Event()
    while True:
        nap.wait(_LOOK_S)
        step = side.step
        if step is None:
            continue
        seconds = side.clocks.charged(step[1], ended=False)
        position = thread_location(side.clocks.ident, below=DRIVER)
        if seconds < MOST_S or side.step is not step:
            continue
        recorder.seen_at = position or recorder.seen_at
        if seconds > timeout_s + _HANGS_S:
            send(TrialReport("blocked", recorder.seen_at, seconds))
