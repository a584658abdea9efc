"""What may leave the process: keyed hashes, declared values, type names. Nothing else."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import sys
import threading
from collections.abc import Container, Sequence
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

from otel_shadow import semconv
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow.cached import cached
from otel_shadow.hash_key import given_secret, stretched, weakness
from otel_shadow.line_code import derived_key

_HEX_DIGITS = 12
_KEY_ID = "otel-shadow key id"
_LONGEST_ID = 128
_CLASS_NAME = re.compile(r"[A-Za-z_]\w{0,79}", re.ASCII)


class Redactor:
    """A maker of keyed hashes (HMAC-SHA-256, RFC 2104, first 12 hex digits) from what identifies a person.

    The key is made of the secret at the first hash, which takes some 50 ms: the first hash is made off V1's path.

    Arguments:
        key: the secret; default ``OTEL_SHADOW_HASH_KEY``, else a random one for this process (then hashes of two
            processes can't be joined, which the key id shows).
        safe_id: regular expression of ids that may be written as they are (whole match).
    """

    def __init__(self, key: bytes | str | None = None, safe_id: str | None = None) -> None:
        secret = given_secret(key)
        self._secret = secret or os.urandom(32)
        self.random_key = not secret
        self._short = lru_cache(4096)(self._identifier)
        self._safe = re.compile(safe_id) if safe_id else None
        self._renew_lock()
        on_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._making = threading.Lock()
        """Held while the key is made, once for all threads; a process that is forked meanwhile has its own."""

    @property
    def weakness(self) -> str | None:
        """Why the secret is easily guessed; None if it is not."""
        return None if self.random_key else weakness(self._secret)

    @cached
    def key_id(self) -> str:
        """Eight hex digits that tell keys apart and say nothing of the key."""
        return self.digest(_KEY_ID)[:8]

    @cached
    def verify_key(self) -> bytes | None:
        """32 bytes with which lines get their codes and are verified; None where the secret is random."""
        return None if self.random_key else derived_key(self._key)

    @property
    def former_key_id(self) -> str:
        """The key id that release 0.1 wrote, which hashed with the secret itself."""
        return _mac(self._secret, _KEY_ID)[:8]

    @cached
    def _key(self) -> bytes:
        if self.random_key:
            return self._secret
        with self._making:
            return stretched(self._secret)  # remembered: whoever waited finds it made

    def identifier(self, value: str) -> str:
        """Return a session or thread id: as it is if it matches the safe pattern, else hashed."""
        return self._short(value) if len(value) <= _LONGEST_ID else self.digest(value)  # no memory of large ones

    def digest(self, text: str) -> str:
        """Return 12 hex digits of the keyed hash of ``text``."""
        return _mac(self._key, text)[:_HEX_DIGITS]

    def _identifier(self, value: str) -> str:
        if self._safe is not None and self._safe.fullmatch(value):
            return value
        return self.digest(value)

    def message(self, value: Any) -> str | None:
        """Return the hash of a message's text (content blocks are hashed as their text); None if there is none."""
        text = _text(value)
        return self.digest(text) if text else None


def _mac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def declared(value: Any, allowed: Container[str]) -> str | None:
    """Return ``value`` if it is a declared word, None if it is None, else ``_other``."""
    if value is None:
        return None
    text = value if isinstance(value, str) else str(getattr(value, "value", ""))
    return known(str.__str__(text), allowed)  # the text itself: a subclass may be equal to what it is not


def known(name: str, names: Container[str]) -> str:
    """Return ``name`` if it is one of ``names``, else ``_other``."""
    return name if name in names else semconv.OTHER


def error_type(error: BaseException | type[BaseException] | None) -> str | None:
    """Return the name of an exception's class as :func:`class_name` gives it."""
    if error is None:
        return None
    kind = type(error)
    return class_name(error if issubclass(kind, type) else kind)  # type: ignore[arg-type]


def class_name(kind: type) -> str:
    """Return the name of the first among a class and its bases that is written in code, else ``_other``.

    A class that a program makes as it runs may be named after anything, a person too; one that its module has under its
    name, or whose body is in the code of a function there, was named by a programmer. What a class says of itself is
    no proof. The class is asked for nothing that a metaclass could answer.
    """
    for base in _MRO(kind)[:-1]:  # the last is object
        name: str = _NAME(base)
        if _CLASS_NAME.fullmatch(name) and _is_written(base, name):
            return name
    return semconv.OTHER


def loggable(error: Exception, *harmless: type[Exception]) -> str:
    """Return the message of an ``error`` of these types, else its class only: messages may hold personal data."""
    return str(error) if isinstance(error, harmless) else class_name(type(error))


def type_name(name: str) -> str:
    """Return the name of a class, if it is one that code could have written, else ``_other``."""
    return name if _CLASS_NAME.fullmatch(name) else semconv.OTHER


_MRO = type.__dict__["__mro__"].__get__
_NAME = type.__dict__["__name__"].__get__
_QUALIFIED = type.__dict__["__qualname__"].__get__
_MODULE = type.__dict__["__module__"].__get__
_DICT = type.__dict__["__dict__"].__get__
_OF_MODULE = vars(ModuleType)["__dict__"].__get__
_FLAGS = type.__dict__["__flags__"].__get__
_LOCAL = "<locals>"
_MOST_DECORATORS = 20
_WRAPPERS = (FunctionType, type(lru_cache(len)))
_IMMUTABLE = 1 << 8
_HEAP = 1 << 9
"""``Py_TPFLAGS_IMMUTABLETYPE`` and ``Py_TPFLAGS_HEAPTYPE``: what is the former, or not the latter, C code has made."""


def _is_written(kind: type, name: str) -> bool:
    flags = _FLAGS(kind)
    if flags & _IMMUTABLE or not flags & _HEAP:
        return True
    qualified: str = _QUALIFIED(kind)
    *outer, last = qualified.split(".")
    if last != name:
        return False
    if _DICT(kind).get(_SENT) is _MARK:
        return True
    module = _MODULE(kind)
    place: Any = sys.modules.get(module) if type(module) is str else None
    if _LOCAL not in outer:
        return _found_in(place, (*outer, last)) is kind
    function = _found_in(place, outer[: outer.index(_LOCAL)])
    return _is_compiled(qualified, kind) or _holds(_code_of(function), qualified)


def _found_in(place: Any, path: Sequence[str]) -> Any:
    """Return what is at a path of names, asking nothing that could answer by code: what dictionaries hold."""
    for part in path:
        if issubclass(type(place), type):
            place = _DICT(place).get(part)
        elif issubclass(type(place), ModuleType):
            place = _OF_MODULE(place).get(part)
        else:
            return None
    return place


def _code_of(function: Any) -> CodeType | None:
    """Return the code of a function, behind what decorators made of it."""
    for _ in range(_MOST_DECORATORS):
        if isinstance(function, staticmethod | classmethod):
            function = function.__func__
        elif isinstance(function, property):
            function = function.fget
        elif type(function) in _WRAPPERS and "__wrapped__" in function.__dict__:
            function = function.__dict__["__wrapped__"]
        else:
            break
    return function.__code__ if type(function) is FunctionType else None


def _holds(code: CodeType | None, qualified: str) -> bool:
    """Return whether the body of a class of this name is among the constants of ``code``, at any depth."""
    inside = [item for item in code.co_consts if type(item) is CodeType] if code is not None else []
    return any(item.co_qualname == qualified or _holds(item, qualified) for item in inside)


def _is_compiled(qualified: str, kind: type) -> bool:
    """Return whether a method of ``kind`` was compiled within a class of this name."""
    methods = [item for item in _DICT(kind).values() if type(item) is FunctionType]
    return any(item.__code__.co_qualname == f"{qualified}.{item.__code__.co_name}" for item in methods)


_SENT = "_otel_shadow_sent"
_MARK = object()
"""What classes have that are made here for a name which another process has found to be written in code."""


def class_of_name(name: str, base: type[BaseException]) -> type[BaseException]:
    """Make an exception's class for ``name``, which :func:`class_name` gave in another process."""
    return type(name, (base,), {_SENT: _MARK})


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(part.get("text") if isinstance(part, dict) else part) for part in value)
    return ""
