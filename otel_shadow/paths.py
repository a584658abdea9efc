"""Paths into a state: ``current_step``, ``messages[-1].content``, ``configurable.thread_id``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_STEP = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(-?\d+)\]")
_CONFIGURABLE = "configurable"

Getter = Callable[[Any, Mapping[str, Any]], Any]


def compile_path(path: str) -> Getter:
    """Return a function ``(state, configurable) -> value``, whose value is None where the path leads nowhere.

    Arguments:
        path: keys, attributes and indices; a leading ``configurable.`` reads the run's configuration instead.

    Raises:
        ValueError: ``path`` is not of that form.
    """
    steps = _parse(path)
    key = steps[-1]
    if steps[0] == _CONFIGURABLE and len(steps) == 2 and isinstance(key, str):  # the usual case; V1 waits for it
        return lambda state, configurable: configurable.get(key)
    if steps[0] == _CONFIGURABLE and len(steps) > 1:
        return lambda state, configurable: _walk(configurable, steps[1:])
    return lambda state, configurable: _walk(state, steps)


def configurable_keys(paths: Iterable[str]) -> frozenset[str]:
    """Return the names of the configurable keys that ``paths`` read."""
    parsed = (_parse(path) for path in paths)
    return frozenset(str(steps[1]) for steps in parsed if steps[0] == _CONFIGURABLE and len(steps) > 1)


def _parse(path: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            break
        steps.append(match[1] if match[1] is not None else int(match[2]))
        position = match.end()
    if not steps or position != len(path):
        raise ValueError(f"{path!r} is not a path; expected keys and indices such as messages[-1].content")
    return tuple(steps)


def _walk(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        value = member(value, step)
        if value is None:
            return None
    return value


def member(value: Any, step: str | int) -> Any:
    """Return the key, index or attribute ``step`` of ``value``; None where it has none."""
    if type(value) is dict or isinstance(value, Mapping):  # most states are dicts, and this test is the cheaper one
        return value.get(step)
    if isinstance(step, int):
        try:
            return value[step]
        except (IndexError, TypeError, KeyError):
            return None
    return getattr(value, step, None)
