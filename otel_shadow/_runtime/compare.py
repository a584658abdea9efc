"""How a pair compares: decision, step, fields. Values are looked at here and forgotten; only names leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any

from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.equality import Equality
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow._runtime.message_equality import is_call
from otel_shadow._runtime.redact import error_type
from otel_shadow.config import CompareTable
from otel_shadow.errors import ConfigError
from otel_shadow.record import NOT_COMPARED, Comparison, Outcome, Status

Differ = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterable[str]]

COMPARABLE = (Status.SUCCESS, Status.INTERRUPT)
"""Statuses of both versions with which a pair is compared."""


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
        except BaseException as error:  # the user's function and the user's __eq__ raise anything
            if is_from_outside(error):
                raise
            show("the comparison of V1 with V2", error)
            return Comparison(Outcome.ERROR, error_type=error_type(error))

    def _compare(self, v1: ExecutionResult, v2: ExecutionResult, steps: tuple[Any, Any] | None) -> Comparison:
        decisions = v1.status is v2.status and v1.targets == v2.targets and self._same_sends(v1.sends, v2.sends)
        absent = steps is None or (steps[0] is None and steps[1] is None)
        stepped = None if steps is None or absent else Equality().same(*steps)
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
        tolerance = self._table.tolerance.get(name, self._table.tolerance.get("*", 0.0))
        return Equality(tolerance, unordered=name in self._table.unordered).same(a, b)

    def _same_sends(self, v1: Sequence[Any], v2: Sequence[Any]) -> bool:
        """Return whether the same nodes are sent the same; what is sent is a state, and compared as its fields are."""
        if [node for node, _ in v1] != [node for node, _ in v2]:
            return False
        return all(self._same_sent(a, b) for (_, a), (_, b) in zip(v1, v2, strict=True))

    def _same_sent(self, a: Any, b: Any) -> bool:
        if type(a) is not type(b) or type(a) is not dict or is_call(a):
            return self._same(a, b, "")
        names = (a.keys() | b.keys()) - set(self._table.ignore)
        return all(name in a and name in b and self._same(a[name], b[name], name) for name in names)


def _load(path: str | None) -> Differ | None:
    if path is None:
        return None
    try:
        function: Differ = resolve_name(path)
    except Exception as error:
        told = f"compare.function: {path!r} can't be imported ({type(error).__name__}); expected module:name"
        raise ConfigError([told]) from error
    return function
