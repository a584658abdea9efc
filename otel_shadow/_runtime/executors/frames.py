"""Frames on the socket between a worker process and its parent: of a bounded size, sent and received within a time."""

from __future__ import annotations

import select
import socket
import struct
from time import perf_counter
from typing import NamedTuple

_HEAD = struct.Struct(">8sQQ")
READY, BEGUN, DONE, FAILED, TOO_LARGE = "ready", "begun", "done", "failed", "toolarge"
JOB, STOP, OPTIONS = "job", "stop", "options"


class WorkerFrame(NamedTuple):
    """One message: its kind, the number of the job that it belongs to, and its body."""

    kind: str
    job: int
    body: bytes | bytearray = b""


class FrameTooLargeError(Exception):
    """A frame that its receiver does not take in; what follows on the socket can't be read any more."""


class FrameSocket:
    """One end of a connected socket, for one sender and one receiver at a time.

    Arguments:
        connected: the socket, which belongs to this object from now on.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.setblocking(False)  # and not a time limit of the socket's own: sender and receiver would share it

    def send(self, frame: WorkerFrame, within_s: float | None = None) -> None:
        """Send ``frame`` within so many seconds; None: however long it takes.

        Raises:
            TimeoutError: the other end does not read; a part of the frame may be on its way.
            OSError: the other end is gone.
        """
        end = None if within_s is None else perf_counter() + within_s
        for part in (_HEAD.pack(frame.kind.encode(), frame.job, len(frame.body)), frame.body):
            rest = memoryview(part)
            while rest:
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    self._wait(select.POLLOUT, end)

    def receive(self, within_s: float | None = None, most: int | None = None) -> WorkerFrame:
        """Wait for the next frame so many seconds; None: for ever.

        Arguments:
            most: bytes that its body may have.

        Raises:
            TimeoutError: it was not here in time.
            FrameTooLargeError: its body is larger than ``most``; nothing of it was read.
            EOFError: the other end is gone.
            OSError: likewise.
        """
        end = None if within_s is None else perf_counter() + within_s
        kind, job, size = _HEAD.unpack(self._read(_HEAD.size, end))
        if most is not None and size > most:
            raise FrameTooLargeError
        return WorkerFrame(kind.rstrip(b"\0").decode(), job, self._read(size, end))

    def wait(self, within_s: float) -> None:
        """Wait until a frame begins (or the other end is gone), without taking anything of it.

        Raises:
            TimeoutError: none has begun within so many seconds.
        """
        self._wait(select.POLLIN, perf_counter() + within_s)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _read(self, size: int, end: float | None) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            try:
                read = self._socket.recv_into(rest)
            except BlockingIOError:
                self._wait(select.POLLIN, end)
                continue
            if not read:
                raise EOFError
            rest = rest[read:]
        return data

    def _wait(self, event: int, end: float | None) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        if not poll.poll(None if end is None else max(end - perf_counter(), 0.0) * 1000):
            raise TimeoutError
