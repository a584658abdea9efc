"""The holdout as V1's path asks for it: whether this moment lies in a slot without shadows."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from otel_shadow.config import ArmsTable
from otel_shadow.flags import FeatureFlags, FlagSource
from otel_shadow.slots import slot_at


class HoldoutClock:
    """What says whether a moment is held out. It hashes once a slot, and keeps the answer until the slot ends.

    There is no lock, for V1's path asks: of two threads at once both may work the same answer out.

    Arguments:
        arms: ``[arms]`` of the configuration.
        service: gives ``service.name``, asked for once.
    """

    __slots__ = ("_arms", "_known", "_name", "_service")

    def __init__(self, arms: ArmsTable, service: Callable[[], str]) -> None:
        self._arms = arms
        self._service = service
        self._name: str | None = None
        self._known: tuple[FeatureFlags | None, float, float, bool] = (None, inf, -inf, False)

    @property
    def service(self) -> str:
        """``service.name`` as it was when it was first needed: the slots stay the same while the process runs."""
        if self._name is None:
            self._name = self._service()
        return self._name

    def holds(self, flags: FeatureFlags, epoch_s: float) -> bool:
        """Return whether no shadow starts at ``epoch_s``, under ``flags``."""
        known = self._known
        if known[0] is flags and known[1] <= epoch_s < known[2]:
            return known[3]
        return self._work_out(flags, epoch_s)

    def has_slots(self, flags: FeatureFlags) -> bool:
        """Return whether there are slots of both kinds, so that it matters what time it is."""
        return 0.0 < flags.holdout(self._arms) < 1.0 and not self._arms.holdout_instance

    def is_quiet(self, flags: FeatureFlags, epoch_s: float) -> bool:
        """Return whether shadow runs that wait at ``epoch_s`` are to wait for the end of the holdout slot.

        They may begin in the first twelfth of it, as those of V1s that have just ended do: within twelve time limits
        they are over in the next twelfth, and what follows is free of shadows, whatever waits.
        """
        begun_s, length = epoch_s % self._arms.slot_seconds, self._arms.slot_seconds
        return begun_s >= length / 12.0 and self.has_slots(flags) and self.holds(flags, epoch_s)

    def quiet_by(self, source: FlagSource, clock: Callable[[], float]) -> Callable[[], bool]:
        """Return what answers :meth:`is_quiet` under the flags of ``source``, by ``clock`` (epoch seconds)."""
        return lambda: self.is_quiet(source.current, clock())

    def _work_out(self, flags: FeatureFlags, epoch_s: float) -> bool:
        share, length = flags.holdout(self._arms), self._arms.slot_seconds
        start, end, held = -inf, inf, self._arms.holdout_instance
        if share and not held:
            slot = slot_at(epoch_s, self.service, length, share)
            start, end, held = slot.start, slot.start + length, slot.is_holdout
        self._known = flags, start, end, held
        return held
