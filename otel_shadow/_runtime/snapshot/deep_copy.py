"""A ``deepcopy`` that looks at each object before it is copied, and at the clock as it goes.

Containers and plain models, of which states mostly consist, are copied here, at a fraction of ``deepcopy``'s price. All
else is copied by ``deepcopy``, which asks its memo before it begins with an object: a moment to refuse it.
"""

from __future__ import annotations

import copy
import sys
from operator import is_
from types import BuiltinFunctionType, FunctionType
from typing import Any

from otel_shadow._runtime.snapshot.pickling import HasDeepcopyError, containers_of, is_plain_model, model_of
from otel_shadow._runtime.snapshot.refusals import (
    CONTAINERS,
    SIZED,
    Allowance,
    FinalizerError,
    TooLargeError,
    TooSlowError,
    traits,
)

_LOOK_EVERY = 64
_ATOMIC = frozenset({str, bytes, int, float, bool, complex, type(None), FunctionType, BuiltinFunctionType, type})
"""Classes of what ``deepcopy`` does not copy."""
_SETS = (set, frozenset)


def _items(value: Any) -> int:
    """Return how many items a container holds, whatever its class says."""
    base = next(base for base in SIZED if isinstance(value, base))
    return base.__len__(value)


class Memo(dict[int, Any]):
    """The memo of one deep copy.

    A refusal is remembered, for a class's own ``__deepcopy__`` may swallow it: by its class and arguments, since an
    exception that its own frames hold would keep V1's state until the garbage collector comes.
    """

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()
        self._allowance = allowance
        self._asked = 0
        self.refusal: tuple[Any, ...] | None = None

    def get(self, key: int, default: Any = None) -> Any:
        """Return the copy of the object of this id; refuse to begin with a new one that may not be copied.

        Raises:
            FinalizerError: it has a finalizer.
            TooLargeError: it is too large.
            TooSlowError: copying has taken too long.
        """
        found = super().get(key, default)
        if found is default:
            caller = sys._getframe(1)
            if caller.f_code is copy.deepcopy.__code__:
                self.ask(caller.f_locals.get("x"))
        return found

    def ask(self, value: Any) -> None:
        """Refuse to copy ``value``; raises what :meth:`get` raises."""
        cls = type(value)
        if cls in _ATOMIC:
            return
        try:
            self._asked += 1
            if self._asked % _LOOK_EVERY == 0:
                self._allowance.check_time()
            if cls in CONTAINERS:
                self._allowance.take(sys.getsizeof(value))
                if cls in _SETS:
                    self._allowance.check_items(len(value))
            else:
                asked = traits(cls)
                asked.allow(value, self._allowance)
                asked.refuse(value)
                if issubclass(cls, SIZED):
                    self._allowance.check_items(_items(value))
        except (FinalizerError, TooLargeError, TooSlowError) as refusal:
            self.refusal = type(refusal), *refusal.args
            raise

    def keep(self, value: Any, made: Any) -> Any:
        """Remember that ``made`` is the copy of ``value``, which is kept alive meanwhile as ``deepcopy`` does it."""
        self[id(value)] = made
        self.setdefault(id(self), []).append(value)
        return made


def deep_copied(value: Any, memo: Memo) -> Any:
    """Return a copy of ``value``; aliases and cycles within it are kept.

    Raises:
        FinalizerError: something in it has a finalizer.
        TooLargeError: it is too large.
        TooSlowError: it takes too long.
        Exception: whatever the copying of a class raises.
    """
    cls = type(value)
    if cls in _ATOMIC:
        return value
    if (known := dict.get(memo, id(value))) is not None:
        return known
    if cls is dict:
        memo.ask(value)
        made: Any = memo.keep(value, {})
        for key, item in value.items():
            made[deep_copied(key, memo)] = deep_copied(item, memo)
        return made
    if cls is list:
        memo.ask(value)
        made = memo.keep(value, [])
        for item in value:
            made.append(deep_copied(item, memo))
        return made
    if cls is tuple:
        return _tuple(value, memo)
    return _model(value, memo) if _is_plain(cls) else copy.deepcopy(value, memo)


def _tuple(value: tuple[Any, ...], memo: Memo) -> Any:
    memo.ask(value)
    items = [deep_copied(item, memo) for item in value]
    if (known := dict.get(memo, id(value))) is not None:  # it holds itself, in a container
        return known
    return memo.keep(value, value if all(map(is_, items, value)) else tuple(items))


def _is_plain(cls: type) -> bool:
    try:
        return is_plain_model(cls)
    except HasDeepcopyError:
        return False


def _model(value: Any, memo: Memo) -> Any:
    memo.ask(value)
    fields, names, extra = containers_of(value)
    made = memo.keep(value, model_of(type(value), ({}, set(names), None if extra is None else {})))
    for key, item in fields.items():
        made.__dict__[key] = deep_copied(item, memo)
    for key, item in (extra or {}).items():
        made.__pydantic_extra__[key] = deep_copied(item, memo)
    return made
