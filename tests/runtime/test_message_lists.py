"""Lists of models are captured as columns; what comes back is the same graph of objects."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from pydantic import BaseModel, ConfigDict, PrivateAttr

from otel_shadow._runtime.snapshot import TooLargeError, take
from otel_shadow._runtime.snapshot.message_lists import lists_of


class Note(BaseModel):
    """A model with private and extra fields."""

    model_config = ConfigDict(extra="allow")
    text: str
    _seen: list[int] = PrivateAttr(default_factory=list)
    _unset: int = PrivateAttr()


def messages(count: int = 6) -> list[Any]:
    """A conversation with calls, results and nested contents."""
    made: list[Any] = []
    for number in range(count):
        made += [
            HumanMessage(f"question {number}", id=f"h{number}"),
            AIMessage(
                [{"type": "text", "text": "a"}], id=f"a{number}",
                tool_calls=[{"name": "t", "args": {"q": [1]}, "id": "c"}],
            ),
            ToolMessage("result", tool_call_id="c", artifact={"rows": [number]}),
        ]  # fmt: skip
    return made


def graph(value: Any) -> Any:
    """``value`` as a tree in which every object that can change has a number: equal for equal graphs of objects."""
    numbers: dict[int, int] = {}

    def walk(item: Any) -> Any:
        if isinstance(item, str | int | float | bytes | type(None)):
            return item
        if id(item) in numbers:
            return ("again", numbers[id(item)])
        numbers[id(item)] = number = len(numbers)
        kind = type(item).__qualname__
        if isinstance(item, dict):
            return (kind, number, [(key, walk(inner)) for key, inner in item.items()])
        if isinstance(item, list | tuple):
            return (kind, number, [walk(inner) for inner in item])
        if isinstance(item, set):
            return (kind, number, sorted(map(str, item)))
        if isinstance(item, BaseModel):
            state = item.__dict__, item.__pydantic_fields_set__, item.__pydantic_extra__, item.__pydantic_private__
            return (kind, number, [walk(part) for part in state])
        raise TypeError(kind)

    return walk(value)


def same_message_elsewhere() -> Any:
    """The last message is a field of its own too."""
    found = messages()
    return {"messages": found, "last": found[-1]}


def message_inside_a_message() -> Any:
    """A message refers to another one of its list."""
    found = messages()
    found[3].additional_kwargs["answers"] = found[0]
    return {"messages": found}


def list_inside_itself() -> Any:
    """A message refers to the very list it is in."""
    found = messages()
    found[0].additional_kwargs["all"] = found
    return {"messages": found}


def one_list_twice() -> Any:
    """As LangGraph has it: the input's list is the channel's own."""
    found = messages()
    return ({"messages": found, "n": 1}, {"n": 1, "messages": found, "other": found}, None)


def message_twice() -> Any:
    """One message in two lists, and twice in one."""
    found = messages()
    return {"messages": [*found, found[0]], "history": found[:4]}


def shared_containers() -> Any:
    """Two messages with the same metadata; a list of calls that the state holds as well."""
    found = messages()
    found[0].response_metadata = found[1].response_metadata
    return {"calls": found[1].tool_calls, "messages": found, "fields": found[2].__dict__}


def state_inside_itself() -> Any:
    """A field of the state is the state."""
    state: dict[str, Any] = {"messages": messages()}
    state["self"] = state
    return state


def private_and_extra() -> Any:
    """Extra fields, private ones with and without a value."""
    notes = [Note(text=str(number), more=[number]) for number in range(5)]
    notes[0]._seen.append(7)
    return {"notes": notes, "before": 1, "after": [2]}


def extra_fields() -> Any:
    """Fields that the class does not know."""
    return {"messages": [HumanMessage("x", more=[number]) for number in range(5)], "after": [2]}


def local_classes() -> Any:
    """Classes that pickle can't name."""

    class Local(BaseModel):
        x: list[int]

    return {"items": [Local(x=[number]) for number in range(5)]}


STATES: list[Callable[[], Any]] = [
    same_message_elsewhere, message_inside_a_message, list_inside_itself, one_list_twice, message_twice,
    shared_containers, state_inside_itself, private_and_extra, extra_fields, local_classes,
]  # fmt: skip


