"""Configuration, as ``shadow.toml`` holds it; every fault of a file is listed at once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from otel_shadow import semconv
from otel_shadow.errors import ConfigError
from otel_shadow.paths import compile_path
from otel_shadow.policy import Policy, TableOfNumbers
from otel_shadow.validation import Expected, sentences, shown

DEFAULT_FILE = "shadow.toml"
Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _is_path(value: str) -> str:
    try:
        compile_path(value)
    except ValueError:
        raise ValueError from None  # what is expected is said by StatePath
    return value


def _is_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(str(error)) from error
    return value


StatePath = Annotated[str, AfterValidator(_is_path), Expected("a path into the state, such as messages[-1].content")]
ImportPath = Annotated[
    str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"), Expected("module:name (such as myapp.v2:greeting)")
]
Pattern = Annotated[str, AfterValidator(_is_pattern), Expected("a regular expression")]
Percentage = Annotated[float, Field(ge=0.0, le=100.0), Expected("a number from 0 to 100, such as 10 or 0.5")]
Milliseconds = Annotated[int, Field(gt=0, le=86_400_000), Expected("a whole number of milliseconds from 1 to 86400000")]


class _Table(TableOfNumbers):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FlagsTable(_Table):
    """Values of the flags where neither OpenFeature nor the environment gives one."""

    enabled: bool | None = None
    shadow: bool | None = None
    percentage: Percentage | None = None
    timeout_ms: Milliseconds | None = None
    logging: bool | None = None


class SessionTable(_Table):
    """Where things are in the state.

    ``id`` is the session's. A run without one, or with an empty one (``null``, ``none``, ``undefined`` and ``nan`` are
    empty), is a session of its own, and live at 100 % only.

    Paths are a state key, dotted and indexed (``messages[-1].content``), or ``configurable.NAME`` for a key of the
    run's configuration. ``steps``, ``stages`` and ``intents`` declare the values that may leave the process as they
    are.
    """

    id: StatePath = "configurable.thread_id"
    message: StatePath = "messages[-1].content"
    step: StatePath | None = "current_step"
    stage: StatePath | None = None
    intent: StatePath | None = None
    steps: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()


class CompareTable(_Table):
    """What makes a pair match, besides the decision."""

    decision: bool = True
    step: bool = True
    fields: tuple[str, ...] = ()
    """Top-level state fields that must agree; ``["*"]`` is all that either version wrote."""
    ignore: tuple[str, ...] = ()
    tolerance: Mapping[str, Annotated[float, Field(ge=0.0)]] = Field(default_factory=dict)
    """Absolute numeric tolerance per field; ``"*"`` for all."""
    unordered: tuple[str, ...] = ()
    function: ImportPath | None = None
    """``module:name`` of ``(v1: Mapping, v2: Mapping) -> Iterable[str]``: the names of the fields that differ."""


class ObserveTable(_Table):
    """State fields whose numbers or declared categories join the record; text never does."""

    numbers: tuple[StatePath, ...] = ()
    categories: Mapping[StatePath, tuple[str, ...]] = Field(default_factory=dict)


class NodeTable(_Table):
    """One shadowed node."""

    v2: ImportPath | Literal["self"] | None = None
    graph: str | None = None
    """Only in graphs of this name; None is every graph."""
    live: bool = True
    sample: Share = 1.0
    """Share of sessions that are shadowed."""
    timeout_ms: Milliseconds | None = None
    executor: Literal["auto", "thread", "loop", "process"] = "auto"
    compare: CompareTable = CompareTable()
    observe: ObserveTable = ObserveTable()


class LimitsTable(_Table):
    """Bounds of what a shadow may use. When one is reached, the shadow is shed at once and counted."""

    queue: Annotated[int, Field(ge=1)] = 1000
    concurrency: Annotated[int, Field(ge=1)] = 4
    pairs_per_second: Annotated[float, Field(gt=0.0)] | None = None
    snapshot_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    """Bytes that waiting snapshots may hold together."""
    breaker_failures: Annotated[int, Field(ge=1)] = 20
    breaker_reset_seconds: Annotated[float, Field(gt=0.0)] = 30.0
    abandoned_threads: Annotated[int, Field(ge=1)] = 16
    tokens_per_hour: Annotated[int, Field(ge=1)] | None = None
    shutdown_seconds: Annotated[float, Field(gt=0.0)] = 5.0


class ProcessTable(_Table):
    """Worker processes of nodes with ``executor = "process"``."""

    workers: Annotated[int, Field(ge=1)] = 1
    init: ImportPath | None = None
    """A function without arguments that each worker calls before its first job, for instance to set up tracing."""
    idle_priority: bool = True
    """Run them at ``SCHED_IDLE`` (the lowest niceness where the system has no such class)."""
    memory_bytes: Annotated[int, Field(ge=1)] | None = None
    """Address space that a worker may use; V2 gets ``MemoryError`` beyond it."""


class ArmsTable(_Table):
    """Shares of sessions (own hashes, independent of the rollout's bucket)."""

    holdout: Share = 0.10
    holdout_instance: bool = False
    """This whole instance runs V1 without shadow."""
    noise: Share = 0.0
    """Share of sessions on which V1 runs a second time, as its own shadow."""


class ToolsTable(_Table):
    """What a shadow may call. A LangChain tool call is blocked unless it is named here."""

    allow: tuple[str, ...] = ()
    replay: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    """Blocked like all that is not named here; a record may name them. Others are ``_other`` there."""
    stateless: tuple[str, ...] = ()
    """Assistants on LangGraph servers whose runs are sent without thread and checkpoint."""

    @property
    def known(self) -> frozenset[str]:
        """Names that a record may carry."""
        named = (*self.allow, *self.replay, *self.block, *self.stateless)
        return frozenset((*named, *semconv.SERVER_WORDS.values()))


class PrivacyTable(_Table):
    """What leaves the process as it is."""

    safe_session_id: Pattern = (
        r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
        r"|(?:demo|test|session|sess|thread|conversation|conv|dialogue|user|run|id|[a-z])[_-]?[0-9]{1,5}"
    )
    """Regular expression (whole match) of session and thread ids that need no hashing.

    The default lets through UUIDs and a generic word with at most five digits (``demo_001``); a free slug could be a
    person's name and is hashed.
    """
    suppress_instrumentation: bool = False
    """Suppress LLM instrumentations inside the shadow (they record prompts by their own rules)."""


class AcceptRule(_Table):
    """A known difference, applied when evidence is read: accepted pairs leave the parity's denominator."""

    reason: Annotated[str, Field(min_length=1)]
    expires: date
    node: str | None = None
    fields: tuple[str, ...] = ()
    """Accept when the differing fields are among these (and decision and step agree, unless ``targets`` says so)."""
    targets: tuple[str, ...] = ()
    """Accept these decisions, written ``original->shadow``."""
    steps: tuple[str, ...] = ()
    """Accept these steps, written ``v1->v2``."""


class ShadowConfig(_Table):
    """Content of ``shadow.toml``."""

    v2_build: str | None = None
    flags: FlagsTable = FlagsTable()
    session: SessionTable = SessionTable()
    nodes: Mapping[str, NodeTable] = Field(default_factory=dict)
    limits: LimitsTable = LimitsTable()
    process: ProcessTable = ProcessTable()
    arms: ArmsTable = ArmsTable()
    tools: ToolsTable = ToolsTable()
    privacy: PrivacyTable = PrivacyTable()
    sla: Policy = Policy()
    accept: tuple[AcceptRule, ...] = ()

    def __init__(self, source: str = "configuration", /, **tables: Any) -> None:
        """Make a configuration of ``tables``; ``source`` names it in errors.

        Raises:
            ConfigError: as ``from_mapping``.
        """
        try:
            super().__init__(**tables)
        except ValidationError as error:
            raise ConfigError([f"{source}: {told}" for told in sentences(error, ShadowConfig)]) from None

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], source: str = "configuration") -> ShadowConfig:
        """Return the configuration in ``data``; ``source`` names it in errors.

        Raises:
            ConfigError: ``data`` is not valid; each fault is listed with its key, what was read and what is expected.
        """
        if not isinstance(data, Mapping):
            raise ConfigError([f"{source}: got {shown(data)}, expected a table"])
        return cls(source, **{str(key): table for key, table in data.items()})

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> ShadowConfig:
        """Read ``path``, else the file in ``OTEL_SHADOW_CONFIG``, else ``./shadow.toml`` if it exists, else defaults.

        Raises:
            ConfigError: a named file does not exist or can't be read, or its content is not valid.
        """
        named = named_file(path)
        file = Path(named or DEFAULT_FILE)
        if not named and not file.is_file():
            return cls()
        return cls.from_mapping(_read_toml(file), str(file))

    @property
    def digest(self) -> str:
        """Return 12 hex digits that change with the tables that change pairs: nodes, session and tools.

        The SLA, accept rules, limits and flags are left out, so that approving a known difference or moving a bound
        starts no new window. Defaults are left out too, so that a new key of a later version starts none.
        """
        pairs = self.model_dump(mode="json", include={"nodes", "session", "tools"}, exclude_defaults=True)
        for node in pairs.get("nodes", {}).values():
            for key in ("live", "sample"):
                node.pop(key, None)
        return hashlib.sha256(json.dumps(pairs, sort_keys=True).encode()).hexdigest()[:12]


def named_file(path: str | os.PathLike[str] | None = None) -> str | os.PathLike[str]:
    """Return the configuration's file as it is named, by ``path`` or the environment; empty where neither names one."""
    return path or os.environ.get(semconv.ENV_CONFIG, "").strip()


def read_flags(path: str | os.PathLike[str]) -> FlagsTable:
    """Return ``[flags]`` of the TOML file at ``path``, whose other tables are not read.

    Raises:
        ConfigError: the file can't be read, or the table is not valid.
    """
    return ShadowConfig.from_mapping({"flags": _read_toml(Path(path)).get("flags", {})}, str(path)).flags


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError([f"{file}: no such file; create it, or unset {semconv.ENV_CONFIG}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: can't be read as UTF-8 text ({type(error).__name__})"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{file}: not valid TOML: {error}"]) from None
