"""Lists of models, of which states mostly consist, captured as columns: half the price of model by model.

Pickle asks Python how to take each model apart. A long list of plain models (a conversation) is therefore taken out of
the state before, and goes into the pickle as the models' own containers, which C code copies without asking; the list
is put back when the state is restored. What is one object stays one object: pickle knows the containers again, and a
model is as many objects as it has containers. Where a model of such a list is also reached in some other way, this is
not the way to copy the state, and :meth:`Lists.dump` says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import getweakrefcount

from pydantic import BaseModel

from otel_shadow._runtime.snapshot.pickling import Containers, containers_of, dumps, is_plain_model, model_of
from otel_shadow._runtime.snapshot.refusals import Allowance, refuse_finalizer

_WORTH_IT = 4
"""Models that a list has at least where it is taken out."""
_MAX_CLASSES = 4096
_PLAIN: set[type] = set()
"""Classes known as plain models, so that a list is looked through in C."""


def lists_of(value: Any) -> Lists | None:
    """Return the lists of models that are values of ``value``, a dict or a tuple with dicts; None if there are none."""
    kind = type(value)
    if kind is not tuple and kind is not dict:
        return None
    numbers: dict[int, int] = {}
    lists: list[list[BaseModel]] = []
    classes: list[list[type]] = []
    places: list[tuple[int, str, int]] = []
    rest: list[Any] = []
    for part, whole in enumerate(value if kind is tuple else (value,)):
        rest.append(whole)
        if type(whole) is not dict or list not in map(type, whole.values()):
            continue
        for key, item in whole.items():
            if (
                type(item) is list
                and len(item) >= _WORTH_IT
                and BaseModel in type(item[0]).__mro__
                and type(key) is str
            ):
                number = numbers.get(id(item))
                if number is None:
                    found = list(map(type, item))
                    if not _PLAIN.issuperset(found) and not _all_plain(found):
                        continue
                    number = numbers[id(item)] = len(lists)
                    lists.append(item)
                    classes.append(found)
                if rest[part] is whole:
                    rest[part] = whole.copy()
                rest[part][key] = None
                places.append((part, key, number))
    if not places:
        return None
    return Lists(tuple(rest) if kind is tuple else rest[0], lists, classes, places)


def _all_plain(found: list[type]) -> bool:
    if len(_PLAIN) >= _MAX_CLASSES:
        _PLAIN.clear()
    for cls in set(found):
        if not is_plain_model(cls):
            return False
        _PLAIN.add(cls)
    return True


class Lists:
    """Lists that were taken out of a value: the class of each model of each list, and where the lists belong.

    ``rest`` is the value without them; ``places`` are part (of a tuple), key, and number of the list.
    """

    __slots__ = ("_classes", "_lists", "_places", "_rest")

    def __init__(
        self,
        rest: Any,
        lists: list[list[BaseModel]],
        classes: list[list[type[BaseModel]]],
        places: list[tuple[int, str, int]],
    ) -> None:
        self._rest = rest
        self._lists = lists
        self._classes = classes
        self._places = places

    def dump(self, allowance: Allowance) -> bytes | None:
        """Make a pickle of everything; production's own objects are not held from then on.

        Returns:
            None where a model of a list is also reached in some other way.

        Raises:
            TooLargeError: it would be larger than allowed.
            TooSlowError: it takes longer.
            FinalizerError: something in it has a finalizer.
        """
        rest, lists = self._rest, self._lists
        self._rest, self._lists = None, []
        reached: list[BaseModel] = []
        for item in lists:
            if any(map(getweakrefcount, item)):
                for model in item:
                    refuse_finalizer(model)
        data = dumps((rest, [list(map(containers_of, item)) for item in lists]), allowance, reached)
        if reached:
            listed = {id(model) for item in lists for model in item}
            if any(id(model) in listed for model in reached):
                return None
        return data

    def put_back(self, rest: Any, columns: Iterable[list[Containers]]) -> Any:
        """Make the value of what :meth:`dump` wrote."""
        known: dict[tuple[int, int], BaseModel] = {}
        lists = []
        for classes, states in zip(self._classes, columns, strict=True):
            lists.append([_model(cls, state, known) for cls, state in zip(classes, states, strict=True)])
        for part, key, number in self._places:
            (rest[part] if type(rest) is tuple else rest)[key] = lists[number]
        return rest


def _model(cls: type[BaseModel], state: Containers, known: dict[tuple[int, int], BaseModel]) -> BaseModel:
    identity = id(state[0]), id(state[1])
    found = known.get(identity)
    if found is None:
        found = known[identity] = model_of(cls, state)
    return found
