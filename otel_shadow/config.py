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
Domain = Annotated[
    str, Field(pattern=r"^\.?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"), Expected("a domain, such as example.net")
]
Pattern = Annotated[str, AfterValidator(_is_pattern), Expected("a regular expression")]
Percentage = Annotated[float, Field(ge=0.0, le=100.0), Expected("a number from 0 to 100, such as 10 or 0.5")]
Milliseconds = Annotated[int, Field(gt=0, le=86_400_000), Expected("a whole number of milliseconds from 1 to 86400000")]


class _Table(TableOfNumbers):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FlagsTable(_Table):
    """Values of the flags where neither OpenFeature nor the environment gives one."""

    enabled: bool | None = None
    """`ROUTER_V2_ENABLED`."""
    shadow: bool | None = None
    """`ROUTER_V2_SHADOW`."""
    percentage: Percentage | None = None
    """`ROUTER_V2_PERCENTAGE`."""
    timeout_ms: Milliseconds | None = None
    """`V2_TIMEOUT_MS`."""
    logging: bool | None = None
    """`SHADOW_LOGGING`."""


class SessionTable(_Table):
    """Where things are in the state.

    ``id`` is the session's. A run without one, or with an empty one (``null``, ``none``, ``undefined`` and ``nan`` are
    empty), is a session of its own, and live at 100 % only.

    Paths are a state key, dotted and indexed (``messages[-1].content``), or ``configurable.NAME`` for a key of the
    run's configuration. ``steps``, ``stages`` and ``intents`` declare the values that may leave the process as they
    are.
    """

    id: StatePath = "configurable.thread_id"
    """The session's id. A run without one, or with an empty one, is a session of its own."""
    message: StatePath = "messages[-1].content"
    """The user's message: the last human one, where messages have a type."""
    step: StatePath | None = "current_step"
    """The node's own step, which `compare.step` compares."""
    stage: StatePath | None = None
    """The stage, if the workflow has one."""
    intent: StatePath | None = None
    """The detected intent, if the workflow has one."""
    steps: tuple[str, ...] = ()
    """Steps that may be written as they are; others become `_other`."""
    stages: tuple[str, ...] = ()
    """Stages that may be written as they are."""
    intents: tuple[str, ...] = ()
    """Intents that may be written as they are."""


class CompareTable(_Table):
    """What makes a pair match, besides the decision."""

    decision: bool = True
    """Where the workflow goes next must agree."""
    step: bool = True
    """The node's own step must agree."""
    fields: tuple[str, ...] = ()
    """Top-level state fields that must agree too; `["*"]` is all that either version wrote. Where none are named, they
    are shown only."""
    ignore: tuple[str, ...] = ()
    """Fields that are left out."""
    tolerance: Mapping[str, Annotated[float, Field(ge=0.0)]] = Field(default_factory=dict)
    """Absolute tolerance of numbers, by field, also inside arrays and tables; `"*"` is every field."""
    unordered: tuple[str, ...] = ()
    """Lists whose order does not matter."""
    function: ImportPath | None = None
    """Function `(v1 writes, v2 writes) -> names of the fields that differ`, which compares in its own way."""


class ObserveTable(_Table):
    """State fields whose numbers or declared categories join the record; text never does."""

    numbers: tuple[StatePath, ...] = ()
    """Numbers in the state that join the record. Text never does."""
    categories: Mapping[StatePath, tuple[str, ...]] = Field(default_factory=dict)
    """Words in the state that join the record, each with the words that may be written as they are."""


class NodeTable(_Table):
    """One shadowed node."""

    v2: ImportPath | Literal["self"] | None = None
    """The rewrite; `"self"` runs V1 against itself, a noise check."""
    graph: str | None = None
    """Only in graphs of this name; unset: in every graph."""
    live: bool = True
    """`false` keeps this node in shadow while others go live."""
    sample: Share = 1.0
    """Share of sessions that are shadowed."""
    timeout_ms: Milliseconds | None = None
    """V2's time limit in milliseconds, unless `V2_TIMEOUT_MS` is set."""
    executor: Literal["auto", "thread", "loop", "process"] = "auto"
    """Where V2 runs: `auto`: in threads, or, awaited, on V1's own event loop after a trial; `loop`: there without a
    trial; `process`: in worker processes; `thread`: in threads. See
    [where an awaited V2 runs](performance.md#where-an-awaited-v2-runs)."""
    compare: CompareTable = CompareTable()
    """See `[nodes.X.compare]`."""
    observe: ObserveTable = ObserveTable()
    """See `[nodes.X.observe]`."""


class LimitsTable(_Table):
    """Bounds of what a shadow may use. When one is reached, the shadow is shed at once and counted."""

    queue: Annotated[int, Field(ge=1)] = 1000
    """Shadow runs that may wait."""
    concurrency: Annotated[int, Field(ge=1)] = 4
    """Shadow runs at the same time in threads; of those that are awaited, twice as many."""
    pairs_per_second: Annotated[float, Field(gt=0.0)] | None = None
    """Shadow runs that may start in a second, per node; unset: any number."""
    snapshot_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    """Bytes that waiting captures may hold together; also the largest answer of a worker process."""
    breaker_failures: Annotated[int, Field(ge=1)] = 20
    """Errors and timeouts in a row after which a node's shadow pauses."""
    breaker_reset_seconds: Annotated[float, Field(gt=0.0)] = 30.0
    """Seconds after which one shadow run is tried."""
    abandoned_threads: Annotated[int, Field(ge=1)] = 16
    """Threads that hang in V2 and were given up; at this number no shadow run starts."""
    tokens_per_hour: Annotated[int, Field(ge=1)] | None = None
    """Tokens that V2's models may use in an hour, per node; unset: any number."""
    shutdown_seconds: Annotated[float, Field(gt=0.0)] = 5.0
    """Seconds that `shutdown()` and the interpreter's exit may take."""


