"""What the router has learned from its shadow: thresholds from `calibrate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from otel_shadow._calibration.thresholds_file import read_thresholds
from otel_shadow._demo.v2.intents import INTENTS
from otel_shadow.errors import ConfigError

Action = Literal["template", "llm_rag", "fallback", "handoff"]


@dataclass(frozen=True)
class Thresholds:
    """Lower bounds of confidence, each in [0, 1]; below `handoff` a person takes over.

    `intents` are the least scores at which single intents count at all, by their names. Bounds that are not in the
    order handoff ≤ llm_rag ≤ template are a ValueError.
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
        if confidence >= self.template:
            return "template"
        if confidence >= self.llm_rag:
            return "llm_rag"
        return "handoff" if confidence < self.handoff else "fallback"

    @classmethod
    def from_file(cls, path: str | Path, node: str | None = None) -> Thresholds:
        """Read thresholds from a TOML or JSON file, such as a calibration proposes; what it leaves out has its default.

        The values of `node`, where the file has some, come before the general ones. A file that can't be read as such,
        has unknown keys, or values that are no numbers in order, is a ValueError.
        """
        try:
            general, nodes, intents = read_thresholds(Path(path))
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return cls(**{**dict(general), **dict(dict(nodes).get(node or "", ()))}, intents=dict(intents))
