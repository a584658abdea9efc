"""The executor of V2s that run in worker processes, and the parent's side of those processes.

Workers are kept warm, killed with a job that is over its time, and replaced. A library's pool does not do: with pebble
5.2 a worker outlived a parent killed with -9, a job that ignored ``SIGTERM`` was killed three seconds late, and a
spawned worker ran the application's main module again; loky can't kill one job. Here a worker ends with its parent, is
killed within the grace it gets to flush its spans, and imports V2 only.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from dataclasses import replace
from time import perf_counter, sleep

from otel_shadow._runtime.executors import Shadow, Slot, worker_handle
from otel_shadow._runtime.executors.frames import DONE, FAILED, READY, TOO_LARGE, FrameTooLargeError, WorkerFrame
from otel_shadow._runtime.executors.thread import ThreadExecutor
from otel_shadow._runtime.executors.worker_handle import WorkerBusyError, WorkerHandle
from otel_shadow._runtime.executors.worker_process import WorkerOptions
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow.background_thread import BackgroundThread
from otel_shadow.config import ShadowConfig

_TICK_S = 0.02
_IDLE_TICK_S = 0.5
_FLUSH_S = 1.0
"""Seconds that a worker gets to flush its spans before it is killed."""
_MAX_BACKOFF_S = 30.0
_CONTROL_BYTES = 64 * 1024
"""Bytes that the body of a frame which is no answer may have."""


class WorkerDiedError(Exception):
    """A worker that ended while it ran V2 (``os._exit``, a crash, the system's memory killer)."""


class WorkerStartError(Exception):
    """Workers that end before they are ready, for example because V2's module can't be imported there."""


class AnswerTooLargeError(Exception):
    """What V2 returned (or raised) has more bytes than ``limits.snapshot_bytes``."""


class WorkerPool:
    """An executor: one thread per shadow run, which asks a worker process (``module:function`` of bytes, giving bytes).

    A thread of the pool's own (a worker is tied to the life of the thread that started it) starts, replaces and ends
    the workers, from the first use of the pool on. ``[process]`` says how many there are; before a worker is ready it
    imports the V2s that are configured to run in a process.
    """

    def __init__(self, config: ShadowConfig, fault_barrier: FaultBarrier) -> None:
        self._size = config.process.workers
        self._options = _worker_options(config)
        self._fault_barrier = fault_barrier
        self._everyone: list[WorkerHandle] = []
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        for worker in self._everyone:
            worker.forget()
        self._everyone = []
        self._starting: list[WorkerHandle] = []
        self._ending: list[WorkerHandle] = []
        self._idle: deque[WorkerHandle] = deque()
        self._busy = 0
        self._failures = 0
        self._retry_at = 0.0
        self.fault: str | None = None
        """Why the last worker could not start; None since one did."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._keeper: threading.Thread | None = None
        self._threads = ThreadExecutor(most=self._size)

    @property
    def capacity(self) -> int:
        """The workers that are ready or busy (while one is replaced, shadow runs wait); all, where none can start."""
        self.start_workers()
        return self._size if self.fault else len(self._idle) + self._busy

    @property
    def pids(self) -> list[int]:
        """The process ids of all workers there are."""
        return [worker.pid for worker in list(self._everyone)]

    def include(self, path: str) -> None:
        """Have workers that are started from now on import the V2 at ``path`` before they are ready."""
        self._options = replace(self._options, warm=tuple(sorted({*self._options.warm, path})))

    def start(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` in a thread: it builds the isolation, waits for the worker's answer and compares."""
        return self._threads.start(shadow)

    def call(self, target: str, payload: bytes, timeout_s: float) -> bytes | bytearray:
        """Run ``target(payload, begin)`` in a worker; the calling thread waits.

        The time limit is V2's own: it begins when ``begin`` is called there, and waiting for a core is not in it.

        Raises:
            TimeoutError: V2 took longer than ``timeout_s`` seconds; its worker is ended and replaced.
            WorkerBusyError: there was no worker, or it did not come to run V2, or not to the end.
            WorkerDiedError: the worker ended.
            WorkerStartError: there are no workers.
            AnswerTooLargeError: V2's answer has too many bytes.
        """
        end = perf_counter() + timeout_s + worker_handle.HAND_OVER_S
        worker = self._take(end)
        whole = False
        try:
            answer = worker.run(target, payload, end, timeout_s, self._options.answer_bytes)
            whole = True
        except FrameTooLargeError:
            raise AnswerTooLargeError from None
        except (EOFError, OSError) as error:
            raise error if isinstance(error, TimeoutError) else WorkerDiedError from None
        finally:
            self._give_back(worker, whole=whole)
        if answer.kind == TOO_LARGE:
            raise AnswerTooLargeError
        if answer.kind != DONE:
            raise WorkerDiedError(answer.body.decode())
        return answer.body

    def stop(self, timeout_s: float) -> None:
        """End all workers, after the flush of their spans, within ``timeout_s`` seconds."""
        self._threads.stop(timeout_s)
        self._closed = True
        self._wake.set()
        keeper = self._keeper
        if keeper is not None and keeper is not threading.current_thread():
            end = perf_counter() + timeout_s
            for worker in list(self._everyone):
                worker.stop(max(min(timeout_s * 0.7, _FLUSH_S), 0.01))
            keeper.join(max(end - perf_counter(), 0.01))
        for worker in list(self._everyone):
            worker.kill()
        self._everyone = []

    # --- the callers' threads ----------------------------------------------------------------------------------------

    def start_workers(self) -> None:
        """Begin to start the workers, and return at once."""
        if self._keeper is not None:
            return
        with self._lock:
            if self._keeper is None and not self._closed:
                self._keeper = BackgroundThread(target=self._keep, name="otel-shadow-workers")
                self._keeper.start()

    def _take(self, end: float) -> WorkerHandle:
        self.start_workers()
        while perf_counter() < end and not self._closed:
            with self._lock:
                if self._idle:
                    self._busy += 1
                    return self._idle.popleft()
            if self.fault:
                raise WorkerStartError(self.fault)
            sleep(_TICK_S / 10)
        raise WorkerBusyError

    def _give_back(self, worker: WorkerHandle, *, whole: bool) -> None:
        with self._lock:
            self._busy -= 1
            if whole:
                self._failures = 0
                self._idle.append(worker)
                return
            worker.stop(_FLUSH_S)
            self._ending.append(worker)
        self._wake.set()

    # --- the keeper's thread -----------------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._closed:
            try:
                self._replace_dead()
                self._start_missing()
                self._take_in_ready()
            except Exception as error:  # noqa: BLE001 - the keeper outlives every fault
                self._fault_barrier.caught("workers", "-", error)
            busy = self._starting or self._ending or len(self._everyone) < self._size
            self._wake.wait(_TICK_S if busy else _IDLE_TICK_S)
            self._wake.clear()
        end = perf_counter() + _FLUSH_S
        while perf_counter() < end and not all(worker.ended for worker in self._everyone):
            self._wake.wait(_TICK_S / 2)
            self._wake.clear()

    def _replace_dead(self) -> None:
        now = perf_counter()
        for worker in list(self._ending):
            if worker.ended or now > worker.kill_at:
                worker.kill()
                self._ending.remove(worker)
                self._everyone.remove(worker)
        with self._lock:
            dead = [worker for worker in self._idle if worker.ended]
            for worker in dead:
                self._idle.remove(worker)
        for worker in dead:  # the system may have ended it: the first is replaced at once, and no V2 has failed
            self._back_off(now)
            self._ending.append(worker)

    def _start_missing(self) -> None:
        while len(self._everyone) - len(self._ending) < self._size and perf_counter() >= self._retry_at:
            try:
                worker = WorkerHandle(self._options)
            except OSError as error:  # no process, descriptor or memory is left
                self._failed(f"no process can be started ({type(error).__name__})")
                return
            self._everyone.append(worker)
            self._starting.append(worker)

    def _take_in_ready(self) -> None:
        for worker in list(self._starting):
            try:
                answer = worker.frames.receive(0.0, _CONTROL_BYTES)
            except TimeoutError:
                continue
            except (EOFError, OSError):
                answer = WorkerFrame(FAILED, 0, b"the process ended before it was ready")
            self._starting.remove(worker)
            if answer.kind == READY:
                self.fault = None
                with self._lock:
                    self._idle.append(worker)
            else:
                self._failed(answer.body.decode(errors="replace"), worker)

    def _failed(self, fault: str, worker: WorkerHandle | None = None) -> None:
        self.fault = fault
        self._failures = max(self._failures, 1)
        self._back_off(perf_counter())
        self._fault_barrier.caught("workers", "-", WorkerStartError(fault))
        if worker is not None:
            worker.stop(0.0)
            self._ending.append(worker)

    def _back_off(self, now: float) -> None:
        """Wait before the next start: twice as long each time, until a worker has done a job."""
        self._retry_at = now + (min(2.0**self._failures, _MAX_BACKOFF_S) if self._failures else 0.0)
        self._failures += 1


def _worker_options(config: ShadowConfig) -> WorkerOptions:
    table = config.process
    v2s = {node.v2 for node in config.nodes.values() if node.executor == "process" and node.v2}
    return WorkerOptions(
        path=tuple(sys.path),
        init=(table.init,) if table.init else (),
        warm=tuple(sorted(v2s - {"self"})),
        rehearse="otel_shadow._langgraph.process_run:rehearse",
        flush=("otel_shadow._telemetry.spans:flush_in_worker",),
        idle=table.idle_priority,
        memory_bytes=table.memory_bytes,
        answer_bytes=config.limits.snapshot_bytes,
    )
