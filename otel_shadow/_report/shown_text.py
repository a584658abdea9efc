"""Text from logs as it is shown: it neither draws on a terminal, nor turns the writing, nor breaks a document."""

from __future__ import annotations

import json
import re
from typing import Any

_MARKS = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""What turns the direction of writing, and ends of lines that are none for most programs."""
_HARMFUL = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_MARKS}]")
_IN_JSON = re.compile(f"[\x7f-\x9f\ud800-\udfff{_MARKS}]")
"""What JSON leaves as it is."""


def clean(text: str) -> str:
    """Return ``text`` without control characters, lone surrogates and what turns the writing direction."""
    return _HARMFUL.sub("\ufffd", text)


def clean_page(text: str) -> str:
    """Return a whole page in the same way: its own ends of lines and tabs stay."""
    return _HARMFUL.sub(lambda match: match[0] if match[0] in "\n\t" else "\ufffd", text)


def json_text(document: Any) -> str:
    """Return ``document`` as indented JSON in which such characters are escaped, which is the same for a parser."""
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    return _IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
