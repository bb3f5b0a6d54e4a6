"""Cleaning and comparing of texts that come from web pages. Alt texts are data; nothing in them is obeyed."""

from __future__ import annotations

import html
import re
import unicodedata

MAX_TEXT = 600  # characters of one text that are looked at; alt texts are cut upstream, this is the second fence

_SPECIAL = re.compile(r"<\|[^<>|]{0,60}\|>|\[/?INST\]|<</?SYS>>", re.IGNORECASE)  # chat markers of common models
_BLOCK = re.compile(r"<(script|style)\b[^>]*>.*?(</\1\s*>|$)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z!][^<>]*(>|$)")
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]]{0,200})\]\([^()\s]{0,500}\)")
_URL = re.compile(r"(?:https?://|www\.)\S+|\b[\w-]+\.(?:com|net|org|io|html?|php)\b\S*", re.IGNORECASE)
_EMAIL = re.compile(r"\S+@\S+\.\w+")
_FILE = re.compile(r"\b[\w-]+\.(?:jpe?g|png|gif|webp|bmp|svg|tiff?|pdf)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z\u00C0-\u024F0-9]+(?:['\u2019-][A-Za-z\u00C0-\u024F0-9]+)*")
_LATIN = re.compile(r"[A-Za-z]")


def clean(text: str | None, limit: int = MAX_TEXT) -> str:
    """One line without HTML, chat markers, URLs, e-mail addresses, file names and control characters."""
    if not text:
        return ""
    text = unicodedata.normalize("NFKC", html.unescape(str(text)[: 4 * limit]))
    for pattern, replacement in (
        (_SPECIAL, " "),
        (_BLOCK, " "),
        (_TAG, " "),
        (_MARKDOWN_LINK, r"\1"),
        (_EMAIL, " "),
        (_URL, " "),
        (_FILE, " "),
    ):
        text = pattern.sub(replacement, text)
    text = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join(text.split())[:limit].strip()


def words(text: str) -> list[str]:
    """Lower-case words of a text, digits and inner hyphens and apostrophes included."""
    return [w.replace("\u2019", "'") for w in _WORD.findall(text.lower())]


def normalise(text: str) -> str:
    """Form in which two texts are compared: lower-case words, single spaces."""
    return " ".join(words(text)) or " ".join(text.lower().split())


def unseen_form(text: str) -> str:
    """``normalise`` without articles: 'a teapot in the snow' says no more than 'teapot in snow'."""
    return " ".join(w for w in words(text) if w not in ("a", "an", "the"))


def has_latin(text: str) -> bool:
    """True if the text has a letter that an English reader could read."""
    return bool(_LATIN.search(text))


def has_markup(text: str) -> bool:
    """True if a text holds a URL, an HTML tag, a chat marker or braces, none of which belong in a prompt."""
    return bool(_URL.search(text) or _SPECIAL.search(text) or re.search(r"[<>{}\[\]\\|@#]", text))


def with_article(phrase: str, plural: bool = False) -> str:
    """'a teapot', 'an old boot'; plural phrases stay bare."""
    if plural or not phrase:
        return phrase
    first = phrase.split()[0].lower()
    if first in ("a", "an", "the"):
        return phrase
    vowel = first[0] in "aeiou" and not first.startswith(("uni", "use", "one", "eu"))
    return f"{'an' if vowel else 'a'} {phrase}"


def named_by_class(text: str, description: str, class_name: str) -> str:
    """A text with the class noun in the place of the description: 'a teal vase outside' becomes 'a vase outside'."""
    if not description or description == class_name:
        return text
    named = re.compile(rf"(\b(?:an?|the) )?\b{re.escape(description)}\b", re.IGNORECASE)

    def replaced(match: re.Match[str]) -> str:
        article = (match[1] or "").strip().lower()
        return with_article(class_name) if article in ("a", "an") else (match[1] or "") + class_name

    return named.sub(replaced, text)
