"""Where otel-shadow's objects stand in a line of any form, and how much of a line is lost.

A line of ours begins with its object. What containers, Kubernetes, syslog and journald put before it is known
(``PREFIX``); behind any other text stands what somebody made the application log, which is no evidence unless its code
verifies. Structured lines (Docker's json-file, a shipper's JSON, OTLP) hold ours as an object or as a JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_shadow.evidence.line_fields import READ_EVENTS
from otel_shadow.log_line import KEYS, ORDER

Object = Mapping[str, Any]
_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)"
_DAY = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?"
_COLOUR = r"(?:\x1b\[[\d;]*m)*"
_REPLICA = r"[\w.@/]{0,80}[-_.][\w.@/-]{0,80}"
PREFIX = "|".join(
    (
        _STAMP + r" (?:stdout|stderr) [FP] ",  # containerd, CRI-O
        r"(?:\[pod/[^\]\s]+\] )?" + _STAMP + r"[ \t]",  # docker logs -t, kubectl logs --timestamps
        r"\[pod/[^\]\s]+\] ",  # kubectl logs --prefix
        rf"{_COLOUR}{_REPLICA} *{_COLOUR} *\|{_COLOUR} {_COLOUR}(?:{_STAMP} )?{_COLOUR}",  # docker compose
        r"(?:<\d{1,3}>)?" + _DAY + r" [\w.:-]+ [\w.@/-]+(?:\[\d+\])?: ",  # syslog (RFC 3164), journalctl
        r"(?:<\d{1,3}>)?" + _STAMP + r" [\w.:-]+ [\w.@/-]+\[\d+\]: ",  # journalctl -o short-iso
        _STAMP + r" [\w.-]+\[[\w.-]+\]: ",  # Heroku
        r"<\d{1,3}>1 (?:" + _STAMP + r"|-) \S+ \S+ \S+ \S+ (?:-|(?:\[[^\]]*\])+) \x{FEFF}?",  # syslog (RFC 5424)
        r"[^\s:{}\"']{0,250}\.(?:log|jsonl?|out|err|txt)[^\s:{}\"']{0,80}:(?:\d+:)?",  # grep over several files
    )
)
"""What may stand before a line of ours: a pattern that both Python and RE2 read."""
_BEFORE = re.compile(r"\ufeff?[\s\x00]*+(?:" + PREFIX.replace(r"\x{FEFF}", "\ufeff") + r")?\s*+(?=[\[{])")
_EVENT = re.compile(r'\{\s*"event"\s*:\s*"SHADOW_(?:V2|BASELINE|COMPARISON|HEARTBEAT)"')
_MEMBER = re.compile(f"(?:{PREFIX})?".replace(r"\x{FEFF}", "\ufeff") + r'[ \t]++"((?:[^"\\]|\\.)*+)"\s*+:\s*+')
"""A line of an object that stands over several lines, as console exporters print them."""
_MARK = re.compile(r'event\\*"\s*:\s*\\*"SHADOW_(?:V2|BASELINE)\\*"')
"""Each line of evidence has it once, however it is quoted; who only speaks of ours, or names an event so, has not."""
_REST = '"pair_id'
"""A key of each line but a heartbeat: the end of one whose beginning is lost."""
_OTHERS = re.compile(r'"SHADOW_(?:COMPARISON|HEARTBEAT)')
_FIRST = '{"event":"SHADOW_'
_DEEPEST = 12
"""Levels of JSON inside JSON that are looked into."""
_FAILURES = 100
"""Objects of one line that broke off: what is behind them is counted, not read, as each try reads to the line's end."""
_WORD = re.compile(r"[ \r\n\x00]*[^\W_]")
_TABLES = sorted((key.path for key in KEYS if key.type == "table"), key=len, reverse=True)
_FLAT = [(path, re.compile("[._]".join(map(re.escape, path)) + r"[._](.+)", re.DOTALL)) for path in _TABLES]
"""How a key inside a table is named where a shipper has flattened the line; a table in a table comes first."""
_decoder = json.JSONDecoder()


@dataclass(slots=True)
class FoundObjects:
    """The objects of otel-shadow in a line.

    Arguments:
        placed: those that stand where ours do.
        behind: those behind other text.
        lost: lines of evidence that can't be read, as far as can be counted.
    """

    placed: list[Object] = field(default_factory=list)
    behind: list[Object] = field(default_factory=list)
    lost: int = 0


def objects_in(text: str) -> FoundObjects:
    """Return what a line of a log holds of otel-shadow."""
    found = FoundObjects()
    _in_text(text, found, 0, placed=True)
    return found


def _in_text(text: str, found: FoundObjects, depth: int, *, placed: bool) -> None:
    """Look for objects in one line, at whose beginning what is ours is ``placed``."""
    start = match.end() if (match := _BEFORE.match(text)) else 0
    if text.startswith(("{", "["), start):
        try:
            value, end = _decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            ours = _begins_as_ours(text, start)
            _in_pieces(text, start, found, placed=ours and placed, torn=ours)
            return
        _in_value(value, found, depth, placed=placed)
        while isinstance(value, dict) and text.startswith("{", end):  # Firehose puts objects together
            try:
                value, end = _decoder.raw_decode(text, end)
            except (ValueError, RecursionError):
                break
            _in_value(value, found, depth, placed=placed)
        ours = isinstance(value, dict) and _is_ours(value)
        _in_pieces(text, end, found, placed=ours and placed, torn=False)
    elif member := _MEMBER.match(text):
        _in_member(text, member, found, depth, placed=placed)
    else:
        _in_pieces(text, start, found, placed=False, torn=False)


