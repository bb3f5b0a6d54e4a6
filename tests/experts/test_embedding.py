"""Embeddings of samples: written and read, and a subject's are those of the subject alone."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from suti.experts.embedding import embed_subject, read_embeddings, write_embeddings
from suti.filtering import score_samples


class ColourClip:
    """A stand-in with known cosines: a picture's embedding is its mean colour, a text's its colour word."""

    words: ClassVar = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0)}

    def embed(self, images, batch_size=64):
        means = np.array([np.asarray(i, np.float32).reshape(-1, 3).mean(0) + 1e-6 for i in images], np.float32)
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def embed_text(self, texts, batch_size=256):
        return np.array([self.words[t.split()[1]] for t in texts], np.float32)


def full(*rgb: int) -> np.ndarray:
    return np.full((4, 4, 3), rgb, np.uint8)


def test_scores_by_hand(tmp_path: Path) -> None:
    shown = [full(0, 255, 0), full(120, 160, 0)]
    found = {
        "s": embed_subject(ColourClip(), [full(255, 0, 0), full(0, 255, 0)], ["a red cat", "a red cat"], shown),
        "t": embed_subject(ColourClip(), [full(0, 255, 0)], ["a green cat"], shown[1:]),
    }
    write_embeddings(tmp_path / "e.safetensors", found)
    samples = pd.DataFrame({"sample_id": ["s0", "t0", "s1"], "subject_id": ["s", "t", "s"], "prompt_id": "p"})
    read = read_embeddings(tmp_path / "e.safetensors")
    delta = score_samples("delta_clip", samples, read)
    assert list(delta.columns) == ["sample_id", "subject_id", "prompt_id", "score"]
    assert delta["score"].tolist() == pytest.approx([1 - 0.6, 1 - 0.8, 0 - 0.6], abs=1e-5)  # 3-4-5 triangle
    alike = score_samples("image_similarity", samples, read)
    assert alike["score"].tolist() == pytest.approx([(0 + 0.6) / 2, 0.8, (1 + 0.8) / 2], abs=1e-5)


def test_scores_that_cannot_be_made_are_named(tmp_path: Path) -> None:
    found = {"s": embed_subject(ColourClip(), [full(255, 0, 0)], ["a red cat"], [full(0, 255, 0)])}
    samples = pd.DataFrame({"sample_id": ["s0", "s1"], "subject_id": "s", "prompt_id": "p"})
    with pytest.raises(ValueError, match=r"score 'beauty': expected one of delta_clip, image_similarity"):
        score_samples("beauty", samples, found)
    with pytest.raises(ValueError, match=r"subject 's': 2 samples, 1 embeddings"):
        score_samples("delta_clip", samples, found)
    with pytest.raises(ValueError, match=r"subject 's': 2 samples, 0 embeddings"):
        score_samples("delta_clip", samples, {})


def test_a_shard_without_samples_and_a_damaged_file(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.safetensors", {})
    assert read_embeddings(tmp_path / "e.safetensors") == {}
    data = (tmp_path / "e.safetensors").read_bytes()
    (tmp_path / "e.safetensors").write_bytes(data[:-10])
    with pytest.raises(ValueError, match=r"e\.safetensors: not a readable file of embeddings"):
        read_embeddings(tmp_path / "e.safetensors")
