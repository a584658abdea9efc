"""Checks of the arms: the holdout's share, the length of its slots, and the clock that they go by."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import NamedTuple

from otel_shadow._doctor.findings import Finding, note, ok, problem
from otel_shadow._telemetry.service_name import UNKNOWN, service_name
from otel_shadow.config import ArmsTable, ShadowConfig
from otel_shadow.errors import ConfigError
from otel_shadow.flags import FeatureFlags
from otel_shadow.slots import slots_per_block

LIMITS_IN_A_SLOT = 12
"""A slot is at least so many times as long as the longest time limit: what began before it is over in a sixth of it."""
CLOCK_SHARE = 1 / 6
"""Share of a slot by which a clock may be off: further than that, it reaches beyond what is left out at its ends."""
_UNSYNCHRONISED, _ERROR = 0x40, 5
"""``STA_UNSYNC`` and ``TIME_ERROR`` of ``adjtimex(2)``."""
_ALIKE = 0.011
"""Relative difference within which a share is what was written: 0.33 is a third."""


def check_arms(config: ShadowConfig | None) -> Iterator[Finding]:
    """Yield how the holdout is drawn, and what of it would make the latency's evidence worthless."""
    config = config or ShadowConfig()
    arms, flags = config.arms, _flags(config)
    if flags is None or arms.holdout_instance or not flags.holdout(arms):
        return
    yield _share(arms, arms.holdout if flags.router_v2_holdout is None else flags.router_v2_holdout)
    longest = max([flags.v2_timeout_ms, *_own_limits(config, flags)])
    yield from _length(arms, longest, "arms")
    yield check_clock(arms.slot_seconds)


def check_limit(config: ShadowConfig, limit_ms: float, node: str) -> Iterator[Finding]:
    """Yield a problem where the time limit that a decorator gives ``node`` is too long for the slots."""
    flags = _flags(config)
    outranked = config.flags.timeout_ms is not None or (node in config.nodes and config.nodes[node].timeout_ms)
    if flags is not None and not flags.timeout_is_explicit and not outranked and flags.holdout(config.arms):
        yield from _length(config.arms, limit_ms, f"nodes.{node}")


def _flags(config: ShadowConfig) -> FeatureFlags | None:
    try:
        return FeatureFlags.resolve(config.flags)
    except ConfigError:  # told already
        return None


def _own_limits(config: ShadowConfig, flags: FeatureFlags) -> list[int]:
    if flags.timeout_is_explicit:
        return []
    return [table.timeout_ms for table in config.nodes.values() if table.timeout_ms is not None]


def _share(arms: ArmsTable, written: float) -> Finding:
    slots, service = slots_per_block(written), service_name()()
    if slots == 1:
        return problem("arms", "holdout 1: no shadow starts at any time", "set [arms] holdout = 0.333")
    told = f"one slot of {arms.slot_seconds} s in {slots} starts no shadow"
    if abs(written * slots - 1.0) > _ALIKE:
        return note("arms", f"holdout {written:g} is no part of a whole number: {told}", f"write {1 / slots:.3g}")
    if service == UNKNOWN:
        text = f"{told}, and the environment names no service: all without a name have the same slots"
        return note("arms", text, "set OTEL_SERVICE_NAME, unless the tracer provider's resource has a service.name")
    return ok("arms", f"{told}, of service {service!r}")


def _length(arms: ArmsTable, limit_ms: float, subject: str) -> Iterator[Finding]:
    needed = -(-limit_ms * LIMITS_IN_A_SLOT // 1000)
    if arms.slot_seconds < needed:
        text = (
            f"a slot of {arms.slot_seconds} s is less than {LIMITS_IN_A_SLOT} times the time limit of {limit_ms:g} ms: "
            "shadows would run into the holdout"
        )
        yield problem(subject, text, f"set [arms] slot_seconds = {needed:.0f}, or a shorter limit")


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex`` of Linux; the rest is room."""

    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256),
    ]  # fmt: skip


class KernelClock(NamedTuple):
    """What the kernel knows of its clock: whether it is kept in step, and by how many seconds it may be off."""

    synchronised: bool
    most_s: float


def kernel_clock() -> KernelClock | None:
    """Return what the kernel says of its clock; None where it can't be asked. Nothing is set and nothing is sent."""
    if not sys.platform.startswith("linux"):
        return None
    asked = _Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return KernelClock(state != _ERROR and not asked.status & _UNSYNCHRONISED, asked.maxerror / 1e6)


def check_clock(slot_seconds: float) -> Finding:
    """Return whether the system's clock is right to a sixth of a slot of ``slot_seconds``, as far as can be known."""
    known, allowed = kernel_clock(), slot_seconds * CLOCK_SHARE
    remedy = "keep it in step with a time server (NTP): all replicas begin and end their slots by it"
    if known is None:
        return note("clock", f"whether it is right to {allowed:g} s can't be known here", remedy)
    if not known.synchronised:
        return note("clock", "the kernel knows of nothing that keeps it in step: it may be off by any time", remedy)
    if known.most_s > allowed:
        text = f"it may be off by {known.most_s:.0f} s, more than a sixth of a slot ({allowed:g} s)"
        return problem("clock", text, remedy)
    return ok("clock", f"kept in step, right to {known.most_s:.3g} s")
