"""How long a thread has waited for a core, as Linux tells; elsewhere 0.

Who reads a file in Python gives the interpreter away meanwhile, and a busy thread keeps it for five milliseconds or
more: V1 would wait. Here the C library is called with the interpreter held. The kernel makes the text in memory.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

THIS_THREAD = b"/proc/thread-self/schedstat"

_C: Any = None
if sys.platform == "linux":
    with suppress(ImportError, OSError):  # a Python that was built without libffi
        import ctypes

        _C = ctypes.PyDLL(None)
        _C.open.argtypes = ctypes.c_char_p, ctypes.c_int
        _C.read.argtypes = ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
        _C.read.restype = ctypes.c_ssize_t


def thread_file(number: int) -> bytes:
    """Return what :func:`queued_s` reads of the thread of this process with the native id ``number``."""
    return b"/proc/self/task/%d/schedstat" % number


def queued_s(file: bytes = THIS_THREAD) -> float:
    """Return the seconds for which a thread could run and had no core, since it began.

    Arguments:
        file: the kernel's statistics of the thread; default: of the one that asks.
    """
    try:
        return int(_text(file).split()[1]) / 1e9
    except (IndexError, ValueError):  # the thread has ended, or the kernel keeps no such statistics
        return 0.0


def _text(file: bytes) -> bytes:
    if _C is None:
        return b""
    number = _C.open(file, os.O_RDONLY | os.O_CLOEXEC)
    if number < 0:
        return b""
    try:
        text = ctypes.create_string_buffer(80)
        length: int = _C.read(number, text, 80)
        return text.raw[: max(length, 0)]
    finally:
        _C.close(number)
