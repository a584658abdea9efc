"""Code on the README's and the documentation's pages, block by block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_EXCUSE = re.compile(r"<!-- not run: (.+?) -->", re.DOTALL)
_ELSEWHERE = re.compile(r"<!-- run by tests/docs/test_ways_to_send\.py: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Arguments:
        page: the page's path.
        line: where the block begins.
        language: the word behind the fence.
        code: what it holds.
        comment: the HTML comment right above it, or nothing.
        settings: the TOML block that the page showed last: the reader's ``shadow.toml`` by now.
    """

    page: Path
    line: int
    language: str
    code: str
    comment: str
    settings: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def excuse(self) -> str | None:
        """Why it can't run, if its comment says so."""
        found = _EXCUSE.fullmatch(self.comment)
        return found[1] if found else None

    @property
    def way(self) -> str | None:
        """The name under which ``test_ways_to_send`` runs it, if its comment says so."""
        found = _ELSEWHERE.fullmatch(self.comment)
        return found[1] if found else None


def blocks(*languages: str) -> Iterator[Block]:
    """Every block of these languages, or of all."""
    for page in dict.fromkeys(PAGES):
        comment = settings = ""
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
            if token.type == "fence":
                assert token.map is not None
                if not languages or token.info in languages:
                    yield Block(page, token.map[0] + 1, token.info, token.content, comment, settings)
                settings = token.content if token.info == "toml" else settings
            comment = token.content.strip() if token.type == "html_block" else ""
