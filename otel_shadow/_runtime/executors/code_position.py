"""The position of user code: ``module:line``, which is code and no data."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import FrameType

_INSTALLED = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_NOT_THE_USERS = ("<", str(Path(__file__).parents[2]), *_INSTALLED)


def position_of(frame: FrameType) -> str | None:
    """Return the position of the innermost frame of user code at or above ``frame``; None where there is none.

    User code is what lies neither in the standard library nor among the installed packages nor here.
    """
    current: FrameType | None = frame
    while current is not None:
        if not current.f_code.co_filename.startswith(_NOT_THE_USERS):
            return _position(current)
        current = current.f_back
    return None


def _position(frame: FrameType) -> str | None:
    module = frame.f_globals.get("__name__")
    return f"{module}:{frame.f_lineno}" if isinstance(module, str) and module.isascii() else None
