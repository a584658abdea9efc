"""Equality of two values that two versions of a node wrote: deep, exact, and the same for every kind of value.

Python's ``==`` does not serve: it broadcasts arrays, raises for tables, and calls two objects of a plain class, two NaN
or two runs' messages different. The libraries for it don't serve either: to deepdiff 9 two tables of other numbers are
equal, and it takes ten times as long; the ``testing`` modules of numpy and pandas are for one kind of value each.
Here what a class means by equal counts where it says so; otherwise two objects are the same if they are of one class
and would be pickled the same, part by part.
"""

from __future__ import annotations

from array import array
from collections import UserList, deque
from collections.abc import ItemsView, Iterable, Mapping, Sequence, Set, ValuesView
from decimal import Decimal
from fractions import Fraction
from numbers import Number, Real
from threading import Lock, RLock
from time import thread_time
from typing import Any

from pydantic import BaseModel

from otel_shadow._runtime.message_equality import CallIds, is_message, message_items
from otel_shadow._runtime.object_content import (
    TEXTS,
    attributes,
    beside,
    content,
    has_own_equality,
    is_made_of_fields,
    is_one_class,
    is_true,
    told_equal,
)
from otel_shadow._runtime.table_equality import table_step

Pair = tuple[Any, Any]
Step = bool | list[Pair]
"""What is known of two values: whether they are the same, or the pairs of parts on which it depends."""

_MOST_STEPS = 1_000_000
_MOST_SECONDS = 2.0
"""Processor time of a comparison: a value's own ``__eq__`` may take any time for a step."""
_STEPS_A_LOOK = 64
_EXACT_FLOATS = 2**53
"""Integers up to here are floats, each its own."""
_EXACT = frozenset({str, bytes, bool, int, type(None)})
"""Classes whose ``==`` is right in C, inside lists too, where no tolerance is given."""
_TEXTS = frozenset({str, bytes, type(None)})
_EXACT_OR_FLOAT = _EXACT | {float}
_SHAPES: tuple[tuple[type, tuple[type, ...]], ...] = (
    (Number, (Number,)),
    (Mapping, (BaseModel, Mapping)),
    (ValuesView, (ValuesView, ItemsView)),
    (Sequence, (list, tuple, UserList)),
    (deque, (deque,)),
    (array, (array,)),
    (Set, (Set,)),
)
"""Of what shape objects of which classes are: only those of one shape are taken apart together."""
_MAX_CLASSES = 4096
_KNOWN: dict[type, type | None] = {}
_MOST_EXPONENT = 1000
_VALUELESS = (type(Lock()), type(RLock()))
"""Objects that hold nothing which could differ."""


class ComparisonTooLargeError(Exception):
    """Two values whose comparison takes more than a million steps, or two seconds of processor time."""


class _Matching:
    """A matching of two lists as it grows: which item owns which place of the other list, and the other way round."""

    def __init__(self) -> None:
        self.owner: dict[int, int] = {}
        self._place: dict[int, int] = {}

    def move(self, place: int, found_by: dict[int, int], first: int) -> None:
        """Give the free ``place`` to who found it, that one's place to who found that, back to the ``first``."""
        while True:
            mover = found_by[place]
            before = self._place.get(mover)
            self.owner[place], self._place[mover] = mover, place
            if mover == first or before is None:
                return
            place = before


