"""Feature flags: the five environment variables, and the architecture mode they give a session."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from otel_shadow.cohorts import cohorts, is_id
from otel_shadow.config import FlagsTable, read_flags
from otel_shadow.errors import ConfigError
from otel_shadow.policy import TableOfNumbers
from otel_shadow.record import Mode

_EVERYBODY = 100.0


class Flag(NamedTuple):
    """A flag: its key in ``[flags]``, its type as OpenFeature names it, and what its value is expected to be."""

    key: str
    kind: str
    expected: str


FLAGS = {
    "router_v2_enabled": Flag("enabled", "boolean", "true or false"),
    "router_v2_shadow": Flag("shadow", "boolean", "true or false"),
    "router_v2_percentage": Flag("percentage", "float", "a number from 0 to 100, such as 10 or 0.5"),
    "v2_timeout_ms": Flag("timeout_ms", "integer", "a whole number of milliseconds above 0"),
    "shadow_logging": Flag("logging", "boolean", "true or false"),
}
"""The five flags, by the names of the fields of :class:`FeatureFlags`."""


class FlagSource(Protocol):
    """Source of the flags of this moment. ``current`` does no I/O: it is read on V1's path."""

    @property
    def current(self) -> FeatureFlags:
        """The flags as they are now."""


class FeatureFlags(BaseSettings, TableOfNumbers):
    """The flags, read from the environment when constructed; keyword arguments outrank it.

    Arguments:
        router_v2_enabled: V2 may serve live traffic (``ROUTER_V2_ENABLED``).
        router_v2_shadow: V2 runs in shadow (``ROUTER_V2_SHADOW``).
        router_v2_percentage: share of sessions served by V2 live, 0 to 100 (``ROUTER_V2_PERCENTAGE``).
        v2_timeout_ms: V2's time limit, shadow and live, in milliseconds (``V2_TIMEOUT_MS``).
        shadow_logging: write log lines (``SHADOW_LOGGING``).

    Raises:
        ConfigError: it lists every bad variable, what was read and what is expected.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_ignore_empty=True, case_sensitive=False)

    router_v2_enabled: bool = False
    router_v2_shadow: bool = True
    router_v2_percentage: Annotated[float, Field(ge=0.0, le=100.0, allow_inf_nan=False)] = 0.0
    v2_timeout_ms: Annotated[int, Field(gt=0, le=86_400_000)] = 5000
    shadow_logging: bool = True

    timeout_is_explicit: bool = Field(default=False, exclude=True, repr=False)
    """Whether the time limit comes from the environment or OpenFeature: then it outranks ``nodes.X.timeout_ms``."""

    @field_validator("*", mode="before")
    @classmethod
    def _stripped(cls, value: Any, info: ValidationInfo) -> Any:
        """Take the blanks away that files of variables leave (a carriage return, say); blanks alone are no value."""
        if not isinstance(value, str) or info.field_name is None:
            return value
        return value.strip() or cls.model_fields[info.field_name].default

    def __init__(self, **values: Any) -> None:
        values.setdefault("timeout_is_explicit", in_environment("v2_timeout_ms"))
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError([_sentence(fault) for fault in error.errors()]) from None

    @classmethod
    def resolve(cls, table: FlagsTable | None = None, arguments: Mapping[str, Any] | None = None) -> FeatureFlags:
        """Make flags by precedence: environment, ``[flags]`` of ``shadow.toml``, decorator arguments, defaults.

        Raises:
            ConfigError: as the constructor.
        """
        by_key = {flag.key: name for name, flag in FLAGS.items()}
        values: dict[str, Any] = {}
        for given in (arguments or {}, table.model_dump(exclude_none=True) if table else {}):
            values |= {by_key.get(name, name): value for name, value in given.items()}
        return cls(**{name: value for name, value in values.items() if not in_environment(name)})

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> FeatureFlags:
        """Read ``[flags]`` of a TOML file, such as ``otel-shadow calibrate`` writes; the environment outranks it.

        Raises:
            ConfigError: the file can't be read, or a flag is wrong.
        """
        return cls.resolve(read_flags(path))

    @property
    def current(self) -> FeatureFlags:
        """These flags: the environment's don't change while the process runs."""
        return self

    @cached_property
    def off(self) -> bool:
        """Whether no session at all runs V2."""
        return not self.router_v2_shadow and not (self.router_v2_enabled and self.router_v2_percentage > 0)

    def architecture_mode(self, session_id: str) -> Mode:
        """Return a session's mode: live if enabled and its bucket is under the percentage, else shadow, else V1.

        An empty id is none: see :meth:`mode_of_bucket`.
        """
        return self.mode_of_bucket(cohorts(session_id).rollout if is_id(session_id) else None)

    def mode_of_bucket(self, bucket: float | None) -> Mode:
        """Return the mode of a session by its rollout bucket in [0, 1).

        None stands for a run without a session id. It is live at 100 % only: below that, the turns of one conversation
        would be answered by V1 and V2 in turn.
        """
        share = self.router_v2_percentage
        if self.router_v2_enabled and (share >= _EVERYBODY if bucket is None else bucket * 100.0 < share):
            return Mode.V2_LIVE
        return Mode.V2_SHADOW if self.router_v2_shadow else Mode.V1_ONLY


def in_environment(name: str) -> bool:
    """Return whether flag ``name`` is set (and not empty) in the environment."""
    return any(key.lower() == name and value.strip() for key, value in os.environ.items())


def _sentence(fault: Any) -> str:
    name = str(fault["loc"][0])
    expected = FLAGS[name].expected if name in FLAGS else f"one of {', '.join(sorted(FLAGS))}"
    return f"{name.upper()}: got {fault['input']!r}, expected {expected}"
