"""The code of docs/statistics.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"


def test_the_code_of_the_page_runs() -> None:
    """Its blocks, one after another, with their own assertions."""
    blocks = re.findall(r"^```python\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    exec("\n".join(blocks), {})
