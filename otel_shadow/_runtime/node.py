"""A site: one configured node of one graph, and how its executions are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from otel_shadow import semconv
from otel_shadow._runtime.compare import Comparator, Differ
from otel_shadow._runtime.execution_result import ExecutionResult, Several
from otel_shadow._runtime.limits import Limiter
from otel_shadow._runtime.overhead_budget import OverheadBudget
from otel_shadow._runtime.redact import declared, error_type, type_name
from otel_shadow.config import NodeTable, ShadowConfig
from otel_shadow.paths import compile_path, configurable_keys, member
from otel_shadow.record import Observation, Observed, Status

if TYPE_CHECKING:
    from otel_shadow._runtime.execution import Assignment
    from otel_shadow.flags import FeatureFlags

_HUGE = 2**63
"""Integers from here on are no measured quantity, and no reader of JSON need hold them."""


_LAST = "[-1]."


@dataclass(frozen=True, slots=True)
class View:
    """What a version left behind, as the configured paths see it."""

    step: Any
    stage: Any
    intent: Any
    observed: Observed


class ShadowedNode:
    """One node that has a shadow.

    Arguments:
        config: the whole configuration.
        graph: name of the graph.
        node: name of the node.
        targets: names that a decision may have: the graph's nodes.
        table: the node's own configuration; default ``config.nodes[node]``.
        differ: a comparison function of the user's, instead of ``compare.function``.
    """

    def __init__(
        self,
        config: ShadowConfig,
        graph: str,
        node: str,
        targets: Iterable[str] = (),
        table: NodeTable | None = None,
        differ: Differ | None = None,
    ) -> None:
        self.graph = graph
        self.node = node
        self.table = table or config.nodes.get(node) or NodeTable()
        self.comparator = Comparator(self.table.compare, differ)
        self.limiter = Limiter(node, config.limits)
        self.overhead_budget = OverheadBudget()
        self.assignments: dict[str | None, tuple[FeatureFlags, Assignment | None]] = {}
        """What the manager decided of sessions, and under which flags."""
        session = config.session
        self.session_path = compile_path(session.id)
        self.message_path = compile_path(session.message)
        messages, last, rest = session.message.partition(_LAST)
        self._last_message = (compile_path(messages), compile_path(rest)) if last and messages and rest else None
        self._step = compile_path(session.step) if session.step else None
        self._stage = compile_path(session.stage) if session.stage else None
        self._intent = compile_path(session.intent) if session.intent else None
        self._numbers = {path: compile_path(path) for path in self.table.observe.numbers}
        self._categories = {
            path: (compile_path(path), frozenset(words)) for path, words in self.table.observe.categories.items()
        }
        paths = (session.id, session.message, session.step, session.stage, session.intent)
        self._keys = configurable_keys((*filter(None, paths), *self._numbers, *self._categories)) | {"thread_id"}
        self._targets = frozenset((*targets, semconv.END))
        self._steps = frozenset(session.steps)
        self._stages = frozenset(session.stages) | self._targets
        self._intents = frozenset(session.intents) | frozenset(config.sla.intents)

    @property
    def has_step(self) -> bool:
        """Whether a step is configured."""
        return self._step is not None

    def keys_of(self, configurable: Mapping[str, Any]) -> dict[str, Any]:
        """The configurable keys that paths name. The others lead to the run itself, which must end when it ends."""
        return {key: configurable[key] for key in self._keys if key in configurable}

    def user_message(self, state: Any, configurable: Mapping[str, Any]) -> Any:
        """The user's message: what the path leads to; the last human one where it leads into a list of chat messages.

        When several nodes answer within a turn, the last message of the list is another node's answer.
        """
        if self._last_message is not None:
            messages, rest = self._last_message
            found = messages(state, configurable)
            if isinstance(found, list | tuple):
                human = next((item for item in reversed(found) if member(item, "type") == "human"), None)
                if human is not None:
                    return rest(human, {})
        return self.message_path(state, configurable)

    def view(self, state: Any, writes: Mapping[str, Any], configurable: Mapping[str, Any]) -> View:
        """Read the configured paths on ``state`` with ``writes`` laid over it (the last write of a field counts)."""
        after = as_mapping(state) | {
            key: value[-1] if isinstance(value, Several) else value for key, value in writes.items()
        }
        step, stage, intent = (
            path(after, configurable) if path else None for path in (self._step, self._stage, self._intent)
        )
        return View(step, stage, intent, self._observe(after, configurable))

    def observation(
        self, facts: ExecutionResult, view: View, latency_s: float | None, span_id: str | None
    ) -> Observation:
        """``facts`` and ``view`` redacted: declared words, numbers, type names."""
        return Observation(
            status=facts.status,
            latency_s=latency_s,
            target=self.target(facts.targets),
            step=declared(view.step, self._steps),
            stage=declared(view.stage, self._stages),
            error_type=error_type(facts.error) if facts.status is not Status.INTERRUPT else None,
            span_id=span_id,
            observed=view.observed,
        )

    def intent(self, view: View) -> str | None:
        """The intent, if it is a declared one."""
        return declared(view.intent, self._intents)

    def target(self, targets: tuple[str, ...]) -> str | None:
        """The decision as it may be written: known names joined by ``+``."""
        return "+".join(self._known(target) for target in targets) or None

    def _known(self, target: str) -> str:
        kind, colon, name = target.rpartition(":")
        if kind == "error":
            return kind + colon + type_name(name)
        return target if name in self._targets and kind in ("", "parent") else semconv.OTHER

    def _observe(self, after: Mapping[str, Any], configurable: Mapping[str, Any]) -> Observed:
        seen: dict[str, float | str | bool] = {}
        for name, path in self._numbers.items():
            value = path(after, configurable)
            number = len(value) if isinstance(value, list | tuple | set) else _number(value)
            if number is not None:
                seen[name] = number
        for name, (path, words) in self._categories.items():
            word = declared(path(after, configurable), words)
            if word is not None:
                seen[name] = word
        return seen


def _number(value: Any) -> float | bool | None:
    """A number as JSON can carry it: no NaN, no infinity, nothing huge; numpy's scalars are numbers too."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, Real):
        return None
    if isinstance(value, Integral):
        return int(value) if abs(int(value)) < _HUGE else None
    return float(value) if isfinite(value) else None


def as_mapping(state: Any) -> dict[str, Any]:
    """A state (mapping, pydantic model, dataclass) as a dict of its top-level fields; others have none."""
    if isinstance(state, Mapping):
        return dict(state)
    if is_dataclass(state) and not isinstance(state, type):
        return {item.name: getattr(state, item.name, None) for item in fields(state)}
    if hasattr(type(state), "model_fields"):
        return dict(state)
    return {}
