"""Template compliance of business nodes: checks that run the node.

A business node is pure: it reads the state, extracts data, and writes its own fields and an outbox. It neither routes
nor answers. Five checks hold that for every node; extraction and step checks are added per node:

    template = Template("greeting", own_fields=frozenset({"parent_name"}), samples=(SampleState({"messages": [...]}),))
    assert check_node(my_node, template).passed
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

State = Mapping[str, Any]
Node = Any  # a function or coroutine function of (state) or (state, config), or anything with `invoke`

OUTBOX = "outbox"
ROUTING_FIELDS = frozenset(
    {"next_node", "next", "goto", "route", "routing", "routing_decision", "target", "threshold_action"}
)
RESPONSE_FIELDS = frozenset({"messages", "planned_response", "response", "answer", "reply"})
_ANY = object()
"""What stands for a field without an expectation; `None` is an expectation of its own."""


@dataclass(frozen=True)
class SampleState:
    """A state to run the node on, and the fields its output must have (`None`: the field must be absent or empty)."""

    state: State
    expect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A named rule. `judge` runs the node and returns what is wrong, or `None`."""

    name: str
    judge: Callable[[Node, Template], str | None]


@dataclass(frozen=True)
class Template:
    """What a node is checked against.

    Arguments:
        name: the node's name, for the report.
        own_fields: the state fields that the node may write; the outbox is always allowed.
        samples: states that the five general checks run on; at least one.
        extra: further checks, see `extracts` and `progresses`.
        routing_fields: state fields that hold a routing decision.
        response_fields: state fields that hold an answer.

    Raises:
        ValueError: there is no sample, so that no check could fail.
    """

    name: str
    own_fields: frozenset[str]
    samples: tuple[SampleState, ...]
    extra: tuple[Check, ...] = ()
    routing_fields: frozenset[str] = ROUTING_FIELDS
    response_fields: frozenset[str] = RESPONSE_FIELDS

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"template {self.name!r}: give at least one sample state, or no check could fail")

    @property
    def checks(self) -> tuple[Check, ...]:
        """The five general checks, then the template's own."""
        return (*GENERAL_CHECKS, *self.extra)


