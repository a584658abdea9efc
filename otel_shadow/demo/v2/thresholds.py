"""The router's thresholds: what it does at which confidence. Calibration proposes new ones as a file."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

Action = Literal["template", "llm_rag", "fallback", "handoff"]


@dataclass(frozen=True)
class Thresholds:
    """Lower bounds of confidence, each in [0, 1]; below `handoff` a person takes over.

    Raises:
        ValueError: a bound is outside [0, 1], or they are not in the order handoff ≤ llm_rag ≤ template.

    """

    template: float = 0.74
    llm_rag: float = 0.60
    handoff: float = 0.38

    def __post_init__(self) -> None:
        """Refuse bounds that no confidence could meet in order."""
        if not 0 <= self.handoff <= self.llm_rag <= self.template <= 1:
            raise ValueError(
                f"thresholds: expected 0 <= handoff <= llm_rag <= template <= 1, got handoff={self.handoff}, "
                f"llm_rag={self.llm_rag}, template={self.template}"
            )

    def action(self, confidence: float) -> Action:
        """Return what the router does at `confidence`."""
        if confidence >= self.template:
            return "template"
        if confidence >= self.llm_rag:
            return "llm_rag"
        return "handoff" if confidence < self.handoff else "fallback"

    @classmethod
    def from_file(cls, path: str | Path, node: str | None = None) -> Thresholds:
        """Read thresholds from a TOML or JSON file: a table `thresholds`, and for one node `thresholds.nodes.<node>`.

        Args:
            path: the file; `.json` is read as JSON, everything else as TOML.
            node: whose own values, where the file has some, come before the general ones.

        Raises:
            ValueError: the file can't be read as such, has unknown keys, or values that are no numbers in order.

        """
        table = _read(Path(path)).get("thresholds", {})
        own = table.get("nodes", {}).get(node, {}) if isinstance(table, dict) else {}
        return cls(**_numbers({**{k: v for k, v in table.items() if k != "nodes"}, **own}, path))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not readable as a thresholds file: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("thresholds", {}), dict):
        raise ValueError(f"{path}: expected a table 'thresholds'")
    return content


def _numbers(table: dict[str, Any], path: str | Path) -> dict[str, float]:
    known = [field.name for field in fields(Thresholds)]
    wrong = [
        f"{key}={value!r}"
        for key, value in table.items()
        if key not in known or isinstance(value, bool) or not isinstance(value, (int, float))
    ]
    if wrong:
        raise ValueError(f"{path}: thresholds are numbers named {', '.join(known)}; found {', '.join(wrong)}")
    return {key: float(value) for key, value in table.items()}
