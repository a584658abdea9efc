"""Golden files of the recorded run: ``OTEL_SHADOW_UPDATE_GOLDEN=1`` writes them anew, and the diff is a decision."""

from __future__ import annotations

import json
import os
from difflib import unified_diff
from typing import Any

from frozen import FOLDER

_PLACE = FOLDER / "recorded_run"
_SHOWN = 60
"""Lines of a difference that a failure shows."""


def differences(name: str, value: Any) -> str:
    """How ``value`` differs from the golden file ``name``, the order of keys included; nothing where it does not."""
    text, path = _readable(value), _PLACE / name
    if os.environ.get("OTEL_SHADOW_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    golden = path.read_text(encoding="utf-8")
    assert json.loads(golden) is not None
    changed = list(unified_diff(golden.splitlines(), text.splitlines(), f"golden {name}", "now", lineterm="", n=0))
    return "\n".join(changed[:_SHOWN])


def _readable(value: Any, indent: str = "") -> str:
    """JSON with one line for each item of a list, whatever is in it, and one for each plain value of a table."""
    if isinstance(value, dict) and value and any(isinstance(item, dict | list) for item in value.values()):
        inner = [f"{_plain(key)}: {_readable(item, indent + ' ')}" for key, item in value.items()]
        return _block("{", inner, "}", indent)
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return _block("[", [_plain(item) for item in value], "]", indent)
    if isinstance(value, list) and len(_plain(value)) > 100:
        return _block("[", [_plain(item) for item in value], "]", indent)
    return _plain(value)


def _block(opening: str, inner: list[str], closing: str, indent: str) -> str:
    body = ",\n".join(f"{indent} {item}" for item in inner)
    end = "\n" if not indent else ""
    return f"{opening}\n{body}\n{indent}{closing}{end}"


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
