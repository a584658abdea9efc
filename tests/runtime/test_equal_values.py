"""Two values are the same if the same code made them, and differ if anything in them differs, whatever they are."""

from __future__ import annotations

import array
import dataclasses
import datetime as dt
import enum
import functools
import math
import pathlib
import queue
import re
import types
import uuid
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage, ToolMessage
from pydantic import BaseModel, PrivateAttr, RootModel

from otel_shadow._runtime.compare import Comparator
from otel_shadow._runtime.equality import ComparisonTooLargeError, Equality
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.snapshot import take
from otel_shadow.config import CompareTable
from otel_shadow.record import Outcome, Status

NAN = float("nan")
Make = Callable[[], Any]


class Cart:
    """A plain class, without ``__eq__``."""

    def __init__(self, items: Any, **more: Any) -> None:
        self.items = items
        self.__dict__.update(more)


class Slotted:
    __slots__ = ("x", "y")

    def __init__(self, x: Any, y: Any = None) -> None:
        self.x, self.y = x, y


class Lazy(Cart):
    @functools.cached_property
    def total(self) -> int:
        return len(self.items)


class ByDict(Cart):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByDict) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]


class ByName(Cart):
    """Equal if the names are: what it was asked at is no part of it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByName) and bool(self.items == other.items)

    __hash__ = None  # type: ignore[assignment]


class Sloppy(Cart):
    def __eq__(self, other: Any) -> bool:
        return bool(self.items == other.items)  # an AttributeError where the other has none

    __hash__ = None  # type: ignore[assignment]


class Elementwise(Cart):
    def __eq__(self, other: Any) -> Any:
        return self.items == other.items

    __hash__ = None  # type: ignore[assignment]


class WithEquals(Cart):
    def __eq__(self, other: Any) -> Any:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]

    def equals(self, other: Any) -> bool:
        return bool(self.items[0] == other.items[0])


class Text(str):
    __slots__ = ("mark",)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Refused(Exception):
    def __init__(self, code: int, *, why: Any) -> None:
        super().__init__(f"refused: {code}")
        self.why = why


@dataclasses.dataclass
class Order:
    number: Any
    matrix: Any = None
    asked_at: Any = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: Any
    y: Any = 0


@dataclasses.dataclass(eq=False)
class NoEq:
    x: Any


class Pair(NamedTuple):
    a: Any
    b: Any


class Held(BaseModel, arbitrary_types_allowed=True):
    value: Any = None


class Approved(BaseModel):
    reason: str


class Rejected(BaseModel):
    reason: str


class Private(BaseModel):
    shown: int = 1
    _kept: Any = PrivateAttr(None)

    def __init__(self, kept: Any) -> None:
        super().__init__()
        self._kept = kept


class ByReason(Approved):
    """Equal if the reasons are: when it was approved is no part of it."""

    at: int = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByReason) and self.reason == other.reason

    __hash__ = None  # type: ignore[assignment]


class TaggedList(list[Any]):
    def __init__(self, items: Any, tag: Any = None) -> None:
        super().__init__(items)
        self.tag = tag


class TaggedDict(dict[str, Any]):
    def __init__(self, items: Any, tag: Any = None) -> None:
        super().__init__(items)
        self.tag = tag


class Amount(float):
    unit: str

    def __new__(cls, value: float, unit: str = "") -> Amount:
        made = super().__new__(cls, value)
        made.unit = unit
        return made


class Marked(str):
    def __new__(cls, value: str, mark: Any = None) -> Marked:
        made = super().__new__(cls, value)
        made.mark = mark  # type: ignore[attr-defined]
        return made


class Items(RootModel[list[Any]]):
    def __iter__(self) -> Any:
        return iter(self.root)


def made_here(value: Any) -> Any:
    @dataclasses.dataclass
    class Answer:
        value: Any

    return Answer(value)


def model_made_here(value: Any) -> Any:
    class Answer(BaseModel):
        value: Any

    return [Answer, Answer(value=value)]


def early() -> Callable[[], int]:
    """Return a function whose variable has no value, as in a call that ended before it had one."""

    def told() -> int:
        return later  # noqa: F821 - that is the point

    later = 1
    del later
    return told


def queued(item: Any) -> Any:
    made: queue.Queue[Any] = queue.Queue()
    made.put(item)
    return made


def called(first: str, second: str, *, exchanged: bool = False) -> list[Any]:
    """Return what an agent writes that calls two tools: ids are the model's own, at each run."""
    calls = [{"name": name, "args": {}, "id": id_, "type": "tool_call"} for name, id_ in (("f", first), ("g", second))]
    used = [{"type": "tool_use", "id": call["id"], "name": call["name"], "input": {}} for call in calls]
    raw = [{"id": call["id"], "type": "function", "function": {"name": call["name"]}} for call in calls]
    message = AIMessage(used, tool_calls=calls, additional_kwargs={"tool_calls": raw})
    answered = (second, first) if exchanged else (first, second)
    return [message, *(ToolMessage("x", tool_call_id=id_) for id_ in answered)]


