"""What objects say of themselves: whether they call themselves equal, and what they are made of."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import fields, is_dataclass
from functools import cached_property, lru_cache
from types import CellType, FunctionType, MethodType, SimpleNamespace
from typing import Any

from pydantic import BaseModel

_MAX_CLASSES = 4096
_LIBRARIES = frozenset({*sys.stdlib_module_names, "pydantic", "langchain_core", "numpy"}) - {"__main__"}
"""Whose containers and models are compared part by part: their own ``__eq__`` would broadcast arrays."""
TEXTS = (str, bytes, bytearray)
_BUILTINS = (int, float, complex, *TEXTS, list, tuple, dict, set, frozenset, deque)
"""Whose subclasses may hold attributes that are part of what they are; another container is what it contains."""


def is_one_class(a: type, b: type) -> bool:
    """Return whether two classes are one, by name: a class that is made within a function is another at each call."""
    return a is b or (type(a) is type(b) and (a.__module__, a.__qualname__) == (b.__module__, b.__qualname__))


@lru_cache(_MAX_CLASSES)
def has_own_equality(cls: type) -> bool:
    """Return whether a model or a container has an ``__eq__`` of the application's own."""
    own = next((base for base in cls.__mro__ if "__eq__" in vars(base)), object)
    return own.__module__.partition(".")[0] not in _LIBRARIES and not is_made_of_fields(cls)


def is_true(answer: Any) -> bool:
    """Return whether ``__eq__`` answered yes; an array of answers is none."""
    return answer is True or (
        type(answer).__module__ == "numpy" and getattr(answer, "shape", None) == () and bool(answer)
    )


def told_equal(a: Any, b: Any, method: str = "__eq__") -> bool:
    """Return whether ``a`` or ``b`` says that they are equal; one that raises has not said so."""
    try:
        if method == "__eq__":
            return is_true(a == b)
        equals = getattr(type(a), method, None)
        return callable(equals) and is_true(equals(a, b))
    except Exception:  # noqa: BLE001 - a class's own method raises anything
        return False


def is_made_of_fields(cls: type) -> bool:
    """Return whether ``__eq__`` compares fields one by one, as dataclasses, attrs and msgspec write it: done here."""
    own: Any = cls.__eq__
    code = getattr(own, "__code__", None)
    if is_dataclass(cls) or hasattr(cls, "__attrs_attrs__"):
        file = getattr(code, "co_filename", "")
        return own is object.__eq__ or file == "<string>" or file.startswith("<attrs generated")
    return own is SimpleNamespace.__eq__ or (hasattr(cls, "__struct_fields__") and code is None)


def content(value: Any) -> Any:
    """Return what an object is made of, as plain containers; empty if of nothing, None where that can't be told."""
    cls = type(value)
    if is_dataclass(cls):
        return {item.name: getattr(value, item.name, None) for item in fields(cls) if item.compare}
    if hasattr(cls, "__attrs_attrs__"):
        parts = {item: getattr(value, item.name, None) for item in cls.__attrs_attrs__ if item.eq}
        return {item.name: item.eq_key(part) if item.eq_key else part for item, part in parts.items()}
    if isinstance(value, FunctionType):
        cells = [_in_cell(cell) for cell in value.__closure__ or ()]
        return {"code": value.__code__, "with": (value.__defaults__, value.__kwdefaults__, cells)}
    if isinstance(value, MethodType):
        return {"function": value.__func__, "self": value.__self__}
    try:
        made = value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001 - a class's own method raises anything
        return attributes(vars(value), cls) if hasattr(value, "__dict__") else None
    return _reduced(made, cls)


def _in_cell(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that has no value yet
        return None


def _reduced(made: Any, cls: type) -> Any:
    if not isinstance(made, tuple):
        return {"name": made}
    function, args, state, items, pairs = (*made, None, None, None)[:5]
    parts = {
        "state": attributes(state, cls) if type(state) is dict else state,
        "items": None if items is None else list(items),
        "pairs": None if pairs is None else dict(pairs),
        "made of": args[1:] if args and args[0] is cls else args,
    }
    found = {name: part for name, part in parts.items() if part is not None and not _is_empty(part)}
    return found and {**found, "made by": function}


def _is_empty(part: Any) -> bool:
    return type(part) in (dict, tuple) and not part


def beside(a: Any, b: Any) -> tuple[Any, Any] | None:
    """Return what two numbers, texts or containers of one class hold beside their value: attributes."""
    if isinstance(a, BaseModel):
        found: tuple[Any, Any] = a.__pydantic_private__ or {}, b.__pydantic_private__ or {}
    elif not isinstance(a, _BUILTINS) or not hasattr(a, "__dict__"):
        return None
    else:
        found = attributes(vars(a), type(a)), attributes(vars(b), type(b))
    return found if any(found) else None


def attributes(state: dict[str, Any], cls: type) -> dict[str, Any]:
    """Return attributes without those that are only remembered results."""
    remembered = _remembered(cls)
    return {key: item for key, item in state.items() if key not in remembered} if remembered else state


@lru_cache(_MAX_CLASSES)
def _remembered(cls: type) -> frozenset[str]:
    """Return the names of attributes that are only remembered results."""
    return frozenset(name for base in cls.__mro__ for name, item in vars(base).items() if type(item) is cached_property)
