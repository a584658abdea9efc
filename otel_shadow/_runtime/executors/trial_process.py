"""A worker that tries one V2 and ends: ``python -m otel_shadow._runtime.executors.trial_process FD``."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading
from contextlib import suppress
from pkgutil import resolve_name

from otel_shadow._runtime.executors.trial import TrialReport
from otel_shadow._runtime.executors.worker_process import become_idle, die_with_parent
from otel_shadow.background_thread import BackgroundThread


def main() -> None:
    """Read a job from the socket whose number is the first argument, run it, and send its report."""
    become_idle()
    die_with_parent(signal.SIGKILL)
    connection = socket.socket(fileno=int(sys.argv[1]))
    with connection.makefile("rb") as jobs:
        parent, path, target, payload, timeout_s = pickle.loads(jobs.read())  # noqa: S301 - from the parent process
    BackgroundThread(target=_watch, args=(parent,), name="otel-shadow-watch").start()
    sys.path[:] = path
    sent = threading.Lock()

    def send(report: TrialReport) -> None:
        """Send ``report`` and end this process; the first one counts, whichever thread it comes from."""
        sent.acquire()
        with suppress(OSError):
            connection.sendall(pickle.dumps(report, 5))
        os._exit(0)

    try:
        resolve_name(target)(payload, timeout_s, send)
    except BaseException as error:  # noqa: BLE001 - the application's modules raise anything
        send(TrialReport("not_run", why=f"in a worker, its import raised {type(error).__name__}"))


def _watch(parent: int) -> None:
    """End with the parent."""
    nap = threading.Event()
    while os.getppid() == parent:
        nap.wait(0.25)
    os._exit(0)


if __name__ == "__main__":
    main()