@dataclass(frozen=True)
class CheckResult:
    """One check's outcome; `detail` says what was wrong, and is empty where nothing was."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class ComplianceReport:
    """Every check's outcome for one node."""

    node: str
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(result.passed for result in self.results)

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that did not pass."""
        return tuple(result for result in self.results if not result.passed)

    def __getitem__(self, name: str) -> CheckResult:
        """Return the outcome of the check called `name`; `KeyError` where the template has none."""
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(name)

    def __str__(self) -> str:
        """Return the count, and one line per failure."""
        met = len(self.results) - len(self.failures)
        lines = [f"{self.node}: {met} of {len(self.results)}"]
        return "\n".join([*lines, *(f"  {result.name}: {result.detail}" for result in self.failures)])


def check_node(node: Node, template: Template) -> ComplianceReport:
    """Run `node` on the template's states and return every check's outcome; a node that raises fails the check."""
    return ComplianceReport(template.name, tuple(_outcome(check, node, template) for check in template.checks))


def extracts(name: str, fields: Sequence[str], samples: Sequence[SampleState]) -> Check:
    """Return a check that the node's output has each sample's expected values in `fields`.

    Raises:
        ValueError: no sample expects any of `fields`, so that the check could not fail.
    """
    if not any(set(sample.expect) & set(fields) for sample in samples):
        raise ValueError(f"check {name!r}: no sample expects a value of {', '.join(fields)}")

    def judge(node: Node, template: Template) -> str | None:
        for number, sample in enumerate(samples, start=1):
            output = _run(node, sample.state)
            for key in fields:
                wanted = sample.expect.get(key, _ANY)
                got = output.get(key) or None if wanted is None else output.get(key)
                if wanted is not _ANY and got != wanted:
                    return f"sample {number}: {key} is {got!r}, expected {wanted!r}"
        return None

    return Check(name, judge)


def progresses(name: str, step_field: str, turns: Sequence[SampleState]) -> Check:
    """Return a check that plays `turns` as one conversation.

    Each turn's state is laid over what the turns before left; its `expect[step_field]` is the step the node must set.

    Raises:
        ValueError: no turn expects a step, so that the check could not fail.
    """
    if not any(step_field in turn.expect for turn in turns):
        raise ValueError(f"check {name!r}: no turn expects a {step_field}")

    def judge(node: Node, template: Template) -> str | None:
        state: dict[str, Any] = {}
        for number, turn in enumerate(turns, start=1):
            state |= turn.state
            state |= _run(node, state)
            wanted = turn.expect.get(step_field, _ANY)
            if wanted is not _ANY and state.get(step_field) != wanted:
                return f"turn {number}: {step_field} is {state.get(step_field)!r}, expected {wanted!r}"
        return None

    return Check(name, judge)


class NotAnUpdate(Exception):
    """Output of a node that is no plain state update."""


def _outcome(check: Check, node: Node, template: Template) -> CheckResult:
    try:
        wrong = check.judge(node, template)
    except NotAnUpdate as error:
        wrong = str(error)
    except Exception as error:  # noqa: BLE001 - a node that raises is a finding, whatever it raises
        wrong = f"the node raised {type(error).__name__}: {error}"
    return CheckResult(check.name, wrong is None, wrong or "")


def _run(node: Node, state: State) -> dict[str, Any]:
    """Run the node on a copy of `state` and return its update."""
    return _update(_call(node, copy.deepcopy(dict(state))))


def _update(output: Any) -> dict[str, Any]:
    if not isinstance(output, Mapping):
        raise NotAnUpdate(f"expected a state update (a mapping), the node returned {type(output).__name__}")
    return dict(output)


def _call(node: Node, state: dict[str, Any]) -> Any:
    if hasattr(node, "invoke") and not inspect.isroutine(node):
        return node.invoke(state)
    result = node(state, {}) if _wants_config(node) else node(state)
    return _await(result) if inspect.isawaitable(result) else result


def _wants_config(node: Node) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [p for p in inspect.signature(node).parameters.values() if p.kind in positional]
    return len(parameters) > 1 and parameters[1].default is inspect.Parameter.empty


def _await(awaitable: Any) -> Any:
    async def run() -> Any:
        return await awaitable

    # A thread of its own: the caller may itself be inside a running event loop.
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, run()).result()


# --- the five general checks: each says what is wrong on one sample's state ------------------------------------------


def _on_each_sample(fault: Callable[[Node, State, Template], str | None]) -> Callable[[Node, Template], str | None]:
    def judge(node: Node, template: Template) -> str | None:
        for number, sample in enumerate(template.samples, start=1):
            if wrong := fault(node, sample.state, template):
                return f"sample {number}: {wrong}"
        return None

    return judge


def _no_routing_decision(node: Node, state: State, template: Template) -> str | None:
    output = _call(node, copy.deepcopy(dict(state)))
    if _routes(output):
        return f"the node returned a {type(output).__name__}, which routes"
    if found := sorted(set(_update(output)) & template.routing_fields):
        return f"the node wrote {', '.join(found)}"
    return "the update holds a Command or Send" if _contains(output, _routes) else None


def _no_planned_response(node: Node, state: State, template: Template) -> str | None:
    output = _run(node, state)
    if found := sorted(set(output) & template.response_fields):
        return f"the node wrote {', '.join(found)}"
    return "the update holds a message" if _contains(output, _is_message) else None


def _outbox_exists(node: Node, state: State, template: Template) -> str | None:
    return None if isinstance(_run(node, state).get(OUTBOX), list) else f"no list '{OUTBOX}' in the update"


def _own_fields_only(node: Node, state: State, template: Template) -> str | None:
    given = copy.deepcopy(dict(state))
    if foreign := sorted(set(_update(_call(node, given))) - template.own_fields - {OUTBOX}):
        return f"the node wrote {', '.join(foreign)}"
    return "the node changed the state it was given, in place" if given != dict(state) else None


def _idempotent(node: Node, state: State, template: Template) -> str | None:
    first, second = _run(node, state), _run(node, state)
    if first != second:
        return f"two runs on the same state differ in {_differing(first, second)}"
    after = {**state, **first}
    again = {**after, **_run(node, after)}
    if own := sorted(key for key in template.own_fields if after.get(key) != again.get(key)):
        return f"a second run on its own result changes {', '.join(own)}"
    if len(again.get(OUTBOX) or ()) > len(after.get(OUTBOX) or ()):
        return "a second run on its own result makes the outbox longer"
    return None


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    return ", ".join(sorted(key for key in {*first, *second} if first.get(key) != second.get(key)))


def _routes(value: Any) -> bool:
    from langgraph.types import Command, Send

    return isinstance(value, (Command, Send))


def _is_message(value: Any) -> bool:
    from langchain_core.messages import BaseMessage

    return isinstance(value, BaseMessage)


def _contains(value: Any, wanted: Callable[[Any], bool]) -> bool:
    if wanted(value):
        return True
    if isinstance(value, Mapping):
        return any(_contains(item, wanted) for item in value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(_contains(item, wanted) for item in value)
    return False


GENERAL_CHECKS = (
    Check("no_routing_decision", _on_each_sample(_no_routing_decision)),
    Check("no_planned_response", _on_each_sample(_no_planned_response)),
    Check("outbox_exists", _on_each_sample(_outbox_exists)),
    Check("own_fields_only", _on_each_sample(_own_fields_only)),
    Check("idempotent", _on_each_sample(_idempotent)),
)
