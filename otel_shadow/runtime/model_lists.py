"""Lists of models, of which states mostly consist, captured as columns: half the price of model by model.

Pickle asks Python how to take each model apart. A long list of plain models (a conversation) is therefore taken out of
the state before, and goes into the pickle as the models' own containers, which C code copies without asking; the list
is put back when the state is restored. What is one object stays one object: pickle knows the containers again, and a
model is as many objects as it has containers. Where a model of such a list is also reached in some other way, this is
not the way to copy the state, and :meth:`Lists.dump` says so.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel

from otel_shadow.runtime.reducers import PROTOCOL, ModelState, Pickler, is_plain_model, model_of, state_of

_WORTH_IT = 4
"""Models in a list from which on it is taken out."""


class Place(NamedTuple):
    """Where a list was: ``value[key]``, or ``value[part][key]`` of a tuple; and which list."""

    part: int | None
    key: str
    list: int


class Lists:
    """The lists that were taken out of a value: their models' classes, and the places.

    Arguments:
        value: a dict, or a tuple with dicts among its items; lists that are values of these are looked at.
    """

    __slots__ = ("_classes", "_found", "_places", "rest")

    def __init__(self, value: Any) -> None:
        self._found: dict[int, tuple[int, list[BaseModel]]] = {}
        self._classes: list[list[type[BaseModel]]] = []
        self._places: list[Place] = []
        self.rest = value
        """``value`` without the lists; itself if there are none."""
        if type(value) is dict:
            self.rest = self._without(value, None)
        elif type(value) is tuple:
            items = [self._without(item, part) if type(item) is dict else item for part, item in enumerate(value)]
            if self._places:
                self.rest = tuple(items)

    def __bool__(self) -> bool:
        return bool(self._places)

    def _without(self, whole: dict[Any, Any], part: int | None) -> dict[Any, Any]:
        rest = whole
        for key, item in whole.items():
            if type(item) is list and len(item) >= _WORTH_IT and type(key) is str:
                number = self._number(item)
                if number is not None:
                    rest = whole.copy() if rest is whole else rest
                    rest[key] = None
                    self._places.append(Place(part, key, number))
        return rest

    def _number(self, item: list[Any]) -> int | None:
        known = self._found.get(id(item))
        if known is not None:
            return known[0]
        classes = list(map(type, item))
        if not all(map(is_plain_model, set(classes))):
            return None
        self._found[id(item)] = len(self._classes), item
        self._classes.append(classes)
        return len(self._classes) - 1

    def dump(self, buffer: io.BytesIO) -> bool:
        """Write everything to ``buffer``.

        Returns:
            Whether that is all of it; not, where a model of a list is also reached in some other way.
        """
        lists = [item for _, item in self._found.values()]
        pickler = _Watching(buffer, PROTOCOL)
        pickler.dump((self.rest, [list(map(state_of, item)) for item in lists]))
        self.rest, self._found = None, {}  # production's own
        if not pickler.reached:
            return True
        ours = {id(model) for item in lists for model in item}
        return not any(id(model) in ours for model in pickler.reached)

    def put_back(self, rest: Any, columns: Iterable[list[ModelState]]) -> Any:
        """The value, from what :meth:`dump` wrote."""
        known: dict[tuple[int, int], BaseModel] = {}
        lists = []
        for classes, states in zip(self._classes, columns, strict=True):
            lists.append([_model(cls, state, known) for cls, state in zip(classes, states, strict=True)])
        for part, key, number in self._places:
            (rest if part is None else rest[part])[key] = lists[number]
        return rest


def _model(cls: type[BaseModel], state: ModelState, known: dict[tuple[int, int], BaseModel]) -> BaseModel:
    identity = id(state[0]), id(state[1])
    found = known.get(identity)
    if found is None:
        found = known[identity] = model_of(cls, state)
    return found


class _Watching(Pickler):
    """Notes the models that it comes across."""

    def __init__(self, buffer: io.BytesIO, protocol: int) -> None:
        super().__init__(buffer, protocol)
        self.reached: list[BaseModel] = []

    def reducer_override(self, value: Any) -> Any:
        if BaseModel in type(value).__mro__:  # no isinstance: it asks the value itself
            self.reached.append(value)
        return NotImplemented
