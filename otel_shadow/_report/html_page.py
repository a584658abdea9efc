"""The page: one self-contained HTML file with inline style, script and plots; it asks the network for nothing.

A content security policy in the page says so to the browser too: nothing may be loaded, and only the page's own script
may run (by its hash). Everything that came from logs is escaped by the template engine.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from otel_shadow._report.figures import Figures, figures
from otel_shadow._report.presenter import present
from otel_shadow.errors import ShadowError, require
from otel_shadow.evidence.view import EvidenceView
from otel_shadow.verdict.result import Verdict

_UNIT = re.compile(r"(?<=\d) (?=(?:%|ms|s|h|min|UTC)(?:\W|$))")


def page(verdict: Verdict, evidence: EvidenceView, trace_url: str | None = None) -> str:
    """The page as text.

    Arguments:
        trace_url: link of a trace, with ``{trace_id}`` in it.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    return _render(present(verdict, evidence, trace_url), figures(verdict, evidence))


def write(path: Path, text: str) -> None:
    """Write ``text`` to ``path``; who reads it meanwhile sees the old page or the new one, never half of one.

    Raises:
        ShadowError: it can't be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        remedy = "name a file in a folder you may write"
        raise ShadowError(f"{path}: can't be written ({error.strerror}); {remedy}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _render(view: Any, drawn: Figures) -> str:
    jinja2 = require("jinja2", "analysis")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("otel_shadow._report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_together,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment.get_template("page.html.j2")
    text: str = template.render(view=view, figures=drawn, style=_asset("page.css"), script=script, script_hash=digest)
    return text


def _together(value: Any) -> Any:
    """Keep a number and its unit on one line; what is markup already stays as it is."""
    return _UNIT.sub("\u00a0", value) if type(value) is str else value


def _asset(name: str) -> str:
    return resources.files("otel_shadow._report").joinpath("templates", name).read_text(encoding="utf-8")
