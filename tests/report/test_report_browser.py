"""The page in a real Chromium: light and dark, wide and narrow, its script running and nothing overflowing."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import sample_verdict
from PIL import Image

from otel_shadow._report import html_page as report_html
from otel_shadow._report.verdict_document import verdict_document
from otel_shadow.verdict.result import Decision

pytestmark = pytest.mark.servers
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=3000",
)  # fmt: skip


LONG = "qualification_of_the_applicant_with_all_documents_and_certificates_in_hand"


@cache
def page(decision: Decision, names: str = "") -> str:
    """The sample's page, with another name for the node ``qualification`` if ``names`` is given."""
    verdict = sample_verdict.verdict(decision)
    made = report_html.page(verdict_document(verdict, sample_verdict.evidence(verdict), page=True))
    return made.replace("qualification", names) if names else made


def chromium(tmp_path: Path, *arguments: str) -> str:
    """Run Chromium once in its own profile; its standard output."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        reason = "Chromium is not installed; enable with: apt-get install -y chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    command = [path, *_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def screenshot(tmp_path: Path, *arguments: str) -> Image.Image:
    (tmp_path / "page.html").write_text(page(Decision.NO_GO), encoding="utf-8")
    out = tmp_path / "page.png"
    chromium(tmp_path, "--window-size=1400,2400", f"--screenshot={out}", *arguments, (tmp_path / "page.html").as_uri())
    with Image.open(out) as image:
        return image.convert("RGB")


def brightness(image: Image.Image) -> float:
    return sum(image.convert("L").resize((40, 40)).tobytes()) / 1600 / 255


def test_the_page_follows_the_readers_colour_scheme(tmp_path: Path) -> None:
    """Light is light and dark is dark, and both show the same verdict's colour somewhere."""
    light = screenshot(tmp_path)
    dark = screenshot(tmp_path, "--blink-settings=preferredColorScheme=0")
    assert brightness(light) > 0.85
    assert brightness(dark) < 0.25
    assert light.getcolors(1 << 24) is not None
    assert len(light.getcolors(1 << 24) or ()) > 50


@pytest.mark.parametrize("names", ["", LONG], ids=["short names", "a long name"])
@pytest.mark.parametrize("width", [390, 760, 1400])
@pytest.mark.parametrize("decision", [Decision.NO_GO, Decision.WAIT])
def test_nothing_overflows_and_nothing_is_refused(tmp_path: Path, width: int, decision: Decision, names: str) -> None:
    """At each width the page is no wider than its window, one size of each plot shows, ids stand on one line (on a
    telephone two) when all is unfolded, as it is on paper, and its own script ran.

    The page sits in a frame of that width; what the content security policy refuses is told by an event.
    """
    frame = f"""<!DOCTYPE html><iframe id="page" style="border:0;width:{width}px;height:900px"
      srcdoc="{html.escape(page(decision, names))}"></iframe><pre id="found"></pre><script>
      var frame = document.getElementById("page");
      frame.addEventListener("load", function () {{
        var doc = frame.contentDocument;
        var shown = function (name) {{ return doc.querySelectorAll(name)[0].getBoundingClientRect().width > 0; }};
        var button = doc.getElementById("theme");
        var lines = function (doc) {{
          doc.querySelectorAll("details").forEach(function (one) {{ one.open = true; }});
          var ids = Array.from(doc.querySelectorAll(".traces code"));
          return Math.max.apply(null, ids.map(function (one) {{ return one.getClientRects().length; }}));
        }};
        var before = doc.documentElement.getAttribute("data-theme");
        button.click();
        document.getElementById("found").textContent = JSON.stringify({{
          scroll: doc.documentElement.scrollWidth, wide: shown("#parity .plot-wide"),
          narrow: shown("#parity .plot-narrow"), button: !button.hidden,
          before: before, after: doc.documentElement.getAttribute("data-theme"), ids: lines(doc),
        }});
      }});</script>"""
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    told = chromium(tmp_path, "--window-size=1500,1000", "--dump-dom", (tmp_path / "frame.html").as_uri())
    found = json.loads(html.unescape(re.findall(r'<pre id="found">(.*?)</pre>', told, re.S)[0]))
    assert found["scroll"] <= width
    assert 1 <= found["ids"] <= (1 if width > 720 else 2)
    assert (found["wide"], found["narrow"]) == (width > 720, width <= 720)
    assert (found["button"], found["before"], found["after"]) == (True, None, "light")