def doubled(by: int) -> Callable[[int], int]:
    return lambda x: x * by


def cycle(end: Any) -> list[Any]:
    made: list[Any] = [1]
    made.append({"self": made, "end": end})
    return made


def node(name: str, text: str = "") -> Cart:
    made = Cart([name])
    made.next = Cart([text], back=made)  # type: ignore[attr-defined]
    return made


def nested(depth: int, end: Any) -> Any:
    for _ in range(depth):
        end = [end]
    return end


def masked(data: Any, mask: Any) -> Any:
    return np.ma.MaskedArray(data, mask)


RECORD = [("name", "U5"), ("score", "f8")]
OTHER_VALUE: dict[str, tuple[Make, Make]] = {
    "64-bit id": (lambda: 1234567890123456789, lambda: 1234567890123456788),
    "integer beyond floats and float": (lambda: 2**53 + 1, lambda: float(2**53)),
    "integer above 1e308": (lambda: 10**400, lambda: 10**400 + 1),
    "integer above 1e308 and float": (lambda: 10**400, lambda: 1.5),
    "integer above 1e308 and infinity": (lambda: 10**400, lambda: math.inf),
    "infinities": (lambda: math.inf, lambda: -math.inf),
    "NaN and number": (lambda: NAN, lambda: 0.0),
    "decimal": (lambda: Decimal("1.10"), lambda: Decimal("1.11")),
    "decimal NaN": (lambda: Decimal("NaN"), lambda: Decimal(1)),
    "decimal of another size": (lambda: Decimal("1E+999999"), lambda: 5),
    "signalling NaN": (lambda: Decimal("sNaN"), lambda: Decimal(0)),
    "fraction": (lambda: Fraction(1, 3), lambda: Fraction(1, 4)),
    "complex": (lambda: complex(1, NAN), lambda: complex(2, NAN)),
    "text": (lambda: "a" * 1000, lambda: "a" * 999 + "b"),
    "text of a class": (lambda: Text("a"), lambda: Text("b")),
    "bytes": (lambda: b"abc", lambda: b"abd"),
    "bytearray": (lambda: bytearray(b"abc"), lambda: bytearray(b"abd")),
    "date": (lambda: dt.date(2026, 1, 1), lambda: dt.date(2026, 1, 2)),
    "datetime": (lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC), lambda: dt.datetime(2026, 1, 1)),  # noqa: DTZ001
    "timedelta": (lambda: dt.timedelta(1), lambda: dt.timedelta(2)),
    "uuid": (lambda: uuid.UUID(int=7), lambda: uuid.UUID(int=8)),
    "path": (lambda: pathlib.Path("a"), lambda: pathlib.Path("b")),
    "pattern": (lambda: re.compile("a"), lambda: re.compile("b")),
    "range": (lambda: range(3), lambda: range(4)),
    "slice": (lambda: slice(1, 2), lambda: slice(1, 3)),
    "enum": (lambda: Colour.RED, lambda: Colour.BLUE),
    "int enum": (lambda: Level.LOW, lambda: Level.HIGH),
    "class": (lambda: Cart, lambda: Lazy),
    "function": (lambda: doubled(2), lambda: doubled(3)),
    "partial": (lambda: functools.partial(doubled, 2), lambda: functools.partial(doubled, 3)),
    "method": (lambda: Cart([1]).__init__, lambda: Cart([2]).__init__),  # type: ignore[misc]
    "list": (lambda: [1, [2, 3]], lambda: [1, [2, 4]]),
    "list of another length": (lambda: [1, 2], lambda: [1, 2, 3]),
    "named tuple": (lambda: Pair(1, 2), lambda: Pair(1, 3)),
    "deque": (lambda: deque([1, 2]), lambda: deque([2, 1])),
    "user list": (lambda: UserList([np.array([5])]), lambda: UserList([5])),
    "user dict": (lambda: UserDict(a=1), lambda: UserDict(a=2)),
    "chain map": (lambda: ChainMap({"a": 1}), lambda: ChainMap({"a": 2})),
    "counter": (lambda: Counter("aab"), lambda: Counter("abb")),
    "defaultdict": (lambda: defaultdict(list, a=[1]), lambda: defaultdict(list, a=[2])),
    "ordered dict": (lambda: OrderedDict(a=1), lambda: OrderedDict(a=2)),
    "dict of another key": (lambda: {"a": None}, lambda: {"b": None}),
    "dict of objects": (lambda: {Point(1): "a"}, lambda: {Point(2): "a"}),
    "set": (lambda: {1, 2, 3}, lambda: {1, 2}),
    "set of NaN": (lambda: {NAN, 1}, lambda: {NAN, 2}),
    "set of objects": (lambda: {Slotted(1), Slotted(2)}, lambda: {Slotted(1), Slotted(3)}),
    "frozen set in a tuple": (lambda: (frozenset({Pair(1, 2)}),), lambda: (frozenset({Pair(1, 3)}),)),
    "plain object": (lambda: Cart(["a"]), lambda: Cart(["b"])),
    "plain object of another class": (lambda: Cart(["a"]), lambda: Lazy(["a"])),
    "plain object with more": (lambda: Cart(["a"]), lambda: Cart(["a"], more=1)),
    "object and nothing": (lambda: Sloppy(["a"]), lambda: None),
    "object with slots": (lambda: Slotted(1, [2]), lambda: Slotted(1, [3])),
    "namespace": (lambda: types.SimpleNamespace(x=np.array([5])), lambda: types.SimpleNamespace(x=5)),
    "equal by dict": (lambda: ByDict([NAN, 1]), lambda: ByDict([NAN, 2])),
    "elementwise": (lambda: Elementwise(np.arange(3)), lambda: Elementwise(np.arange(3) + 1)),
    "equals": (lambda: WithEquals([1, 2]), lambda: WithEquals([2, 2])),
    "exception": (lambda: ValueError("a"), lambda: ValueError("b")),
    "exception of another class": (lambda: ValueError("a"), lambda: KeyError("a")),
    "exception with attributes": (lambda: Refused(1, why=[NAN]), lambda: Refused(1, why=[0.0])),
    "group": (lambda: ExceptionGroup("g", [ValueError(1)]), lambda: ExceptionGroup("g", [ValueError(2)])),
    "dataclass": (lambda: Order(1), lambda: Order(2)),
    "dataclass with array": (lambda: Order(1, np.arange(3)), lambda: Order(1, np.arange(3) + 1)),
    "dataclass by broadcasting": (lambda: Order(1, np.array([5])), lambda: Order(1, 5)),
    "dataclass with another shape": (lambda: Order(1, np.arange(3)), lambda: Order(1, np.arange(4))),
    "frozen dataclass": (lambda: Point(1.0, 2.0), lambda: Point(1.0, 3.0)),
    "dataclass without eq": (lambda: NoEq([1]), lambda: NoEq([2])),
    "model": (lambda: Held(value=[1]), lambda: Held(value=[2])),
    "model of another class": (lambda: Approved(reason="x"), lambda: Rejected(reason="x")),
    "private attribute": (lambda: Private([1]), lambda: Private([2])),
    "private array": (lambda: Private(np.arange(3)), lambda: Private(np.arange(4))),
    "attribute of a list": (lambda: TaggedList([1], "a"), lambda: TaggedList([1], "b")),
    "attribute of a dict": (lambda: TaggedDict({"a": 1}, [NAN]), lambda: TaggedDict({"a": 1}, [1.0])),
    "attribute of a number": (lambda: Amount(1.0, "kg"), lambda: Amount(1.0, "g")),
    "attribute of a text": (lambda: Marked("a", [NAN]), lambda: Marked("a", [1.0])),
    "class of one call": (lambda: made_here(1), lambda: made_here(2)),
    "model of one call": (lambda: model_made_here(1), lambda: model_made_here(2)),
    "values of a dict": (lambda: {"a": [NAN]}.values(), lambda: {"a": [1.0]}.values()),
    "items of a dict": (lambda: {"a": [NAN]}.items(), lambda: {"a": [1.0]}.items()),
    "function without its variable": (early, lambda: doubled(2)),
    "queue": (lambda: queued(1), lambda: queued(2)),
    "removed message": (lambda: RemoveMessage(id="a"), lambda: RemoveMessage(id="b")),
    "answer to another call": (lambda: ToolMessage("x", tool_call_id="a"), lambda: ToolMessage("x", tool_call_id="b")),
    "answers exchanged": (lambda: called("1", "2"), lambda: called("3", "4", exchanged=True)),
    "root model": (lambda: Items([1, {"a": 2}]), lambda: Items([1, {"a": 3}])),
    "message": (lambda: AIMessage("x"), lambda: AIMessage("y")),
    "message of another class": (lambda: AIMessage("x"), lambda: HumanMessage("x")),
    "tool call": (
        lambda: AIMessage("", tool_calls=[{"name": "f", "args": {"a": 2**60}, "id": "1"}]),
        lambda: AIMessage("", tool_calls=[{"name": "f", "args": {"a": 2**60 + 1}, "id": "1"}]),
    ),
    "cycle": (lambda: cycle(1), lambda: cycle(2)),
    "objects that hold each other": (lambda: node("a", "b"), lambda: node("a", "c")),
    "deep": (lambda: nested(3000, 1), lambda: nested(3000, 2)),
    "array": (lambda: np.arange(6).reshape(2, 3), lambda: np.arange(6).reshape(2, 3) + 1),
    "array of one": (lambda: np.array([1.0]), lambda: np.array([1.0, 1.0, 1.0])),
    "array of none": (lambda: np.array([]), lambda: np.array([1.0])),
    "array and number": (lambda: np.array([5, 5]), lambda: 5),
    "array and list": (lambda: np.array([5, 5]), lambda: [5, 5]),
    "array of another shape": (lambda: np.zeros((2, 3)), lambda: np.zeros((3, 2))),
    "array without dimensions": (lambda: np.array(5), lambda: np.array([5])),
    "integers in an array": (lambda: np.array([2**60 + 1]), lambda: np.array([2**60])),
    "integers and floats in arrays": (lambda: np.array([2**60 + 1]), lambda: np.array([float(2**60)])),
    "signed and unsigned": (lambda: np.array([-1]), lambda: np.array([2**64 - 1], dtype="u8")),
    "array with NaN": (lambda: np.array([NAN, 1]), lambda: np.array([NAN, 2])),
    "array of texts": (lambda: np.array(["ab"]), lambda: np.array(["ac"])),
    "array of objects": (lambda: np.array([[1], {}], dtype=object), lambda: np.array([[2], {}], dtype=object)),
    "array of dates": (
        lambda: np.array(["2026-01-01", "NaT"], dtype="M8[D]"),
        lambda: np.array(["2026-01-02", "NaT"], dtype="M8[D]"),
    ),
    "array of complex": (lambda: np.array([1j]), lambda: np.array([2j])),
    "array of booleans": (lambda: np.array([True]), lambda: np.array([False])),
    "structured array": (lambda: np.array([("a", NAN)], RECORD), lambda: np.array([("b", NAN)], RECORD)),
    "structured array of other fields": (lambda: np.zeros(1, RECORD), lambda: np.zeros(1, [("a", "U5"), ("b", "f8")])),
    "masked array": (lambda: masked([1, 2], [0, 1]), lambda: masked([2, 2], [0, 1])),
    "another mask": (lambda: masked([1, 2], [0, 1]), lambda: masked([1, 2], [1, 0])),
    "records": (lambda: np.rec.array([("a", 1.0)], RECORD), lambda: np.rec.array([("a", 2.0)], RECORD)),
    "numpy scalar": (lambda: np.float32(0.5), lambda: np.float32(0.75)),
    "numpy date": (lambda: np.datetime64("2026-01-01"), lambda: np.datetime64("2026-01-02")),
    "numpy record": (lambda: np.zeros(1, RECORD)[0], lambda: np.ones(1, RECORD)[0]),
    "array module": (lambda: array.array("d", [NAN, 1]), lambda: array.array("d", [NAN, 2])),
}
"""Name, what makes a value, and what makes another one."""
NOT_COPIED = ("deep", "values of a dict", "items of a dict", "queue")

