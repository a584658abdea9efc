"""Slots of time, as evidence sees them: which block an execution belongs to, and whether its time counts."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.slots import holdout_place, slots_per_block
from otel_shadow.verdict.dense_codes import dense

_LONGEST: Final = 1e12
_WASHOUT: Final = 6
"""An execution counts in no latency in the first sixth of a holdout slot, and of the slot after it."""


def block_numbers(times: NDArray[np.int64], holdout: float, slot_seconds: float) -> NDArray[np.int64]:
    """Return the number, from the epoch, of each execution's block.

    Arguments:
        times: ms since 1970.
        holdout: share of the time, one over the slots of a block.
        slot_seconds: length of a slot.
    """
    return np.asarray(times // (_slots(holdout) * slot_length(slot_seconds)), np.int64)


def washouts(times: NDArray[np.int64], service: str, holdout: float, slot_seconds: float) -> NDArray[np.bool_]:
    """Return whether each execution began so soon after a holdout slot's beginning or end that its time counts nowhere.

    Arguments:
        times: ms since 1970.
        service: name of the service, by which the slots are drawn.
        holdout: share of the time.
        slot_seconds: length of a slot.
    """
    slots, length = _slots(holdout), slot_length(slot_seconds)
    if slots < 2 or not len(times):
        return np.zeros(len(times), bool)
    slot, since = np.divmod(times, length)
    near = since * _WASHOUT < length
    found = np.zeros(len(times), bool)
    found[near] = _held(slot[near], service, slots) | _held(slot[near] - 1, service, slots)
    return found


def held_out(times: NDArray[np.int64], service: str, holdout: float, slot_seconds: float) -> NDArray[np.bool_]:
    """Return whether each execution began in a holdout slot; the arguments are those of :func:`washouts`."""
    slots = _slots(holdout)
    if slots < 2 or not len(times):
        return np.zeros(len(times), bool)
    return _held(times // slot_length(slot_seconds), service, slots)


def _held(slot: NDArray[np.int64], service: str, slots: int) -> NDArray[np.bool_]:
    block, place = np.divmod(slot, slots)
    which, blocks = dense(block)
    drawn = np.array([_drawn(service, one, slots) for one in blocks.tolist()], np.int64)
    return np.asarray(drawn[which] == place, np.bool_)


@lru_cache(maxsize=1 << 15)
def _drawn(service: str, block: int, slots: int) -> int:
    """Return the place of a block's holdout slot; kept, because parts of the evidence hold the same blocks."""
    return holdout_place(service, block, slots)


def _slots(holdout: float) -> int:
    return max(slots_per_block(holdout), 1)


def slot_length(slot_seconds: float) -> int:
    """Return the length of a slot in ms, whatever a line says: at least one, at most some years."""
    return round(min(max(slot_seconds * 1000.0, 1.0), _LONGEST))
