"""Answers 429 (too many requests): how an exception tells one, and the pause of a shadow whose V2 is told one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from otel_shadow.record import Status

TOO_MANY_REQUESTS = 429
_NAMES = ("status_code", "code", "http_status", "status")
"""Attributes under which clients keep the status: OpenAI's, Anthropic's and httpx's; Google's; Stripe's; aiohttp's."""
_MOST = 20
"""Exceptions of a chain that are looked at."""
_FIRST_S, _LONGEST_S = 1.0, 300.0

_CAUSE = BaseException.__dict__["__cause__"].__get__
_CONTEXT = BaseException.__dict__["__context__"].__get__
_MRO = type.__dict__["__mro__"].__get__
_DICT = type.__dict__["__dict__"].__get__
_MEMBERS = BaseExceptionGroup.__dict__["exceptions"].__get__


def is_rate_limited(error: object) -> bool:
    """Return whether ``error`` was raised for an answer 429: it, a cause or context of it, or a member of its group.

    It is asked on V1's path, where V1 raised: only what is stored is read, and no code of the exception's runs.
    """
    return any(map(_says_so, _chain(error)))


def _chain(error: object) -> Iterator[BaseException]:
    todo, seen = [error], set[int]()
    while todo and len(seen) < _MOST:
        one: Any = todo.pop()
        if not issubclass(type(one), BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [_CAUSE(one), _CONTEXT(one)]
        if issubclass(type(one), BaseExceptionGroup):
            todo += _MEMBERS(one)


def _says_so(error: BaseException) -> bool:
    found = _stored(error, (*_NAMES, "response"))
    response = found.pop("response", None)
    return any(map(_is_429, found.values())) or (response is not None and _answers_so(response))


def _answers_so(response: object) -> bool:
    if issubclass(type(response), dict):  # botocore's
        metadata: Any = dict.get(response, "ResponseMetadata")  # type: ignore[call-overload]
        return issubclass(type(metadata), dict) and _is_429(dict.get(metadata, "HTTPStatusCode"))
    return any(map(_is_429, _stored(response, _NAMES).values()))


def _stored(place: object, names: tuple[str, ...]) -> dict[str, object]:
    """Return what is stored under ``names`` in an object, in its slots or in its class; no property is asked.

    ``inspect.getattr_static`` does the same in some thirty times as long.
    """
    found: dict[str, object] = {}
    own: dict[str, object] | None = None
    for base in _MRO(type(place)):
        if base is Exception or base is object:
            continue
        attributes = _DICT(base)
        for name in names:
            if name in attributes and name not in found:
                found[name] = _in_slot(attributes[name], place)
        if own is None and type(attributes.get("__dict__")) is GetSetDescriptorType:
            own = attributes["__dict__"].__get__(place)
    return found | {name: own[name] for name in names if name in own} if own else found


def _in_slot(value: object, place: object) -> object:
    if type(value) is not MemberDescriptorType:
        return value
    try:
        return value.__get__(place)
    except AttributeError:  # nothing is in it
        return None


def _is_429(value: object) -> bool:
    kind = type(value)
    if issubclass(kind, int):
        return int.__eq__(value, TOO_MANY_REQUESTS)  # type: ignore[operator]
    return issubclass(kind, str) and str.__eq__(value, str(TOO_MANY_REQUESTS))  # type: ignore[operator]


class BackOff:
    """The pause of one node's shadow after an answer 429. It has no lock: the limiter asks under its own.

    The first pause is a second; it is twice the one before, up to five minutes, where the run that is tried after a
    pause is told 429 again, or where the next 429 comes sooner after a pause than the pause was long.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = float("-inf")
        self._pause_s = 0.0
        self._trying = False
        """Whether no run has ended well since the pause began."""
        self.probing = False
        """Whether the one run that is tried after a pause is under way."""

    @property
    def paused(self) -> bool:
        """Whether no run may start now."""
        return self.probing or self._clock() < self._until

    def started(self) -> None:
        """Note that a run starts: the first after a pause is the only one until it ends."""
        self.probing = self._trying

    def finished(self, status: Status, rate_limited: bool) -> bool:
        """Note the end of a run, and return whether a pause begins."""
        self.probing = False
        now = self._clock()
        if now < self._until or status is Status.CANCELLED:
            return False  # of a run from before the pause, or of one that says nothing
        if not rate_limited:
            self._trying = False
            return False
        again = self._trying or now - self._until <= self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_S) if again else _FIRST_S
        self._until = now + self._pause_s
        self._trying = True
        return True