SAME_ALL_THE_SAME: dict[str, tuple[Make, Make]] = {
    "ids of calls": (lambda: called("1", "2"), lambda: called("3", "4")),
    "ids of blocks": (
        lambda: AIMessage([{"type": "text", "text": "x", "id": "msg_1"}]),
        lambda: AIMessage([{"type": "text", "text": "x", "id": "msg_2"}]),
    ),
    "streamed message": (lambda: AIMessage("x"), lambda: AIMessageChunk("x", chunk_position="last")),
    "what a model's eq leaves out": (lambda: ByReason(reason="x", at=1), lambda: ByReason(reason="x", at=2)),
    "list and tuple": (lambda: [1, 2], lambda: (1, 2)),
    "number types": (lambda: [1, 2.0, np.float64(3)], lambda: [1.0, 2, 3]),
    "numpy scalars": (lambda: np.int64(2**60 + 1), lambda: 2**60 + 1),
    "long double": (lambda: np.longdouble(0.5), lambda: 0.5),
    "booleans": (lambda: True, lambda: np.bool_(True)),
    "array types": (lambda: np.array([1, 2]), lambda: np.array([1.0, 2.0], dtype=np.float32)),
    "array order": (lambda: np.asfortranarray(np.ones((2, 3))), lambda: np.ones((2, 3))),
    "ids of messages": (lambda: AIMessage("x", id=str(uuid.uuid4())), lambda: AIMessage("x", id=str(uuid.uuid4()))),
    "ids of messages in a dataclass": (
        lambda: Order([AIMessage("x", id=str(uuid.uuid4()))]),
        lambda: Order([AIMessage("x", id=str(uuid.uuid4()))]),
    ),
    "ids of messages in an object": (lambda: Cart(AIMessage("x", id="1")), lambda: Cart(AIMessage("x", id="2"))),
    "ids of messages where eq compares them": (
        lambda: ByDict(AIMessage("x", id="1")),
        lambda: ByDict(AIMessage("x", id="2")),
    ),
    "field that is not compared": (lambda: Order(1, asked_at=1), lambda: Order(1, asked_at=2)),
    "what eq leaves out": (lambda: ByName(["a"], at=1), lambda: ByName(["a"], at=2)),
    "what equals leaves out": (lambda: WithEquals([1, 2]), lambda: WithEquals([1, 3])),
    "remembered result": (lambda: Lazy([1]), lambda: (made := Lazy([1]), made.total, made)[2]),
    "zeros": (lambda: 0.0, lambda: -0.0),
    "model and mapping": (lambda: Approved(reason="x"), lambda: {"reason": "x"}),
    "behind a mask": (lambda: masked([1, 2], [0, 1]), lambda: masked([1, 3], [0, 1])),
}


