"""Flags from OpenFeature (``openfeature-sdk``), so that flagd or any vendor drives them without a restart.

The provider is asked in a thread of ours, never on V1's path: what V1's path reads is the last answer.
"""

from __future__ import annotations

import threading
from typing import Any

from otel_shadow.errors import ConfigError, require
from otel_shadow.flags import FeatureFlags
from otel_shadow.runtime.shield import logger

_KINDS = {
    "router_v2_enabled": "boolean",
    "router_v2_shadow": "boolean",
    "router_v2_percentage": "float",
    "v2_timeout_ms": "integer",
    "shadow_logging": "boolean",
}


class OpenFeatureFlags:
    """A flag source that asks an OpenFeature client. Flag keys are the environment variables' names.

    A flag that the provider does not have, or that is out of range, keeps the value it has in ``base``; an error of the
    provider keeps the last good answer.

    Arguments:
        base: the flags by environment and configuration.
        client: an OpenFeature client; default: that of ``domain``.
        domain: OpenFeature domain.
        poll_seconds: how often the provider is asked.

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
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._listen()
        self.refresh()
        threading.Thread(target=self._poll, name="otel-shadow-flags", daemon=True).start()

    @property
    def current(self) -> FeatureFlags:
        """The last answer; no I/O."""
        return self._current

    def refresh(self) -> None:
        """Ask the provider now."""
        try:
            values = {name: self._ask(name, kind) for name, kind in _KINDS.items()}
            explicit = self._base.timeout_is_explicit or values["v2_timeout_ms"] != self._base.v2_timeout_ms
            fresh = FeatureFlags(**values, timeout_is_explicit=explicit)
        except ConfigError as error:
            logger.error("otel-shadow: flags from OpenFeature are not used: %s", error)
            return
        except Exception as error:  # noqa: BLE001 - a provider may raise anything; the last answer stands
            logger.warning("otel-shadow: OpenFeature raised %s; flags stay as they were", type(error).__name__)
            return
        if fresh != self._current:
            logger.warning("otel-shadow: flags by OpenFeature are now %s", fresh)
        self._current = fresh

    def close(self) -> None:
        """Stop asking."""
        self._stopped.set()
        self._wake.set()

    def _ask(self, name: str, kind: str) -> Any:
        default = getattr(self._base, name)
        return getattr(self._client, f"get_{kind}_value")(name.upper(), default)

    def _listen(self) -> None:
        events = require("openfeature.event", "openfeature")
        for event in (events.ProviderEvent.PROVIDER_READY, events.ProviderEvent.PROVIDER_CONFIGURATION_CHANGED):
            self._client.add_handler(event, lambda _: self._wake.set())

    def _poll(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(self._poll_s)
            self._wake.clear()
            if not self._stopped.is_set():
                self.refresh()
