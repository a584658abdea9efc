"""One worker process, seen from its parent: started, given jobs within a time limit, ended with all that V2 started."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from time import perf_counter

from otel_shadow._runtime.executors.frames import BEGUN, JOB, OPTIONS, STOP, FrameSocket, WorkerFrame
from otel_shadow._runtime.executors.run_time import RunTime
from otel_shadow._runtime.executors.worker_process import WorkerOptions, end_descendants

HAND_OVER_S = 2.0
"""Seconds beyond V2's time limit within which a worker must take a job and begin it, and those for its answer."""
_GRACE_S = 0.25
"""Seconds past its limit after which V2 is ended: until then it may still tell how long it ran."""
_LEAST_S = 0.005
_STARVED = 4.0
"""Time limits that V2 may spend waiting for a core, besides its own."""


class WorkerBusyError(Exception):
    """A worker that was not free, did not take the job or got no core: no fault of V2's, which may not have begun."""


def longest_s(timeout_s: float) -> float:
    """Return the seconds after which :meth:`WorkerHandle.run` has ended, whatever a worker does."""
    return (1 + _STARVED) * (timeout_s + _GRACE_S) + 2 * HAND_OVER_S


class WorkerHandle:
    """The parent's hold of one worker process, which leads a process group: both are ended together."""

    _jobs = itertools.count(1)
    """Numbers of jobs: an answer that has another one is not the answer to this job."""

    def __init__(self, options: WorkerOptions) -> None:
        own, theirs = socket.socketpair()
        self.frames = FrameSocket(own)
        self.kill_at = float("inf")
        try:
            with theirs:
                command = [sys.executable, "-m", "otel_shadow._runtime.executors.worker_process", str(theirs.fileno())]
                command.append("idle" if options.idle else "normal")
                self._process = subprocess.Popen(  # noqa: S603 - a module of this package
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, process_group=0
                )
            self.frames.send(WorkerFrame(OPTIONS, 0, pickle.dumps(replace(options, parent=os.getpid()))), HAND_OVER_S)
        except BaseException:
            self.frames.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the process has ended; it is not waited for yet, so that its number stays its own."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # the application has all its children waited for
            return True
        except AttributeError:  # not on every system
            return self._process.poll() is not None

    def run(self, target: str, payload: bytes, begun_by: float, timeout_s: float, most: int | None) -> WorkerFrame:
        """Run a job, and return the frame that answers it.

        Raises:
            TimeoutError: V2's own time was over ``timeout_s`` seconds.
            WorkerBusyError: V2 had not begun at ``begun_by`` (monotonic seconds), or got no core.
            FrameTooLargeError: the answer has more than ``most`` bytes.
            EOFError: the worker has ended.
            OSError: likewise.
        """
        job = next(self._jobs)
        frame = WorkerFrame(JOB, job, target.encode() + b"\n" + payload)
        try:
            self.frames.send(frame, max(begun_by - perf_counter(), 0.0))
            answer = self._next(job, begun_by - perf_counter(), most)
        except TimeoutError:
            raise WorkerBusyError from None
        if answer.kind != BEGUN:
            return answer
        self._wait(timeout_s + _GRACE_S)
        try:
            return self._next(job, HAND_OVER_S, most)
        except TimeoutError:
            raise WorkerBusyError from None

    def _next(self, job: int, within_s: float, most: int | None) -> WorkerFrame:
        """Return the next frame that belongs to ``job``: a fork of an earlier V2 may have sent others."""
        end = perf_counter() + within_s
        while True:
            answer = self.frames.receive(max(end - perf_counter(), 0.0), most)
            if answer.job == job:
                return answer

    def _wait(self, limit_s: float) -> None:
        """Wait until the worker answers, no longer than V2 may run."""
        time = RunTime(self.pid)
        while True:
            try:
                self.frames.wait(max(time.left(limit_s), _LEAST_S))
                return
            except TimeoutError:
                if time.left(limit_s) <= 0.0:
                    raise
                if time.passed > (1 + _STARVED) * limit_s:
                    raise WorkerBusyError from None

    def stop(self, grace_s: float) -> None:
        """Ask the worker, without waiting, to flush and end; the pool kills it after ``grace_s`` seconds."""
        self.kill_at = perf_counter() + grace_s
        try:
            self.frames.send(WorkerFrame(STOP, 0, str(grace_s).encode()), 0.0)
        except (OSError, ValueError):
            self.kill_at = 0.0

    def kill(self) -> None:
        """End the process and whatever it has started."""
        if self._process.returncode is None:  # once it was waited for, its number may be another's
            end_descendants(self.pid)
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self.frames.close()

    def forget(self) -> None:
        """Close this end in the child of a fork, where the process is the parent's."""
        self.frames.close()
        self._process.returncode = 0
