"""The secret of the keyed hashes: stretched, so that a guess at it costs time, and judged, so that it is no easy guess.

Who holds a log line can try keys until the line's key id comes out, and then every phone number until its hash does.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache

from otel_shadow import semconv

_SALT = b"otel-shadow"
"""The same everywhere: replicas with one secret must have one key. It keeps tables made for other programs useless."""
_COST, _BLOCK = 2**14, 8
"""``n`` and ``r`` of scrypt (RFC 7914): 16 MiB and some 50 ms a guess."""
_ROUNDS = 600_000
LEAST_BYTES = 16
WEAK_KEY = (
    "who sees a log line can guess it, and then the ids and messages behind the hashes; set one secret for all "
    "replicas, such as openssl rand -hex 32 makes"
)
"""What is told of a weak key, where it is used and by the doctor."""
_WORDS = (
    "opentelemetry", "shadow", "otel", "secrets", "secret", "password", "passwd", "passphrase", "change", "please",
    "replace", "example", "sample", "default", "testing", "test", "demo", "dummy", "staging", "development",
    "production", "prod", "local", "keys", "key", "hashing", "hash", "hmac", "salt", "token", "value", "string",
    "random", "admin", "root", "user", "qwerty", "letmein", "welcome", "hello", "world", "foo", "bar", "todo",
    "fixme", "none", "null", "abc", "abcdef", "xxx", "super", "very", "strong", "secure", "only", "1234567890",
    "0123456789", "abcdefgh", "replicas", "replica", "all", "one", "your", "the", "this", "here", "with", "for",
    "not", "and", "my", "me", "is", "it", "in", "to", "be", "a",
)  # fmt: skip
"""What people write where a secret is asked for, and words of documentation: a key made of them alone is guessed."""
_OF_WORDS = re.compile(f"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))}|[\\W_]|[0-9]{{1,8}}(?![0-9]))+")


def given_secret(given: bytes | str | None = None) -> bytes:
    """Return the bytes of a secret: of ``given``, else of ``OTEL_SHADOW_HASH_KEY``; empty where there is none."""
    secret = given if given is not None else os.environ.get(semconv.ENV_HASH_KEY, "").strip()
    return secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret  # any bytes may be a key


@lru_cache(8)
def stretched(secret: bytes) -> bytes:
    """Return 32 bytes made of ``secret`` by scrypt; it takes some 50 ms, and lets other threads run meanwhile.

    Where the system's OpenSSL forbids scrypt (FIPS) it is PBKDF2 (RFC 8018): other hashes, which the key id shows.
    """
    try:
        return hashlib.scrypt(secret, salt=_SALT, n=_COST, r=_BLOCK, p=1, dklen=32)
    except (AttributeError, ValueError):
        return hashlib.pbkdf2_hmac("sha256", secret, _SALT, _ROUNDS)


def weakness(secret: bytes) -> str | None:
    """Return why ``secret`` is easily guessed, as the end of a sentence about it; None if it is not."""
    if len(secret) < LEAST_BYTES:
        return f"has {len(secret)} bytes, and {LEAST_BYTES} are the least"
    if _OF_WORDS.fullmatch(secret.decode("utf-8", "replace").lower()):
        return "is made of common words only"
    return None