@pytest.mark.parametrize("name", OTHER_VALUE)
def test_same_code_makes_the_same(name: str) -> None:
    """What the same code makes twice is the same, also after one of the two went through a snapshot."""
    for make in OTHER_VALUE[name]:
        assert Equality().same(make(), make())
        copied = make() if name in NOT_COPIED else take(make()).restore()
        assert Equality().same(copied, make())
        assert Equality(unordered=True).same(copied, make())
        assert Equality(1e-9).same(make(), copied)


@pytest.mark.parametrize("name", OTHER_VALUE)
def test_another_value_differs(name: str) -> None:
    """Whichever of the two is V1's, and wherever it lies; nothing raises."""
    one, other = OTHER_VALUE[name]
    for a, b in ((one, other), (other, one)):
        assert not Equality().same(a(), b())
        assert not Equality(1e-9).same({"deep": [a()]}, {"deep": [b()]})
        assert not Equality().same(Held(value=Order(a())), Held(value=Order(b())))


@pytest.mark.parametrize("name", SAME_ALL_THE_SAME)
def test_what_means_no_difference(name: str) -> None:
    """Types of numbers and sequences, what a class leaves out, and what differs between two runs of the same code."""
    one, other = SAME_ALL_THE_SAME[name]
    assert Equality().same(one(), other())
    assert Equality().same([other()], [one()])


