"""A worker process: runs one job at a time for the process that started it, and ends with it.

``python -m otel_shadow._runtime.executors.worker_process FD`` speaks frames on the socket ``FD``. A thread listens for
the order to stop and for the parent's end, whatever the job is doing. Modules are imported by path: the application's
``__main__`` is never run again here. Whatever V2 starts here (a pool of processes, a command, a fork) belongs to the
worker's process group, and ends with it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from queue import SimpleQueue

from otel_shadow._runtime.executors.frames import BEGUN, DONE, FAILED, READY, STOP, TOO_LARGE, FrameSocket, WorkerFrame
from otel_shadow.background_thread import BackgroundThread

_ORPHAN_POLL_S = 0.25
Target = Callable[[bytes, Callable[[], None]], bytes]
"""What a job names: ``target(payload, begin)``, which calls ``begin`` when what is to be timed begins."""


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a worker, sent to it when it starts; functions are named ``module:name``."""

    path: tuple[str, ...] = ()
    """``sys.path`` of the parent."""
    init: tuple[str, ...] = ()
    """Functions without arguments that it calls before anything else."""
    warm: tuple[str, ...] = ()
    """What it imports before it is ready."""
    rehearse: str | None = None
    """A function of one argument, ``warm``, that it calls before it is ready: as near to a first job as can be."""
    flush: tuple[str, ...] = ()
    """Functions of one argument, seconds, that export telemetry before it ends."""
    idle: bool = True
    memory_bytes: int | None = None
    answer_bytes: int | None = None
    """Bytes that the answer to a job may have."""
    parent: int = 0


class JobServer:
    """The worker's side of the socket: runs the jobs that the parent sends."""

    def __init__(self, frames: FrameSocket) -> None:
        self._frames = frames
        self._pid = os.getpid()
        self._sending = threading.Lock()
        self._jobs: SimpleQueue[WorkerFrame] = SimpleQueue()
        self.options: WorkerOptions = pickle.loads(frames.receive().body)  # noqa: S301 - from the parent process

    def serve(self) -> None:
        """Send that this worker is ready, or why it is not; then run jobs until the parent ends this process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C that is sent to every process is the parent's to handle
        die_with_parent(signal.SIGKILL)
        BackgroundThread(target=self._listen, name="otel-shadow-listen").start()
        BackgroundThread(target=self._watch_parent, name="otel-shadow-watch").start()
        try:
            self._warm_up()
        except BaseException as error:  # noqa: BLE001 - the parent is told, whatever the user's modules raise
            self._send(WorkerFrame(FAILED, 0, f"{type(error).__name__}: {error}".encode()))
            return
        self._bound_memory()
        self._send(WorkerFrame(READY, 0))
        while True:
            self._run(self._jobs.get())

    def _warm_up(self) -> None:
        for path in self.options.init:
            resolve_name(path)()
        for path in self.options.warm:
            resolve_name(path)
        if self.options.rehearse is not None:
            resolve_name(self.options.rehearse)(self.options.warm)

    def _run(self, frame: WorkerFrame) -> None:
        target, _, payload = bytes(frame.body).partition(b"\n")
        try:
            function: Target = resolve_name(target.decode())
            answer = WorkerFrame(DONE, frame.job, function(payload, lambda: self._send(WorkerFrame(BEGUN, frame.job))))
        except BaseException as error:  # noqa: BLE001 - as above
            answer = WorkerFrame(FAILED, frame.job, type(error).__name__.encode())
        if os.getpid() != self._pid:  # V2 has forked, and its child has come back here
            os._exit(0)
        if self.options.answer_bytes is not None and len(answer.body) > self.options.answer_bytes:
            answer = WorkerFrame(TOO_LARGE, frame.job)
        self._send(answer)

    def _send(self, frame: WorkerFrame) -> None:
        with self._sending, contextlib.suppress(OSError):  # the parent may be gone
            self._frames.send(frame)

    def _listen(self) -> None:
        try:
            while (frame := self._frames.receive()).kind != STOP:
                self._jobs.put(frame)
            self._flush(float(frame.body))
        except (EOFError, OSError):
            pass  # the parent has ended
        end_group()

    def _flush(self, seconds: float) -> None:
        for path in self.options.flush:
            with contextlib.suppress(Exception):
                resolve_name(path)(seconds)

    def _watch_parent(self) -> None:
        """End with the parent even where a process that was forked from it holds its end of the socket."""
        gone = threading.Event()
        while os.getppid() == self.options.parent:
            gone.wait(_ORPHAN_POLL_S)
        end_group()

    def _bound_memory(self) -> None:
        if self.options.memory_bytes is None:
            return
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (self.options.memory_bytes, hard))


def end_group() -> None:
    """End this process at once, and where it leads a process group everything in it, and what has left it."""
    end_descendants(os.getpid())
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def end_descendants(pid: int) -> None:
    """End what the process ``pid`` has started, and what that has started: a new session leaves its group."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                children.setdefault(int(file.read().rpartition(b")")[2].split()[1]), []).append(int(name))
    ending = children.get(pid, [])
    while ending:
        child = ending.pop()
        ending += children.get(child, [])
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)


def become_idle() -> None:
    """Set ``SCHED_IDLE``, else the lowest niceness.

    Linux may share cores among sessions first (autogroup), and looks at ``SCHED_IDLE`` within one of them only. That is
    why a worker stays in V1's session: V1 takes the core from it at once, and need not wait out a slice of its time.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        with contextlib.suppress(OSError, AttributeError):
            os.nice(19)


def die_with_parent(by: signal.Signals) -> bool:
    """Set ``PR_SET_PDEATHSIG`` where the system has it, and return whether it has.

    It works even while a job holds the interpreter's lock.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        return bool(ctypes.CDLL(None).prctl(1, by) == 0)
    except (OSError, AttributeError):
        return False


def _start_guardian() -> None:
    """Fork a process that does nothing but end this one's group when this one has ended, however it did.

    A worker that is killed (with its parent, by the memory killer) can't end what V2 has started.
    """
    worker = os.getpid()
    if os.getpgrp() != worker or not sys.platform.startswith("linux") or os.fork():
        return
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                os.close(int(number))
        if die_with_parent(signal.SIGTERM):
            if os.getppid() == worker:
                signal.sigwait({signal.SIGTERM})
            os.killpg(worker, signal.SIGKILL)
    finally:
        os._exit(0)


def main() -> None:
    """Serve on the socket whose number is the first argument, at idle priority from the start if the second says so."""
    with contextlib.suppress(OSError):  # without a process to spare it works all the same
        _start_guardian()
    if sys.argv[2] == "idle":
        become_idle()
    server = JobServer(FrameSocket(socket.socket(fileno=int(sys.argv[1]))))
    sys.path[:] = server.options.path
    server.serve()


if __name__ == "__main__":
    main()
