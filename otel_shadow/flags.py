"""Feature flags: six environment variables, and the architecture mode they give a session."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from otel_shadow.cached import cached
from otel_shadow.cohorts import cohorts, is_id
from otel_shadow.config import ArmsTable, FlagsTable, Milliseconds, Percentage, Share, read_flags
from otel_shadow.errors import ConfigError
from otel_shadow.policy import TableOfNumbers
from otel_shadow.record import Mode
from otel_shadow.slots import whole_share
from otel_shadow.validation import sentences

_EVERYBODY = 100.0


class Flag(NamedTuple):
    """A flag: its key and table in ``shadow.toml``, and its type as OpenFeature names it."""

    key: str
    kind: str
    table: str = "flags"


FLAGS = {
    "router_v2_enabled": Flag("enabled", "boolean"),
    "router_v2_shadow": Flag("shadow", "boolean"),
    "router_v2_percentage": Flag("percentage", "float"),
    "v2_timeout_ms": Flag("timeout_ms", "integer"),
    "shadow_logging": Flag("logging", "boolean"),
    "router_v2_holdout": Flag("holdout", "float", "arms"),
}
"""The six flags, by the names of the fields of :class:`FeatureFlags`."""


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
        router_v2_holdout: share of the time in which no shadow starts (``ROUTER_V2_HOLDOUT``).

    Raises:
        ConfigError: it lists every bad variable, what was read and what is expected.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_ignore_empty=True,
                                      case_sensitive=False, allow_inf_nan=False, ignored_types=(cached,))  # fmt: skip

    router_v2_enabled: bool = False
    """V2 may answer live traffic."""
    router_v2_shadow: bool = True
    """V2 runs in shadow."""
    router_v2_percentage: Percentage = 0.0
    """Percentage of sessions that V2 answers live; decimals are allowed."""
    v2_timeout_ms: Milliseconds = 5000
    """V2's time limit, shadow and live, in milliseconds."""
    shadow_logging: bool = True
    """Log lines are written."""
    router_v2_holdout: Share | None = None
    """Share of the time in which no shadow starts, in place of `[arms] holdout`."""

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
            raise ConfigError(_told(error)) from None

    @classmethod
    def resolve(cls, table: FlagsTable | None = None, arguments: Mapping[str, Any] | None = None) -> FeatureFlags:
        """Make flags by precedence: environment, ``[flags]`` of ``shadow.toml``, decorator arguments, defaults.

        Raises:
            ConfigError: as the constructor.
        """
        by_key = {flag.key: name for name, flag in FLAGS.items() if flag.table == "flags"}
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

    @cached
    def off(self) -> bool:
        """Whether no session at all runs V2."""
        return not self.router_v2_shadow and not (self.router_v2_enabled and self.router_v2_percentage > 0)

    def architecture_mode(self, session_id: str) -> Mode:
        """Return a session's mode: live if enabled and its bucket is under the percentage, else shadow, else V1.

        An empty id is none: see :meth:`mode_of_bucket`.
        """
        return self.mode_of_bucket(cohorts(session_id).rollout if is_id(session_id) else None)

    def holdout(self, arms: ArmsTable) -> float:
        """Return the share of time in which no shadow starts: 0, or one M-th for a whole M. ``arms`` is ``[arms]``."""
        return whole_share(arms.holdout if self.router_v2_holdout is None else self.router_v2_holdout)

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


def _told(error: ValidationError) -> list[str]:
    """Return one sentence per bad flag, by the names of the environment variables."""
    return [
        f"{name.upper()}: {told}" for name, _, told in (one.partition(": ") for one in sentences(error, FeatureFlags))
    ]