class Equality:
    """Equality of two values.

    Arguments:
        tolerance: by how much two numbers may differ, absolute; also inside arrays and tables.
        unordered: whether the order of lists does not matter.
    """

    def __init__(self, tolerance: float = 0.0, *, unordered: bool = False) -> None:
        self._tolerance = tolerance
        self._unordered = unordered
        self._left = _MOST_STEPS
        self._ends_at = thread_time() + _MOST_SECONDS
        self._calls = CallIds()
        self._open: list[dict[tuple[int, int], Pair]] = []
        """Pairs that are being compared: one that comes again in a cycle depends on the others."""

    def same(self, a: Any, b: Any) -> bool:
        """Return whether ``a`` and ``b`` are the same.

        Raises:
            ComparisonTooLargeError: it would take too long.
            Exception: whatever a class's own ``__eq__`` raises, if there is nothing else to compare its objects by.
        """
        todo: list[Pair] = [(a, b)]
        seen: dict[tuple[int, int], Pair] = {}
        self._open.append(seen)
        try:
            while todo:
                a, b = todo.pop()
                key = id(a), id(b)
                if a is b or key in seen or (len(self._open) > 1 and any(key in outer for outer in self._open)):
                    continue
                self._spend(1)
                seen[key] = a, b  # held, so that their ids stay theirs
                step = self._step(a, b)
                if step is False:
                    return False
                if step is not True:
                    todo += step
            return len(self._open) > 1 or self._calls.agree()
        finally:
            self._open.pop()

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0 or (self._left % _STEPS_A_LOOK == 0 and thread_time() > self._ends_at):
            raise ComparisonTooLargeError

    def _step(self, a: Any, b: Any) -> Step:
        if type(a) is type(b) and type(a) in _TEXTS:
            return bool(a == b)
        step = table_step(a, b, self._tolerance)
        if step is not None:
            return step
        cls: type = type(a)
        shape = _shape(cls)
        if shape is None or shape is not _shape(type(b)):
            return self._objects(a, b)
        if has_own_equality(cls) and told_equal(a, b):
            return True
        step = self._shaped(shape, a, b)
        return _with(step, beside(a, b)) if step is not False and type(a) is type(b) else step

    def _shaped(self, shape: type, a: Any, b: Any) -> Step:
        if shape is Number:
            return _numbers(a, b, self._tolerance)
        if shape is Mapping:
            return self._mappings(a, b)
        if shape is ValuesView:
            return [(list(a), list(b))]
        return self._matched(list(a - b), list(b - a)) if shape is Set else self._sequences(a, b)

    # --- containers ------------------------------------------------------------------------------------------------

    def _mappings(self, a: Any, b: Any) -> Step:
        one, other = _items(a), _items(b)
        if len(one) != len(other) or not _same_model(a, b, one, other):
            return False
        one, other = self._calls.take(one, other)
        rest = [item for item in one.items() if item[0] not in other]
        if rest:  # keys that are equal to none, such as NaN or a plain object
            if not self._matched(rest, [item for item in other.items() if item[0] not in one]):
                return False
            one = {key: value for key, value in one.items() if key in other}
        return [(value, other[key]) for key, value in one.items()]

    def _sequences(self, a: Sequence[Any], b: Sequence[Any]) -> Step:
        if len(a) != len(b):
            return False
        one, other = list(a), list(b)
        kinds = {*map(type, one), *map(type, other)}
        if kinds <= _EXACT_OR_FLOAT and one == other:
            return True
        if kinds <= _EXACT and not self._unordered and not self._tolerance:
            return False
        if self._unordered and len(one) > 1:
            return self._matched(one, other)
        return list(zip(reversed(one), reversed(other), strict=True))  # the first pair is looked at first

    def _matched(self, one: list[Any], other: list[Any]) -> bool:
        """Return whether each of ``one`` has its own counterpart in ``other``, in any order: a perfect matching."""
        if len(one) != len(other):
            return False
        if not self._tolerance and {*map(type, one), *map(type, other)} <= _EXACT:
            return _counted(one) == _counted(other)
        matching = _Matching()
        return all(self._place(at, one, other, matching) for at in range(len(one)))

    def _place(self, at: int, one: list[Any], other: list[Any], matching: _Matching) -> bool:
        """Find a counterpart for ``one[at]``; others are moved to make room for it (Kuhn's augmenting path)."""
        found_by: dict[int, int] = {}
        waiting = deque([at])
        while waiting:
            now = waiting.popleft()
            for place in (now, *range(len(other))):  # most lists are of one order
                if place in found_by or not self.same(one[now], other[place]):
                    continue
                found_by[place] = now
                if place not in matching.owner:
                    matching.move(place, found_by, at)
                    return True
                waiting.append(matching.owner[place])
        return False

    # --- objects ---------------------------------------------------------------------------------------------------

    def _objects(self, a: Any, b: Any) -> Step:
        if isinstance(a, type) and isinstance(b, type):
            return is_one_class(a, b)
        if not is_one_class(type(a), type(b)):
            return told_equal(a, b)
        if isinstance(a, _VALUELESS):
            return True
        if isinstance(a, TEXTS):
            return _with(bool(a == b), beside(a, b))
        fault = None
        if not is_made_of_fields(type(a)):
            try:
                if is_true(a == b):
                    return True
            except Exception as error:  # noqa: BLE001 - a class's own __eq__ raises anything
                fault = error
            if told_equal(a, b, "equals"):
                return True
        contents = content(a), content(b)
        if fault is not None and not any(contents):
            raise fault
        return [contents] if None not in contents else False


