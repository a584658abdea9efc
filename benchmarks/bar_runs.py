"""Runs of seeded windows, row by row, kept in a file as they come: a run that is stopped goes on where it was."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.looks import Said
from benchmarks.turns import Rng

SEED: Final = 16
DAYS: Final = (1, 2, 7)
_AT_ONCE: Final = 20
"""Windows between two lines of the file."""
_MUCH: Final = 5000.0
"""Turns a day from which on fewer windows are run."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One number, and what it has to be.

    Arguments:
        setting: what was simulated.
        measure: ``false GO``, or ``GO by`` so many days.
        percent: of the windows.
        error: two Monte Carlo errors of it.
        limit: at most; of a GO, at least.
        windows: that were run.
    """

    setting: str
    measure: str
    percent: float
    error: float
    limit: float
    windows: int

    @classmethod
    def of(cls, setting: str, measure: str, hits: int, windows: int, limit: float) -> Bar:
        """Return the share of the windows."""
        share = hits / windows
        # Of none in n windows as of half of one: no share is known without error.
        spread = max(share, 0.5 / windows) * max(1.0 - share, 0.5 / windows)
        return cls(setting, measure, 100.0 * share, 200.0 * math.sqrt(spread / windows), limit, windows)

    @property
    def is_met(self) -> bool:
        """Whether it is what it has to be, but for the error."""
        if self.measure.startswith("GO"):
            return self.percent + self.error >= self.limit
        return self.percent - self.error <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.measure.startswith("GO") else "≤"
        told = "met" if self.is_met else "MISSED"
        seen = f"{self.percent:.1f} ± {self.error:.1f}"
        return f"| {self.setting} | {self.measure} | {seen} | {sign} {self.limit:g} | {told} | {self.windows:,} |"


@dataclass(frozen=True, slots=True)
class Setting:
    """Windows of one kind.

    Arguments:
        name: of the row; its number is that of the design.
        window: returns whether a window is a false GO, or by which days it is a GO.
        limits: of the false GO (one number), or of the GO by 1, 2 and 7 days.
        turns_a_day: how much traffic it is.
    """

    name: str
    window: Callable[[Rng], bool | Said]
    limits: tuple[float, ...]
    turns_a_day: float = 1000.0

    @property
    def windows(self) -> int:
        """How many are run unless told otherwise."""
        return 300 if self.turns_a_day > _MUCH else 1000

    def count(self, first: int, last: int) -> list[int]:
        """Return, of the windows ``first`` … ``last`` − 1, the false GOs, or those that are a GO by each look."""
        place = sum(map(ord, self.name))
        said = [np.atleast_1d(self.window(np.random.default_rng([SEED, place, one]))) for one in range(first, last)]
        hits: list[int] = np.sum(said, axis=0).tolist()
        return hits

    def bars(self, hits: Sequence[int], windows: int) -> Iterator[Bar]:
        """Yield what came of it."""
        if len(self.limits) == 1:
            yield Bar.of(self.name, "false GO", hits[0], windows, self.limits[0])
            return
        for day, limit in zip(DAYS, self.limits, strict=True):
            yield Bar.of(self.name, f"GO by {day} d", hits[day - 1], windows, limit)


class Results:
    """What the rows have come to so far.

    Arguments:
        path: of the file with a line for each piece; None: kept nowhere.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, tuple[int, list[int]]] = {}
        for text in path.read_text(encoding="utf-8").splitlines() if path and path.exists() else ():
            line: dict[str, Any] = json.loads(text)
            if line["first"] == self.of(line["setting"])[0]:  # else two runs wrote the same windows
                self._add(line["setting"], line["windows"], line["hits"])

    def of(self, name: str) -> tuple[int, list[int]]:
        """Return how many windows of a row were run, and the hits."""
        return self._known.get(name, (0, []))

    def run(self, setting: Setting, windows: int) -> None:
        """Run a row until it has so many windows."""
        while (done := self.of(setting.name)[0]) < windows:
            last = min(done + _AT_ONCE, windows)
            hits = setting.count(done, last)
            self._add(setting.name, last - done, hits)
            if self._path:
                line = {"setting": setting.name, "seed": SEED, "first": done, "windows": last - done, "hits": hits}
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")

    def _add(self, name: str, windows: int, hits: Sequence[int]) -> None:
        before, counted = self.of(name)
        self._known[name] = before + windows, [a + b for a, b in zip(counted or [0] * len(hits), hits, strict=True)]


def worst_of_rows(settings: Sequence[Setting], results: Results) -> Iterator[str]:
    """Yield, of the settings of each of the design's rows, the one with the most false GOs."""
    rows: dict[str, list[Bar]] = {}
    for setting in settings:
        windows, hits = results.of(setting.name)
        if windows and len(setting.limits) == 1:
            rows.setdefault(setting.name.split()[0], []).extend(setting.bars(hits, windows))
    yield "| row | settings | windows of each | most false GOs | in | bar | |\n|---|---|---|---|---|---|---|"
    for number, bars in rows.items():
        worst = max(bars, key=lambda bar: bar.percent / bar.limit)
        windows = sorted({bar.windows for bar in bars})
        many = f"{windows[0]:,}" if len(windows) == 1 else f"{windows[0]:,} to {windows[-1]:,}"
        missed = sum(not bar.is_met for bar in bars)
        told = f"{missed} missed" if missed else "met"
        seen = f"{worst.percent:.1f} ± {worst.error:.1f} %"
        where = worst.setting.partition(" ")[2]
        yield f"| {number} | {len(bars)} | {many} | {seen} | {where} | {worst.limit:g} % | {told} |"


def go_table(settings: Sequence[Setting], results: Results) -> Iterator[str]:
    """Yield the shares of windows that are a GO by 1, 2 and 7 days: a row for each traffic, a column for each kind."""
    cells: dict[str, dict[str, str]] = {}
    for setting in settings:
        windows, hits = results.of(setting.name)
        traffic, _, kind = setting.name.removeprefix("GO table: ").partition(", ")
        if windows and setting.name.startswith("GO table"):
            bars = list(setting.bars(hits, windows))
            by = " / ".join(f"{bar.percent:.0f}" + ("" if bar.is_met else " (missed)") for bar in bars)
            cells.setdefault(traffic, {})[kind] = f"{by} ({windows})"
    kinds = list(dict.fromkeys(kind for row in cells.values() for kind in row))
    yield "| traffic | " + " | ".join(kinds) + " |\n" + "|---" * (len(kinds) + 1) + "|"
    for traffic, row in cells.items():
        yield f"| {traffic} | " + " | ".join(row.get(kind, "") for kind in kinds) + " |"
