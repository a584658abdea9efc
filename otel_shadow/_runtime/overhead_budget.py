"""What shadowing may cost V1's own path, and whether it is time to pause for it."""

from __future__ import annotations

_SHARE = 0.1
_FLOOR_S = 0.005
_CREDIT_S = 1.0


class OverheadBudget:
    """What a node's users have waited for us, against what they may.

    Each execution earns five milliseconds or a tenth of V1's own time, whichever is more, up to a credit of one second;
    what shadowing added is taken from it. An account that is overdrawn means no snapshot until V1 has earned the rest:
    a state of hundreds of megabytes, or one that is copied slowly and in vain, costs a user now and then something,
    and all users together no more than that share.

    No lock: it is used on V1's path. Two threads at once may lose one entry of many.
    """

    __slots__ = ("_balance_s",)

    def __init__(self) -> None:
        self._balance_s = _CREDIT_S

    @property
    def overdrawn(self) -> bool:
        """Whether there is to be no snapshot now."""
        return self._balance_s < 0.0

    def settle(self, added_s: float, v1_s: float) -> None:
        """Enter one execution: the seconds that shadowing added, and those that V1 took by itself."""
        self._balance_s = min(_CREDIT_S, self._balance_s + max(_FLOOR_S, _SHARE * v1_s) - added_s)
