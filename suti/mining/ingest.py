"""From raw pages to clean pictures: what is broken, too large, repeated or beyond the page's limit is
dropped.

Every picture gets a row of the table ``pages`` that says what became of it and why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from suti.config.schema import Pages
from suti.io.alt_text import clean_alt_text
from suti.io.images import BadImage, read_image, shrink
from suti.io.pages import RawPicture
from suti.io.shards import encode_png
from suti.seeds import stable_hash

MIN_SIDE = 8  # pixels; tracking pixels and spacers show nothing
MAX_ASPECT = 10  # longer to shorter side; an encoder that resizes the shorter side would blow up a thin strip
MAX_URL = 2000


def part_of(page_url: str, parts: int) -> int:
    """Part in ``[0, parts)`` of a page: a stable hash of its URL, so that a new page moves no other."""
    return stable_hash("page", page_url) % parts


def image_id(page_url: str, position: int) -> str:
    """Key of the picture at ``position`` of a page, 16 hexadecimal digits."""
    return f"{stable_hash('image', page_url, position):016x}"


@dataclass
class _Page:
    """What has been seen of a page so far."""

    position: int = 0
    urls: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, int] = field(default_factory=dict)


def ingest(
    pictures: Iterable[RawPicture], settings: Pages, part: int, *, dealt: bool = False
) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    """Rows of the table ``pages`` for one part, each with the PNG of a picture that is kept, or None.

    Args:
        pictures: raw pictures of all parts; pages may be interleaved. Those of other parts are not read.
        settings: the section ``pages``: parts, limits, and image_size to which the shorter side is reduced.
        part: the part that is wanted, in ``[0, settings.parts)``.
        dealt: the source holds this part's pages only (one file a part), so none is left to another part.

    Yields:
        (row, png): in the order of reading. A picture's position is its place among the pictures of its
        page, so a page's rows and bytes do not depend on the number of parts.
    """
    if not 0 <= part < settings.parts:
        raise ValueError(f"part {part}: expected a number in [0, {settings.parts}) (pages.parts)")
    pages: dict[str, _Page] = {}
    for raw in pictures:
        url = raw.page_url[:MAX_URL]
        if dealt or part_of(url, settings.parts) == part:
            yield _one(raw, url, pages.setdefault(url, _Page()), settings)


def _one(raw: RawPicture, url: str, page: _Page, settings: Pages) -> tuple[dict[str, Any], bytes | None]:
    position = page.position
    page.position += 1
    row: dict[str, Any] = {
        "page_url": url,
        "image_id": image_id(url, position),
        "image_url": raw.image_url[:MAX_URL] if raw.image_url else None,
        "alt_text": clean_alt_text(raw.alt_text, settings.max_alt_text),
        "position": position,
        "sha256": "",
        "width": 0,
        "height": 0,
    }

    def drop(status: str, detail: str) -> tuple[dict[str, Any], None]:
        return {**row, "status": status, "detail": clean_alt_text(detail, 200)}, None

    if position >= settings.max_images_per_page:
        limit = settings.max_images_per_page
        return drop("page_full", f"the page's first {limit} pictures are read (pages.max_images_per_page)")
    if raw.image_url and raw.image_url in page.urls:
        return drop("duplicate", f"same address as picture {page.urls[raw.image_url]} of the page")
    if raw.image_url:
        page.urls[raw.image_url] = position
    try:
        data = raw.load()
        row["sha256"] = hashlib.sha256(data).hexdigest()
        if row["sha256"] in page.hashes:
            return drop("duplicate", f"same bytes as picture {page.hashes[row['sha256']]} of the page")
        page.hashes[row["sha256"]] = position
        picture = read_image(data, max_pixels=settings.max_pixels)
    except BadImage as error:
        return drop(error.reason, error.detail)
    row["height"], row["width"] = picture.shape[:2]
    if min(picture.shape[:2]) < MIN_SIDE or max(picture.shape[:2]) > MAX_ASPECT * min(picture.shape[:2]):
        return drop(
            "bad_shape",
            f"{row['width']} x {row['height']} pixels: under {MIN_SIDE} or thinner than 1:{MAX_ASPECT}",
        )
    return {**row, "status": "ok", "detail": None}, encode_png(
        np.ascontiguousarray(shrink(picture, settings.image_size))
    )
