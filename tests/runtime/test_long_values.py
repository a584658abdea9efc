"""A text or integer that is larger than a snapshot may be is refused before it is copied, wherever it is."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage

from otel_shadow._runtime.snapshot import TooLargeError, take
from otel_shadow._runtime.snapshot.long_values import lookout

MEBIBYTE = 2**20
BOUND = 2 * MEBIBYTE


@dataclass
class Page:
    """A page of a document."""

    text: Any


PLACES = {
    "a field": lambda it: {"it": it},
    "a field of a field": lambda it: {"data": {"it": it}},
    "deep in lists": lambda it: {"data": [[{"it": (it,)}]]},
    "a key": lambda it: {"data": [{it: 1}]},
    "a message": lambda it: {"messages": [HumanMessage(content="hello")] * 3 + [HumanMessage(content=str(it))]},
    "a part of a message": lambda it: {"messages": [HumanMessage(content=[{"type": "text", "text": it}])]},
    "a document": lambda it: {"documents": [Document(page_content="", metadata={"it": it})]},
    "a dataclass": lambda it: ({"pages": [Page(it)]}, {"thread_id": "a"}),
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has taken no snapshot yet."""
    monkeypatch.setattr(lookout, "left", 100)


@pytest.mark.parametrize("place", list(PLACES))
def test_a_text_beyond_ascii_is_not_encoded(place: str) -> None:
    """Python would keep its code with the text, as long as V1 has it: the text's own size tells."""
    text = "é" * 4 * MEBIBYTE
    state = PLACES[place](text)
    before = sys.getsizeof(text)
    with pytest.raises(TooLargeError):
        take(state, BOUND)
    assert sys.getsizeof(text) == before


def test_an_integer_is_not_copied() -> None:
    """Pickle takes all of its bytes before it writes one."""
    number = 1 << 8 * 4 * MEBIBYTE
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            take({"data": {"it": number}}, BOUND)
        assert tracemalloc.get_traced_memory()[1] < MEBIBYTE
    finally:
        tracemalloc.stop()


def test_texts_are_looked_for_again_once_one_was_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where texts are short nobody looks; a long one that fits makes us look for those that do not."""
    monkeypatch.setattr(lookout, "left", 0)
    take({"data": {"it": "short"}}, BOUND)
    assert lookout.left == 0
    assert take({"data": {"it": "é" * (MEBIBYTE - 100)}}, BOUND).restore() == {"data": {"it": "é" * (MEBIBYTE - 100)}}
    assert lookout.left == 1000
    text = "é" * 4 * MEBIBYTE
    before = sys.getsizeof(text)
    with pytest.raises(TooLargeError):
        take({"data": {"it": text}}, BOUND)
    assert sys.getsizeof(text) == before


def test_the_whole_world_is_not_looked_through() -> None:
    """A value that leads to thousands of others costs what they cost to copy, and no more than so many looks."""
    state = {"data": [{"a": n} for n in range(50_000)], "it": Page("short")}
    assert take(state, 64 * MEBIBYTE).restore() == state
