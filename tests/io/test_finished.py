"""Finished work: found again by what made it, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suti.io.finished import Finished, content_address

PICTURES = [("a", np.full((4, 5, 3), 7, np.uint8)), ("b/c", np.zeros((2, 2, 3), np.uint8))]


def test_what_was_kept_is_found(tmp_path: Path) -> None:
    finished = Finished(tmp_path)
    assert finished.find("abcd", lambda record, pictures: (record, pictures)) is None
    finished.keep("abcd", {"loss": 0.1 + 0.2, "rows": [{"x": None}]}, PICTURES)
    record, pictures = finished.find("abcd", lambda record, pictures: (record, pictures))
    assert record == {"loss": 0.1 + 0.2, "rows": [{"x": None}]}
    assert list(pictures) == ["a", "b/c"]
    assert all(np.array_equal(pictures[key], image) for key, image in PICTURES)


@pytest.mark.parametrize("harm", ["cut", "empty", "text", "no record", "no picture"])
def test_a_damaged_file_is_removed(tmp_path: Path, harm: str) -> None:
    finished = Finished(tmp_path)
    finished.keep("abcd", {"rows": ["a"]}, [] if harm == "no picture" else PICTURES)
    path = finished.path("abcd")
    whole = path.read_bytes()
    harmed = {"cut": whole[:1100], "empty": b"", "text": b"no tar", "no picture": whole}
    path.write_bytes(harmed.get(harm, whole.replace(b"record.json", b"recork.json")))
    assert finished.find("abcd", lambda record, pictures: pictures[record["rows"][0]]) is None
    assert not path.exists()


def test_an_address_follows_all_that_it_is_given() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    addresses = [
        content_address({"a": 1}, [picture]),
        content_address({"a": 2}, [picture]),
        content_address({"a": 1}, [picture + 1]),
        content_address({"a": 1}, [picture.reshape(3, 2, 3)]),
        content_address({"a": 1}, [picture, picture]),
        content_address({"a": 1}, [b"png"]),
        content_address({"a": 1}),
    ]
    assert len(set(addresses)) == len(addresses)
    assert content_address({"a": 1, "b": 2}) == content_address({"b": 2, "a": 1})
