"""One object decides whether a node's shadow is running or paused, and why."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock
from time import monotonic

from otel_shadow.config import LimitsTable
from otel_shadow.record import Status

logger = logging.getLogger("otel_shadow")

_FAILED = (Status.ERROR, Status.TIMEOUT)
_HOUR_S = 3600.0


class Limiter:
    """The limiter of one node.

    Its reasons: ``breaker`` (consecutive errors and timeouts; after the reset time one probe runs: half-open),
    ``budget`` (tokens V2 spent in the last hour), ``rate`` (pairs per second). What concerns all nodes together
    (``queue``, ``memory``, ``abandoned``) is the runner's to say. It is asked off V1's path only.

    Arguments:
        node: for the log line per change.
        limits: the bounds.
        clock: monotonic seconds.
    """

    def __init__(self, node: str, limits: LimitsTable, clock: Callable[[], float] = monotonic) -> None:
        self._node = node
        self._limits = limits
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False
        self._tokens: deque[tuple[float, int]] = deque()
        self._allowance = 1.0
        self._refilled_at = clock()
        self.reason: str | None = None
        """Why it is paused; None while it runs."""

    def refuse(self) -> str | None:
        """The reason to shed the next shadow, or None to run it (which takes it into account)."""
        with self._lock:
            reason = self._reason()
            changed = reason != self.reason and "rate" not in (reason, self.reason)
            self.reason = reason
        if changed:
            logger.warning("shadow %r: %s", self._node, f"paused ({reason})" if reason else "running again")
        return reason

    def finished(self, status: Status, tokens: int) -> None:
        """Take the outcome of a shadow into account."""
        with self._lock:
            now = self._clock()
            if tokens:
                self._tokens.append((now, tokens))
            self._probing = False
            if status is Status.SUCCESS:
                self._failures, self._opened_at = 0, None
            elif status in _FAILED:
                self._failures += 1
                if self._failures >= self._limits.breaker_failures:
                    self._opened_at = now

    def _reason(self) -> str | None:
        if self._over_budget():
            return "budget"
        if self._broken():
            return "breaker"
        return "rate" if self._too_fast() else None

    def _broken(self) -> bool:
        if self._opened_at is None:
            return False
        if self._probing or self._clock() - self._opened_at < self._limits.breaker_reset_seconds:
            return True
        self._probing = True
        return False

    def _over_budget(self) -> bool:
        budget = self._limits.tokens_per_hour
        if budget is None:
            return False
        while self._tokens and self._tokens[0][0] < self._clock() - _HOUR_S:
            self._tokens.popleft()
        return sum(tokens for _, tokens in self._tokens) >= budget

    def _too_fast(self) -> bool:
        rate = self._limits.pairs_per_second
        if rate is None:
            return False
        now = self._clock()
        self._allowance = min(max(rate, 1.0), self._allowance + (now - self._refilled_at) * rate)
        self._refilled_at = now
        if self._allowance < 1.0:
            return True
        self._allowance -= 1.0
        return False
