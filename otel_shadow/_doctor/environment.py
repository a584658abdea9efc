"""Checks of the flags, and of environment variables whose names are nearly those of otel-shadow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches

from otel_shadow import semconv
from otel_shadow._doctor.findings import Finding, note, ok, problem
from otel_shadow._runtime.debug_mode import DEBUG
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ConfigError
from otel_shadow.flags import FLAGS, FeatureFlags, in_environment

_OWN_PREFIXES = ("ROUTER_V2_", "OTEL_SHADOW_")
"""No other program's variables begin with these."""
_NEAR_PREFIXES = ("ROUTER", "SHADOW", "V2_")
_ALIKE, _ALIKE_BY_PREFIX = 0.85, 0.7
"""Likeness (``difflib``) from which a name is taken for a misspelt one: of any name, and of one that begins as ours."""


def check_flags(config: ShadowConfig | None) -> Iterator[Finding]:
    """Yield the flags with their origins, and each flag that does nothing as the others are set."""
    config = config or ShadowConfig()
    try:
        flags = FeatureFlags.resolve(config.flags)
    except ConfigError as error:
        yield from (problem("flags", fault, "correct its value") for fault in error.problems)
        return
    told = []
    for name, flag in FLAGS.items():
        origin = "shadow.toml" if flag.key in getattr(config, flag.table).model_fields_set else "default"
        value = flags.holdout(config.arms) if name == "router_v2_holdout" else getattr(flags, name)
        told.append(f"{name.upper()}={value} ({'environment' if in_environment(name) else origin})")
    yield ok("flags", "; ".join(told))
    yield from _without_effect(flags)


def _without_effect(flags: FeatureFlags) -> Iterator[Finding]:
    if flags.off:
        yield problem("flags", "V2 runs nowhere: neither shadow nor live", f"set {semconv.ENV_V2_SHADOW}=true")
    if flags.router_v2_percentage and not flags.router_v2_enabled:
        text = f"ROUTER_V2_PERCENTAGE={flags.router_v2_percentage:g} does nothing while V2 is not enabled"
        yield note("flags", text, "set ROUTER_V2_ENABLED=true for V2 to go live")
    if flags.router_v2_enabled and not flags.router_v2_percentage:
        text = "ROUTER_V2_ENABLED=true does nothing while ROUTER_V2_PERCENTAGE is 0"
        yield note("flags", text, "set ROUTER_V2_PERCENTAGE for V2 to go live")
    if not flags.shadow_logging:
        text = "SHADOW_LOGGING=false: no line and no log event is written, so the verdict will have no evidence"
        yield note("flags", text, "set SHADOW_LOGGING=true")


def check_variables() -> Iterator[Finding]:
    """Yield a note for each variable that looks like one of otel-shadow's and is none, and for the debug mode."""
    known = [value for name, value in vars(semconv).items() if name.startswith("ENV_")]
    known = sorted({*known, *(name.upper() for name in FLAGS)})
    flags = {name.upper() for name in FLAGS}
    if DEBUG:
        text = f"{semconv.ENV_DEBUG} is on: exceptions appear on standard error with messages, which may hold data"
        yield note("environment", text, "unset it in production")
    for name in sorted(os.environ):
        if name in known or name.upper() in flags:  # flags may be written in small letters
            continue
        ours = name.startswith((*_OWN_PREFIXES, *_NEAR_PREFIXES))
        nearest = get_close_matches(name.upper(), known, 1, _ALIKE_BY_PREFIX if ours else _ALIKE)
        if nearest:
            yield note("environment", f"{name} is no variable of otel-shadow", f"did you mean {nearest[0]}?")
        elif name.startswith(_OWN_PREFIXES):
            yield note("environment", f"{name} is no variable of otel-shadow", f"there are {', '.join(known)}")
