"""The tables of ``docs/configuration.md``, made of the models: key, default, what is expected, what it means."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from otel_shadow import FeatureFlags, ShadowConfig, semconv
from otel_shadow.config import (
    AcceptRule,
    ArmsTable,
    CompareTable,
    FlagsTable,
    LimitsTable,
    NodeTable,
    ObserveTable,
    PrivacyTable,
    ProcessTable,
    SessionTable,
    ToolsTable,
)
from otel_shadow.flags import FLAGS
from otel_shadow.policy import Bounds, Policy
from otel_shadow.validation import expectation

TABLES: dict[str, type[BaseModel]] = {
    "": ShadowConfig, "[flags]": FlagsTable, "[session]": SessionTable, "[nodes.X]": NodeTable,
    "[nodes.X.compare]": CompareTable, "[nodes.X.observe]": ObserveTable, "[arms]": ArmsTable, "[limits]": LimitsTable,
    "[process]": ProcessTable, "[tools]": ToolsTable, "[privacy]": PrivacyTable, "[sla]": Policy,
    "[sla.nodes.X]": Bounds, "[[accept]]": AcceptRule,
}  # fmt: skip
"""The tables of ``shadow.toml`` as the page names them; the first holds the keys above all tables."""
_LONGEST_DEFAULT = 60


def variables() -> str:
    """The table of the environment variables: the flags, then the others."""
    meanings = docstrings(FeatureFlags)
    rows = ["| name | default | expected | meaning |", "|---|---|---|---|"]
    for name in FLAGS:
        field = FeatureFlags.model_fields[name]
        rows.append(_row(f"`{name.upper()}`", _default(field.default), expectation(field), meanings[name]))
    rows += ["", "| name | meaning |", "|---|---|"]
    rows += [_row(f"`{name}`", meaning) for name, meaning in other_variables().items()]
    return "\n".join(rows) + "\n"


def other_variables() -> dict[str, str]:
    """The environment variables that are no flags, with what they mean."""
    told = _told_below(ast.parse(inspect.getsource(semconv)).body)
    flags = {name.upper() for name in FLAGS}
    return {
        value: told[name]
        for name, value in vars(semconv).items()
        if name.startswith("ENV_") and value not in flags
    }  # fmt: skip


def keys() -> str:
    """A table of keys for each table of ``shadow.toml``."""
    return "\n".join("\n".join(_table(name, model)) for name, model in TABLES.items() if model is not Bounds)


def _table(name: str, model: type[BaseModel]) -> Iterator[str]:
    meanings = docstrings(model)
    yield f"**`{name}`**" if name else "Above all tables, and the tables themselves:"
    yield ""
    yield "| key | default | expected | meaning |"
    yield "|---|---|---|---|"
    for key, field in model.model_fields.items():
        default = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
        of_node = "; also in `[sla.nodes.X]`" if model is Policy and key in Bounds.model_fields else ""
        yield _row(f"`{key}`", _default(default), expectation(field), meanings[key].rstrip(".") + of_node + ".")
    yield ""


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "must be given"
    if value is None:
        return "unset"
    if isinstance(value, BaseModel):
        return ""
    shown = json.dumps(value, ensure_ascii=False)
    if len(shown) > _LONGEST_DEFAULT:
        return "all of them" if isinstance(value, tuple) else "see there"
    return f"`{shown}`"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The sentence below each key of a model and of those that it is made of."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base.__module__.startswith("otel_shadow"):
            (body,) = ast.parse(inspect.getsource(base)).body
            assert isinstance(body, ast.ClassDef)
            found |= _told_below(body.body)
    return found


def _told_below(body: list[ast.stmt]) -> dict[str, str]:
    """The docstring that follows each annotated name."""
    return {
        name.target.id: " ".join(below.value.value.split())
        for name, below in pairwise(body)
        if isinstance(name, ast.AnnAssign) and isinstance(name.target, ast.Name)
        and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }  # fmt: skip
