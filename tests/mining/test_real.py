"""Real pages and photos, which the project does not ship: read completely, mined if there are weights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from suti.config.schema import Compute, Pages
from suti.io.images import read_image
from suti.io.pages import read_pages
from suti.mining.clusters import mean_pairwise_similarity
from suti.mining.ingest import ingest

pytestmark = pytest.mark.real
LIMIT = 40_000_000
ROOT = Path(__file__).resolve().parents[2]


def test_web_pages_are_read_completely(shared: Path) -> None:
    pictures = list(read_pages([shared / "data" / "webpages"], "auto", max_pixels=LIMIT))
    assert len({p.page_url for p in pictures}) == 166 and len({p.image_url for p in pictures}) >= 1148
    assert len({p.load() for p in pictures}) <= 1148 <= len(pictures)
    assert any(p.alt_text and any("\u4e00" <= c <= "\u9fff" for c in p.alt_text) for p in pictures)


def test_web_pages_give_clean_rows(shared: Path) -> None:
    raw = read_pages([shared / "data" / "webpages"], "obelics", max_pixels=LIMIT)
    rows = [row for row, _ in ingest(raw, Pages(parts=20, image_size=64), 3)]
    assert rows and {row["status"] for row in rows} <= {"ok", "duplicate", "page_full", "bad_shape"}
    assert all(row["alt_text"] is None or 0 < len(row["alt_text"]) <= 300 for row in rows)


def test_eth80_folders_are_subjects_without_their_masks(shared: Path) -> None:
    pictures = list(read_pages([shared / "data" / "eth80"], "folders", max_pixels=LIMIT))
    pages = {p.page_url for p in pictures}
    assert len(pages) == 80 and len(pictures) == 80 * 41
    assert {p.alt_text for p in pictures} == {"apple", "car", "cow", "cup", "dog", "horse", "pear", "tomato"}


def test_dreambench_folders_are_subjects(shared: Path) -> None:
    pictures = list(read_pages([shared / "data" / "dreambench" / "dataset"], "folders", max_pixels=LIMIT))
    assert len({p.page_url for p in pictures}) == 30 and len(pictures) == 158
    assert {"bear plushie", "dog", "cat"} <= {p.alt_text for p in pictures}
    assert read_image(pictures[0].load(), max_pixels=LIMIT).ndim == 3


def test_real_clip_finds_one_subject_more_alike_than_several(shared: Path) -> None:
    folder = Path(os.environ.get("SUTI_WEIGHTS", ROOT / "weights")) / "clip-vit-base-patch16-image"
    if not (folder / "COMPLETE").exists():
        pytest.skip(f"no real weights: {folder} is absent; `python {shared}/bin/fetch-weights weights clip` makes it")
    from suti.models.encoders import load_image_encoder

    encoder = load_image_encoder(f"transformers:{folder}", Compute())
    root = shared / "data" / "dreambench" / "dataset"

    def similarity(*names: str) -> float:
        chosen = [p for name in names for p in sorted((root / name).glob("*.jpg"))[: 4 // len(names)]]
        return mean_pairwise_similarity(encoder.embed([read_image(p, max_pixels=LIMIT) for p in chosen]))

    same = similarity("duck_toy")
    several = similarity("duck_toy", "dog", "backpack", "clock")
    assert same > 0.8 > several and np.isfinite(same)
