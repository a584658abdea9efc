"""Trials of awaited V2s in short-lived workers, before they run on production's loop: the parent's side.

Once per build and host: one worker at a time, at idle priority, where memory has room, not instrumented.
"""

from __future__ import annotations

import importlib
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from otel_shadow import semconv
from otel_shadow._runtime.state_directory import StateDirectory
from otel_shadow.background_thread import BackgroundThread

MOST_S = 0.02
"""Charged seconds that no step of the second call may exceed."""
_STARTING_S = 60.0
"""Seconds that a worker may take to start and to import V2."""
_LOCK = "trial.lock"
_SPARE_BYTES = 64 * 1024 * 1024
_UNINSTRUMENTED = {
    "OTEL_SDK_DISABLED": "true",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    semconv.ENV_V2_SHADOW: "false",
}


@dataclass(frozen=True, slots=True)
class TrialJob:
    """What a trial runs: ``module:function`` of bytes, giving a pickled :class:`TrialReport`."""

    target: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class TrialReport:
    """The outcome of a trial.

    Arguments:
        outcome: ``passed``, ``blocked``, or ``not_run``.
        position: ``module:line`` of what held the loop.
        seconds: charged seconds of the longest step of the second call.
        modules: names of the modules that V2 loaded while it ran.
        why: why it could not be tried.
    """

    outcome: str
    position: str | None = None
    seconds: float = 0.0
    modules: tuple[str, ...] = ()
    why: str = ""


class Trial:
    """The trials of one manager. Each runs in a thread of its own, which waits for the worker.

    Arguments:
        state: where the lock lies that all processes of the host share; without it each process has its own.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._running: set[str] = set()

    def is_running(self, key: str) -> bool:
        """Return whether the trial ``key`` has begun and not ended."""
        return key in self._running

    def begin(
        self,
        key: str,
        job: TrialJob,
        timeout_s: float,
        known: Callable[[], bool],
        done: Callable[[TrialReport], object],
    ) -> None:
        """Begin a trial, and return at once.

        Arguments:
            key: of the trial.
            job: what the worker runs.
            timeout_s: V2's time limit in seconds; V2 runs twice.
            known: asked once it is this trial's turn: whether another process has answered it meanwhile.
            done: called with the outcome.
        """
        self._running.add(key)

        def run() -> None:
            try:
                with ExitStack() as turn:
                    with suppress(OSError):  # no folder: each process tries for itself
                        turn.enter_context(self._state.locked(_LOCK))
                    if not known():
                        done(_imported(_tried(job, timeout_s)))
            finally:
                self._running.discard(key)

        BackgroundThread(target=run, name="otel-shadow-trial").start()


def _tried(job: TrialJob, timeout_s: float) -> TrialReport:
    if not _memory_has_room():
        return TrialReport("not_run", why="the memory has no room for a worker")
    own, theirs = socket.socketpair()
    with own:
        with theirs:
            command = [sys.executable, "-m", "otel_shadow._runtime.executors.trial_process", str(theirs.fileno())]
            try:
                process = subprocess.Popen(  # noqa: S603 - a module of this package
                    command,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    process_group=0,
                    env=_environment(),
                )
            except OSError as error:
                return TrialReport("not_run", why=f"no worker could be started: {error.strerror}")
        try:
            return _asked(own, job, timeout_s)
        except (OSError, EOFError, pickle.UnpicklingError):
            return TrialReport("not_run", why="the worker ended, or did not answer in time")
        finally:
            with suppress(OSError):
                os.killpg(process.pid, 9)
            process.wait()


def _asked(own: socket.socket, job: TrialJob, timeout_s: float) -> TrialReport:
    own.settimeout(_STARTING_S + 2 * timeout_s + 5.0)
    own.sendall(pickle.dumps((os.getpid(), list(sys.path), job.target, job.payload, timeout_s), 5))
    own.shutdown(socket.SHUT_WR)
    with own.makefile("rb") as answers:
        answer = answers.read(1_000_000)
    report: TrialReport = pickle.loads(answer)  # noqa: S301 - of this user's own process
    return report


def _environment() -> dict[str, str]:
    """Return the worker's environment: the application's, without what would instrument or shadow V2 there."""
    own = {**os.environ, **_UNINSTRUMENTED}
    paths = own.get("PYTHONPATH", "").split(os.pathsep)
    own["PYTHONPATH"] = os.pathsep.join(path for path in paths if "auto_instrumentation" not in path)
    return own


def _imported(report: TrialReport) -> TrialReport:
    """Import here, in this thread, what V2 loaded there: its first call on the loop is not to do it."""
    for name in report.modules:
        if name not in sys.modules:
            with suppress(BaseException):
                importlib.import_module(name)
    return report


def _memory_has_room() -> bool:
    """Return whether memory for one more process like this one is free, in the container and on the machine."""
    wanted = _resident_bytes() + _SPARE_BYTES
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        if limit != "max" and int(limit) - used < wanted:
            return False
    except (OSError, ValueError):
        pass  # no control groups
    try:
        told = Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]
        return int(told) * 1024 >= wanted
    except (OSError, IndexError, ValueError):
        return True


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
