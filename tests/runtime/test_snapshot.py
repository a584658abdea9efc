"""The snapshot equals the state at the moment of the call, whatever becomes of the original or of other copies."""

from __future__ import annotations

import copy
import dataclasses
import enum
import re
import threading
from collections import OrderedDict, defaultdict, deque
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypedDict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from pydantic import BaseModel, ConfigDict, PrivateAttr

from otel_shadow._runtime.snapshot import Snapshot, SnapshotError, take


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Profile(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    tags: list[str] = []
    _seen: list[int] = PrivateAttr(default_factory=list)
    _unset: int = PrivateAttr()


class Node(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    name: str
    next: Any = None


class WithState(BaseModel):
    """Decides itself how it is pickled."""

    kept: int = 0
    dropped: int = 0

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        state["__dict__"] = {**state["__dict__"], "dropped": 0}
        return state


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: int
    y: tuple[int, ...]


class Counted:
    """Copies itself in its own way."""

    def __init__(self, copies: int = 0) -> None:
        self.copies = copies

    def __deepcopy__(self, memo: dict[int, Any]) -> Counted:
        return Counted(self.copies + 1)


class State(TypedDict):
    messages: list[Any]
    step: str


MESSAGES = [
    HumanMessage("olá", id="1", name="ana"),
    AIMessage(
        "oi",
        id="2",
        tool_calls=[{"name": "f", "args": {"x": [1]}, "id": "c"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        response_metadata={"model": "m", "nested": {"a": [1]}},
    ),
    AIMessageChunk("o", tool_call_chunks=[{"name": "f", "args": "{", "id": "c", "index": 0}]),
    SystemMessage([{"type": "text", "text": "you are"}]),
    ToolMessage("done", tool_call_id="c", artifact={"rows": [1, 2]}, status="error"),
    FunctionMessage("done", name="f"),
    ChatMessage("hi", role="critic"),
    RemoveMessage(id="9"),
    HumanMessage("extra", additional_kwargs={"k": {"v": 1}}, unknown_field={"a": 1}),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_of_every_class_is_captured_with_all_its_fields(message: Any) -> None:
    """A restored message is equal, of the same class, and has the same fields set, extra and private."""
    restored = take([message]).restore()[0]
    assert type(restored) is type(message)
    assert restored == message
    assert restored.__dict__ == message.__dict__
    assert restored.__pydantic_extra__ == message.__pydantic_extra__
    assert restored.__pydantic_fields_set__ == message.__pydantic_fields_set__
    assert restored.__pydantic_private__ == message.__pydantic_private__
    assert restored is not message


def test_message_keeps_attributes_set_past_the_model() -> None:
    """What code put into ``__dict__`` by force is there too."""
    message = HumanMessage("x")
    message.__dict__["cached"] = [1]
    restored = take(message).restore()
    message.__dict__["cached"].append(2)
    assert restored.__dict__["cached"] == [1]


def test_pydantic_private_and_extra_fields_are_copied_deeply() -> None:
    """Changing the original's private and extra fields later doesn't reach the snapshot."""
    profile = Profile(name="ana", tags=["a"], pets={"dog": ["rex"]})
    profile._seen.append(1)
    snapshot = take(profile)
    profile._seen.append(2)
    profile.tags.append("b")
    profile.pets["dog"].append("bob")  # type: ignore[attr-defined]
    restored = snapshot.restore()
    assert (restored.tags, restored._seen, restored.pets) == (["a"], [1], {"dog": ["rex"]})
    with pytest.raises(AttributeError):
        _ = restored._unset


def test_fields_that_were_set_are_remembered() -> None:
    """``exclude_unset`` gives the same on the copy."""
    assert take(Profile(name="a")).restore().model_dump(exclude_unset=True) == {"name": "a"}


def test_model_that_holds_itself() -> None:
    """Cycles through pydantic models survive."""
    node = Node(name="a")
    node.next = Node(name="b", next=node)
    restored = take(node).restore()
    assert restored.next.next is restored
    assert restored.next.name == "b"


def test_class_with_its_own_getstate_is_asked() -> None:
    """The short way round pydantic's state is taken only where nobody changed it."""
    restored = take(WithState(kept=1, dropped=2)).restore()
    assert (restored.kept, restored.dropped) == (1, 0)


def test_cycles_and_aliases_survive() -> None:
    """One object stays one object, within lists, dicts and messages."""
    shared = [1]
    message = HumanMessage("x", additional_kwargs={"shared": shared})
    state: dict[str, Any] = {"a": shared, "b": shared, "messages": [message, message]}
    state["self"] = state
    restored = take(state).restore()
    assert restored["self"] is restored
    assert restored["a"] is restored["b"]
    assert restored["messages"][0] is restored["messages"][1]
    assert restored["messages"][0].additional_kwargs["shared"] is restored["a"]


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        {Colour.RED: {Colour.BLUE}},
        Point(1, [2]),
        Slotted(1, (2, 3)),
        {1, 2},
        frozenset({"a"}),
        (1, [2]),
        OrderedDict(b=1, a=2),
        defaultdict(list, a=[1]),
        deque([1, 2], maxlen=3),
        datetime(2026, 1, 1, tzinfo=UTC),
        Decimal("1.10"),
        re.compile("a+"),
        b"bytes",
        bytearray(b"x"),
        1 + 2j,
        HumanMessage,
        copy.deepcopy,
        range(3),
        Ellipsis,
        None,
    ],
    ids=repr,
)
def test_values_that_states_hold(value: Any) -> None:
    """The copy is equal and of the same type."""
    restored = take({"value": value}).restore()["value"]
    assert restored == value
    assert type(restored) is type(value)


def test_members_and_arrays_take_the_fast_way() -> None:
    """Enums, decimals and numpy arrays define ``__deepcopy__``, yet pickle gives the same: no fallback."""
    snapshot = take([Colour.RED, Decimal(1), np.arange(3), np.float64(1.5)])
    assert snapshot._data is not None
    assert snapshot.restore()[0] is Colour.RED


def test_arrays() -> None:
    """Arrays keep type, order and content, and are no views of the original."""
    array = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    snapshot = take({"a": array, "o": np.array([[1], {}], dtype=object)})
    array[:] = 0
    restored = snapshot.restore()["a"]
    assert restored.dtype == np.float32
    assert restored.flags.f_contiguous
    assert restored.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_own_deepcopy_is_respected() -> None:
    """A class with ``__deepcopy__`` is copied its own way, at the call and at each restore."""
    snapshot = take({"value": Counted()})
    assert snapshot.restore()["value"].copies == 2


def test_what_pickle_refuses_is_deep_copied() -> None:
    """Instances of local classes and functions can't be pickled; they are copied all the same."""

    class Local:
        def __init__(self) -> None:
            self.items = [1]

    local = Local()
    snapshot = take({"local": local, "function": lambda: 1})
    local.items.append(2)
    assert snapshot.restore()["local"].items == [1]
    assert snapshot.size > 0


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"a": [1, {"b": threading.Lock()}]}, "lock"),
        ([(x for x in ())], "generator"),
        ({"m": HumanMessage("x", additional_kwargs={"f": open(__file__)})}, "TextIOWrapper"),  # noqa: SIM115
        (Point(1, [threading.Lock()]), "lock"),  # type: ignore[list-item]
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_error_names_the_type_of_the_culprit(value: Any, name: str) -> None:
    """However deep it lies; its value is not part of the message."""
    with pytest.raises(SnapshotError) as caught:
        take(value)
    assert caught.value.type_name == name
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_nesting_beyond_the_stack_is_an_error_of_ours() -> None:
    """A list nested a hundred thousand deep is skipped, not a crash."""
    nest: list[Any] = []
    for _ in range(100_000):
        nest = [nest]
    with pytest.raises(SnapshotError):
        take(nest)
    while nest:
        nest = nest.pop()


def test_class_that_raises_when_it_is_pickled() -> None:
    """Any exception of a user's ``__reduce__`` ends in a snapshot error."""

    class Bad:
        def __reduce__(self) -> Any:
            raise KeyError("secret")

    with pytest.raises(SnapshotError, match="Bad"):
        take([Bad()])


ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
MESSAGE = st.builds(
    lambda text, extra, ai: (AIMessage if ai else HumanMessage)(text, additional_kwargs=extra, id=text),
    st.text(),
    st.dictionaries(st.text(), ATOMS, max_size=3),
    st.booleans(),
)
LEAVES = ATOMS | MESSAGE | st.sampled_from(Colour) | st.builds(Point, st.integers(), st.lists(st.integers()))
VALUES = st.recursive(
    LEAVES | st.sets(st.integers()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


def spoil(value: Any) -> None:
    """Change everything that can be changed in place."""
    if isinstance(value, dict):
        for member in value.values():
            spoil(member)
        value.clear()
    elif isinstance(value, list):
        for member in value:
            spoil(member)
        value.append("spoilt")
    elif isinstance(value, set):
        value.add("spoilt")
    elif isinstance(value, tuple):
        for member in value:
            spoil(member)
    elif isinstance(value, BaseModel):
        spoil(value.__dict__)
        value.__pydantic_fields_set__.add("spoilt")
    elif isinstance(value, Point):
        spoil(value.y)
        value.x = -1


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), VALUES))
def test_snapshot_is_the_state_at_the_moment_of_the_call(state: dict[str, Any]) -> None:
    """Neither V1 spoiling the original nor V2 spoiling its copy changes what the next restore gives."""
    before = copy.deepcopy(state)
    snapshot = take(state)
    assert state == before, "taking it changes nothing"
    spoil(state)
    first = snapshot.restore()
    assert first == before
    spoil(first)
    assert snapshot.restore() == before


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_both_ways_agree(value: Any) -> None:
    """The slow way gives what the fast way gives."""
    slow = Snapshot(None, kept=copy.deepcopy(value))
    assert take(value).restore() == slow.restore()


class Refused(ValueError):
    """An exception that can't be made from its ``args`` alone."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"refused: {code}")
        self.code = code
        self.why = why


def test_exceptions_that_take_more_than_their_args() -> None:
    """Kept in a state, they come back whole; pickle by itself writes them and can't read them."""
    error = Refused(3, why="no")
    error.add_note("noted")
    restored = take({"error": error, "again": error}).restore()
    assert restored["error"] is restored["again"] is not error
    assert type(restored["error"]) is Refused
    assert (restored["error"].args, restored["error"].__dict__) == (error.args, error.__dict__)
