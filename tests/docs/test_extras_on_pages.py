"""What README and the Portuguese page have a newcomer install is what the commands below it need."""

from __future__ import annotations

import re
import tomllib

import pytest
from pages import ROOT, blocks

from otel_shadow.cli import cli

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
NEEDED = {
    "demo": {"demo"}, "verdict": {"analysis"}, "calibrate": {"calibration"}, "coverage": {"calibration"},
    "dashboards": {"dashboards"}, "doctor": set(),
}  # fmt: skip
"""The extra that each command asks for."""


def closure(names: set[str]) -> set[str]:
    """The extras, and those that they are made of."""
    inner = {
        found
        for name in names
        for wanted in EXTRAS[name]
        for listed in re.findall(r"^otel-shadow\[(.+)\]$", wanted)
        for found in listed.split(",")
    }
    return names if inner <= names else closure(names | inner)


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.pt.md"])
def test_a_page_installs_what_its_commands_need(page: str) -> None:
    """Command by command, from the top of the page: the extra was installed above."""
    installed: set[str] = set()
    seen = []
    for block in (block for block in blocks("bash") if block.page == ROOT / page):
        for line in block.code.splitlines():
            if found := re.search(r"pip install 'otel-shadow\[(.+)\]'", line):
                installed = closure(installed | set(found[1].split(",")))
            elif (found := re.match(r"otel-shadow (\w+)", line)) is not None:
                seen.append(found[1])
                assert NEEDED[found[1]] <= installed, line
    assert {"doctor", "demo", "verdict"} <= set(seen)


def test_the_demo_brings_every_command() -> None:
    """``[demo]`` is what docs/cli.md asks for; ``[all]`` is everything."""
    assert set(NEEDED) == set(cli.commands)
    assert set().union(*NEEDED.values()) | {"otlp"} <= closure({"demo"})
    assert closure({"all"}) == set(EXTRAS)
