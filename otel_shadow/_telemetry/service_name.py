"""The service's name and version, as OpenTelemetry's own resource has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from opentelemetry import trace

from otel_shadow.errors import MissingExtraError, require

SERVICE_NAME, SERVICE_VERSION = "service.name", "service.version"
UNKNOWN = "unknown_service"
"""What the SDK calls a service without a name; it adds the name of the interpreter."""
_NAME_VARIABLE, _VARIABLE = "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"


def resource_of_environment() -> Mapping[str, Any]:
    """Return the resource attributes that the environment names, by the SDK's own rules.

    Where the SDK is not installed, the same rules are applied here: pairs with commas between, percent-decoded.
    """
    text = os.environ.get(_VARIABLE, "")
    name = os.environ.get(_NAME_VARIABLE, "")
    named = {SERVICE_NAME: name} if name else {}
    if not text:
        return named  # the SDK would take long to import
    try:
        detected = require("opentelemetry.sdk.resources", "otlp").OTELResourceDetector().detect().attributes
    except MissingExtraError:
        pairs = (item.partition("=") for item in text.split(","))
        detected = {key.strip(): unquote(value.strip()) for key, sign, value in pairs if sign}
    return {**detected, **named}


def service_name(provider: Any = None) -> Callable[[], str]:
    """Return what gives the service's name when it is first needed.

    It is the environment's of now, else the one in the resource of ``provider``, else ``unknown_service``.

    Arguments:
        provider: the SDK's tracer provider; default: the global one, also where it is set later.
    """
    named = _text(resource_of_environment().get(SERVICE_NAME))

    def find() -> str:
        resource = getattr(provider or trace.get_tracer_provider(), "resource", None)
        name = named or _text(getattr(resource, "attributes", {}).get(SERVICE_NAME))
        return UNKNOWN if not name or name.startswith(f"{UNKNOWN}:") else name

    return find


def _text(value: object) -> str:
    return str(value).strip() if isinstance(value, str) else ""