@pytest.mark.parametrize(
    ("a", "b", "near"),
    [
        (np.array([1.0, NAN, 2.0]), np.array([1.05, NAN, 1.95]), True),
        (np.array([1.0, 2.0]), np.array([1.0, 2.2]), False),
        (np.array([[1, 2]]), np.array([[1.05, 2.05]]), True),
        (np.array([3], dtype="u1"), np.array([5], dtype="u1"), False),
        (np.array([-(2**63)]), np.array([2**63 - 1]), False),
        (np.array([1.0], dtype="f2"), np.array([1.05], dtype="f2"), True),
        (np.array([1 + 1j]), np.array([1.05 + 1.05j]), True),
        (np.array([True]), np.array([False]), False),
        (np.array([math.inf]), np.array([math.inf]), True),
        (np.array([math.inf]), np.array([-math.inf]), False),
        (np.array([{"a": 1.0}], dtype=object), np.array([{"a": 1.05}], dtype=object), True),
        (masked([1.0, 7.0], [0, 1]), masked([1.05, 8.0], [0, 1]), True),
        (Order(1, {"x": [np.float32(1)]}), Order(1, {"x": [np.float32(1.05)]}), True),
        (Decimal("1.00"), Decimal("1.05"), True),
        (Decimal("1.00"), 1.05, True),
        (Fraction(1, 3), 0.3, True),
        (10**400, 10**400 + 1, False),
        (10**400, 1.0, False),
        ({1.0, 2.0}, {1.05, 2.05}, True),
        (array.array("d", [1.0]), array.array("d", [1.05]), True),
    ],
    ids=repr,
)
def test_tolerance_applies_inside(a: Any, b: Any, near: bool) -> None:
    """Arrays, masked and structured ones, objects and decimals: a tenth is allowed, and no more."""
    assert Equality(0.1).same(a, b) is near
    assert Equality(0.1).same(b, a) is near


def test_integers_in_an_array_keep_their_distance() -> None:
    """A tolerance of two is met by integers beyond 2**53 that are two apart, and not by those three apart."""
    assert Equality(2).same(np.array([2**60 + 1]), np.array([2**60 + 3]))
    assert not Equality(2).same(np.array([2**60 + 1]), np.array([2**60 + 4]))
    assert Equality(2).same(np.array([1], dtype="u8"), np.array([3], dtype="u8"))


def test_order_does_not_matter_where_it_is_told_so() -> None:
    """Each item has its own counterpart, and none is taken away from another that needs it."""
    unordered = Equality(0.1, unordered=True)
    assert unordered.same([0.1, 0.0], [0.05, 0.2])
    assert unordered.same([0.0, 0.1, 0.2, 0.3], [0.3, 0.2, 0.1, 0.0])
    assert not unordered.same([0.0, 0.0, 0.3], [0.0, 0.3, 0.3])
    assert unordered.same([Cart([1]), Cart([2])], [Cart([2]), Cart([1])])
    assert not Equality().same([Cart([1]), Cart([2])], [Cart([2]), Cart([1])])


