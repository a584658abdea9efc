"""The mark of a shadow in OpenTelemetry's context, and which of V2's outgoing requests carry it as W3C baggage.

In the process the mark is a private value of the context, which no propagator sends. Another service is told by the
baggage ``shadow.mode=v2_shadow``. What injects headers does not know the host that they are for; but instrumentations
of clients inject below a span of theirs, which was started with the address that the client will call.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from otel_shadow import semconv
from otel_shadow.record import Mode

MARK = context.create_key("otel-shadow-mark")
"""The key of an :class:`OutgoingMark` in OpenTelemetry's context, inside a shadow run and nowhere else."""
_HOSTS = ("server.address", "net.peer.name")
_URLS = ("url.full", "http.url")
_CLIENTS = (SpanKind.CLIENT, SpanKind.PRODUCER)
_HOSTS_OF_SPAN = "_otel_shadow_hosts"
_HEADER = "baggage"
_INTERNAL = (".localhost", ".local", ".internal")
"""Names that are reserved for use inside a machine or a network (RFC 6761, RFC 6762, ICANN)."""
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
"""What a resolver takes for an IPv4 address, though it has no dot."""


@dataclass(frozen=True, slots=True)
class OutgoingMark:
    """Where the mark may go: ``[privacy] propagate`` and ``internal_hosts``."""

    propagate: Literal["none", "internal hosts", "all"] = "none"
    internal_hosts: tuple[str, ...] = ()

    def put_into(self, inside: Context) -> Context:
        """Return ``inside`` with this mark, and with the baggage that says so where that goes everywhere."""
        inside = context.set_value(MARK, self, inside)
        return _with_baggage(inside) if self.propagate == "all" else _without_baggage(inside)

    def injected(self, inside: Context) -> Context:
        """Return what is injected of ``inside``, by what is known of the request."""
        if self.propagate == "all":
            return inside
        hosts = _hosts_of(trace.get_current_span(inside))
        if self.propagate == "internal hosts" and hosts and all(map(self._is_internal, hosts)):
            return _with_baggage(inside)
        return _without_baggage(inside)

    def _is_internal(self, host: str) -> bool:
        name = host.strip("[]").rstrip(".").lower()
        try:
            address = ip_address(name)
        except ValueError:
            if not name or _NUMBER.fullmatch(name):
                return False
            suffixes = (*_INTERNAL, *(f".{suffix.strip('.').lower()}" for suffix in self.internal_hosts))
            return "." not in name or f".{name}".endswith(suffixes)
        return address.is_private or address.is_loopback


def note_hosts(span: Any, kind: Any, attributes: Any) -> None:
    """Keep with a client's ``span`` the hosts that it was started with, whether it is sampled or not."""
    if kind not in _CLIENTS or not isinstance(attributes, Mapping):
        return
    if span is not trace.INVALID_SPAN:  # everybody's
        setattr(span, _HOSTS_OF_SPAN, tuple(_hosts(attributes)))


def _hosts_of(span: Any) -> tuple[str, ...]:
    """Return what a client's span says of the host, when it was started or since."""
    noted: tuple[str, ...] = getattr(span, _HOSTS_OF_SPAN, ())
    attributes = getattr(span, "attributes", None)
    if getattr(span, "kind", None) not in _CLIENTS or not isinstance(attributes, Mapping):
        return noted
    return (*noted, *_hosts(attributes))


def _hosts(attributes: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(attributes[name]) for name in _HOSTS if attributes.get(name))
    for url in (str(attributes[name]) for name in _URLS if attributes.get(name)):
        # a backslash ends the host for some clients, and is a part of it for urlsplit
        yield (urlsplit(url).hostname or "") if "\\" not in url else ""


def _with_baggage(inside: Context) -> Context:
    return baggage.set_baggage(semconv.BAGGAGE_MODE, str(Mode.V2_SHADOW), inside)


def _without_baggage(inside: Context) -> Context:
    return baggage.remove_baggage(semconv.BAGGAGE_MODE, inside)


@functools.cache
def watch_injections() -> None:
    """Have what injects W3C baggage inside a shadow run ask whether the mark goes along; the rest goes as it is."""
    W3CBaggagePropagator.inject = _asking(W3CBaggagePropagator.inject)  # type: ignore[method-assign]


def _asking(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def inject(self: Any, carrier: Any, context_: Context | None = None, *args: Any, **kwargs: Any) -> None:
        inside = kwargs.pop("context", context_)
        current = context.get_current() if inside is None else inside
        mark = current.get(MARK)
        if isinstance(mark, OutgoingMark):
            with suppress(Exception):  # nothing of ours ends a request of V2's
                inside = mark.injected(current)
                _forget_the_last_host(carrier, inside)
        original(self, carrier, inside, *args, **kwargs)

    return inject


def _forget_the_last_host(carrier: Any, inside: Context) -> None:
    """Take the mark out of headers that a client sends on to where a service has redirected it."""
    if not isinstance(carrier, MutableMapping) or baggage.get_baggage(semconv.BAGGAGE_MODE, inside) is not None:
        return
    sent = carrier.get(_HEADER)
    if isinstance(sent, str) and semconv.BAGGAGE_MODE in sent:
        kept = [item for item in sent.split(",") if item.partition("=")[0].strip() != semconv.BAGGAGE_MODE]
        del carrier[_HEADER]
        if kept:
            carrier[_HEADER] = ",".join(kept)
