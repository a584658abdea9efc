"""Reader of a thresholds file: one that ``calibrate`` wrote and a workflow loads, or one like it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otel_shadow._calibration.threshold_proposals import ACTIONS, DEFAULTS
from otel_shadow.errors import ConfigError

Values = tuple[tuple[str, float], ...]


def read_thresholds(path: Path) -> tuple[Values, tuple[tuple[str, Values], ...], Values]:
    """Return thresholds per action, those of single nodes, and the intents'; a ConfigError names each bad value."""
    table = _table(path)
    problems: list[str] = []
    thresholds = _mapping(table.get("thresholds", {}), f"{path}: thresholds", problems)
    nodes = _mapping(thresholds.pop("nodes", {}), f"{path}: thresholds.nodes", problems)
    general = {**DEFAULTS, **_actions(thresholds, f"{path}: thresholds", problems)}
    _in_order(general, f"{path}: thresholds", problems)
    own: dict[str, Values] = {}
    for node, values in nodes.items():
        where = f"{path}: thresholds.nodes.{node}"
        found = _actions(_mapping(values, where, problems), where, problems)
        _in_order({**general, **found}, where, problems)
        own[node] = tuple(found.items())
    intents = _numbers(_mapping(table.get("intents", {}), f"{path}: intents", problems), f"{path}: intents", problems)
    if problems:
        raise ConfigError(problems)
    return tuple(general.items()), tuple(own.items()), tuple(intents.items())


def _table(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError([f"{path}: can't be read ({error.strerror}); expected a thresholds file"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: not UTF-8; save it as UTF-8"]) from None
    except ValueError as error:
        raise ConfigError([f"{path}: neither TOML nor, named .json, JSON: {error}"]) from None
    return found if isinstance(found, dict) else {}


def _mapping(value: Any, where: str, problems: list[str]) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    problems.append(f"{where}: expected a table, found {value!r}")
    return {}


def _actions(table: dict[str, Any], where: str, problems: list[str]) -> dict[str, float]:
    for key in [key for key in table if key not in ACTIONS]:
        problems.append(f"{where}.{key}: no such threshold; expected {', '.join(ACTIONS)}")
        del table[key]
    return _numbers(table, where, problems)


def _numbers(table: dict[str, Any], where: str, problems: list[str]) -> dict[str, float]:
    good = {}
    for key, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            problems.append(f"{where}.{key} = {value!r}: expected a number from 0 to 1")
        else:
            good[key] = float(value)
    return good


def _in_order(values: Mapping[str, float], where: str, problems: list[str]) -> None:
    if not values["handoff"] <= values["llm_rag"] <= values["template"]:
        told = ", ".join(f"{name} {values[name]:g}" for name in ACTIONS)
        problems.append(f"{where}: expected handoff <= llm_rag <= template, got {told}")
