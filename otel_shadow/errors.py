"""Exceptions of the explicit API.

ShadowError
├── ConfigError          every fault of a configuration, with its remedy
├── EvidenceError        a source of evidence that can't be read
├── MissingExtraError    an optional dependency that is not installed, with the pip line that installs it
└── SideEffectBlockedError    a shadow tried what it may not; raised inside V2 alone
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType


class ShadowError(Exception):
    """Base of the exceptions that the explicit API raises. The runtime raises none of them into V1."""


class ConfigError(ShadowError):
    """Configuration that can't be used.

    Arguments:
        problems: one sentence per fault: where, what was read, what is expected.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class EvidenceError(ShadowError):
    """Source of evidence that can't be read; the message names it and says what to do."""


class SideEffectBlockedError(ShadowError):
    """A side effect that a shadow tried and may not have. It is raised inside V2 and never reaches V1.

    Arguments:
        name: the tool or function; the arguments of the call are not kept.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} is blocked inside a shadow: allow or replay it under [tools] in shadow.toml")


class MissingExtraError(ShadowError):
    """Optional dependency that is missing; the message says how to install it."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed: pip install 'otel-shadow[{extra}]'")


def require(module: str, extra: str) -> ModuleType:
    """Return an optional ``module``, imported.

    Arguments:
        module: dotted name, such as ``duckdb``.
        extra: the extra of this package that installs it.

    Raises:
        MissingExtraError: it is not installed; the message is the pip line.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        there = sys.modules.get(package) is not None  # opentelemetry without its SDK
        raise MissingExtraError(error.name if there else package, extra) from error