class ProcessTable(_Table):
    """Worker processes of nodes with ``executor = "process"``."""

    workers: Annotated[int, Field(ge=1)] = 1
    """Worker processes."""
    init: ImportPath | None = None
    """Function without arguments that each worker calls before its first job, such as one that sets up tracing."""
    idle_priority: bool = True
    """Run workers at `SCHED_IDLE` (the lowest niceness where the system has no such class)."""
    memory_bytes: Annotated[int, Field(ge=1)] | None = None
    """Address space that a worker may use; V2 gets `MemoryError` beyond it. Unset: no bound."""


class ArmsTable(_Table):
    """What runs without a shadow, to compare with, and what runs twice."""

    holdout: Share = 1.0 / 3.0
    """Share of the time in which no shadow starts: the latency baseline. One slot in 3, or in any whole number; the
    nearest is taken. `0`: none. `ROUTER_V2_HOLDOUT` outranks it. See [how slots work](statistics.md#slots-of-time)."""
    slot_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """Length of a slot of time in seconds: at least twelve times the longest time limit."""
    holdout_instance: bool = False
    """This whole instance runs V1 without shadow."""
    noise: Share = 0.0
    """Share of sessions on which V1 runs a second time, to measure how often it differs from itself."""


class ToolsTable(_Table):
    """What a shadow may call. A LangChain tool call is blocked unless it is named here."""

    allow: tuple[str, ...] = ()
    """Tools, `@side_effect` functions and assistants on LangGraph servers that V2 may call."""
    replay: tuple[str, ...] = ()
    """Tools of which V2 gets what V1's call with the same arguments returned, raised or asked a human."""
    block: tuple[str, ...] = ()
    """Names that a record may carry; see below. They are blocked as all others are."""
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
    """Session and thread ids that need no hashing (the whole id matches). Default: UUIDs, and a generic word with at
    most five digits such as `demo_001`; a free slug could be a person's name and is hashed."""
    suppress_instrumentation: bool = False
    """Instrumentations (models, HTTP) record nothing inside the shadow; they record prompts by rules of their own."""
    propagate: Literal["none", "internal hosts", "all"] = "internal hosts"
    """Which of V2's outgoing requests carry the baggage `shadow.mode=v2_shadow`: none, those to internal hosts, or all.
    See [where the mark goes](telemetry.md#where-the-mark-goes)."""
    internal_hosts: tuple[Domain, ...] = ()
    """Domains whose hosts are internal, such as `example.net`, beside loopback, private addresses, names without a dot,
    and `*.local`, `*.internal` and `*.localhost`."""
    trust_incoming_mark: bool = False
    """Believe callers that send the baggage `shadow.mode=v2_shadow`: what they cause is marked as shadow traffic and is
    no evidence. Only where strangers can't send the header `baggage`."""


class AcceptRule(_Table):
    """A known difference, applied when evidence is read: accepted pairs leave the parity's denominator."""

    reason: Annotated[str, Field(min_length=1)]
    """Why the difference is accepted; it is shown."""
    expires: date
    """Last day on which the rule holds (UTC)."""
    node: str | None = None
    """Only at this node; unset: at every node."""
    fields: tuple[str, ...] = ()
    """Accepted where the differing fields are among these (and decision and step agree, unless `targets` says so)."""
    targets: tuple[str, ...] = ()
    """Accepted decisions, written `original->shadow`."""
    steps: tuple[str, ...] = ()
    """Accepted steps, written `v1->v2`."""


class ShadowConfig(_Table):
    """Content of ``shadow.toml``."""

    v2_build: str | None = None
    """Name of this V2: a window of evidence holds one build. Unset: `OTEL_SHADOW_V2_BUILD`, else `service.version`."""
    flags: FlagsTable = FlagsTable()
    """Values of the flags where neither OpenFeature nor the environment gives one."""
    session: SessionTable = SessionTable()
    """Where things are in the state, and the words that may be written as they are."""
    nodes: Mapping[str, NodeTable] = Field(default_factory=dict)
    """The shadowed nodes, each in a table of its own."""
    limits: LimitsTable = LimitsTable()
    """What shadow runs may use. At a limit a shadow run is shed at once and counted: see [limits.md](limits.md)."""
    process: ProcessTable = ProcessTable()
    """Worker processes of nodes with `executor = "process"`: see [performance.md](performance.md#process-mode)."""
    arms: ArmsTable = ArmsTable()
    """What runs without a shadow, to compare with, and what runs twice."""
    tools: ToolsTable = ToolsTable()
    """What V2 may call. LangChain tools, `@side_effect` functions, and runs and writes on LangGraph servers are blocked
    inside a shadow, except as named here."""
    privacy: PrivacyTable = PrivacyTable()
    """What leaves the process as it is."""
    sla: Policy = Policy()
    """What a GO needs. `[sla.nodes.X]` has what differs at a node."""
    accept: tuple[AcceptRule, ...] = ()
    """Known differences: such pairs don't count for parity, their share is shown. Each has a table `[[accept]]`."""

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
