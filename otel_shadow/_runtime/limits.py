"""Limits of a node's shadow: the limiter pauses shadow runs, the overhead budget bounds what they add to V1."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock
from time import monotonic

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.rate_limit import BackOff
from otel_shadow.config import LimitsTable
from otel_shadow.record import Status

_FAILED = (Status.ERROR, Status.TIMEOUT)
_HOUR_S = 3600.0
_TOLD_ELSEWHERE = ("blocks_loop", "untried")
"""Reasons that are told with more than their name, by what finds them."""
_RATE_LIMITED = "rate_limited"
_LASTING = ("breaker", "budget", _RATE_LIMITED, *_TOLD_ELSEWHERE)
_HOLD_S = 5.0
"""Seconds for which a reason that may change with each shadow run (``rate``, ``queue``, …) is kept."""
_SHARE = 0.1
_FLOOR_S = 0.005
_CREDIT_S = 1.0


class Limiter:
    """The limiter of one node, asked off V1's path only.

    Its own reasons: ``breaker`` (consecutive errors and timeouts; after the reset time one probe runs: half-open),
    ``rate_limited`` (a service told V2 429), ``budget`` (tokens V2 spent in the last hour), ``rate`` (pairs per
    second). Reasons that concern all nodes together (``queue``, ``memory``, ``abandoned``) are found by the dispatcher
    and reported by :meth:`refused`, so that one gauge and one log line per change say why a node's shadow is paused.

    The breaker is no library's: pybreaker and purgatory wrap a call and expect its outcome in the thread that made it,
    while here another thread may report the outcome later.
    """

    def __init__(self, node: str, limits: LimitsTable, clock: Callable[[], float] = monotonic) -> None:
        self._node = node
        self._limits = limits
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False
        self._back_off = BackOff(clock)
        self._tokens: deque[tuple[float, int]] = deque()
        self._spent = 0
        self._allowance = 1.0
        self._refilled_at = clock()
        self._paused: str | None = None
        self._held_until = 0.0
        on_fork(self._after_fork)

    @property
    def reason(self) -> str | None:
        """The reason for the pause; None while shadow runs start."""
        reason = self._paused
        if reason is not None and reason not in _LASTING and self._clock() >= self._held_until:
            return None
        return reason

    def refuse(self) -> str | None:
        """Return the reason to shed the next shadow run; None counts it as run."""
        with self._lock:
            reason = self._reason()
            self._settle(reason)
        return reason

    def refused(self, reason: str) -> None:
        """Note that a shadow run of this node was shed for ``reason``."""
        with self._lock:
            self._settle(reason)

    def finished(self, status: Status, tokens: int, rate_limited: bool = False) -> None:
        """Count the outcome of a shadow run and the ``tokens`` that it spent.

        One that was told 429 is no failure for the breaker: it pauses the node by itself.
        """
        with self._lock:
            self._spend(tokens)
            self._probing = False
            if self._back_off.finished(status, rate_limited):
                self._settle(_RATE_LIMITED)
            if status is Status.SUCCESS:
                self._failures, self._opened_at = 0, None
            elif not rate_limited and status in _FAILED:
                self._failures += 1
                if self._failures >= self._limits.breaker_failures:
                    self._opened_at = self._clock()

    def spent(self, tokens: int) -> None:
        """Count ``tokens`` of a shadow run that had been given up and spent more."""
        with self._lock:
            self._spend(tokens)

    # --- inside, under the lock --------------------------------------------------------------------------------------

    def _settle(self, reason: str | None) -> None:
        """Keep ``reason`` as the state, and log the state where it changed."""
        now = self._clock()
        before = self._paused
        if reason is None:
            if before in _LASTING or now >= self._held_until:
                self._paused = None
        elif reason in _LASTING:
            self._paused = reason
        elif not (before == _RATE_LIMITED and self._back_off.paused):  # that pause is told once
            held = before is not None and before not in _LASTING and now < self._held_until
            self._paused = before if held else reason
            self._held_until = now + _HOLD_S
        if self._paused != before and not {self._paused, before} & {*_TOLD_ELSEWHERE}:
            state = f"paused ({self._paused.replace('_', ' ')})" if self._paused else "running again"
            say(logging.WARNING, "shadow %r: %s", self._node, state)

    def _reason(self) -> str | None:
        if self._over_budget():
            return "budget"
        if self._too_fast():
            return "rate"
        if self._back_off.paused:
            return _RATE_LIMITED
        if self._broken():
            return "breaker"
        self._back_off.started()
        self._allowance -= 1.0
        return None

    def _broken(self) -> bool:
        if self._opened_at is None:
            return False
        if self._probing or self._clock() - self._opened_at < self._limits.breaker_reset_seconds:
            return True
        self._probing = True
        return False

    def _spend(self, tokens: int) -> None:
        if tokens:
            self._tokens.append((self._clock(), tokens))
            self._spent += tokens

    def _over_budget(self) -> bool:
        budget = self._limits.tokens_per_hour
        while self._tokens and self._tokens[0][0] < self._clock() - _HOUR_S:
            self._spent -= self._tokens.popleft()[1]
        return budget is not None and self._spent >= budget

    def _too_fast(self) -> bool:
        """Fill a token bucket at the rate (it holds a second's worth, at least one), and return whether it is empty."""
        rate = self._limits.pairs_per_second
        if rate is None:
            self._allowance = 1.0
            return False
        now = self._clock()
        self._allowance = min(max(rate, 1.0), self._allowance + (now - self._refilled_at) * rate)
        self._refilled_at = now
        return self._allowance < 1.0

    def _after_fork(self) -> None:
        """Start anew in a child: the lock may be held by a thread that stayed with the parent, and so did the probe."""
        self._lock = Lock()
        self._probing = self._back_off.probing = False


class OverheadBudget:
    """The seconds that shadowing may add to a node's executions, and what of them is spent.

    Each execution earns five milliseconds or a tenth of V1's own time, whichever is more, up to a credit of one second;
    the processor time that shadowing took in V1's thread is taken from it, and the time for which a state's own code
    blocked. While the budget is overdrawn no snapshot is taken: a state of hundreds of megabytes, or one that is copied
    slowly and in vain, costs a user something now and then, and all users together no more than that share.

    There is no lock, for V1's path uses it: of two threads at once one may lose its entry.
    """

    __slots__ = ("_balance_s",)

    def __init__(self) -> None:
        self._balance_s = _CREDIT_S

    @property
    def overdrawn(self) -> bool:
        """Whether there is to be no snapshot now."""
        return self._balance_s < 0.0

    @property
    def left_s(self) -> float:
        """Seconds that one snapshot may take."""
        return self._balance_s + _FLOOR_S

    def settle(self, added_s: float, v1_s: float) -> None:
        """Add one execution: the seconds that shadowing added, and those that V1 took by itself."""
        self._balance_s = min(_CREDIT_S, self._balance_s + max(_FLOOR_S, _SHARE * v1_s) - added_s)
