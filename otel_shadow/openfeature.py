"""Flags from OpenFeature (``openfeature-sdk``), so that flagd or any vendor drives them without a restart.

A background thread asks the provider; V1's path reads the last answer without waiting.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from otel_shadow._runtime.background_log import logger
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow.background_thread import BackgroundThread
from otel_shadow.errors import ConfigError, require
from otel_shadow.flags import FLAGS, FeatureFlags
from otel_shadow.slots import rounding

_OTHER_NUMBER = {"float": "integer", "integer": "float"}
"""What a number may be given as: 10 where 10.0 is asked for, or the reverse."""
_NO_VALUE = -1.0
"""Stands for a number that is not set: providers want one of the type, and none of the flags takes this one."""
_DEFAULTS = ("DEFAULT", "DISABLED")
"""Reasons of an answer that is only the default value that the provider was given."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """Answer of the provider on one flag: a value, None where it has no such flag, or what is wrong with it."""

    value: Any = None
    problem: str | None = None


class OpenFeatureFlags:
    """Flag source that asks an OpenFeature client. The flags' keys are the names of the environment variables.

    A flag that the provider does not have is taken from ``base``. Where the provider fails, or its answer is out of
    range or of another type, the flag keeps its last value: an outage of the flag server changes no session's mode.

    Arguments:
        base: the flags from environment and configuration.
        client: an OpenFeature client; default: the client of ``domain``.
        domain: OpenFeature domain.
        poll_seconds: seconds between two questions to the provider.

    Raises:
        MissingExtraError: ``openfeature-sdk`` is not installed.
    """

    def __init__(
        self, base: FeatureFlags, client: Any = None, *, domain: str | None = None, poll_seconds: float = 5.0
    ) -> None:
        api = require("openfeature.api", "openfeature")
        self._client = client or api.get_client(domain)
        self._base = base
        self._poll_s = poll_seconds
        self._current = base
        self._problems: tuple[str, ...] = ()
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._listen()
        self.refresh()
        self._start()
        on_fork(self._start_again)

    @property
    def current(self) -> FeatureFlags:
        """Return the flags of the last answer, without I/O."""
        return self._current

    def refresh(self) -> None:
        """Ask the provider now, in the calling thread."""
        answers = {name: self._ask(name, flag.kind) for name, flag in FLAGS.items()}
        self._report(tuple(answer.problem for answer in answers.values() if answer.problem))
        values = {name: self._value(name, answer) for name, answer in answers.items()}
        limit = answers["v2_timeout_ms"]
        explicit = self._base.timeout_is_explicit or limit.value is not None
        if limit.problem:
            explicit = self._current.timeout_is_explicit
        fresh = FeatureFlags(**values, timeout_is_explicit=explicit)
        if fresh != self._current:
            logger.warning("otel-shadow: flags by OpenFeature are now %s", fresh)
            if fresh.router_v2_holdout is not None and (rounded := rounding(fresh.router_v2_holdout)) is not None:
                logger.warning("otel-shadow: %s", rounded)
        self._current = fresh

    def close(self) -> None:
        """Stop asking the provider: the flags stay as they are."""
        self._stopped.set()
        self._wake.set()

    def _ask(self, name: str, kind: str, *, again: bool = False) -> _Answer:
        key, default = name.upper(), getattr(self._base, name)
        if default is None:
            default = _NO_VALUE
        try:
            details = getattr(self._client, f"get_{kind}_details")(key, default)
        except Exception as error:  # noqa: BLE001 - hooks and providers may raise anything; the last answer stands
            return _Answer(problem=f"{key}: {type(error).__name__}")
        code = str(details.error_code or "")
        if code == "TYPE_MISMATCH" and kind in _OTHER_NUMBER and not again:
            return self._ask(name, _OTHER_NUMBER[kind], again=True)
        if code == "FLAG_NOT_FOUND" or (str(details.reason) in _DEFAULTS and details.value == default):
            return _Answer()
        return _Answer(problem=f"{key}: {code}") if code else self._checked(name, details.value)

    def _checked(self, name: str, value: Any) -> _Answer:
        try:
            FeatureFlags(**(self._base.model_dump() | {name: value}))
        except ConfigError as error:
            return _Answer(problem=str(error))
        return _Answer(value)

    def _value(self, name: str, answer: _Answer) -> Any:
        if answer.problem:
            return getattr(self._current, name)
        return getattr(self._base, name) if answer.value is None else answer.value

    def _report(self, problems: tuple[str, ...]) -> None:
        """Log ``problems`` once, however often the provider is asked while they last."""
        if problems and problems != self._problems:
            logger.error("otel-shadow: flags by OpenFeature stay as they were: %s", "; ".join(problems))
        self._problems = problems

    def _listen(self) -> None:
        events = require("openfeature.event", "openfeature")
        for event in (events.ProviderEvent.PROVIDER_READY, events.ProviderEvent.PROVIDER_CONFIGURATION_CHANGED):
            self._client.add_handler(event, lambda _: self._wake.set())

    def _start(self) -> None:
        BackgroundThread(target=self._poll, name="otel-shadow-flags").start()

    def _poll(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(self._poll_s)
            self._wake.clear()
            if self._stopped.is_set():
                return
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 - the environment may change while it is read; the thread goes on
                self._report((type(error).__name__,))

    def _start_again(self) -> None:
        """Start the thread anew in the child of a fork."""
        self._wake = threading.Event()  # the parent's thread may have held its lock
        self._start()
