"""The command line: documented, quick to help, one clear line for bad input, and never a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import command_line
import pytest
from click.testing import CliRunner

from otel_shadow.cli import cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs" / "cli.md"
_BLOCK = re.compile(r"<!-- help ?(\S*) -->\n```text\n(.*?)```", re.S)


def run(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-m", "otel_shadow.cli", *arguments],
        capture_output=True, text=True, cwd=cwd, env=env, timeout=120, check=False,
    )  # fmt: skip


def help_of(*command: str) -> str:
    """The help text of a command, 100 columns wide."""
    return CliRunner().invoke(cli, [*command, "--help"], prog_name="otel-shadow", terminal_width=100).output


def commands() -> Iterator[tuple[str, click.Command]]:
    yield "", cli
    yield from cli.commands.items()


def test_the_help_in_the_documentation_is_the_commands_own() -> None:
    """Each command has its block in docs/cli.md: what --help prints. OTEL_SHADOW_UPDATE_GOLDEN=1 updates them."""
    text = DOCS.read_text(encoding="utf-8")
    if os.environ.get("OTEL_SHADOW_UPDATE_GOLDEN"):
        text = _BLOCK.sub(
            lambda at: f"<!-- help{at[1] and ' '}{at[1]} -->\n```text\n{help_of(*at[1].split())}```", text
        )
        DOCS.write_text(text, encoding="utf-8")
    found = dict(_BLOCK.findall(text))
    assert found == {name: help_of(*name.split()) for name, _ in commands()}


def test_every_option_has_a_help_text() -> None:
    """No option without a sentence."""
    silent = [f"{name} {option.name}" for name, command in commands() for option in command.params
              if isinstance(option, click.Option) and not option.help]  # fmt: skip
    assert silent == []


def test_help_is_quick_and_imports_no_analysis() -> None:
    """--help loads neither numpy nor LangGraph nor the plots."""
    code = (
        "import sys; sys.argv = ['otel-shadow', '--help']\n"
        "from otel_shadow.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'duckdb', 'matplotlib', 'jinja2', 'rich', 'langgraph', 'pydantic', 'opentelemetry'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.stderr.strip() == "[]"
    assert "verdict" in done.stdout


def test_the_list_of_commands_fits_80_columns() -> None:
    """Each command's own line in the list is whole at 80 columns: nothing is cut, nothing goes on below."""
    shown = CliRunner().invoke(cli, ["--help"], prog_name="otel-shadow", terminal_width=80).output
    rows = dict(re.findall(r"^  (\w+) +(.+)$", shown.partition("Commands:\n")[2], re.M))
    assert rows == {name: command.short_help for name, command in cli.commands.items()}
    assert [row for row in rows.values() if not row.endswith(".") or row.endswith("...")] == []
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


NUMBERS = [(name, option) for name, command in cli.commands.items() for option in command.params
           if (isinstance(option.default, int | float) and not isinstance(option.default, bool))
           or option.name in ("every", "simulate_window", "strictness")]  # fmt: skip
"""Every option that takes a number."""


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "-1", "1e400", "x"])
@pytest.mark.parametrize(("name", "option"), [pytest.param(*one, id=f"{one[0]} {one[1].opts[0]}") for one in NUMBERS])
def test_a_number_that_is_none_is_refused(tmp_path: Path, name: str, option: click.Parameter, value: str) -> None:
    """Infinite, nan, negative or no number at all: one error that names the option and what is expected."""
    (tmp_path / "app.log").write_text("{}\n", encoding="utf-8")
    sources = [] if name == "demo" else ["app.log"]
    values = ["template", value] if option.nargs == 2 else [value]
    extra = ["--watch"] if option.name == "every" else []
    done = command_line.run(name, *sources, *extra, option.opts[0], *values, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (told,) = (line for line in done.stderr.splitlines() if "Error" in line or line.startswith("otel-shadow: "))
    assert option.opts[0] in told
    assert re.search(r"expected|not in the range|not a valid", told), told


def test_numbers_are_tried() -> None:
    """The options above are those of the commands."""
    assert {f"{name} {option.opts[0]}" for name, option in NUMBERS} == {
        "verdict --every", "demo --seed", "demo --simulate-window", "calibrate --alpha", "calibrate --delta",
        "calibrate --held-out", "calibrate --start", "calibrate --strictness",
    }  # fmt: skip
