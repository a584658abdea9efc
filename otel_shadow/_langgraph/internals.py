"""LangGraph's internals, in one place: the names and classes that this package leans on, from 0.6 to the newest.

A name that only some versions have is None where it is missing.
"""

from __future__ import annotations

import itertools
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from langgraph._internal import _constants
from langgraph.channels.any_value import AnyValue
from langgraph.channels.binop import BinaryOperatorAggregate
from langgraph.channels.ephemeral_value import EphemeralValue
from langgraph.channels.last_value import LastValue, LastValueAfterFinish
from langgraph.channels.named_barrier_value import NamedBarrierValueAfterFinish
from langgraph.channels.topic import Topic
from langgraph.channels.untracked_value import UntrackedValue
from langgraph.pregel._algo import LazyAtomicCounter

PRIVATE_PREFIX: Final = "__pregel_"
"""Keys of ``configurable`` that LangGraph's own machinery owns."""

SEND: Final = _constants.CONFIG_KEY_SEND
READ: Final = _constants.CONFIG_KEY_READ
CALL: Final = _constants.CONFIG_KEY_CALL
SCRATCHPAD: Final = _constants.CONFIG_KEY_SCRATCHPAD
RUNTIME: Final = _constants.CONFIG_KEY_RUNTIME
CHECKPOINTER: Final = _constants.CONFIG_KEY_CHECKPOINTER
TASK_ID: Final = _constants.CONFIG_KEY_TASK_ID
CHECKPOINT_NS: Final = _constants.CONFIG_KEY_CHECKPOINT_NS
CHECKPOINT_ID: Final = _constants.CONFIG_KEY_CHECKPOINT_ID
CHECKPOINT_MAP: Final = _constants.CONFIG_KEY_CHECKPOINT_MAP
RESUMING: Final = _constants.CONFIG_KEY_RESUMING
THREAD_ID: Final = _constants.CONFIG_KEY_THREAD_ID
CACHE: Final[str | None] = getattr(_constants, "CONFIG_KEY_CACHE", None)
DURABILITY: Final[str | None] = getattr(_constants, "CONFIG_KEY_DURABILITY", None)
NODE_ERROR: Final[str | None] = getattr(_constants, "CONFIG_KEY_NODE_ERROR", None)

CONF: Final = _constants.CONF
NS_SEP: Final = _constants.NS_SEP
NS_END: Final = _constants.NS_END
RETURN: Final = _constants.RETURN
TASKS: Final = _constants.TASKS
BOOKKEEPING: Final = frozenset(
    {
        _constants.INPUT, _constants.INTERRUPT, _constants.RESUME, _constants.ERROR, _constants.NO_WRITES,
        _constants.TASKS, _constants.RETURN, _constants.PREVIOUS,
        getattr(_constants, "ERROR_SOURCE_NODE", "__error_source_node__"),
    }
)  # fmt: skip
"""Channels of the machinery's own: a write to one of them changes no state field."""

COORDINATES: Final = frozenset({CHECKPOINT_NS, CHECKPOINT_ID, CHECKPOINT_MAP})
BRANCH_PREFIX: Final = "branch:to:"
JOIN_PREFIX: Final = "join:"

DELTA: tuple[type, ...] = ()
if find_spec("langgraph.channels.delta") is not None:  # from 1.2 on
    DELTA = (import_module("langgraph.channels.delta").DeltaChannel,)
_SIMPLE = (AnyValue, BinaryOperatorAggregate, EphemeralValue, LastValue, UntrackedValue)
VALUE_CHANNELS: Final[frozenset[type]] = frozenset((*_SIMPLE, *DELTA))
"""Channel classes whose whole state is the attribute ``value``."""
TOPIC: Final = Topic
"""Its state is the list ``values``."""

DEFERRED: Final = (LastValueAfterFinish, NamedBarrierValueAfterFinish)
"""Channel classes that lead to a node which waits until all others are done."""

_EMPTY: Any = EphemeralValue(object)
MISSING: Final[Any] = _EMPTY.value
"""What ``value`` is while a channel is empty; an object compared by identity, so no copy of it may be made."""


def fresh_counters() -> dict[str, LazyAtomicCounter]:
    """Make the counters of a task's scratchpad anew, by the names of its fields."""
    return {name: LazyAtomicCounter() for name in ("call_counter", "interrupt_counter", "subgraph_counter")}


def waiting_answer(scratchpad: Any) -> Any:
    """Return the human's answer that waits for whoever asks next, else None; it stays where it is.

    LangGraph's own look at it goes on returning an answer that another node has consumed.
    """
    look: Any = scratchpad.get_null_resume
    answer = look(False)
    while answer is not None:
        held = _held(look)
        if (write := held.get("null_resume_write")) is not None:
            return answer if any(item is write for item in held.get("pending_writes", ())) else None
        outer = held.get("parent_scratchpad")
        if outer is None:
            return answer
        look = outer.get_null_resume
    return None


def _held(function: Any) -> dict[str, Any]:
    """Return what a closure holds, by name; nothing of any other callable."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    return (
        {name: cell.cell_contents for name, cell in zip(names, function.__closure__ or (), strict=True)}
        if names
        else {}
    )


class Answers:
    """The human's answers that a V2 gets: what a node asks itself, and what graphs and tasks inside it ask.

    A V2 starts afresh, so whoever asks first gets the first answer. A node's own questions read the scratchpad's list
    by their number; those inside have lists of their own, and come here.

    Arguments:
        given: answers to earlier questions, in order.
        waiting: the answer to the next one; None where there is none.
    """

    def __init__(self, given: list[Any], waiting: Any) -> None:
        self.given = given
        self.waiting = waiting
        self._number = itertools.count().__next__
        self._asked = 0

    def fields(self) -> dict[str, Any]:
        """Return the fields of a scratchpad that has these answers."""
        return {
            **fresh_counters(), "interrupt_counter": self._count, "get_null_resume": self._answer, "resume": self.given
        }  # fmt: skip

    def _count(self) -> int:
        number = self._number()
        self._asked = number + 1
        return number

    def _answer(self, consume: bool = False) -> Any:
        if (at := self._asked) < len(self.given):  # the node itself has not come that far
            return self.given.pop(at) if consume else self.given[at]
        answer = self.waiting
        if consume:
            self.waiting = None
        return answer


def answers_of(scratchpad: Any) -> tuple[list[Any], Any]:
    """Return the arguments of the :class:`Answers` in a V2's scratchpad."""
    own = getattr(scratchpad.get_null_resume, "__self__", None)
    return list(scratchpad.resume), own.waiting if isinstance(own, Answers) else scratchpad.get_null_resume(False)
