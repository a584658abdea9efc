"""A copy of the state at the moment of the call: exact, and cheap on V1's path.

``pickle`` (protocol 5) is several times faster than ``deepcopy`` on message lists and preserves cycles and aliasing;
restoring happens off the path. It ignores ``__deepcopy__`` and refuses locks, generators and lambdas, so values that
define the former, or that pickle refuses, take the slow way: ``deepcopy``. What neither can copy, and what has a
finalizer, is reported by the name of its type, and V1 runs as it would without otel-shadow.
"""

from __future__ import annotations

import copy
import math
import pickle
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.snapshot.deep_copy import Memo, deep_copied
from otel_shadow._runtime.snapshot.long_values import lookout
from otel_shadow._runtime.snapshot.message_lists import Lists, lists_of
from otel_shadow._runtime.snapshot.pickling import HasDeepcopyError, dumps
from otel_shadow._runtime.snapshot.refusals import Allowance, FinalizerError, TooLargeError, TooSlowError

_UNGUARDED = sys.version_info < (3, 12)
"""Where the recursion limit is all that keeps C code from overrunning its stack."""
_USUAL_LIMIT = 10_000
_DEEPEST = 2000
"""Levels of a state that is copied where an application has raised the recursion limit far beyond that."""
ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
"""Types whose values can't change: V2 may hold production's own."""

_LONG = 2**20

__all__ = ["ATOMS", "Snapshot", "SnapshotError", "TooLargeError", "TooSlowError", "deep_copy", "take"]


class SnapshotError(Exception):
    """A value that can't be captured; ``type_name`` names the type that can't be copied, never its value."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        super().__init__(f"can't capture a value of type {type_name}")


class Snapshot:
    """A value that :func:`take` captured. Each :meth:`restore` gives a fresh copy."""

    __slots__ = ("_copy", "_data", "_lists", "size")

    def __init__(self, data: bytes | None, lists: Lists | None = None, kept: Any = None, size: int = 0) -> None:
        self._data = data
        self._lists = lists
        self._copy = kept
        self.size = len(data) if data is not None else size
        """Bytes held while waiting (of a ``deepcopy``: what its objects take, without what they share)."""

    def restore(self) -> Any:
        """Make a copy of the value as it was, off V1's path.

        Raises:
            SnapshotError: a class's own unpickling raised what is no ``Exception``: no loop may end by it.
            Exception: whatever else it raises.
        """
        try:
            if self._data is None:
                return copy.deepcopy(self._copy)
            made = pickle.loads(self._data)  # noqa: S301 - bytes made in this process
            return made if self._lists is None else self._lists.put_back(*made)
        except BaseException as error:
            if isinstance(error, Exception) or is_from_outside(error):
                raise
            raise SnapshotError(class_name(type(error))) from None


def take(value: Any, largest: int | None = None, until: float = math.inf) -> Snapshot:
    """Capture ``value``, in ``largest`` bytes at most, and before this thread's processor time is ``until`` (s).

    Raises:
        SnapshotError: neither pickle nor ``deepcopy`` can copy it, or it has a finalizer that the copy would run.
        TooLargeError: the snapshot would be larger.
        TooSlowError: it takes longer.
    """
    if _UNGUARDED and sys.getrecursionlimit() > _USUAL_LIMIT and _is_deeper(value, _DEEPEST):
        raise SnapshotError(RecursionError.__name__)
    bound = sys.maxsize if largest is None else largest
    try:
        if bound < sys.maxsize:
            _refuse_long_texts(value, bound)
            if lookout.left > 0:
                lookout.refuse_long(value, bound)
        lists = lists_of(value)
        data = lists.dump(Allowance(bound, until)) if lists is not None else None
        return Snapshot(data, lists) if data is not None else Snapshot(dumps(value, Allowance(bound, until)))
    except (TooLargeError, TooSlowError):
        raise
    except FinalizerError as error:
        raise SnapshotError(class_name(error.kind)) from None
    except (HasDeepcopyError, TypeError, pickle.PicklingError, AttributeError):  # the usual ones, at once
        return _deep(value, Allowance(bound, until))
    except BaseException as error:
        if is_from_outside(error):
            raise
        return _deep(value, Allowance(bound, until))


def _refuse_long_texts(value: Any, largest: int) -> None:
    """Refuse a long text among a state's fields: pickle encodes one beyond ASCII before it says how long it is."""
    for part in value if type(value) is tuple else (value,):
        if type(part) is dict:
            for item in part.values():
                if type(item) is str and len(item) > _LONG and str.__sizeof__(item) > largest:
                    raise TooLargeError


def _is_deeper(value: Any, depth: int) -> bool:
    """Return whether ``value`` is nested more than ``depth`` levels deep, found level by level and not by recursion."""
    level: list[Any] = [value]
    seen: set[int] = set()
    for _ in range(depth):
        level = [item for item in level if type(item) not in ATOMS and id(item) not in seen]
        if not level:
            return False
        seen.update(map(id, level))
        level = [inner for item in level for inner in _inside(item)]
    return True


def _inside(item: Any) -> Iterable[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, list | tuple | set | frozenset | deque):
        return item
    with suppress(Exception):  # whatever an object answers when it is asked for its attributes
        return list(item.__dict__.values())
    return ()


def _deep(value: Any, allowance: Allowance) -> Snapshot:
    memo = Memo(allowance)
    try:
        kept = deep_copied(value, memo)
    except BaseException as error:
        if is_from_outside(error):
            raise
        if memo.refusal is None:
            raise SnapshotError(_culprit(error) or class_name(type(value))) from None
    if memo.refusal is not None:
        raise _told(*memo.refusal)
    memo.pop(id(memo), None)  # deepcopy's list of originals
    return Snapshot(None, None, kept, sum(map(_size, memo.values())))


def _told(kind: type[Exception], *args: Any) -> Exception:
    """Make what :func:`take` raises of a refusal."""
    return SnapshotError(class_name(*args)) if kind is FinalizerError else kind(*args)


def _size(made: Any) -> int:
    try:
        return sys.getsizeof(made, 0)
    except Exception:  # noqa: BLE001 - a class's own __sizeof__ raises anything
        return 0


def deep_copy(value: Any) -> Any:
    """Return a copy of ``value`` by ``deepcopy``, whatever its size.

    Raises:
        SnapshotError: it can't be copied, or has a finalizer.
    """
    return _deep(value, Allowance())._copy


def _culprit(error: BaseException) -> str | None:
    """Return the type of what ``deepcopy`` failed at: its innermost frame tells, without copying anything again."""
    found = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is copy.deepcopy.__code__:
            found = class_name(type(trace.tb_frame.f_locals.get("x")))
        trace = trace.tb_next
    return found
