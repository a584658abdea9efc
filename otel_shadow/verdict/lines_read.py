"""What became of the lines that were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Reading:
    """Counts of lines. Everything but ``used`` is skipped and counted, never silently.

    Before repetitions are known (they are in the view), ``used`` has them too.

    ``malformed`` and ``other_schema`` are lines of otel-shadow; ``other_lines`` are the application's own, and
    SHADOW_COMPARISON lines, which repeat their pair. ``truncated`` are last lines without an end of line that can't be
    read: they are still being written. ``examples``: up to ten sentences that name file, line and fault.
    """

    sources: tuple[str, ...] = ()
    lines: int = 0
    bytes: int = 0
    used: int = 0
    other_lines: int = 0
    malformed: int = 0
    truncated: int = 0
    other_schema: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    """Lines that told a known pair again, in the same words: it counts once."""
    contradictory: int = 0
    """Pairs told twice in different ways: left out, and no GO while there are any."""
    out_of_window: int = 0
    future: int = 0
    """Executions stamped later than the verdict's time: left out."""
    examples: tuple[str, ...] = ()
    misplaced: int = 0
    """Lines behind other text, where anybody whose text is logged can put them: a part of ``malformed``."""
    forged: int = 0
    """Lines whose code is not theirs, where a key was there to tell: no evidence."""
    verified: int = 0
    """Lines whose code was verified, of those used."""
    uncoded: int = 0
    """Lines used that have no code, where a key was there: they are evidence of their own."""
    tails: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Per source the bytes that were read, and whether the last line was incomplete: a later reading has all of it."""

    def __add__(self, other: Reading) -> Reading:
        """Return both readings together."""
        summed: dict[str, Any] = {
            item.name: getattr(self, item.name) + getattr(other, item.name)
            for item in fields(self)
            if item.type == "int"
        }
        schemas, tails = dict(self.other_schema), dict(self.tails)
        for version, count in other.other_schema.items():
            schemas[version] = schemas.get(version, 0) + count
        for name, tail in other.tails.items():
            tails[name] = max(tails.get(name, tail), tail)
        unnamed = sum(one.truncated - sum(cut for _, cut in one.tails.values()) for one in (self, other))
        summed["truncated"] = sum(cut for _, cut in tails.values()) + max(unnamed, 0)
        return Reading(
            tails=dict(sorted(tails.items())),
            sources=tuple(sorted({*self.sources, *other.sources})),
            other_schema=dict(sorted(schemas.items())),
            examples=tuple(sorted({*self.examples, *other.examples}))[:_EXAMPLES],
            **summed,
        )