def _shape(cls: type) -> type | None:
    """Return the shape of objects of ``cls``; None where only the objects themselves can be asked."""
    try:
        return _KNOWN[cls]
    except KeyError:
        pass
    if len(_KNOWN) >= _MAX_CLASSES:
        _KNOWN.clear()
    shape = _KNOWN[cls] = next((shape for shape, classes in _SHAPES if issubclass(cls, classes)), None)
    return shape


def _items(value: Any) -> dict[Any, Any]:
    """Return a mapping's or a model's fields, of a message without what differs between two runs of the same code."""
    if not isinstance(value, BaseModel):
        return dict(value.items())
    found = attributes(vars(value), type(value)) | (value.__pydantic_extra__ or {})
    return message_items(found) if is_message(found) else found


def _with(step: Step, pair: Pair | None) -> Step:
    """Add to what is known of two values a pair of parts on which it depends too."""
    if pair is None or step is False:
        return step
    return [pair, *(step if step is not True else ())]


def _same_model(a: Any, b: Any, one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    """Return whether two models are of one class; messages say in a field what they are, and a mapping is of none."""
    models = isinstance(a, BaseModel) and isinstance(b, BaseModel)
    return not models or is_one_class(type(a), type(b)) or (is_message(one) and is_message(other))


def _counted(items: Iterable[Any]) -> dict[Any, int]:
    counts: dict[Any, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts


# --- numbers ---------------------------------------------------------------------------------------------------------


def _numbers(a: Any, b: Any, tolerance: float) -> Step:
    if isinstance(a, bool) or isinstance(b, bool):
        return bool(a == b)
    if isinstance(a, complex) or isinstance(b, complex):
        return [(a.real, b.real), (a.imag, b.imag)]
    if _is_nan(a) or _is_nan(b):
        return _is_nan(a) and _is_nan(b)
    return bool(a == b) or (tolerance > 0 and _is_near(a, b, tolerance))


def _is_nan(value: Any) -> bool:
    return value.is_nan() if isinstance(value, Decimal) else isinstance(value, Real) and bool(value != value)


def _is_beyond_floats(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > _EXACT_FLOATS


def _is_near(a: Any, b: Any, tolerance: float) -> bool:
    try:
        if not _is_beyond_floats(a) and not _is_beyond_floats(b):
            return bool(abs(a - b) <= tolerance)
    except (ArithmeticError, TypeError):  # decimals beside floats
        pass
    if any(isinstance(item, Decimal) and abs(item.adjusted()) > _MOST_EXPONENT for item in (a, b)):
        return False
    try:
        return abs(Fraction(a) - Fraction(b)) <= tolerance
    except (ArithmeticError, TypeError, ValueError):  # an infinity
        return False
