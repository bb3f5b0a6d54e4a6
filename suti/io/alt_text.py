"""Alt texts as data: what a page says of a picture, stripped of everything that is not plain words.

An alt text is written by strangers. It is never interpreted: tags, scripts, entities and control characters
go, the rest is cut to length, and whatever it says (an instruction to a language model, say) stays a quoted
piece of text.
"""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

_RAW_LIMIT = 4096  # characters of an alt text that are looked at, at least
_ROUNDS = 3  # entities may hide further tags: &lt;b&gt;
_SILENT = {"script", "style"}
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_UNCLOSED = re.compile(r"<[A-Za-z/!?][^<>]*\Z")
_NO_TAG = re.compile(r"<(?=[^<>]*(?:<|\Z))")
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn"}


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in _SILENT))
        self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)


def _strip_tags(text: str) -> str:
    parser = _Text()
    # A sign that opens no tag is text; the parser would try each one against all that follows.
    parser.feed(_NO_TAG.sub("&lt;", _UNCLOSED.sub("", _COMMENT.sub(" ", text))))
    parser.close()
    return "".join(parser.pieces)


def _without_controls(text: str) -> str:
    return "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c) not in _HIDDEN)


def clean_alt_text(text: object, max_length: int) -> str | None:
    """One line of plain words, at most ``max_length`` characters, or None if nothing is left (or nothing was
    text).

    HTML tags, comments, scripts and styles are removed, entities decoded (also those that hide tags),
    control, format (bidirectional overrides, zero-width) and lone surrogate characters removed, white space
    collapsed.
    """
    if not isinstance(text, str):
        return None
    text = _without_controls(text[: max(_RAW_LIMIT, 4 * max_length)])
    for _ in range(_ROUNDS):
        stripped = _strip_tags(text)
        if stripped == text:
            break
        text = stripped
    text = " ".join(_without_controls(text).split())
    return text[:max_length].rstrip() or None


def words_of_name(name: str) -> str:
    """Words of a file or folder name: 'bear_plushie' -> 'bear plushie', 'dog2' -> 'dog', 'apple01' ->
    'apple'."""
    words = re.sub(r"[\s_\-.]+", " ", name).strip()
    return re.sub(r"\s*\d+\Z", "", words).strip() or words
