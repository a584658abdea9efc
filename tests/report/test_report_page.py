"""The page: valid, self-contained, honest about a simulated clock, and deaf to what log lines try to inject."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
from functools import cache
from pathlib import Path

import html5lib
import pytest
import sample_verdict

from otel_shadow._report import html_page
from otel_shadow._report.verdict_document import verdict_document
from otel_shadow.errors import MissingExtraError, ShadowError
from otel_shadow.evidence.view import EvidenceView, Reading
from otel_shadow.policy import Policy
from otel_shadow.verdict.result import Decision, Verdict

XHTML = "{http://www.w3.org/1999/xhtml}"


@cache
def page(decision: Decision = Decision.GO, simulated: bool = False, trace_url: str | None = None) -> str:
    verdict = sample_verdict.verdict(decision, simulated=simulated)
    return html_page.page(verdict_document(verdict, sample_verdict.evidence(verdict), page=True, trace_url=trace_url))


def parsed(text: str):  # type: ignore[no-untyped-def]
    return html5lib.HTMLParser(strict=True).parse(text)


def words(text: str) -> str:
    return " ".join("".join(parsed(text).itertext()).split())


@pytest.mark.parametrize("decision", list(Decision))
def test_every_verdict_makes_a_page_that_a_strict_parser_accepts(decision: Decision) -> None:
    """The page is valid HTML5 and its title and heading say the verdict."""
    tree = parsed(page(decision))
    assert tree.find(f".//{XHTML}title").text.startswith(decision.value)
    assert decision.value in "".join(tree.find(f".//{XHTML}h1").itertext())


def test_the_page_asks_the_network_for_nothing() -> None:
    """No element loads anything, no style imports anything, and the policy in the page forbids it too."""
    text = page()
    tree = parsed(text)
    assert not [element for element in tree.iter() if element.get("src") or element.get("srcset")]
    links = [element.get("href", "#") for element in tree.iter() if element.tag in (f"{XHTML}link", f"{XHTML}a")]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_only_the_pages_own_script_may_run() -> None:
    """The script's hash in the content security policy is that of the one script there is."""
    text = page()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_names_from_logs_are_text_and_never_markup() -> None:
    """A script planted as node, target, field, intent, build, reason or trace id comes out as text."""
    planted = "<script>alert('x')</script>"
    verdict, evidence = sample_verdict.hostile(planted)
    text = html_page.page(verdict_document(verdict, evidence, page=True, trace_url="http://tempo/{trace_id}"))
    tree = parsed(text)
    assert len(list(tree.iter(f"{XHTML}script"))) == 1
    assert planted not in text
    assert planted in "".join(tree.itertext())
    handlers = [name for element in tree.iter() for name in element.attrib if str(name).lower().startswith("on")]
    assert not handlers


def test_ids_are_unique() -> None:
    """Several plots share the page, so each has its own ids, and every reference finds its target."""
    tree = parsed(page(Decision.NO_GO))
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"""(?:href="|url\()#([^")]+)""", page(Decision.NO_GO))) <= set(ids)


def test_plots_take_their_colours_from_the_page() -> None:
    """No colour is fixed in a plot, so that one plot serves light, dark and print; text stays text."""
    plots = re.findall(r'<svg viewBox[^>]*role="img".*?</svg>', page(), re.S)
    assert plots
    assert not [plot for plot in plots if re.search(r"#[0-9a-fA-F]{6}\b|DejaVu", plot)]
    assert all("<text" in plot for plot in plots if "gauge" not in plot[:40])


def test_every_plot_is_told_in_words_and_as_a_table() -> None:
    """Each figure has a label, a caption and a table for those who can't see it."""
    figures = list(parsed(page()).iter(f"{XHTML}figure"))
    assert figures
    for figure in figures:
        assert all(svg.get("aria-label") for svg in figure.iter("{http://www.w3.org/2000/svg}svg"))
        assert figure.find(f".//{XHTML}figcaption").text
        assert figure.find(f".//{XHTML}tbody") is not None


@pytest.mark.parametrize("simulated", [True, False])
def test_a_simulated_clock_is_said_exactly_when_it_was(simulated: bool) -> None:
    """The banner is there if and only if the clock was simulated."""
    assert ("clock was simulated" in words(page(simulated=simulated))) is simulated


def test_trace_ids_become_links_when_asked() -> None:
    """With a trace URL each trace id is a link; without one it is text to copy."""
    linked = page(trace_url="http://localhost:16686/trace/{trace_id}")
    assert f'href="http://localhost:16686/trace/{1:032x}"' in linked
    assert f"<code>{1:032x}</code>" in page()
    assert "localhost" not in page()


def test_an_empty_window_makes_an_honest_page() -> None:
    """Without any evidence the page says WAIT, shows the policy and has no empty plots."""
    verdict = Verdict(Decision.WAIT, sample_verdict.START, None, Policy(), (), (), sample_verdict.NOTHING)
    text = html_page.page(verdict_document(verdict, EvidenceView(Reading(), ()), page=True))
    assert "no evidence at all" in words(text)
    assert "No pair was compared" in words(text)
    assert "<figure>" not in text
    parsed(text)


def test_the_policy_and_what_was_left_out_are_on_the_page() -> None:
    """Every key of the policy is shown with its value, and every count of the reading."""
    said = words(page())
    assert "min_sessions_per_intent" in said
    assert "Truncated last lines" in said
    assert "2.3.9 / c0ffee123456" in said


def test_the_same_verdict_makes_the_same_page() -> None:
    """Nothing of the page depends on the moment or on chance."""
    assert page(Decision.WAIT) == page.__wrapped__(Decision.WAIT)


def test_a_page_that_cant_be_written_is_one_clear_error(tmp_path: Path) -> None:
    """A folder that does not exist is named, with the remedy."""
    with pytest.raises(ShadowError, match=r"report\.html: can't be written \(No such file or directory\); name a file"):
        html_page.write(tmp_path / "missing" / "report.html", "text")


def test_a_page_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    """No temporary file stays behind, and the page has the permissions of any new file."""
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    html_page.write(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert os.listdir(tmp_path) == ["report.html"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o400


def test_a_missing_extra_is_answered_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib the page says how to install it."""
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'otel-shadow\[analysis\]'"):
        page.__wrapped__()


def _themes() -> dict[str, dict[str, str]]:
    """The colours of the two themes from the style sheet."""
    sheet = (Path(html_page.__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    light = sheet.split("}", 1)[0]
    dark = sheet.split(':root[data-theme="dark"] {', 1)[1].split("}", 1)[0]
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", text)) for name, text in (("light", light), ("dark", dark))
    }


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        *((ink, paper) for ink in ("ink", "muted") for paper in ("paper", "ground", "raised")),
        *((state, paper) for state in ("go", "no-go", "wait") for paper in ("paper", f"{state}-soft")),
        ("link", "paper"),
    ],
)
def test_text_is_readable_in_both_themes(theme: str, ink: str, paper: str) -> None:
    """Contrast of at least 4.5 : 1 (WCAG 2.2, 1.4.3) wherever text stands."""
    colours = _themes()[theme]
    lighter, darker = sorted((_luminance(colours[ink]), _luminance(colours[paper])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_the_dark_theme_is_one_whether_chosen_or_the_systems() -> None:
    """The toggle's dark and the system's dark have the same colours."""
    sheet = (Path(html_page.__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    chosen = sheet.split(':root[data-theme="dark"] {', 1)[1].split("}", 1)[0]
    systems = sheet.split(':root:not([data-theme="light"]) {', 1)[1].split("}", 1)[0]
    assert systems.split() == chosen.split()
