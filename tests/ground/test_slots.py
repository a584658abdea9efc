"""Slots of time: which are held out is the same for everybody who asks, and one of each block is."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_shadow.slots import holdout_place, is_washout, slot_at, slots_per_block, whole_share

TIMES = st.floats(0, 4e9)
"""From 1970 into the 22nd century."""


@pytest.mark.parametrize(
    ("holdout", "slots"),
    [
        (0.0, 0), (1.0, 1), (0.5, 2), (1 / 3, 3), (0.33, 3), (0.333, 3), (0.3, 3), (0.25, 4), (0.2, 5), (0.15, 7),
        (0.1, 10), (0.01, 100), (0.4, 2), (0.7, 2), (0.99, 2), (1e-9, 10_000), (5e-324, 10_000),
    ],
)  # fmt: skip
def test_a_share_is_taken_as_one_slot_of_a_whole_number(holdout: float, slots: int) -> None:
    """The nearest whole number of slots; only a share of 1 leaves none for shadows."""
    assert slots_per_block(holdout) == slots
    assert whole_share(holdout) == (1 / slots if slots else 0.0)


@given(st.text(max_size=20), TIMES, st.integers(1, 86_400), st.integers(1, 50))
def test_one_slot_of_each_block_is_held_out(service: str, epoch: float, length: int, slots: int) -> None:
    """Neither none of a block's slots nor two, whatever the service is called."""
    first = slot_at(epoch, service, length, 1 / slots)
    begins = first.start - first.place * length
    held = [slot_at(begins + place * length, service, length, 1 / slots) for place in range(slots)]
    assert [slot.place for slot in held] == list(range(slots))
    assert {slot.block for slot in held} == {first.block}
    assert sum(slot.is_holdout for slot in held) == 1
    assert first.start <= epoch < first.start + length


def test_the_holdout_slot_can_be_worked_out_by_anybody() -> None:
    """What the docstring says is all: no key, no build; the next release draws the same slots."""
    drawn = [holdout_place("enrolment", block, 3) for block in range(9_600_000, 9_600_012)]
    assert drawn == [0, 1, 0, 2, 2, 2, 2, 1, 0, 1, 2, 0]
    digest = blake2b(b"9600000\nenrolment", digest_size=8, person=b"otel-shadow-slot").digest()
    assert int.from_bytes(digest, "big") % 3 == drawn[0]


def test_every_process_draws_the_same_slots() -> None:
    """Another interpreter with another hash seed agrees, also on a name that is no valid unicode."""
    code = (
        "import json; from otel_shadow.slots import slot_at;"
        "names = ('a', 'é', chr(0xd800));"
        "print(json.dumps([slot_at(1.7e9 + 60 * n, name, 60, 0.1) for n in range(50) for name in names]))"
    )
    seen = [
        json.loads(subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True,
                                  capture_output=True, text=True).stdout)
        for seed in ("1", "2")
    ]  # fmt: skip
    names = ("a", "é", chr(0xD800))
    assert seen == [[list(slot_at(1.7e9 + 60 * n, name, 60, 0.1)) for n in range(50) for name in names]] * 2


def test_services_are_held_out_at_times_of_their_own() -> None:
    """Of 30,000 blocks each place has its share, and two services agree in a third of them."""
    ours, theirs = ([holdout_place(name, block, 3) for block in range(30_000)] for name in ("ours", "theirs"))
    assert [ours.count(place) / 30_000 for place in range(3)] == pytest.approx([1 / 3] * 3, abs=0.012)
    assert sum(map(int.__eq__, ours, theirs)) / 30_000 == pytest.approx(1 / 3, abs=0.012)


def test_the_first_sixth_of_a_holdout_slot_and_of_the_next_is_washed_out() -> None:
    """There shadows of before still run, or those of now are not all there yet; nowhere else."""
    starts = [1_700_000_100 + 60 * number for number in range(60)]
    assert slot_at(starts[0], "s", 60, 1 / 3).start == starts[0]
    held = [slot_at(start, "s", 60, 1 / 3).is_holdout for start in starts]
    assert sum(held) == 20
    for before, now, start in zip(held, held[1:], starts[1:], strict=False):
        washed = [is_washout(start + second, "s", 60, 1 / 3) for second in (0, 5, 9.999, 10, 30, 59.999)]
        assert washed == ([True] * 3 if before or now else [False] * 3) + [False] * 3


def test_without_a_holdout_nothing_is_held_out_or_washed_out() -> None:
    """A share of 0 is none."""
    assert not any(slot_at(second, "s", 60, 0).is_holdout or is_washout(second, "s", 60, 0) for second in range(600))
