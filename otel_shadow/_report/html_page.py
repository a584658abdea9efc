"""The page's renderer of documents: one self-contained HTML file that asks the network for nothing.

A content security policy in the page says so to the browser too: nothing may be loaded, and only the page's own script
may run (by its hash). Everything that came from logs is escaped by the template engine.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from pathlib import Path
from typing import Any

from otel_shadow._report.blocks import Cell, Document, Section
from otel_shadow._report.shown_text import clean_page
from otel_shadow.errors import require
from otel_shadow.evidence.whole_files import write_whole

_UNIT = re.compile(r"(?<=\d) (?=(?:%|ms|s|h|min|UTC)(?:\W|$))|(?<=[≥≤]) ")


def page(document: Document) -> str:
    """Return ``document`` as the text of a page; a MissingExtraError says that jinja2 is not installed."""
    jinja2 = require("jinja2", "analysis")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("otel_shadow._report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_together,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.tests["standing_apart"] = lambda block: isinstance(block, Section) and block.state is not None
    environment.globals["nothing"] = Cell()
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text: str = environment.get_template("document.html.j2").render(
        document=document, style=_asset("page.css"), script=script, script_hash=digest
    )
    return clean_page(text)


def write(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all; an EvidenceError says that it can't be written."""
    write_whole(path, text.encode())


def _together(value: Any) -> Any:
    """Keep a number, its sign and its unit on one line; markup stays as it is."""
    return _UNIT.sub("\u00a0", value) if type(value) is str else value


def _asset(name: str) -> str:
    return resources.files("otel_shadow._report").joinpath("templates", name).read_text(encoding="utf-8")
