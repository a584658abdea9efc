"""The names of a graph's own tools: words of the program, which a record may carry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langgraph.pregel import Pregel

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
"""What the interfaces of language models take for the name of a tool."""
_DEEPEST = 6
_MOST = 1000


def tool_names(*roots: Any) -> frozenset[str]:
    """Return the names of the tools in nodes, V2s or graphs: of tool nodes, and of what a function refers to by name.

    A tool that is made anew at each call is not found; ``[tools] block`` declares it.
    """
    found: set[str] = set()
    seen: dict[int, Any] = {}
    waiting = [(root, 0) for root in roots]
    while waiting and len(seen) < _MOST:
        thing, depth = waiting.pop(0)
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if _is(thing, BaseTool):
            if _NAME.fullmatch(thing.name):
                found.add(thing.name)
        elif depth < _DEEPEST:
            with suppress(Exception):  # the objects are the user's, and raise anything
                waiting += [(inner, depth + 1) for inner in _inside(thing, is_root=depth == 0)]
    return frozenset(found)


def _is(thing: Any, kind: type | tuple[type, ...]) -> bool:
    return issubclass(type(thing), kind)  # isinstance asks lazy objects for their class, and they load what they are


def _inside(thing: Any, *, is_root: bool) -> Iterable[Any]:
    """Return what may hold tools inside ``thing``."""
    if _is(thing, Pregel):
        return [node.bound for node in thing.nodes.values()]
    if _is(thing, dict):
        return list(thing.values())
    if _is(thing, (list, tuple)):
        return list(thing)
    if _is(thing, partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if _is(thing, MethodType):
        return [*_attributes(thing.__self__), thing.__func__]
    if _is(thing, FunctionType):
        return _named_by(thing)
    return _attributes(thing) if is_root or _is(thing, Runnable) or _is_callable_object(thing) else ()


def _is_callable_object(thing: Any) -> bool:
    return not _is(thing, type) and any(_is(vars(kind).get("__call__"), FunctionType) for kind in type(thing).__mro__)


def _attributes(thing: Any) -> list[Any]:
    try:
        return list(vars(thing).values())
    except TypeError:
        return []


def _named_by(function: FunctionType) -> Iterator[Any]:
    """Yield what a function's closure holds, and the tools, graphs and lists among the globals that it names."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if _is(value, (BaseTool, Runnable, list, tuple, dict)):
            yield value