@given(st.permutations(range(7)))
def test_any_order_is_found(order: list[int]) -> None:
    """Objects in any order have their counterparts."""
    assert Equality(unordered=True).same([Cart([at]) for at in range(7)], [Cart([at]) for at in order])


def test_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of steps the comparison is an outcome of its own, and no thread compares for ever."""
    monkeypatch.setattr("otel_shadow._runtime.equality._MOST_STEPS", 10_000)
    many = [Cart([n]) for n in range(300)]
    one, other = (ExecutionResult(Status.SUCCESS, (), {"x": items}) for items in (many, many[::-1]))
    seen = Comparator(CompareTable(fields=("*",), unordered=("x",)))(one, other, None)
    assert (seen.outcome, seen.error_type) == (Outcome.ERROR, "ComparisonTooLargeError")


def test_what_a_value_says_of_itself_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ``__eq__`` may take any time for a step: processor time is looked at, and not steps alone."""
    monkeypatch.setattr("otel_shadow._runtime.equality._MOST_SECONDS", -1.0)
    with pytest.raises(ComparisonTooLargeError):
        Equality().same([Cart([n]) for n in range(300)], [Cart([n]) for n in range(300)])


def test_a_list_of_the_same_order_takes_a_look_at_each_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """Order that does not matter costs nothing where it is the same."""
    monkeypatch.setattr("otel_shadow._runtime.equality._MOST_STEPS", 10_000)
    one, other = ([Cart([n]) for n in range(1000)] for _ in range(2))
    assert Equality(unordered=True).same(one, other)


def test_a_call_that_is_sent_is_compared_without_its_id() -> None:
    """A model gives each call of a tool an id of its own; another call is a difference."""

    def decided(name: str, id_: str) -> ExecutionResult:
        call = {"name": name, "args": {}, "id": id_, "type": "tool_call"}
        return ExecutionResult(Status.SUCCESS, ("tools",), sends=(("tools", call), ("tools", [call])))

    compare = Comparator(CompareTable())
    assert compare(decided("f", "1"), decided("f", "2"), None).decisions_match
    assert not compare(decided("f", "1"), decided("g", "2"), None).decisions_match


def test_long_lists_are_compared_without_a_step_each() -> None:
    """Three million numbers or texts that are equal, or differ at the end."""
    assert Equality().same([*range(3_000_000)], [*range(3_000_000)])
    assert not Equality().same([*range(3_000_000)], [*range(2_999_999), 1])
    assert Equality().same(np.arange(3_000_000), np.arange(3_000_000))


def test_sent_states_are_compared_by_the_rules_of_their_fields() -> None:
    """Tolerance, order and what is ignored count for a field of what is sent as for a field that is written."""

    def sent(argument: Any) -> ExecutionResult:
        return ExecutionResult(Status.SUCCESS, ("n",), sends=(("n", argument),))

    def match(a: Any, b: Any, **table: Any) -> bool | None:
        return Comparator(CompareTable(**table))(sent(a), sent(b), None).decisions_match

    assert match({"score": np.array([1.0])}, {"score": np.array([1.05])}, tolerance={"score": 0.1})
    assert not match({"score": 1.0}, {"score": 1.05}, tolerance={"other": 0.1})
    assert match({"tags": [1, 2]}, {"tags": [2, 1]}, unordered=("tags",))
    assert match({"at": 1, "x": 1}, {"at": 2, "x": 1}, ignore=("at",))
    assert not match({"x": 1}, {"x": 1, "y": 1})
    assert match(Cart([1]), Cart([1]))
    assert not match(Cart([1]), Cart([2]))
    assert not match({"id": 2**60}, {"id": 2**60 + 1})


def test_a_step_may_be_anything() -> None:
    """The configured step is compared as a value is, not by ``==`` alone."""
    one, other = ExecutionResult(Status.SUCCESS), ExecutionResult(Status.SUCCESS)
    compare = Comparator(CompareTable())
    assert compare(one, other, (Cart([1]), Cart([1]))).steps_match is True
    assert compare(one, other, (np.array([5]), 5)).steps_match is False


@pytest.fixture
def pd() -> Any:
    """The library, where there is one."""
    return pytest.importorskip("pandas")


