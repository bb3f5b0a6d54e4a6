"""Textual Inversion: the word is learnt, is seen by every family of text encoder, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from suti.baselines.textual_inversion import (
    NewWord,
    TextualInversion,
    draw_textual_inversion,
    train_word,
    with_word,
)
from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.generation.draw import BenchmarkSubject, draw_suti
from suti.models.base import encode_text
from suti.models.pipeline import SuTIPipeline
from tests.tiny import tiny_base

FP32 = Compute(precision="fp32", device="cpu")
SAMPLING = Sampling(2, 3.0, False, 1)
SETTINGS = TextualInversion(steps=3, batch_size=2, learning_rate=0.1, vectors=2)
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
SUBJECT = BenchmarkSubject("s", "cat", tuple((p, "a cat") for p in PICTURES), (("00", "a cat in the snow"),))


def test_the_word_takes_the_place_of_the_class_word() -> None:
    assert with_word("a Cat in the snow", "cat", "<x>") == "a <x> in the snow"
    assert with_word("a cathedral", "cat", "<x>") == "<x> a cathedral"


@pytest.mark.parametrize("kind", ["pixel", "latent"])
def test_a_new_word_with_old_embeddings_reads_as_the_old_word(kind: str) -> None:
    """T5-like and CLIP text encoders; two tokens of one embedding each stand for two words."""
    base = tiny_base(kind)
    new = NewWord(base.text_encoder, base.tokenizer, 1, "cat")
    plain = base.encode(["a cat in the snow"]).hidden_states
    before = len(base.tokenizer)
    with new.known(), torch.no_grad():
        found = encode_text(base.text_encoder, new.tokenizer, [f"a {new.word} in the snow"])
        assert torch.allclose(found, plain, atol=1e-6)
        new.vectors += torch.linspace(-1, 1, 16)  # not 1: layer norm is blind to a shift
        moved = encode_text(base.text_encoder, new.tokenizer, [f"a {new.word} in the snow"])
        assert not torch.allclose(moved, plain, atol=1e-3)
    assert torch.equal(base.encode(["a cat in the snow"]).hidden_states, plain) and len(base.tokenizer) == before


def test_only_the_word_is_trained_and_the_loss_reaches_it() -> None:
    base = tiny_base()
    before = {k: v.clone() for part in (base.unet, base.text_encoder) for k, v in part.state_dict().items()}
    start = NewWord(base.text_encoder, base.tokenizer, 2, "cat").vectors
    first = train_word(base, SUBJECT, SETTINGS, FP32, (0, "x"))
    again = train_word(base, SUBJECT, SETTINGS, FP32, (0, "x"))
    assert first.vectors.shape == start.shape and (first.vectors - start).abs().max() > 0.05
    assert torch.equal(first.vectors, again.vectors) and not first.vectors.requires_grad
    assert not torch.equal(first.vectors[0], first.vectors[1])
    after = {k: v for part in (base.unet, base.text_encoder) for k, v in part.state_dict().items()}
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert not any(p.requires_grad or p.grad is not None for p in base.unet.parameters())


@pytest.mark.parametrize("kind", ["pixel", "latent"])
def test_draws_and_leaves_the_base_as_it_was(kind: str) -> None:
    base = tiny_base(kind)
    pipe = SuTIPipeline.of(base)
    plain = draw_suti(pipe, SUBJECT, 0, SAMPLING, FP32, 0)
    drawn = draw_textual_inversion(base, SUBJECT, SETTINGS, SAMPLING, FP32, 0)
    assert drawn.rows == plain.rows and not np.array_equal(drawn.images, plain.images)
    assert drawn.stored_bytes == 2 * 2 * 16 and drawn.optimisation_seconds > 0
    assert np.array_equal(draw_suti(pipe, SUBJECT, 0, SAMPLING, FP32, 0).images, plain.images)


def test_a_diverged_word_names_the_setting() -> None:
    wild = TextualInversion(steps=4, batch_size=1, learning_rate=float("inf"), vectors=1)
    with pytest.raises(FloatingPointError, match=r"of s: loss nan.*textual_inversion\.learning_rate"):
        train_word(tiny_base(), SUBJECT, wild, FP32, (0, "x"))
