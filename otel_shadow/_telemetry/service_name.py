"""The service's name and version, as OpenTelemetry's own resource has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any
from urllib.parse import unquote

from opentelemetry import _logs, metrics, trace

from otel_shadow import semconv
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


def service_name(*given: Any) -> Callable[[], str]:
    """Return what gives the service's name when it is needed: of the environment, else of the providers' resource.

    In this order, for the name draws the slots of time: a provider may come late in one process and not in another.

    Arguments:
        given: the SDK's providers of traces, metrics and logs; None for the global one, also where it is set later.
    """
    named = _text(resource_of_environment().get(SERVICE_NAME))

    def find() -> str:
        name = named or _of_resources(given, SERVICE_NAME)
        return UNKNOWN if not name or name.startswith(f"{UNKNOWN}:") else name

    return find


def service_version(*given: Any) -> Callable[[], str]:
    """Return what gives the service's version as it is known now; ``unversioned`` as long as it is not.

    The providers' resource has it by the SDK's own rules, what code says over what the environment says.
    """
    named = _text(resource_of_environment().get(SERVICE_VERSION))
    return lambda: _of_resources(given, SERVICE_VERSION) or named or semconv.UNVERSIONED


_GLOBAL = (trace.get_tracer_provider, metrics.get_meter_provider, _logs.get_logger_provider)


def _of_resources(given: Sequence[Any], key: str) -> str:
    """Return the attribute ``key`` of the first resource that has it; a resource that can't be asked has none."""
    for provider, current in zip_longest(given, _GLOBAL):
        with suppress(Exception):  # another's provider
            owner: Any = provider or current()
            resource = getattr(owner, "resource", None) or owner._sdk_config.resource  # a meter provider hides it
            if text := _text(resource.attributes.get(key)):
                return text
    return ""


def _text(value: object) -> str:
    return str(value).strip() if isinstance(value, str) else ""