def _in_member(text: str, member: re.Match[str], found: FoundObjects, depth: int, *, placed: bool) -> None:
    """Look into one line of an object that stands over several: a console exporter's holds ours as a text."""
    try:
        value, end = _decoder.raw_decode(text, member.end())
    except (ValueError, RecursionError):
        end = 0
    else:
        # Of ours over several lines, which were not put together, one is there.
        if member[1] == "event" and isinstance(value, str) and value in READ_EVENTS:
            found.lost += 1
        _in_value(value, found, depth, placed=placed)
    _in_pieces(text, end, found, placed=False, torn=False)


def _in_pieces(text: str, start: int, found: FoundObjects, *, placed: bool, torn: bool) -> None:
    """Look for objects from ``start`` on.

    Arguments:
        placed: whether what stands before is ours, so that an object that follows at once is ours as well.
        torn: whether an object of ours began at ``start`` and broke off.
    """
    if text.find("SHADOW_", start) < 0 and text.find(_REST, start) < 0 and not torn:
        return
    failures = 0
    for match in _EVENT.finditer(text, start + torn):
        if match.start() < start:
            continue
        try:
            value, end = _decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            failures += 1
            if failures > _FAILURES:
                break
            continue
        between = text[start : match.start()]
        found.lost += _lost(between, torn=torn)
        whole = placed and (torn or not between.strip()) and not _WORD.match(text, end)
        (found.placed if whole else found.behind).append(unflattened(value))
        start, torn = end, False
    found.lost += _lost(text[start:], torn=torn)


def _lost(text: str, *, torn: bool) -> int:
    """Return how many lines of evidence a piece of text held that can't be read."""
    if marks := len(_MARK.findall(text)):
        return marks
    if torn:
        return 0 if text.startswith((_FIRST + "COMPARISON", _FIRST + "HEARTBEAT")) else 1
    return int(_REST in text and '"config_digest' in text and not _OTHERS.search(text))


def _begins_as_ours(text: str, start: int) -> bool:
    """Return whether an object of ours begins at ``start``; of one that broke off early only a part is there."""
    beginning = text[start : start + len(_FIRST)]
    if beginning == _FIRST or _EVENT.match(text, start):
        return True
    after = text.find(_FIRST, start + 1)
    return after > start and _FIRST.startswith(text[start:after])


def _is_ours(value: Mapping[str, Any]) -> bool:
    event = value.get("event")
    return isinstance(event, str) and event in ORDER


def _in_value(value: Any, found: FoundObjects, depth: int, *, placed: bool) -> None:
    if isinstance(value, dict):
        if _is_ours(value):
            (found.placed if placed else found.behind).append(unflattened(value))
        elif depth >= _DEEPEST:
            return
        elif isinstance(listed := value.get("kvlistValue"), dict):
            _in_value(_of_otlp(value) if _holds_ours(listed) else listed, found, depth + 1, placed=placed)
        else:
            for item in value.values():
                _in_value(item, found, depth + 1, placed=placed)
    elif isinstance(value, list) and depth < _DEEPEST:
        for item in value:
            _in_value(item, found, depth + 1, placed=placed)
    elif isinstance(value, str) and ("SHADOW_" in value or _REST in value):
        if depth >= _DEEPEST:
            found.lost += len(_MARK.findall(value))
            return
        for line in value.split("\n"):
            before = len(found.placed)
            _in_text(line, found, depth + 1, placed=placed)
            # Of a text that begins otherwise the rest is that text's, whoever's it is.
            placed = placed and (len(found.placed) > before or not line.strip())


def unflattened(line: Object) -> Object:
    """Return a line of ours with the tables that a shipper has flattened (``decision_comparison.original_target``)."""
    missing = [name for name in _OWN_TABLES.get(line["event"], ()) if name not in line]
    if not missing or not any(name.startswith(tuple(missing)) for name in line):
        return line
    found: dict[str, Any] = {}
    for name, value in line.items():
        path, rest = next(
            ((path, match[1]) for path, pattern in _FLAT if path[0] in missing and (match := pattern.fullmatch(name))),
            ((), name),
        )
        table = found
        for part in path:
            table = table.setdefault(part, {})
        table[rest] = value
    return found


_OWN_TABLES = {
    event: [path[0] for path in _TABLES if len(path) == 1 and path[0] in names] for event, names in ORDER.items()
}


def _holds_ours(listed: Mapping[str, Any]) -> bool:
    values = listed.get("values")
    return isinstance(values, list) and any(isinstance(item, dict) and item.get("key") == "event" for item in values)


def _of_otlp(value: Any) -> Any:
    """Return the plain value of OTLP's ``AnyValue``."""
    if not isinstance(value, dict):
        return None
    for name, item in value.items():
        if name == "kvlistValue" and isinstance(item, dict):
            pairs = [pair for pair in item.get("values") or () if isinstance(pair, dict)]
            return {str(pair.get("key")): _of_otlp(pair.get("value")) for pair in pairs}
        if name == "arrayValue" and isinstance(item, dict):
            return [_of_otlp(one) for one in item.get("values") or ()]
        if name == "intValue" and isinstance(item, str) and len(item) < 20:
            return int(item) if item.lstrip("-").isdigit() else item
        if name in ("stringValue", "boolValue", "intValue", "doubleValue"):
            return item
    return None
