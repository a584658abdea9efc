"""How a pair compares: decision, step, fields. Values are looked at here and forgotten; only names leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pkgutil import resolve_name
from typing import Any

from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.redact import error_type
from otel_shadow.config import CompareTable
from otel_shadow.errors import ConfigError
from otel_shadow.record import NOT_COMPARED, Comparison, Outcome, Status

Differ = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterable[str]]

COMPARABLE = (Status.SUCCESS, Status.INTERRUPT)
"""Statuses of both versions with which a pair is compared."""
_VOLATILE = ("id", "response_metadata", "usage_metadata")
"""Fields of a chat message that differ between two runs of the same code."""


class Comparator:
    """Comparison of two execution results as ``[nodes.X.compare]`` says.

    Arguments:
        table: what makes a pair match.
        function: the user's own, instead of importing ``table.function``.
    """

    def __init__(self, table: CompareTable, function: Differ | None = None) -> None:
        self._table = table
        self._function = function or _load(table.function)

    @property
    def covers_fields(self) -> bool:
        """Whether fields decide the outcome, or are only shown."""
        return bool(self._table.fields) or self._function is not None

    def __call__(self, v1: ExecutionResult, v2: ExecutionResult, steps: tuple[Any, Any] | None) -> Comparison:
        """Decide between match and mismatch.

        Arguments:
            v1: what V1 did.
            v2: what V2 did.
            steps: the raw steps of both, or None where none is configured; two absent steps are not compared.

        Returns:
            The comparison; its outcome is ``error`` where the user's function (or a value's ``__eq__``) raises.
        """
        if v1.status not in COMPARABLE or v2.status not in COMPARABLE:
            return NOT_COMPARED
        try:
            return self._compare(v1, v2, steps)
        except Exception as error:  # noqa: BLE001 - the user's function and the user's __eq__ raise anything
            show("the comparison of V1 with V2", error)
            return Comparison(Outcome.ERROR, error_type=error_type(error))

    def _compare(self, v1: ExecutionResult, v2: ExecutionResult, steps: tuple[Any, Any] | None) -> Comparison:
        decisions = v1.status is v2.status and v1.targets == v2.targets and self._same(v1.sends, v2.sends, "")
        absent = steps is None or (steps[0] is None and steps[1] is None)
        stepped = None if steps is None or absent else bool(steps[0] == steps[1])
        differing = () if v1.status is not v2.status else tuple(sorted(self._differing(v1.writes, v2.writes)))
        agree = (
            v1.status is v2.status
            and (decisions or not self._table.decision)
            and (stepped is not False or not self._table.step)
            and not (self.covers_fields and differing)
        )
        return Comparison(
            Outcome.MATCH if agree else Outcome.MISMATCH,
            decisions,
            stepped,
            differing,
            compared_fields=self.covers_fields,
        )

    def _differing(self, v1: Mapping[str, Any], v2: Mapping[str, Any]) -> set[str]:
        if self._function is not None:
            return {str(name) for name in self._function(v1, v2)} & (v1.keys() | v2.keys())
        names = v1.keys() | v2.keys()
        if self._table.fields and "*" not in self._table.fields:
            names &= set(self._table.fields)
        return {
            name
            for name in names - set(self._table.ignore)
            if (name in v1) != (name in v2) or not self._same(v1[name], v2[name], name)
        }

    def _same(self, a: Any, b: Any, name: str) -> bool:
        a, b = _plain(a), _plain(b)
        if isinstance(a, bool) or isinstance(b, bool):
            return bool(a == b)
        if isinstance(a, Real) and isinstance(b, Real):
            return self._close(float(a), float(b), name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            return a.keys() == b.keys() and all(self._same(a[key], b[key], name) for key in a)
        if isinstance(a, list | tuple) and isinstance(b, list | tuple):
            return self._same_items(list(a), list(b), name)
        return _equal(a, b)

    def _same_items(self, a: list[Any], b: list[Any], name: str) -> bool:
        if len(a) != len(b):
            return False
        if name not in self._table.unordered:
            return all(self._same(x, y, name) for x, y in zip(a, b, strict=True))
        rest = list(b)
        for item in a:
            at = next((i for i, other in enumerate(rest) if self._same(item, other, name)), None)
            if at is None:
                return False
            del rest[at]
        return True

    def _close(self, a: float, b: float, name: str) -> bool:
        tolerance = self._table.tolerance.get(name, self._table.tolerance.get("*", 0.0))
        return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= tolerance


def _plain(value: Any) -> Any:
    """Return models and messages as mappings, without what differs between two runs of the same code."""
    dump = getattr(type(value), "model_dump", None)
    if dump is None:
        return value
    fields = dict(value)
    if "content" in fields and "type" in fields:
        fields = {key: item for key, item in fields.items() if key not in _VOLATILE}
    return fields


def _equal(a: Any, b: Any) -> bool:
    same = a == b
    if isinstance(same, bool):
        return same
    every = getattr(same, "all", None)
    return bool(every()) if callable(every) else bool(same)


def _load(path: str | None) -> Differ | None:
    if path is None:
        return None
    try:
        function: Differ = resolve_name(path)
    except Exception as error:
        told = f"compare.function: {path!r} can't be imported ({type(error).__name__}); expected module:name"
        raise ConfigError([told]) from error
    return function
