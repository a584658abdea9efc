"""Where in the code an exception came from, as ``module:line``: code, and no data."""

from __future__ import annotations

import asyncio
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.machinery import ModuleSpec
from itertools import takewhile
from types import FrameType, TracebackType
from typing import Any, NamedTuple

from otel_shadow import semconv

_OURS = ("otel_shadow",)
_BUNDLED = ("otel_shadow._demo",)
"""The demo's own V2, which is user code to the rest of the package."""
_BETWEEN = frozenset({"langgraph", "langchain_core"})
"""Packages whose frames lie around every V2."""
_PACKAGES = ("site-packages", "dist-packages")
_LIBRARY = tuple({f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib")})
_MODULE = re.compile(r"[A-Za-z_][\w.]{0,199}", re.ASCII)
_MOST_FRAMES = 2000
_DEEPEST = 5
_TRACEBACK = BaseException.__dict__["__traceback__"].__get__
_CAUSE = BaseException.__dict__["__cause__"].__get__


class _Place(NamedTuple):
    """A frame: its module, line and file, and whose code it is (``user``, ``package``, ``library``, ``ours``)."""

    module: str
    line: int
    file: str
    owner: str

    def __str__(self) -> str:
        """Return ``module:line``."""
        return f"{self.module}:{self.line}"

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.module.partition(".")[0]


def code_location(error: object) -> str | None:
    """Return ``module:line`` of the deepest frame of the user's code through which ``error`` came.

    Where there is none, it is the deepest frame of the package that V2 is from. Never a path, and ``_other`` in place
    of a module that is not imported. None where no frame but otel-shadow's own is known.
    """
    found = _place_of(error)
    return str(found) if found is not None else None


def code_file(error: BaseException) -> tuple[str, int] | None:
    """Return file and line of the place that :func:`code_location` names; a path is for the developer's terminal only.

    Of a file that is not Python, it is that file and line.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    found = _place_of(error)
    return (found.file, found.line) if found is not None else None


def thread_location(thread: int, below: str = "") -> str | None:
    """Return ``module:line`` of where the thread with this identity is now, chosen as :func:`code_location` does.

    Arguments:
        thread: its identity.
        below: name of a module; only what its frames have called counts.
    """
    places = list(takewhile(lambda place: place.module != below, _of_stack(sys._current_frames().get(thread))))
    found = _chosen(places[::-1])
    return str(found) if found is not None else None


def _place_of(error: object) -> _Place | None:
    if not isinstance(error, BaseException):
        return None
    found = (_chosen(list(_of_traceback(_TRACEBACK(one)))) for one in _within(error, _DEEPEST))
    return next((place for place in found if place is not None), None)


def _within(error: BaseException, depth: int) -> Iterator[BaseException]:
    """Yield exceptions inside ``error`` before it: those of a group, and the cancellation behind a timeout."""
    if depth and isinstance(error, BaseExceptionGroup):
        for one in error.exceptions[:1]:
            yield from _within(one, depth - 1)
    cause = _CAUSE(error)
    if isinstance(error, TimeoutError) and isinstance(cause, asyncio.CancelledError):
        yield cause
    yield error


def _of_traceback(trace: TracebackType | None) -> Iterator[_Place]:
    """Yield the places of a traceback, outermost first."""
    left = _MOST_FRAMES
    while trace is not None and left:
        yield _place(trace.tb_frame, trace.tb_lineno)
        trace, left = trace.tb_next, left - 1


def _of_stack(frame: FrameType | None) -> Iterator[_Place]:
    """Yield the places of a stack, innermost first."""
    left = _MOST_FRAMES
    while frame is not None and left:
        yield _place(frame, frame.f_lineno)
        frame, left = frame.f_back, left - 1


def _chosen(places: Sequence[_Place]) -> _Place | None:
    """Return the place to tell, of places that begin with the outermost."""
    deepest = next((place for place in reversed(places) if place.owner == "user"), None)
    if deepest is not None:
        return deepest
    packaged = [place for place in places if place.owner == "package"]
    own = next((place.package for place in packaged if place.package not in _BETWEEN), None)
    return next((place for place in reversed(packaged) if own in (None, place.package)), None)


def _place(frame: FrameType, line: int) -> _Place:
    module = _module(frame.f_globals)
    file = frame.f_code.co_filename
    return _Place(module, line or 0, file, "user" if _is_of(module, _BUNDLED) else _owner(file, module))


def _owner(file: str, module: str) -> str:
    return "ours" if _is_of(module, _OURS) else _owner_of_file(file)


def _is_of(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@lru_cache(4096)
def _owner_of_file(name: str) -> str:
    if any(f"{folder}/" in name.replace("\\", "/") for folder in _PACKAGES):
        return "package"
    return "library" if name.startswith(("<frozen", *_LIBRARY)) else "user"


def _module(variables: dict[str, Any]) -> str:
    """Return the name of the module whose globals these are, if it was imported by that name, else ``_other``."""
    name = variables.get("__name__")
    if type(name) is not str or not _MODULE.fullmatch(name):
        return semconv.OTHER
    spec = variables.get("__spec__")
    known = getattr(sys.modules.get(name), "__dict__", None) is variables
    return name if known or (type(spec) is ModuleSpec and spec.name == name) else semconv.OTHER
