"""JSON out of the free text that language models write."""

from __future__ import annotations

import json
import re
from typing import Any

_TRAILING_COMMA = re.compile(r",\s*([}\]])")
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2019": "'", "\u2018": "'"})


def _balanced(text: str, start: int) -> str | None:
    """The object that opens at ``start``, to its matching brace, or None. Braces in strings are text."""
    depth, inside, escaped = 0, False, False
    for position in range(start, len(text)):
        character = text[position]
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return text[start : position + 1]
    return None


def _close(text: str) -> str:
    """A cut-off object with its open string, lists and objects closed."""
    stack: list[str] = []
    inside, escaped = False, False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "{[":
            stack.append("}" if character == "{" else "]")
        elif character in "}]" and stack:
            stack.pop()
    return text.rstrip().rstrip(",:") + ('"' if inside else "") + "".join(reversed(stack))


def _loads(text: str) -> dict[str, Any] | None:
    for candidate in (text, _TRAILING_COMMA.sub(r"\1", text.translate(_QUOTES))):
        try:
            value = json.loads(candidate, strict=False)
        except (json.JSONDecodeError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def parse_object(text: str) -> dict[str, Any] | None:
    """First JSON object in a text: in code fences, after chatter, with stray commas or curly quotes, cut off.

    Objects that closed are preferred to one that must be closed for the model. None if there is no object.
    """
    text = text[:20_000]
    starts = [match.start() for match in re.finditer(r"\{", text)][:50]
    for start in starts:
        whole = _balanced(text, start)
        value = _loads(whole) if whole else None
        if value is not None:
            return value
    if starts and _balanced(text, starts[0]) is None:
        return _loads(_close(text[starts[0] :]))
    return None


def closes(text: str) -> bool:
    """True once the text's first object has closed."""
    start = text.find("{")
    return start >= 0 and _balanced(text, start) is not None
