"""Captions: one a picture, in batches that no row depends on, by any transformers image-to-text model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    PreTrainedTokenizerFast,
)

from suti.config.schema import Compute
from suti.io import tables
from suti.language.captioning import caption_clusters
from suti.models.captioner import load_captioner

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[BOS]",
    "a",
    "red",
    "blue",
    "cat",
    "teapot",
    "in",
    "the",
    "snow",
]


class Counting:
    """Says how many pictures it saw at once and how bright the first pixel is."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def caption(self, images: list[np.ndarray], max_new_tokens: int = 24) -> list[str]:
        self.batches.append(len(images))
        return [f"a cat {image[0, 0, 0]}" for image in images]


def members() -> pd.DataFrame:
    rows = []
    for cluster, count in (("b", 3), ("a", 5)):
        for place in reversed(range(count)):
            alt = None if place == 0 else f"alt {place}"
            rows.append({"cluster_id": cluster, "image_id": f"{cluster}{place}", "position": place, "alt_text": alt})
    return pd.DataFrame(rows)


def pictures() -> dict[str, np.ndarray]:
    keys = members()["image_id"]
    return {key: np.full((40, 30 + i, 3), 10 * i, np.uint8) for i, key in enumerate(keys)} | {
        "other": np.zeros((4, 4, 3), np.uint8)
    }


def test_rows_and_batches() -> None:
    counting = Counting()
    table = caption_clusters(members(), pictures(), counting, batch_size=4, max_new_tokens=8)
    tables.to_arrow("captions", table)
    assert list(table["image_id"]) == ["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2"]
    assert counting.batches == [4, 1, 3]  # never across a cluster's border
    assert table["alt_text"].isna().sum() == 2
    half = caption_clusters(members().query("cluster_id == 'b'"), pictures(), Counting(), 4, 8)
    assert list(half["caption"]) == list(table["caption"])[5:]


def test_a_member_without_picture_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"b2.*same part"):
        caption_clusters(members(), {k: v for k, v in pictures().items() if k != "b2"}, Counting(), 4, 8)


def test_no_members() -> None:
    table = caption_clusters(members().iloc[:0], {}, Counting(), 4, 8)
    assert len(table) == 0
    tables.to_arrow("captions", table)


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained BLIP of the shape of the shipped captioner."""
    path = tmp_path_factory.mktemp("blip")
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        bos_token="[BOS]", eos_token="[SEP]",
    )  # fmt: skip
    size = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    text = {"vocab_size": len(WORDS), "max_position_embeddings": 32, "bos_token_id": 4, "sep_token_id": 3}
    config = BlipConfig(
        vision_config={**size, "image_size": 16, "patch_size": 8, "initializer_range": 0.5},
        text_config={**size, **text, "pad_token_id": 0, "eos_token_id": 3, "projection_dim": 16},
        projection_dim=16,
        image_text_hidden_size=16,
    )
    torch.manual_seed(0)
    BlipForConditionalGeneration(config).save_pretrained(path)
    processor = BlipImageProcessor(size={"height": 16, "width": 16}, resample=3)
    BlipProcessor(processor, tokenizer).save_pretrained(path)
    return path


def test_a_transformers_captioner(blip: Path) -> None:
    captioner = load_captioner(str(blip), Compute())
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (20 + 5 * i, 30, 3), dtype=np.uint8) for i in range(4)]
    texts = captioner.caption(images, max_new_tokens=6)
    assert len(texts) == 4 and all(isinstance(t, str) and "[" not in t for t in texts)
    assert texts == captioner.caption(images, max_new_tokens=6)
    assert texts[2:3] == captioner.caption(images[2:3], max_new_tokens=6)
    assert captioner.caption([]) == []


def test_a_captioner_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"models\.captioner.*no-such"):
        load_captioner(str(tmp_path / "no-such"), Compute())
    with pytest.raises(ValueError, match=r"models\.captioner.*image-to-text"):
        load_captioner(str(tmp_path), Compute())
