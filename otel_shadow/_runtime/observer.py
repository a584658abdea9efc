"""The reader of one node's states: configured paths on a state, and what of it a record may say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from numbers import Integral, Real
from typing import Any

from otel_shadow import semconv
from otel_shadow._runtime.execution_result import ExecutionResult, Several
from otel_shadow._runtime.redact import declared, error_type, type_name
from otel_shadow.config import NodeTable, ShadowConfig
from otel_shadow.paths import Getter, compile_path, configurable_keys, member
from otel_shadow.record import Observation, Observed, Status

_HUGE = 2**63
"""Integers from here on are no measured quantity, and no reader of JSON need hold them."""
_LAST = "[-1]."
_MOST_TARGETS = 4096

_elsewhere: set[str] = {semconv.END}
"""Names of nodes of other graphs, which a decision for the parent graph may name."""


def declare_targets(names: Iterable[str]) -> None:
    """Take ``names`` of a graph's nodes for words that code has declared, as long as there are not thousands."""
    if len(_elsewhere) < _MOST_TARGETS:
        _elsewhere.update(names)


@dataclass(frozen=True, slots=True)
class View:
    """Values that the configured paths lead to, with one version's writes laid over the state."""

    step: Any
    stage: Any
    intent: Any
    observed: Observed


class Observer:
    """Reader of one node's states. It makes observations: declared words, numbers and type names.

    ``[session]`` says where things are, ``nodes.X.observe`` what joins the record, and a decision may name ``targets``.
    """

    def __init__(self, config: ShadowConfig, table: NodeTable, targets: Iterable[str] = ()) -> None:
        session = config.session
        self.session_path = compile_path(session.id)
        self._message = compile_path(session.message)
        messages, last, rest = session.message.partition(_LAST)
        self._last_message = (compile_path(messages), compile_path(rest)) if last and messages and rest else None
        self._step, self._stage, self._intent = map(_compiled, (session.step, session.stage, session.intent))
        self._numbers = {path: compile_path(path) for path in table.observe.numbers}
        self._categories = {
            path: (compile_path(path), frozenset(words)) for path, words in table.observe.categories.items()
        }
        paths = (session.id, session.message, session.step, session.stage, session.intent)
        self._keys = configurable_keys((*filter(None, paths), *self._numbers, *self._categories)) | {"thread_id"}
        self._targets = frozenset((*targets, semconv.END))
        self._steps = frozenset(session.steps)
        self._stages = frozenset(session.stages) | self._targets
        self._intents = frozenset(session.intents) | frozenset(config.sla.intents)

    @property
    def has_step(self) -> bool:
        return self._step is not None

    def keys_of(self, configurable: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configurable keys that paths name; other keys lead to the run, which must not be kept alive."""
        return {key: configurable[key] for key in self._keys if key in configurable}

    def user_message(self, state: Any, configurable: Mapping[str, Any]) -> Any:
        """Return the user's message: what the configured path leads to.

        Where the path ends at the last of a list of chat messages, the last human message is taken instead: when
        several nodes answer within one turn, the last message of the list is another node's answer.
        """
        if self._last_message is not None:
            messages, rest = self._last_message
            found = messages(state, configurable)
            if isinstance(found, list | tuple):
                human = next((item for item in reversed(found) if member(item, "type") == "human"), None)
                if human is not None:
                    return rest(human, {})
        return self._message(state, configurable)

    def view(self, state: Any, writes: Mapping[str, Any], configurable: Mapping[str, Any]) -> View:
        """Read the configured paths on ``state`` with ``writes`` laid over it (the last write of a field counts)."""
        after = as_mapping(state) | {
            key: value[-1] if isinstance(value, Several) else value for key, value in writes.items()
        }
        step, stage, intent = (
            path(after, configurable) if path else None for path in (self._step, self._stage, self._intent)
        )
        return View(step, stage, intent, self._observed(after, configurable))

    def observation(
        self, result: ExecutionResult, view: View, latency_s: float | None, span_id: str | None
    ) -> Observation:
        """Make an observation of ``result`` and of the ``view`` after it, redacted."""
        return Observation(
            status=result.status,
            latency_s=latency_s,
            target=self.target(result.targets),
            step=declared(view.step, self._steps),
            stage=declared(view.stage, self._stages),
            error_type=error_type(result.error) if result.status is not Status.INTERRUPT else None,
            span_id=span_id,
            observed=view.observed,
        )

    def intent(self, view: View) -> str | None:
        """Return the intent if it is a declared one, else ``_other``."""
        return declared(view.intent, self._intents)

    def target(self, targets: tuple[str, ...]) -> str | None:
        """Return the decision as it may be written: known names joined by ``+``."""
        return "+".join(self._known(target) for target in targets) or None

    def _known(self, target: str) -> str:
        kind, colon, name = target.rpartition(":")
        if kind == "error":
            return kind + colon + type_name(name)
        declared_here = name in self._targets and kind in ("", "parent", "deferred")
        return target if declared_here or (kind == "parent" and name in _elsewhere) else semconv.OTHER

    def _observed(self, after: Mapping[str, Any], configurable: Mapping[str, Any]) -> Observed:
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


def _compiled(path: str | None) -> Getter | None:
    return compile_path(path) if path else None


def _number(value: Any) -> float | bool | None:
    """Return ``value`` as a number that JSON can carry (numpy's scalars too): no NaN, no infinity, nothing huge."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, Real):
        return None
    if isinstance(value, Integral):
        return int(value) if abs(int(value)) < _HUGE else None
    return float(value) if isfinite(value) else None


def as_mapping(state: Any) -> dict[str, Any]:
    """Return the top-level fields of a state (mapping, pydantic model, dataclass); any other object has none."""
    if isinstance(state, Mapping):
        return dict(state)
    if is_dataclass(state) and not isinstance(state, type):
        return {item.name: getattr(state, item.name, None) for item in fields(state)}
    if hasattr(type(state), "model_fields"):
        return dict(state)
    return {}