class TestPandas:
    """Frames, series and indexes of pandas."""

    def values(self, pd: Any) -> dict[str, tuple[Make, Make]]:
        def frame(*values: Any, **more: Any) -> Make:
            return lambda: pd.DataFrame({"a": [1, 2], "b": list(values)}, **more)

        def column(*values: Any, **more: Any) -> Make:
            return lambda: pd.Series(list(values), **more)

        def attributes(value: Any) -> Any:
            made = pd.DataFrame({"a": [1]})
            made.attrs["source"] = value
            return made

        return {
            "table": (frame("x", "y"), frame("x", "z")),
            "table with NaN": (frame(NAN, 1), frame(NAN, 2)),
            "table with None": (frame(None, "x"), frame("x", None)),
            "table of another index": (frame(1, 2), frame(1, 2, index=[5, 6])),
            "table of another shape": (lambda: pd.DataFrame({"a": [1]}), lambda: pd.DataFrame({"a": [1, 2]})),
            "table of other columns": (lambda: pd.DataFrame({"a": [1]}), lambda: pd.DataFrame({"b": [1]})),
            "table of two columns of one name": (
                lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
                lambda: pd.DataFrame([[1, 3]], columns=["a", "a"]),
            ),
            "table with lists": (frame([1], [NAN]), frame([1], [2])),
            "table with arrays": (frame(np.array([5]), 1), frame(5, 1)),
            "table with attributes": (lambda: attributes("a"), lambda: attributes("b")),
            "wide table": (
                lambda: pd.DataFrame(np.ones((2, 3000))),
                lambda: pd.DataFrame(np.ones((2, 3000)) + np.eye(2, 3000)),
            ),
            "empty table": (lambda: pd.DataFrame(), lambda: pd.DataFrame({"a": []})),
            "categories": (
                column("x", "y", dtype="category"),
                lambda: pd.Series(pd.Categorical(["x", "y"], categories=["y", "x", "z"])),
            ),
            "category and text": (column("x", "y", dtype="category"), column("x", "y")),
            "missing integers": (column(1, None, dtype="Int64"), column(2, None, dtype="Int64")),
            "column": (column(1, 2), column(1, 3)),
            "column of ids": (column(2**60 + 1), column(2**60)),
            "column of ids and floats": (column(2**60 + 1), column(float(2**60))),
            "column of another name": (column(1, name="a"), column(1, name="b")),
            "column of times": (
                lambda: pd.Series(pd.to_datetime(["2026-01-01", None], utc=True)),
                lambda: pd.Series(pd.to_datetime(["2026-01-02", None], utc=True)),
            ),
            "column and list": (column(1, 2), lambda: [1, 2]),
            "index": (lambda: pd.Index([1, 2], name="a"), lambda: pd.Index([1, 2], name="b")),
            "index of pairs": (
                lambda: pd.MultiIndex.from_tuples([(1, NAN)]),
                lambda: pd.MultiIndex.from_tuples([(1, 2.0)]),
            ),
            "timestamp": (lambda: pd.Timestamp("2026-01-01"), lambda: pd.Timestamp("2026-01-02")),
            "no time": (lambda: pd.NaT, lambda: pd.Timestamp("2026-01-02")),
            "missing": (lambda: pd.NA, lambda: 1),
            "interval": (lambda: pd.Interval(0, 1), lambda: pd.Interval(0, 2)),
        }

    def test_tables(self, pd: Any) -> None:
        """Same code: the same; another value, shape, index, name or category: not; nothing raises."""
        for name, (one, other) in self.values(pd).items():
            assert Equality().same(one(), one()), name
            assert Equality().same(take({"x": Order(one())}).restore(), {"x": Order(one())}), name
            assert not Equality().same(one(), other()), name
            assert not Equality(1e-9).same(Order(other()), Order(one())), name

    def test_tolerance(self, pd: Any) -> None:
        """Also in frames, in columns of objects and in indexes."""
        a, b = (pd.DataFrame({"a": [NAN, x], "b": ["t", {"deep": x}]}, index=[x, 2]) for x in (1.0, 1.05))
        assert Equality(0.1).same(a, b)
        assert not Equality(0.01).same(a, b)

    def test_types_of_numbers(self, pd: Any) -> None:
        """As outside tables."""
        assert Equality().same(pd.Series([1, 2]), pd.Series([1.0, 2.0]))
        assert Equality().same(pd.DataFrame({"a": [1]}, index=[0]), pd.DataFrame({"a": [1.0]}))


def test_polars() -> None:
    """Frames and series of polars, whose own ``==`` raises or gives a frame."""
    pl = pytest.importorskip("polars")
    for one, other in (
        (lambda: pl.DataFrame({"a": [1, None], "b": [NAN, 1.0]}), lambda: pl.DataFrame({"a": [1, 2], "b": [NAN, 1.0]})),
        (lambda: pl.DataFrame({"a": [1]}), lambda: pl.DataFrame({"b": [1]})),
        (lambda: pl.DataFrame({"a": [1]}), lambda: pl.DataFrame({"a": [1, 2]})),
        (lambda: pl.DataFrame({"a": [2**60 + 1]}), lambda: pl.DataFrame({"a": [float(2**60)]})),
        (lambda: pl.DataFrame({"a": [[1.0, NAN]]}), lambda: pl.DataFrame({"a": [[2.0, NAN]]})),
        (lambda: pl.Series("a", ["x"]), lambda: pl.Series("b", ["x"])),
        (lambda: pl.Series("a", [Order(1)], dtype=pl.Object), lambda: pl.Series("a", [Order(2)], dtype=pl.Object)),
    ):
        assert Equality().same(one(), one())
        assert not Equality().same(one(), other())
    assert Equality(0.1).same(pl.DataFrame({"a": [1.0]}), pl.DataFrame({"a": [1.05]}))
    assert not Equality(0.01).same(pl.DataFrame({"a": [1.0]}), pl.DataFrame({"a": [1.05]}))


