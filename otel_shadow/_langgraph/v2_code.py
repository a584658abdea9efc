"""What is known of a V2's code: its import path, whether it needs no trial, and a digest of its source."""

from __future__ import annotations

import hashlib
import inspect
import sys
from pkgutil import resolve_name
from typing import Any

from otel_shadow._langgraph.process_run import function_of, path_of
from otel_shadow._runtime.executors.loop_admission import V2Code
from otel_shadow._runtime.redact import class_name

_MAIN = "__main__"


def code_of(v2: Any, v1: Any) -> V2Code:
    """Return what is known of the code of ``v2``: a callable or runnable, an import path, or ``v1`` itself.

    Code of ``__main__`` and of notebooks can't be imported elsewhere, and whoever runs it there looks on: it needs no
    trial. Nor does V1, which runs on that loop anyway.
    """
    if v2 is None or v2 == "self" or v2 is v1:
        return V2Code(name="self", accepted=True)
    found = _resolved(v2) if isinstance(v2, str) else v2
    path = v2 if isinstance(v2, str) else path_of(v2)
    if _is_main(found, path):
        return V2Code(name=_name(found), accepted=True)
    return V2Code(path, _name(found), digest=_digest(found), hindrance=_hindrance(found))


def _resolved(path: str) -> Any:
    try:
        return resolve_name(path)
    except Exception:  # noqa: BLE001 - a V2 that can't be imported is told of elsewhere
        return None


def _is_main(v2: Any, path: str | None) -> bool:
    main = sys.modules.get(_MAIN)
    if not hasattr(main, "__file__"):
        return True  # a notebook, or a prompt
    module = path.partition(":")[0] if path else _module(v2)
    return module == _MAIN or any(value is v2 for value in list(vars(main).values()))


def _module(v2: Any) -> str | None:
    function = function_of(v2)
    module = getattr(function, "__module__", None) if callable(function) and hasattr(function, "__code__") else None
    return module if isinstance(module, str) else None


def _name(v2: Any) -> str:
    function = function_of(v2)
    name = getattr(function, "__qualname__", None)
    module = getattr(function, "__module__", None)
    return f"{module}:{name}" if isinstance(name, str) else class_name(type(v2))


def _hindrance(v2: Any) -> str:
    name = getattr(function_of(v2), "__qualname__", None)
    if isinstance(name, str) and "<locals>" in name:
        return "it is a closure, made while the application runs"
    if isinstance(name, str) and "<lambda>" in name:
        return "it is a lambda, which has no import path"
    return "it is an object made while the application runs, which has no import path"


def _digest(v2: Any) -> str:
    """Return 12 hex digits of the source of V2's module: a V2 that was mended is another one, whatever its build."""
    function = function_of(v2)
    module = sys.modules.get(_module(v2) or getattr(type(function), "__module__", "") or "")
    try:
        source = inspect.getsource(module) if module is not None else ""
    except (OSError, TypeError):
        source = ""
    return hashlib.sha256(source.encode()).hexdigest()[:12]
