"""The router's thresholds: what it does at which confidence. Calibration proposes new ones as a file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from otel_shadow._demo.v2.intents import INTENTS

_BOUNDS = ("template", "llm_rag", "handoff")
Action = Literal["template", "llm_rag", "fallback", "handoff"]


@dataclass(frozen=True)
class Thresholds:
    """Lower bounds of confidence, each in [0, 1]; below `handoff` a person takes over.

    `intents` are the least scores at which single intents count at all, by their names.

    Raises:
        ValueError: a bound is outside [0, 1], or they are not in the order handoff ≤ llm_rag ≤ template.

    """

    template: float = 0.74
    llm_rag: float = 0.60
    handoff: float = 0.38
    intents: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse bounds that no confidence could meet in order."""
        if not 0 <= self.handoff <= self.llm_rag <= self.template <= 1:
            raise ValueError(
                f"thresholds: expected 0 <= handoff <= llm_rag <= template <= 1, got handoff={self.handoff}, "
                f"llm_rag={self.llm_rag}, template={self.template}"
            )
        if wrong := [name for name, least in self.intents.items() if name not in INTENTS or not 0 <= least <= 1]:
            raise ValueError(
                f"thresholds of intents: expected numbers from 0 to 1 for some of {', '.join(INTENTS)}; "
                f"wrong: {', '.join(sorted(wrong))}"
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
        """Read thresholds from a TOML or JSON file, such as a calibration proposes.

        The file's tables are `thresholds`, for a single node `thresholds.nodes.<node>`, and `intents`; what it leaves
        out keeps its default.

        Args:
            path: the file; `.json` is read as JSON, everything else as TOML.
            node: whose own values, where the file has some, come before the general ones.

        Raises:
            ValueError: the file can't be read as such, has unknown keys, or values that are no numbers in order.

        """
        content = _read(Path(path))
        general = dict(_table(content, "thresholds", path))
        own = _table(_table(general, "nodes", path), str(node), path)
        general.pop("nodes", None)
        bounds = _numbers({**general, **own}, _BOUNDS, path)
        return cls(**bounds, intents=_numbers(_table(content, "intents", path), INTENTS, path))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not readable as a thresholds file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a table 'thresholds'")
    return content


def _table(content: Mapping[str, Any], name: str, path: str | Path) -> Mapping[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{path}: expected a table '{name}', found {table!r}")
    return table


def _numbers(table: Mapping[str, Any], known: tuple[str, ...], path: str | Path) -> dict[str, Any]:
    wrong = [
        f"{key}={value!r}"
        for key, value in table.items()
        if key not in known or isinstance(value, bool) or not isinstance(value, (int, float))
    ]
    if wrong:
        raise ValueError(f"{path}: expected numbers named {', '.join(known)}; found {', '.join(wrong)}")
    return {key: float(value) for key, value in table.items()}
