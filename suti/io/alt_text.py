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
_COUNTER = re.compile(r"^([^\d]{2,}|[^\dA-Za-z])\d+$")  # of "dog6" and "猫2", not of "r2d2" or "a4"
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
    """Words of a file's or folder's name: 'bear_plushie' is 'bear plushie', '3d_printer' is '3d printer'.

    Underscores, dashes, dots and other signs part words. Counters go: numbers behind ('dog_2', 'white_mug01'), and one
    in front, as trainers write how often a folder is repeated ('40_black mamba'). Digits of a word stay ('r2d2',
    'mp3_player', '7up_can'), and so do those behind a single letter ('a4'). A name without words stays as it is.
    """
    plain = unicodedata.normalize("NFC", name)
    words = "".join(c if c.isalnum() or c == "'" or unicodedata.category(c)[0] == "M" else " " for c in plain).split()
    words = [word for word in (word.strip("'") for word in words) if word]
    while len(words) > 1 and words[-1].isdigit():
        words.pop()
    if len(words) > 1 and words[0].isdigit():
        words.pop(0)
    if words:
        words[-1] = _COUNTER.sub(r"\1", words[-1])
    return " ".join(words) or name.strip()
