"""The position of user code: ``module:line``, which is code and no data."""

from __future__ import annotations

import sysconfig
from types import FrameType

_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def position_of(frame: FrameType) -> str | None:
    """Return the position of the innermost frame of user code at or above ``frame``.

    User code is what lies neither in the standard library nor among the installed packages; where there is none, the
    innermost frame's.
    """
    innermost = frame
    current: FrameType | None = frame
    while current is not None:
        file = current.f_code.co_filename
        if not file.startswith(("<", *_INSTALLED)):
            return _position(current)
        current = current.f_back
    return _position(innermost)


def _position(frame: FrameType) -> str | None:
    module = frame.f_globals.get("__name__")
    return f"{module}:{frame.f_lineno}" if isinstance(module, str) and module.isascii() else None
