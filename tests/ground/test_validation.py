"""Refused values: each is told in otel-shadow's own words, and none in those of the library that reads it."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from otel_shadow import ConfigError, FeatureFlags, ShadowConfig, semconv, with_shadow_v2
from otel_shadow.config import NodeTable
from otel_shadow.validation import expectation

RAW = re.compile(
    r"Input should|String should|Value should|List should|Tuple should|Dictionary should|Value error|Extra inputs"
    r"|Field required|valid (string|integer|number|boolean|list|tuple|dictionary|date)|unable to|pydantic|\[\^|\\w"
)
"""The beginnings of pydantic's sentences, and the source of a pattern."""
WRONG: tuple[Any, ...] = (
    "certainly wrong", "", -7, 0, 1.5, 10**30, float("nan"), float("inf"), True, [], [[]], ["certainly wrong"], [3],
    {}, {"some key": "certainly wrong"}, {"a..b": []}, {"key": {"some key": 3}}, "1979-05-27T07:32:00",
)  # fmt: skip
"""Values of every type that TOML has, each wrong at most keys."""


def places(model: type[BaseModel], path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every key of a model, and of the models in it."""
    for name, field in model.model_fields.items():
        yield (*path, name)
        for way, inner in models(field.annotation):
            yield from places(inner, (*path, name, *way))


def models(annotation: Any) -> Iterator[tuple[tuple[Any, ...], type[BaseModel]]]:
    """The models that a value of this type has in it, with the way to each."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield (), annotation
    elif origin in (Annotated, Union, types.UnionType):
        for part in parts:
            yield from models(part)
    elif origin is tuple:
        yield from (((0, *way), model) for way, model in models(parts[0]))
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from ((("some name", *way), model) for way, model in models(parts[1]))


def nested(path: tuple[Any, ...], value: Any) -> Any:
    """A configuration in which only ``path`` has a value; 0 is the place in a list."""
    if not path:
        return value
    inner = nested(path[1:], value)
    return [inner] if path[0] == 0 else {path[0]: inner}


def refused(data: Any) -> tuple[str, ...]:
    try:
        ShadowConfig.from_mapping(data, "shadow.toml")
    except ConfigError as error:
        return error.problems
    return ()


PLACES = [*places(ShadowConfig)]


def test_there_are_all_keys() -> None:
    """The keys of every table are among those that are tried."""
    names = {".".join(map(str, place)) for place in PLACES}
    assert len(PLACES) > 90
    wanted = {"v2_build", "nodes.some name.compare.tolerance", "sla.nodes.some name.parity", "accept.0.expires"}
    assert wanted <= names


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_wrong_value_is_told_in_our_own_words(place: tuple[Any, ...]) -> None:
    """Source, key, what was read and what is expected, for any wrong value at any key; nothing of pydantic's."""
    key = ".".join(map(str, place))
    seen = 0
    for value in WRONG:
        for told in refused(nested(place, value)):
            seen += 1
            assert told.startswith("shadow.toml: "), told
            assert re.search(r"expected |no such key; (did you mean|there are) ", told), told
            assert not RAW.search(told), told
            assert key in told or place[0] == "accept", told
    assert seen, f"nothing was refused at {key}"


@pytest.mark.parametrize("table", [place[:-1] for place in PLACES if place[-1] in ("enabled", "id", "parity", "v2")])
def test_an_unknown_key_is_told_with_the_nearest(table: tuple[Any, ...]) -> None:
    """A key that the table has not: the nearest of its keys, or all of them."""
    (told,) = refused(nested((*table, "zzzzzzzz"), 1))
    assert re.search(r"zzzzzzzz: no such key; there are \w+, ", told)


def test_the_nearest_choice_is_named() -> None:
    """A misspelt key, a misspelt word: what was probably meant."""
    told = refused({
        "nodes": {"a": {"v2": "Self", "executor": "proces", "smaple": 1}}, "sla": {"criteria": ["paritty"]},
        "accept": [{"reason": "x"}],
    })  # fmt: skip
    executors = '"auto", "thread", "loop", "process"'
    assert [problem.removeprefix("shadow.toml: ") for problem in told] == [
        "nodes.a.v2: got 'Self', expected module:name (such as myapp.v2:greeting) or \"self\"; did you mean self?",
        f"nodes.a.executor: got 'proces', expected one of {executors}; did you mean process?",
        "nodes.a.smaple: no such key; did you mean sample?",
        f"sla.criteria.0: got 'paritty', expected one of {', '.join(semconv.CRITERIA)}; did you mean parity?",
        "accept.0.expires: it is missing, expected a date such as 2027-01-31",
    ]


@pytest.mark.parametrize("name", [name for name, field in FeatureFlags.model_fields.items() if not field.exclude])
def test_a_wrong_variable_is_told_in_our_own_words(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each flag, from the environment and as an argument."""
    for value in ("certainly wrong", "-7", "1.5.0", "1e400", "nan", "[1]", '{"a": 1}'):
        monkeypatch.setenv(name.upper(), value)
        with pytest.raises(ConfigError) as caught:
            FeatureFlags()
        (told,) = caught.value.problems
        assert told.startswith(
            f"{name.upper()}: got '{value}', expected {expectation(FeatureFlags.model_fields[name])}"
        )
        assert not RAW.search(told)
    monkeypatch.delenv(name.upper())
    with pytest.raises(ConfigError, match=f"{name.upper()}: got .*, expected ") as caught:
        FeatureFlags(**{name: ["certainly wrong"]})
    assert not RAW.search(str(caught.value))


@pytest.mark.parametrize("name", ["compare", "timeout_ms", "sample", "live"])
def test_a_wrong_argument_of_the_decorator_is_told_in_our_own_words(name: str) -> None:
    """As in the file, under the decorator's name."""
    for value in ("certainly wrong", -7, [[]], {"zzz": 1}):
        with pytest.raises(ConfigError, match=rf"^with_shadow_v2: {name}[.:]") as caught:
            with_shadow_v2(**{name: value})
        assert not RAW.search(str(caught.value))


@pytest.mark.parametrize("data", [[1], "nodes", None, 3])
def test_a_configuration_is_a_table(data: Any) -> None:
    """Whatever else is given has one sentence."""
    assert refused(data) == (f"shadow.toml: got {data!r}, expected a table",)


def test_the_constructor_tells_the_same() -> None:
    """``ShadowConfig(…)`` in code raises the error of the file, under the name ``configuration``."""
    with pytest.raises(ConfigError, match=r"^configuration: limits\.queue: got 0, expected a whole number"):
        ShadowConfig(limits={"queue": 0})


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    """A page of text at the wrong key is no page in the error."""
    file = tmp_path / "shadow.toml"
    file.write_text(f"limits.queue = {json.dumps('x' * 5000)}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        ShadowConfig.load(file)
    assert len(str(caught.value)) < len(str(file)) + 250


def test_every_key_has_its_expectation_in_words() -> None:
    """What is expected is told for every type that a key has; "a table" is told for tables only."""
    unnamed = [
        f"{owner.__name__}.{name}"
        for owner in (NodeTable, *{model for _, model in all_models(ShadowConfig)})
        for name, field in owner.model_fields.items()
        if expectation(field) == "a table" and not [*models(field.annotation)]
    ]
    assert unnamed == []


def all_models(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        for _, inner in models(field.annotation):
            yield name, inner
            yield from all_models(inner)
