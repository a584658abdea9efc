"""Slots of time: the holdout, in which no shadow starts, is one slot of each block, the same in every process.

Time is cut into blocks of M slots of L seconds, numbered from the epoch. A keyless hash of the service's name and the
block's number draws the block's holdout slot, so that all replicas and all builds of a service agree, and whoever reads
the log lines can work it out again. An execution belongs to the slot that V1 starts in.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

_MOST = 10_000
"""Slots of a block: at a minute each, a week."""


class TimeSlot(NamedTuple):
    """A slot of time.

    Arguments:
        block: number of its block, from the epoch.
        place: its place in the block, from 0.
        start: epoch seconds at which it begins.
        is_holdout: whether no shadow starts in it.
    """

    block: int
    place: int
    start: float
    is_holdout: bool


def slots_per_block(holdout: float) -> int:
    """Return M, the whole number of slots whose M-th part is nearest to the share ``holdout``; 0 without a holdout.

    A share below 1 leaves a slot for shadows: M is at least 2 then.
    """
    if holdout <= 0.0:
        return 0
    return 1 if holdout >= 1.0 else max(round(min(1.0 / holdout, _MOST)), 2)


def whole_share(holdout: float) -> float:
    """Return the share of time that ``holdout`` is taken as: 1/M, or 0."""
    slots = slots_per_block(holdout)
    return 1.0 / slots if slots else 0.0


def holdout_place(service: str, block: int, slots: int) -> int:
    """Return the place of the holdout slot in a block: the BLAKE2b digest (RFC 7693) of service and block, modulo M.

    The digest has 8 bytes, the personalisation ``otel-shadow-slot`` and no key; hashed is the UTF-8 text of the block's
    number, a line feed and the service's name, and the digest is read as a big-endian integer.

    Arguments:
        service: ``service.name``.
        block: the block's number, from the epoch.
        slots: M, the slots of a block.
    """
    text = f"{block}\n{service}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8, person=b"otel-shadow-slot").digest()) % slots


def slot_at(epoch_s: float, service: str, slot_seconds: float, holdout: float) -> TimeSlot:
    """Return the slot that ``epoch_s`` lies in.

    Arguments:
        epoch_s: wall-clock time in seconds since the epoch.
        service: ``service.name``.
        slot_seconds: L, the length of a slot in seconds.
        holdout: share of the time in which no shadow starts; 0 is none.
    """
    slots, number = slots_per_block(holdout), int(epoch_s // slot_seconds)
    block, place = divmod(number, slots or 1)
    is_holdout = slots > 0 and place == holdout_place(service, block, slots)
    return TimeSlot(block, place, number * slot_seconds, is_holdout)


def is_washout(epoch_s: float, service: str, slot_seconds: float, holdout: float) -> bool:
    """Return whether ``epoch_s`` is so near after the beginning or end of a holdout slot that it counts in no latency.

    That is the first sixth of the holdout slot and of the slot behind it: shadows that started before may still run,
    and those that start again are not all there yet. Arguments as of :func:`slot_at`.
    """
    slot = slot_at(epoch_s, service, slot_seconds, holdout)
    if epoch_s - slot.start >= slot_seconds / 6.0:
        return False
    return slot.is_holdout or slot_at(slot.start - slot_seconds / 2.0, service, slot_seconds, holdout).is_holdout