def test_xarray() -> None:
    """Arrays and data sets of xarray, by values, coordinates and attributes."""
    xr = pytest.importorskip("xarray")

    def made(value: float, at: int = 0, unit: str = "m") -> Any:
        return xr.DataArray([NAN, value], dims=("x",), coords={"x": [at, 1]}, attrs={"unit": unit}, name="a")

    for other in (made(2.0), made(1.0, 5), made(1.0, 0, "km"), made(1.0).rename(x="y")):
        for one, changed in ((made(1.0), other), (made(1.0).to_dataset(), other.to_dataset())):
            assert Equality().same(one, one.copy(deep=True))
            assert not Equality().same(one, changed)
    assert Equality(0.1).same(made(1.0).to_dataset(), made(1.05).to_dataset())


def test_pyarrow() -> None:
    """Tables and arrays of pyarrow."""
    pa = pytest.importorskip("pyarrow")
    one, other = {"a": [1, None], "b": [NAN, 1.0]}, {"a": [1, None], "b": [NAN, 2.0]}
    assert Equality().same(pa.table(one), pa.table(one))
    assert not Equality().same(pa.table(one), pa.table(other))
    assert not Equality().same(pa.array([1]), pa.array([1, 2]))
    assert Equality(1.0).same(pa.table(one), pa.table(other))


def test_jax() -> None:
    """Arrays of another library that gives numpy's."""
    jnp = pytest.importorskip("jax.numpy")
    assert Equality().same(jnp.array([1.0, NAN]), jnp.array([1.0, NAN]))
    assert not Equality().same(jnp.array([1.0]), jnp.array([1.0, 1.0]))
    assert Equality(0.1).same(jnp.array([1.0]), jnp.array([1.05]))


def test_torch() -> None:
    """Tensors, also of types that numpy lacks."""
    torch = pytest.importorskip("torch")
    assert Equality().same(torch.tensor([1.0, NAN]), torch.tensor([1.0, NAN]))
    assert Equality().same(torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16))
    assert not Equality().same(torch.ones(1), torch.ones(3))
    assert not Equality().same(torch.tensor([2**60 + 1]), torch.tensor([2**60]))
    assert Equality(0.1).same(torch.tensor([1.0], requires_grad=True), torch.tensor([1.05]))


def test_attrs_and_msgspec() -> None:
    """Classes of attrs and msgspec are compared field by field, as dataclasses are."""
    attrs = pytest.importorskip("attrs")
    made = attrs.make_class("Made", {"x": attrs.field(), "at": attrs.field(eq=False, default=None)})
    assert Equality().same(made(np.array([NAN, 1]), 1), made(np.array([NAN, 1]), 2))
    assert not Equality().same(made(np.array([5])), made(5))
    keyed = attrs.make_class("Keyed", {"x": attrs.field(eq=str.lower)})
    assert Equality().same(keyed("A"), keyed("a"))
    assert not Equality().same(keyed("A"), keyed("b"))
    struct = pytest.importorskip("msgspec").defstruct("Struct", ["x"])
    assert Equality().same(struct(np.array([NAN, 1])), struct(np.array([NAN, 1])))
    assert not Equality().same(struct(np.array([5])), struct(5))
    told = type("Told", (struct,), {"__eq__": lambda one, other: one.x[0] == other.x[0]})
    assert Equality().same(told([1, 2]), told([1, 3]))
    assert not Equality().same(told([1, 2]), told([2, 2]))


def test_sparse_arrays() -> None:
    """Sparse arrays of scipy, by shape and value: not by the order of their entries, nor by zeros that are kept."""
    sparse = pytest.importorskip("scipy.sparse")
    one = sparse.csr_matrix([[1.0, 0.0], [NAN, 2.0]])
    other = sparse.coo_matrix(([2.0, 1.0, 0.0, NAN], ([1, 0, 0, 1], [1, 0, 1, 0])), shape=(2, 2))
    assert Equality().same(one, other)
    assert Equality().same(one, other.tolil())
    assert not Equality().same(one, one * 2)
    assert not Equality().same(sparse.csr_matrix((2, 3)), sparse.csr_matrix((3, 2)))
    assert Equality(0.1).same(sparse.csr_matrix([[1.0]]), sparse.csr_matrix([[1.05]]))
