"""The command line: documented, quick to help, one clear line for bad input, and never a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
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
