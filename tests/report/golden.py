"""Golden files: what is frozen lies beside the tests; ``OTEL_SHADOW_UPDATE_GOLDEN=1`` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def golden(name: str, text: str) -> str:
    """The frozen text ``name``; in update mode it becomes ``text``."""
    path = FOLDER / name
    if os.environ.get("OTEL_SHADOW_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")
