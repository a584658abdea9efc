"""``docs/configuration.md`` holds every key and variable, as the models have them, and all that any advice names."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from configuration_tables import TABLES, keys, other_variables, variables
from pages import ROOT

from otel_shadow import ShadowConfig
from otel_shadow.flags import FLAGS
from otel_shadow.log_line import ORDER

PAGE = ROOT / "docs" / "configuration.md"
PACKAGE = ROOT / "otel_shadow"
VARIABLES = {*other_variables(), *(name.upper() for name in FLAGS)}
KEYS = {name.strip("[]"): set(model.model_fields) for name, model in TABLES.items()}
"""The keys of each table: ``nodes.X.compare`` has ``decision``."""
_SHORT = {"compare": "nodes.X.compare", "observe": "nodes.X.observe"}
_TABLE = r"\[+([a-z]+(?:\.[\w{}<>…]+)*(?:\.compare|\.observe)?)\]+"


@pytest.mark.parametrize(("part", "made"), [("variables", variables), ("keys", keys)])
def test_the_tables_are_those_of_the_models(part: str, made: Callable[[], str]) -> None:
    """Key, default, what is expected and what it means. OTEL_SHADOW_UPDATE_GOLDEN=1 writes them anew."""
    block = re.compile(rf"(<!-- {part}: begin -->\n)(.*?)(<!-- {part}: end -->)", re.S)
    text = PAGE.read_text(encoding="utf-8")
    if os.environ.get("OTEL_SHADOW_UPDATE_GOLDEN"):
        text = block.sub(lambda found: found[1] + made() + found[3], text)
        PAGE.write_text(text, encoding="utf-8")
    found = block.search(text)
    assert found is not None
    assert found[2] == made()


def test_every_model_has_its_table() -> None:
    """A table that is added to ``shadow.toml`` is added to the page."""
    assert {model.__name__ for model in TABLES.values()} == {"ShadowConfig", *ShadowConfig.model_json_schema()["$defs"]}


def sentences(folder: Path) -> Iterator[tuple[str, str]]:
    """Every text in the code that is no docstring, with its file and line; what is filled in becomes ``X``."""
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            where = f"{path.relative_to(folder)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                yield where, "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (inside | told):
                yield where, node.value


def unknown(text: str) -> Iterator[str]:
    """The keys and variables in a sentence that the page does not have."""
    for variable in re.findall(r"\b(?:OTEL_SHADOW|ROUTER_V2|SHADOW|V2_TIMEOUT)_[A-Z_]+\b", text):
        if variable not in VARIABLES and not variable.startswith(tuple(ORDER)):
            yield variable
    for table, after in re.findall(rf"{_TABLE}((?: [a-z_]+)?)", text):
        name = re.sub(r"^(nodes|sla\.nodes)\.[^.]+", r"\1.X", table)
        if table.partition(".")[0] not in {name.partition(".")[0] for name in KEYS if name} | {"accept"}:
            continue
        if name not in {*KEYS, "nodes", "sla.nodes"}:
            yield f"[{table}]"
        elif "_" in after and after.strip() not in KEYS.get(name, ()):
            yield f"[{table}]{after}"
    for table, key in re.findall(r"(?<![\w.\[])([a-z]+)\.([a-z_]+)\b(?![.(\w])", text):
        if (name := _SHORT.get(table, table)) in KEYS and name != "nodes" and key not in KEYS[name] | {"toml"}:
            yield f"{table}.{key}"
    for key in re.findall(r"(?<![\w.])(?<!\{ )(?<!PRAGMA )([a-z_]+) = (?:\"|true|false|\d|\[)", text):
        if key not in set().union(*KEYS.values()):
            yield key


def test_every_key_that_a_sentence_names_is_on_the_page() -> None:
    """Advice, warnings, errors and the doctor's findings name keys and variables that the page explains."""
    found = {f"{where}: {name}" for where, text in sentences(PACKAGE) for name in unknown(text)}
    assert sorted(found) == []


def test_keys_in_sentences_are_found() -> None:
    """The search itself: what is named in each way is seen, and what is known is let through."""
    good = 'set [limits] pairs_per_second, tools.replay, executor = "loop", OTEL_SHADOW_STATE_DIR, [nodes.X] v2, [sla]'
    bad = (
        'set [limits] pairs_per_hour, tools.replays, executer = "loop", OTEL_SHADOW_STATE, [nodez.X] v2, [sla.nodez.X]'
    )
    assert [*unknown(good)] == []
    assert [*unknown(bad)] == [
        "OTEL_SHADOW_STATE",
        "[limits] pairs_per_hour",
        "[sla.nodez.X]",
        "tools.replays",
        "executer",
    ]