@pytest.mark.parametrize("make", STATES)
def test_the_same_objects_are_the_same_objects(make: Callable[[], Any]) -> None:
    """Values, order of keys, aliases and cycles: the graph of objects is what ``deepcopy`` makes of it."""
    state = make()
    before = graph(copy.deepcopy(state))
    snapshot = take(state)
    assert graph(state) == before, "taking it changes nothing"
    assert graph(snapshot.restore()) == before
    assert graph(snapshot.restore()) == before, "each time"


@pytest.mark.parametrize("make", [one_list_twice, message_twice, shared_containers, extra_fields, local_classes])
def test_these_take_the_short_way(make: Callable[[], Any]) -> None:
    """So that the test above is one of the short way."""
    assert take(make())._lists is not None


@pytest.mark.parametrize("make", [same_message_elsewhere, list_inside_itself, state_inside_itself, private_and_extra])
def test_these_do_not(make: Callable[[], Any]) -> None:
    """What is reached in two ways is copied in the one that sees both; private fields are looked through one by one."""
    assert take(make())._lists is None


def test_nothing_of_production_is_held() -> None:
    """A snapshot that waits keeps no message alive, and a change of one reaches no copy."""
    state = {"messages": messages(), "n": 1}
    snapshot = take(state)
    state["messages"][0].content = "changed"
    state["messages"][1].tool_calls.clear()
    state["messages"].clear()
    first = snapshot.restore()
    first["messages"][0].content = "changed by V2"
    assert snapshot.restore()["messages"][0].content == "question 0"
    assert len(snapshot.restore()["messages"][1].tool_calls) == 1
    lists = snapshot._lists
    assert lists is not None
    assert lists._rest is None
    assert not lists._lists


def test_bound_holds() -> None:
    """A pickle larger than allowed ends early on this way as well."""
    with pytest.raises(TooLargeError):
        take({"messages": messages()}, largest=500)


@pytest.mark.parametrize(
    "value",
    [
        {"messages": messages(1)},
        {"messages": [*messages(), "text"]},
        {"messages": ["a"] * 10},
        {7: messages()},
        {"messages": tuple(messages())},
        messages(),
        {},
        (),
        None,
    ],
)  # fmt: skip
def test_other_values_are_left_as_they_are(value: Any) -> None:
    """Short and mixed lists, keys that are no names: the usual way, and the same result."""
    if value != {"messages": messages(1)}:
        assert lists_of(value) is None
    assert graph(take(value).restore()) == graph(copy.deepcopy(value))


MESSAGE = st.builds(
    lambda text, extra, kind: kind(text, additional_kwargs=extra),
    st.text(max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers() | st.lists(st.integers(), max_size=2), max_size=2),
    st.sampled_from([HumanMessage, AIMessage]),
)


@st.composite
def tangles(draw: st.DrawFn) -> Any:
    """States whose lists share messages, and whose messages share and refer to things, at random."""
    pool: list[BaseMessage] = draw(st.lists(MESSAGE, min_size=2, max_size=6))
    picks = st.lists(st.sampled_from(pool), max_size=8)
    lists: list[list[BaseMessage]] = draw(st.lists(picks, min_size=1, max_size=3))
    things: list[Any] = [*pool, *lists, *(message.additional_kwargs for message in pool), "text", 1]
    thing = st.sampled_from(range(len(things)))
    for message in pool:
        if draw(st.integers(0, 3)) == 0:
            message.additional_kwargs["ref"] = things[draw(thing)]
    state = {name: things[draw(thing)] for name in draw(st.lists(st.sampled_from("abcd"), unique=True))}
    state |= {f"m{number}": found for number, found in enumerate(lists)}
    return draw(st.sampled_from([state, (state, dict(state), None)]))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(tangles())
def test_any_tangle_comes_back_as_it_was(state: Any) -> None:
    """The graph of objects is the one that ``deepcopy`` gives, whatever refers to whatever."""
    assert graph(take(state).restore()) == graph(copy.deepcopy(state))
