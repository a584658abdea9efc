"""The look of the plots: matplotlib draws in placeholder colours, the page's style sheet fills them in.

One SVG then serves the light theme, the dark one and print: every placeholder becomes a CSS variable, every font the
page's own, and every id gets the plot's name in front, so that several plots share a page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from otel_shadow.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#000a01"
MUTED = "#000a02"
GRID = "#000a03"
V1 = "#000a04"
V2 = "#000a05"
BOUND = "#000a06"
BAND = "#000a07"
PAPER = "#000a08"

_VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", V1: "v1", V2: "v2", BOUND: "bound", BAND: "band", PAPER: "paper",
}  # fmt: skip
_COLOUR = re.compile("|".join(_VARIABLES))
_FONT = re.compile(r"(font: (?:[\w.]+ )*?[\d.]+px|font-family:) '[^;\"]+")
_UNUSED = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>", re.S)
_ID = re.compile(r'(\bid="|url\(#|xlink:href="#)')
_HEAD = re.compile(r"<svg\b[^>]*?(?P<box>viewBox=\"[^\"]+\")[^>]*>", re.S)

_RC = {
    "svg.fonttype": "none",
    "font.size": 9.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "lines.solid_capstyle": "round",
    "timezone": "UTC",
}
"""``svg.fonttype`` none keeps text as text: searchable, read aloud, in the page's font."""

_SIZES = {"wide": (6.2, 3.1), "narrow": (3.9, 3.0)}
"""Sizes in inches: the page shows one of the two, so that text keeps its size on a phone."""
_MARGINS = (0.56, 0.26, 0.52, 0.42)
"""Left, right, bottom and top in inches; fixed, because letting matplotlib lay out takes twice the time."""


def drawn(name: str, label: str, draw: Callable[[Axes, bool], None]) -> tuple[str, str]:
    """Return one plot as inline SVG, wide and narrow; no global state of matplotlib is touched.

    Arguments:
        name: unique on the page; letters, digits and dashes.
        label: what the plot says, for a reader who can't see it.
        draw: draws on empty axes; told whether they are the narrow ones.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    matplotlib = require("matplotlib", "analysis")
    figures = require("matplotlib.figure", "analysis")
    left, right, bottom, top = _MARGINS
    texts = []
    for suffix, (width, height) in _SIZES.items():
        raw, own = io.StringIO(), f"{name}-{suffix}"
        with matplotlib.rc_context({**_RC, "svg.hashsalt": own}):
            figure = figures.Figure(figsize=(width, height))
            box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
            draw(figure.add_axes(box), suffix == "narrow")
            figure.savefig(raw, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        texts.append(_inline(raw.getvalue(), own, label))
    return texts[0], texts[1]


def legend(axes: Axes, columns: int, small: bool) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, borderaxespad=0.2,
        handlelength=1.6, columnspacing=1.2, fontsize=8 if small else 9,
    )  # fmt: skip


def _inline(text: str, name: str, label: str) -> str:
    text = text[text.index("<svg") :]
    text = _UNUSED.sub("", text)
    text = _COLOUR.sub(lambda found: f"var(--plot-{_VARIABLES[found[0]]})", text)
    text = _FONT.sub(r"\1 var(--font)", text)
    text = _ID.sub(lambda found: found[1] + name + "-", text)
    box = _HEAD.search(text)
    head = f'<svg {box["box"] if box else ""} role="img" aria-label="{escape(label)}">'
    return _HEAD.sub(lambda _: head, text, count=1)
