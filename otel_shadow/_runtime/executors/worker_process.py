"""A worker process: runs one job at a time for the process that started it, and ends with it.

``python -m otel_shadow._runtime.executors.worker_process FD`` speaks pickled frames on the socket ``FD``. A thread
listens for the order to stop and for the parent's end, whatever the job is doing. Modules are imported by path: the
application's ``__main__`` is never run again here.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pkgutil import resolve_name
from queue import SimpleQueue

_ORPHAN_POLL_S = 0.25
READY, DONE, FAILED = "ready", "done", "failed"
STOP = "stop"


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a worker, sent to it when it starts; functions are named ``module:name``."""

    path: tuple[str, ...] = ()
    """``sys.path`` of the parent."""
    warm: tuple[str, ...] = ()
    """What it imports before it is ready."""
    init: tuple[str, ...] = ()
    """Functions without arguments that it calls before it is ready."""
    flush: tuple[str, ...] = ()
    """Functions of one argument, seconds, that export telemetry before it ends."""
    idle: bool = True
    memory_bytes: int | None = None
    parent: int = 0


class JobServer:
    """The worker's side of the socket: runs the jobs that the parent sends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._jobs: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self.options: WorkerOptions = pickle.loads(connection.recv_bytes())  # noqa: S301 - from the parent process

    def serve(self) -> None:
        """Send that this worker is ready, or why it is not; then run jobs until the parent ends this process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C that is sent to every process is the parent's to handle
        _die_with_parent()
        threading.Thread(target=self._listen, name="otel-shadow-listen", daemon=True).start()
        threading.Thread(target=self._watch_parent, name="otel-shadow-watch", daemon=True).start()
        try:
            for path in self.options.init:
                resolve_name(path)()
            for path in self.options.warm:
                resolve_name(path)
        except BaseException as error:  # noqa: BLE001 - the parent is told, whatever the user's modules raise
            self._send(FAILED, f"{type(error).__name__}: {error}".encode())
            return
        self._bound_memory()
        self._send(READY, b"")
        while True:
            self._run(*self._jobs.get())

    def _run(self, target: str, payload: bytes) -> None:
        try:
            function: Callable[[bytes], bytes] = resolve_name(target)
            kind, answer = DONE, function(payload)
        except BaseException as error:  # noqa: BLE001 - as above
            kind, answer = FAILED, type(error).__name__.encode()
        self._send(kind, answer)

    def _send(self, kind: str, body: bytes) -> None:
        with self._sending, contextlib.suppress(OSError):  # the parent may be gone
            self._connection.send_bytes(kind.encode() + b"\n" + body)

    def _listen(self) -> None:
        try:
            while True:
                head, _, body = self._connection.recv_bytes().partition(b"\n")
                if head.decode() == STOP:
                    self._flush(float(body))
                    break
                self._jobs.put((head.decode(), body))
        except (EOFError, OSError):
            pass  # the parent has ended
        os._exit(0)

    def _flush(self, seconds: float) -> None:
        for path in self.options.flush:
            with contextlib.suppress(Exception):
                resolve_name(path)(seconds)

    def _watch_parent(self) -> None:
        """End with the parent even where a process that was forked from it holds its end of the socket."""
        gone = threading.Event()
        while os.getppid() == self.options.parent:
            gone.wait(_ORPHAN_POLL_S)
        os._exit(0)

    def _bound_memory(self) -> None:
        if self.options.memory_bytes is None:
            return
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (self.options.memory_bytes, hard))


def _become_idle() -> None:
    """Set ``SCHED_IDLE``, else the lowest niceness.

    Linux may share cores among sessions first (autogroup), and looks at ``SCHED_IDLE`` within one of them only. That is
    why a worker stays in V1's session: V1 takes the core from it at once, and need not wait out a slice of its time.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        with contextlib.suppress(OSError, AttributeError):
            os.nice(19)


def _die_with_parent() -> None:
    """Set ``PR_SET_PDEATHSIG`` where the system has it: it works even while a job holds the interpreter's lock."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    """Serve on the socket whose number is the first argument, at idle priority from the start if the second says so."""
    if sys.argv[2] == "idle":
        _become_idle()
    server = JobServer(Connection(int(sys.argv[1])))
    sys.path[:] = server.options.path
    server.serve()


if __name__ == "__main__":
    main()
