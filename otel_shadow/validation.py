"""What the fields of the configuration's models expect, in words: for each refused value, and for the documentation."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from math import isfinite
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

_LONGEST = 80
"""Characters of a refused value that are shown."""
_ALIKE = 0.5
"""Likeness (``difflib``) from which a name is told as the one that was meant."""


@dataclass(frozen=True)
class Expected:
    """Words for what a type's own validator accepts; part of its ``Annotated``.

    Arguments:
        text: follows "expected".
        choices: all accepted values, where they can be counted.
    """

    text: str
    choices: tuple[str, ...] = ()


class _Type(NamedTuple):
    """An annotation with the constraints that stand beside it."""

    annotation: Any
    metadata: tuple[Any, ...] = ()


def expectation(field: FieldInfo) -> str:
    """Return what ``field`` expects, as it follows "expected": ``a number from 0 to 1``."""
    return _words(_Type(field.annotation, tuple(field.metadata)))


def sentences(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return one sentence per wrong key of ``model``: the key, what was read, and what is expected.

    What the validator itself says is in its own words, and some of it in regular expressions: it is left out.
    """
    told: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        key, sentence = _sentence(fault, model)
        told.setdefault(key, f"{key}: {sentence}" if key else sentence)  # each type of a union has a fault of its own
    return [sentence for key, sentence in told.items() if not any(inner.startswith(f"{key}.") for inner in told)]


def _sentence(fault: Mapping[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    names, found, owner = _place(fault["loc"], _Type(model))
    key, value = ".".join(names), fault["input"]
    if fault["type"] == "extra_forbidden":
        known = [name for name, field in owner.model_fields.items() if not field.exclude]
        return key, f"no such key{nearest(names[-1], known, 'there are')}"
    if fault["type"] == "missing":
        return key, f"it is missing, expected {_words(found)}"
    return key, f"got {shown(value)}, expected {_words(found)}{_remark(fault, found)}"


def _remark(fault: Mapping[str, Any], found: _Type) -> str:
    """Return what a value that looks right is wrong in, or the choice that it is nearly."""
    value = fault["input"]
    if isinstance(value, bool) and "number" in _words(found):
        return ", not true or false"
    if isinstance(value, float) and not isfinite(value):
        return ", not infinity or nan"
    reason = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else ""  # what our own validators say
    return f" ({reason})" if reason else nearest(value, _choices(found))


def nearest(value: object, choices: Sequence[str], otherwise: str = "") -> str:
    """Return ``; did you mean …?`` for the choice that ``value`` is nearly; else the choices after ``otherwise``."""
    found = get_close_matches(str(value).lower(), choices, 1, _ALIKE)
    if found:
        return f"; did you mean {found[0]}?"
    return f"; {otherwise} {', '.join(choices)}" if otherwise else ""


def shown(value: object) -> str:
    """Return a refused value as it is written in an error: its beginning, if it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _place(loc: Iterable[int | str], at: _Type) -> tuple[list[str], _Type, type[BaseModel]]:
    """Return the names on the way to a fault, the type there, and the model on the way that is next to it."""
    names: list[str] = []
    key, owner = at, BaseModel
    for part in loc:
        if part == "[key]":  # the key before is itself at fault
            return names, key, owner
        for kind in _kinds(at):
            if isinstance(kind.annotation, type) and issubclass(kind.annotation, BaseModel):
                owner = kind.annotation
                field = owner.model_fields.get(str(part))
                at = _Type(field.annotation, tuple(field.metadata)) if field else _Type(Any)
            elif get_origin(kind.annotation) is tuple and isinstance(part, int):
                at = _Type(get_args(kind.annotation)[0])
            elif _is_table(kind.annotation):
                key, at = (_Type(one) for one in get_args(kind.annotation))
            else:  # the name of one of a union's types is no key
                continue
            names.append(str(part))
            break
    return names, at, owner


def _is_table(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _kinds(given: _Type) -> Iterator[_Type]:
    """Yield the types that a type is made of, None left out; constraints stay with the type that they belong to."""
    annotation, metadata = given
    if get_origin(annotation) is Annotated:
        base, *beside = get_args(annotation)
        yield from _kinds(_Type(base, (*metadata, *_constraints(beside))))
    elif get_origin(annotation) in (Union, types.UnionType):
        for one in get_args(annotation):
            if one is not types.NoneType:
                yield from _kinds(_Type(one, metadata))
    else:
        yield given


def _constraints(beside: Iterable[Any]) -> Iterator[Any]:
    for one in beside:
        yield from one.metadata if isinstance(one, FieldInfo) else (one,)


def _choices(given: _Type) -> list[str]:
    found: list[str] = []
    for annotation, metadata in _kinds(given):
        found += get_args(annotation) if get_origin(annotation) is Literal else ()
        found += [choice for mark in metadata if isinstance(mark, Expected) for choice in mark.choices]
    return found


def _words(given: _Type) -> str:
    return " or ".join(dict.fromkeys(_words_of_one(kind) for kind in _kinds(given)))


def _words_of_one(kind: _Type) -> str:
    annotation, metadata = kind
    for mark in metadata:
        if isinstance(mark, Expected):
            return mark.text
    if get_origin(annotation) is Literal:
        told = [f'"{choice}"' for choice in get_args(annotation)]
        return f"one of {', '.join(told)}" if len(told) > 1 else told[0]
    if get_origin(annotation) is tuple:
        least = "a list that is not empty" if any(isinstance(mark, MinLen) for mark in metadata) else "a list"
        return f"{least}; each item: {_words(_Type(get_args(annotation)[0]))}"
    if _is_table(annotation):
        return f"a table; each value: {_words(_Type(get_args(annotation)[1]))}"
    if annotation in (int, float):
        return _number("a whole number" if annotation is int else "a number", metadata)
    if annotation is str and any(isinstance(mark, MinLen) for mark in metadata):
        return "text that is not empty"
    return _NAMES.get(annotation, "a table")


_NAMES: Mapping[Any, str] = {
    bool: "true or false",
    str: "text",
    date: "a date such as 2027-01-31",
    datetime: "a time with its zone, such as 2027-01-31T08:00:00Z",
}


def _number(noun: str, metadata: Sequence[Any]) -> str:
    found = [mark for mark in metadata if type(mark) in _SIGNS]
    ends = {type(mark): f"{getattr(mark, _SIGNS[type(mark)]):g}" for mark in found}
    if Ge in ends and Le in ends:
        return f"{noun} from {ends[Ge]} to {ends[Le]}"
    told = [f"{word} {ends[kind]}" for kind, word in _SIGNS_IN_WORDS.items() if kind in ends]
    return " ".join((noun, " and ".join(told))).strip()


_SIGNS: Mapping[type, str] = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt"}
_SIGNS_IN_WORDS: Mapping[type, str] = {Ge: "of at least", Gt: "above", Le: "up to", Lt: "below"}
