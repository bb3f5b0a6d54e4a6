"""Ingest: what is dropped, why, and that neither parts nor neighbours change a page's rows."""

from __future__ import annotations

import hashlib
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from suti.config.schema import Pages
from suti.io import tables
from suti.io.pages import RawPicture
from suti.mining.ingest import image_id, ingest, part_of

ONE = Pages(parts=1, image_size=16)


def raw(page: str, data: bytes, url: str | None = None, alt: str | None = "a cup") -> RawPicture:
    return RawPicture(page, url, alt, lambda: data)


def outcomes(pictures: list[RawPicture], settings: Pages = ONE) -> list[str]:
    rows = [row for row, _ in ingest(pictures, settings, 0)]
    tables.to_arrow("pages", rows)
    return [row["status"] for row in rows]


def test_rows_and_pictures_of_a_clean_page(files: SimpleNamespace) -> None:
    data = files.encode(files.photo(1, 24, 48), "JPEG")
    (row, png), = ingest([raw("https://b/1", data, "https://b/a.jpg", "<b>cup</b>")], ONE, 0)  # fmt: skip
    assert row == {
        "page_url": "https://b/1",
        "image_id": image_id("https://b/1", 0),
        "image_url": "https://b/a.jpg",
        "alt_text": "cup",
        "position": 0,
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": 48,
        "height": 24,
        "status": "ok",
        "detail": None,
    }
    with Image.open(io.BytesIO(png or b"")) as picture:
        assert picture.format == "PNG" and picture.mode == "RGB" and picture.size == (32, 16)


def test_exact_duplicates_and_duplicate_urls_are_dropped_within_their_page_only(
    files: SimpleNamespace,
) -> None:
    a, b = (files.encode(files.photo(seed)) for seed in (1, 2))
    pictures = [
        raw("p", a, "u/a"),
        raw("p", a, "u/b"),
        raw("p", b, "u/a"),
        raw("p", b, None),
        raw("q", a, "u/a"),
    ]
    rows = [row for row, _ in ingest(pictures, ONE, 0)]
    assert [row["status"] for row in rows] == ["ok", "duplicate", "duplicate", "ok", "ok"]
    assert rows[1]["detail"] == "same bytes as picture 0 of the page"
    assert rows[2]["detail"] == "same address as picture 0 of the page" and rows[2]["sha256"] == ""


def test_page_with_500_pictures_is_read_up_to_its_limit(files: SimpleNamespace) -> None:
    def unread() -> bytes:
        raise AssertionError("a picture beyond the limit was read")

    first = [raw("p", files.encode(files.photo(seed, 8, 8))) for seed in range(5)]
    rest = [RawPicture("p", None, None, unread)] * 495
    statuses = outcomes([*first, *rest], Pages(parts=1, max_images_per_page=5))
    assert statuses == ["ok"] * 5 + ["page_full"] * 495


def test_broken_large_and_misshapen_pictures_have_rows_with_reasons(files: SimpleNamespace) -> None:
    thin = files.encode(Image.new("RGB", (2000, 8)))
    pictures = [raw("p", b""), raw("p", b"text"), raw("p", files.png_bomb(2_000)), raw("p", thin),
                raw("p", files.encode(Image.new("RGB", (1, 1))))]  # fmt: skip
    rows = [row for row, _ in ingest(pictures, Pages(parts=1, max_pixels=1_000_000), 0)]
    assert [row["status"] for row in rows] == ["broken", "broken", "too_large", "bad_shape", "bad_shape"]
    assert all(row["detail"] for row in rows) and (rows[3]["width"], rows[3]["height"]) == (2000, 8)


def test_missing_alt_text_is_null(files: SimpleNamespace) -> None:
    data = files.encode(files.photo(1))
    rows = [row for row, _ in ingest([raw("p", data, alt=None), raw("q", data, alt="<br>")], ONE, 0)]
    assert [row["alt_text"] for row in rows] == [None, None]


def test_pictures_are_never_enlarged(files: SimpleNamespace) -> None:
    ((_, png),) = ingest([raw("p", files.encode(files.photo(1, 10, 12)))], Pages(parts=1, image_size=64), 0)
    assert np.asarray(Image.open(io.BytesIO(png or b""))).shape == (10, 12, 3)


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_every_page_is_in_one_part_and_its_rows_do_not_depend_on_the_parts(files: SimpleNamespace, parts: int) -> None:
    pictures = [raw(f"https://b/{i % 9}", files.encode(files.photo(i))) for i in range(27)]
    whole = {row["image_id"]: (row, png) for row, png in ingest(pictures, ONE, 0)}
    dealt = {}
    for part in range(parts):
        for row, png in ingest(pictures, Pages(parts=parts, image_size=16), part):
            assert part_of(row["page_url"], parts) == part and row["image_id"] not in dealt
            dealt[row["image_id"]] = (row, png)
    assert dealt == whole


def test_part_out_of_range_is_an_error_and_a_dealt_source_is_taken_whole(files: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match=r"part 2: expected"):
        list(ingest([], Pages(parts=2), 2))
    pictures = [raw(f"p{i}", files.encode(files.photo(i))) for i in range(8)]
    assert len(list(ingest(pictures, Pages(parts=5), 3, dealt=True))) == 8


def test_hostile_page_urls_are_cut_and_no_two_pictures_share_a_key(files: SimpleNamespace) -> None:
    data = [files.encode(files.photo(seed)) for seed in range(4)]
    rows = [row for row, _ in ingest([raw("https://b/" + "x" * 9_000, d) for d in data], ONE, 0)]
    assert len(rows[0]["page_url"]) == 2_000 and len({row["image_id"] for row in rows}) == 4
