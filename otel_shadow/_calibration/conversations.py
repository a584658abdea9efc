"""Conversations from JSON Lines files: utterances (each a conversation of one turn) and dialogues.

The fields that are read: `text`, `lang`, `reference_datetime` of an utterance; `dialogue_id`, `lang`,
`reference_datetime`, `turns[].speaker`, `turns[].text` of a dialogue. Everything else is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

DEMO_KEY = "otel-shadow demo: every clone has this key"
"""The hash key of ``otel-shadow demo``, whose conversations are public."""
_SNIPPET = 40
# The dialogues of the Schema-Guided data set have no reference time of their own; their data set says what today is.
SGD_TODAY = datetime.fromisoformat("2019-03-01T09:00:00")


@dataclass(frozen=True)
class Conversation:
    """What a user said, turn by turn.

    Arguments:
        id: the row's own, else made of the line's number.
        lang: the row's own tag, lower case, without region (`pt`, `en`), or empty.
        reference_datetime: the local time that relative dates are counted from.
        line: where the conversation stands in its file, from 1.
        rows: the JSON object of each turn, with whatever else it says, such as a person's labels.
    """

    id: str
    lang: str
    turns: tuple[str, ...]
    reference_datetime: datetime | None
    line: int
    rows: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class MalformedLine:
    """A line that is no conversation, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class _Malformed(Exception):
    """Why a line is not a conversation."""


def read_conversations(path: str | Path) -> Iterator[Conversation | MalformedLine]:
    """Yield the file's conversations in order, and a `MalformedLine` in the place of each line that can't be read.

    Blank lines are skipped. A byte order mark and Windows line ends are accepted. A bad line never raises; a file that
    can't be opened is an OSError.
    """
    with Path(path).open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not line.strip():
                continue
            try:
                yield _conversation(_row(line), number)
            except _Malformed as error:
                yield MalformedLine(str(path), number, str(error))


def _row(raw: bytes) -> Mapping[str, Any]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Malformed(f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start + 1}") from None
    if "\x00" in text:
        raise _Malformed("not text: it has a NUL byte")
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        cut = "" if raw.endswith(b"\n") else "; the line has no line end, so the file may be truncated"
        raise _Malformed(f"not JSON: {error.msg} at column {error.colno}{cut}") from None
    except (RecursionError, ValueError) as error:
        raise _Malformed(f"not JSON: {type(error).__name__}") from None
    return dict(_expect(row, dict, "", "a JSON object"))


def _conversation(row: Mapping[str, Any], line: int) -> Conversation:
    if "turns" in row:
        rows, default = tuple(_user_turns(row["turns"])), f"dialogue-{line}"
        if not rows:
            raise _Malformed("turns: none of them is the user's")
    elif "text" in row:
        rows, default = (row,), f"utterance-{line}"
    else:
        raise _Malformed("expected the key 'text' (an utterance) or 'turns' (a dialogue)")
    language = row.get("lang")
    return Conversation(
        id=str(row.get("dialogue_id") or row.get("id") or default),
        lang="" if language is None else _expect(language, str, "lang: ").lower().replace("_", "-").partition("-")[0],
        turns=tuple(_message(turn.get("text"), "text") for turn in rows),
        reference_datetime=_reference(row),
        line=line,
        rows=rows,
    )


def _user_turns(turns: Any) -> Iterator[Mapping[str, Any]]:
    for number, turn in enumerate(_expect(turns, list, "turns: "), start=1):
        speaker = _expect(turn, dict, f"turns[{number}]: ").get("speaker")
        if _expect(speaker, str, f"turns[{number}].speaker: ", "'user' or 'system'").lower() == "user":
            _message(turn.get("text"), f"turns[{number}].text")
            yield turn


def _message(value: Any, key: str) -> str:
    text: str = _expect(value, str, f"{key}: ")
    if not text.strip():
        raise _Malformed(f"{key}: the message is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Malformed(f"{key}: a lone surrogate, which no text encoding can carry") from None
    return text


def _reference(row: Mapping[str, Any]) -> datetime | None:
    value = row.get("reference_datetime")
    if value is None:
        return SGD_TODAY if str(row.get("dialogue_id", "")).startswith("sgd/") else None
    try:
        # The local wall clock counts: "tomorrow" does not depend on the offset.
        return datetime.fromisoformat(value).replace(tzinfo=None)
    except (TypeError, ValueError):
        raise _Malformed(f"reference_datetime: expected ISO 8601, found {str(value)[:_SNIPPET]!r}") from None


def _expect(value: Any, kind: type, where: str, wanted: str = "") -> Any:
    """Return ``value`` if it is of ``kind``; else say where what was ``wanted``, and what was found."""
    if not isinstance(value, kind):
        raise _Malformed(f"{where}expected {wanted or _KINDS[kind]}, found {_KINDS.get(type(value), 'nothing')}")
    return value


_KINDS = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number"}
