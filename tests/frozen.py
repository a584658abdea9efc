"""Golden files of the contracts: ``OTEL_SHADOW_UPDATE_GOLDEN=1`` writes them anew, and the diff is a decision."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"


def frozen(name: str, value: Any) -> Any:
    """What ``tests/golden/<name>`` holds (JSON); in update mode it becomes ``value``."""
    path = FOLDER / name
    if os.environ.get("OTEL_SHADOW_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))
