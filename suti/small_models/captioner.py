"""The captioner: a small Segformer and a small BERT decoder (transformers' VisionEncoderDecoder) on renders.

A plain vision transformer, as in BLIP, learns backgrounds but not shapes from so few pictures: after 83,000
it named the class of 46 %. Segformer's overlapping and depthwise convolutions see shapes much sooner.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    BertConfig,
    BertLMHeadModel,
    GenerationConfig,
    PreTrainedTokenizerBase,
    SegformerConfig,
    SegformerModel,
    TrOCRProcessor,
    VisionEncoderDecoderModel,
)

from suti.compute import to_device
from suti.io.atomic import atomic_path
from suti.seeds import generator, stable_hash
from suti.small_models.clip import clip_pool
from suti.small_models.dino import image_processor
from suti.small_models.loop import LoopSettings, train
from suti.small_models.records import store_half, write_provenance
from suti.small_models.views import Pools, augment, draw_views, page_like, pick_subjects, to_tensor
from suti.small_models.vocabulary import build_tokenizer
from suti.world.language import PromptTruth, parse, phrase
from suti.world.scenes import Scene
from suti.world.subjects import Subject, colour_name

BATCH: Final = 64
STEPS_PER_POOL: Final = 32
MAX_LENGTH: Final = 32
WIDTH: Final = 192


def new_captioner(seed: int, tokenizer: PreTrainedTokenizerBase) -> VisionEncoderDecoderModel:
    """The untrained model, about 2.5M parameters; the decoder reads the 4 x 4 last features."""
    torch.manual_seed(stable_hash(seed, "captioner", "init", bits=56))
    encoder = SegformerConfig(
        num_encoder_blocks=3, depths=[2, 2, 2], hidden_sizes=[48, 96, WIDTH], num_attention_heads=[1, 2, 4],
        patch_sizes=[5, 3, 3], strides=[2, 2, 2], sr_ratios=[4, 2, 1], mlp_ratios=[2, 2, 3],
        drop_path_rate=0.0, reshape_last_stage=False,
    )  # fmt: skip
    encoder.hidden_size = WIDTH  # what VisionEncoderDecoder asks an encoder for
    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    decoder = BertConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=6,
        intermediate_size=384, max_position_embeddings=MAX_LENGTH, type_vocab_size=1, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, is_decoder=True, add_cross_attention=True, **special,
    )  # fmt: skip
    model = VisionEncoderDecoderModel(encoder=SegformerModel(encoder), decoder=BertLMHeadModel(decoder))
    model.config.decoder_start_token_id = tokenizer.bos_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config = GenerationConfig(
        decoder_start_token_id=tokenizer.bos_token_id, max_new_tokens=24, **special
    )
    return model


def image_caption(subject: Subject, scene: Scene) -> str:
    """The caption to learn: class with its colour as seen, what it wears, where it is, the style."""
    return phrase(
        subject.class_name,
        background=scene.background,
        accessory=scene.accessory,
        style=scene.style,
        recolour=scene.recolour or colour_name(subject.primary),
        effect=scene.effect,
    )


def train_captioner(
    settings: LoopSettings, folder: str | Path, checkpoint: Path | None = None, log: Path | None = None
) -> None:
    """Train the captioner and write its folder (``AutoProcessor``, ``AutoModelForImageTextToText``)."""
    tokenizer = build_tokenizer(MAX_LENGTH)
    model = new_captioner(settings.seed, tokenizer)
    pools = Pools(lambda number: clip_pool(settings.seed + 1, number), STEPS_PER_POOL)

    def loss(step: int) -> dict[str, torch.Tensor]:
        pool = pools.at(step)
        rng = generator(settings.seed, "captioner", "batch", step)
        rows = pick_subjects(rng, pool.classes, BATCH, hard=0.0)
        view = rng.integers(0, pool.images.shape[1], BATCH)
        x = augment(to_tensor(pool.images[rows, view]), rng, shift=1, jitter=0.06)
        texts = [image_caption(pool.subjects[i], pool.scenes[i][j]) for i, j in zip(rows, view, strict=True)]
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
        tokens = tokens.to(settings.device)
        # The model itself puts <bos> before the labels when it makes the decoder's input of them.
        labels = tokens.input_ids.masked_fill(tokens.attention_mask == 0, -100)[:, 1:]
        out = model(pixel_values=x.to(settings.device), labels=labels)
        return {"loss": out.loss}

    seconds = train(model, loss, settings, checkpoint, log)
    with atomic_path(folder) as part:
        to_device(model, "cpu").save_pretrained(part)
        TrOCRProcessor(image_processor(), tokenizer).save_pretrained(part)
        store_half(part)
        extra = {"batch_size": BATCH}
        write_provenance(part, settings, seconds, evaluate_captioner(part, settings.seed), extra)


@torch.no_grad()
def evaluate_captioner(folder: str | Path, seed: int, count: int = 512) -> dict[str, Any]:
    """Held-out figures of a captioner folder: share of captions of the grammar, and accuracy by attribute."""
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    views = draw_views("held out", "captioner", seed, subjects=count, views=1, size=64)
    images, people, scenes = views.flat()
    images = page_like(images, generator(seed, "captioner", "held out jpeg"), 64)
    texts: list[str] = []
    for start in range(0, count, 64):
        pictures = [Image.fromarray(image) for image in images[start : start + 64]]
        inputs = processor(images=pictures, return_tensors="pt")
        texts += processor.batch_decode(model.generate(**inputs, max_new_tokens=24), skip_special_tokens=True)
    return caption_accuracy(texts, people, scenes)


def caption_accuracy(texts: list[str], people: list[Subject], scenes: list[Scene]) -> dict[str, Any]:
    """How many captions parse as the world's language, and of all how many name each attribute rightly."""
    parsed: list[PromptTruth | None] = []
    for text in texts:
        try:
            parsed.append(parse(text))
        except ValueError:
            parsed.append(None)
    wanted = [parse(image_caption(person, scene)) for person, scene in zip(people, scenes, strict=True)]
    names = ("class_name", "background", "accessory", "style", "recolour", "effect")
    right = {
        name: np.array(
            [p is not None and getattr(p, name) == getattr(w, name) for p, w in zip(parsed, wanted, strict=True)]
        )
        for name in names
    }
    worn = np.array([scene.accessory is not None for scene in scenes])
    return {
        "in_grammar": round(float(np.mean([p is not None for p in parsed])), 4),
        "accuracy": {name: round(float(hit.mean()), 4) for name, hit in right.items()},
        "accessory_when_worn": round(float(right["accessory"][worn].mean()), 4) if worn.any() else None,
        "all_right": round(float(np.all(list(right.values()), axis=0).mean()), 4),
        "examples": texts[:6],
    }
