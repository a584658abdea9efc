"""``docs/architecture.md``: its drawing is the import contract, its ways are traced, and its places exist."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
OF_THE_REPOSITORY = ("tests/", "docs/", "benchmarks/", "dashboards/", "collector/")
RIGHT_HALF = 41
"""Column of the drawing at which the analysis half begins."""


def contract(name: str, key: str) -> list[str]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser[f"importlinter:contract:{name}"][key].split("\n")[1:]


def layers() -> list[set[str]]:
    return [set(re.split(r" [|:] ", line)) for line in contract("layers", "layers")]


def drawing() -> list[str]:
    """The lines of the drawing that hold rooms: those that are indented."""
    text = PAGE.partition("```text\n")[2].partition("```")[0]
    return [line for line in text.splitlines() if line.startswith(" ")]


def test_the_drawing_is_the_import_contract() -> None:
    """The rooms of the drawing, line by line, are the layers that import-linter holds."""
    assert [set(line.split()) for line in drawing()] == layers()


def test_the_halves_of_the_drawing_are_those_of_the_contract() -> None:
    """What stands on the left may not import what stands on the right: the contract says it of the same rooms."""
    left = {name.removeprefix("otel_shadow.") for name in contract("halves", "source_modules")}
    right = {name.removeprefix("otel_shadow.") for name in contract("halves", "forbidden_modules")} - {"numpy", "rich"}
    halves = [line for line in drawing() if left & set(line.split())]
    assert {room for line in halves for room in line[:RIGHT_HALF].split()} == left
    assert {room for line in halves for room in line[RIGHT_HALF:].split()} == right


def test_every_room_is_explained_once() -> None:
    """The table below the drawing has one row for each room, in the drawing's order of layers."""
    rooms = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert len(rooms) == len(set(rooms))
    assert set(rooms) == set().union(*layers())


def places() -> list[str]:
    """What the page names: ``file.py``, ``file.py:Name`` or ``file.py::test``, in backquotes."""
    return sorted(set(re.findall(r"`([\w/.]+\.py(?:::?[\w.]+)?)`", PAGE)))


def defined(tree: ast.Module) -> set[str]:
    """Names that a module defines, those of its classes with the class before them."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{item.name}" for item in node.body if hasattr(item, "name")}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for name in names if isinstance(name, ast.Name)}
    return found


@pytest.mark.parametrize("place", places())
def test_every_place_that_the_page_names_exists(place: str) -> None:
    """The file is there, and so is the class, method, function, constant or test in it."""
    file, _, name = place.partition(":")
    path = ROOT / file if file.startswith(OF_THE_REPOSITORY) else ROOT / "otel_shadow" / file
    assert path.is_file(), f"docs/architecture.md names {file}, which is not there"
    if name:
        assert name.lstrip(":") in defined(ast.parse(path.read_text(encoding="utf-8"))), place


def way(name: str) -> str:
    return PAGE.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]


def files_named(text: str) -> set[str]:
    return set(re.findall(r"`([\w/.]+\.py)`", text))


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What ``traced_files`` saw: files of the caller's thread, of the other threads, and of a line's way."""
    log = tmp_path_factory.mktemp("traced") / "app.log"
    program = Path(__file__).with_name("traced_files.py")
    done = subprocess.run(
        [sys.executable, str(program), str(log)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    seen = json.loads(done.stdout)
    caller = set(seen["call"].pop("caller"))
    return {"caller": caller, "others": set().union(*seen["call"].values()) - caller, "line": set(seen["line"])}


def test_one_calls_way_is_what_a_call_passes(traced: dict[str, set[str]]) -> None:
    """One call is traced: the page names the files that it passes, in the caller's thread and in others, no more."""
    on_the_path, _, off_the_path = way("call").partition("**In other threads")
    assert files_named(on_the_path) == traced["caller"]
    assert files_named(off_the_path) == traced["others"]
    assert re.findall(r"(\d+) (?:more )?files", way("call")) == [str(len(traced["caller"])), str(len(traced["others"]))]


def test_one_lines_way_is_what_a_line_passes(traced: dict[str, set[str]]) -> None:
    """Its line is judged and traced: the page names those files, and DuckDB's reader, which reads large files."""
    assert files_named(way("line")) == traced["line"] | {"evidence/duckdb_reader.py"}
    assert re.findall(r"(\d+) files", way("line")) == [str(len(traced["line"]))]
