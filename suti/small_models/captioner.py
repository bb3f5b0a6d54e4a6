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
from suti.small_models.companions import Companions, Tensors, to_float
from suti.small_models.dino import image_processor
from suti.small_models.loop import LoopSettings, train
from suti.small_models.pool import Pool, Stream
from suti.small_models.records import Judge, evaluate, store_half
from suti.small_models.views import augment, draw_views, page_like
from suti.small_models.vocabulary import build_tokenizer
from suti.world.language import PromptTruth, parse, phrase
from suti.world.render import worn_colours
from suti.world.scenes import Scene
from suti.world.subjects import Subject, colour_name
from suti.world.vocabulary import SKETCH

SUBJECTS_PER_BATCH: Final = 32
MAX_LENGTH: Final = 32
WIDTH: Final = 192


def new_captioner(seed: int, tokenizer: PreTrainedTokenizerBase) -> VisionEncoderDecoderModel:
    """The untrained model, about 2.5M parameters; the decoder reads the 4 x 4 last features."""
    torch.manual_seed(stable_hash(seed, "captioner", "init", bits=56))
    encoder = SegformerConfig(
        num_encoder_blocks=3, depths=[2, 2, 2], hidden_sizes=[48, 96, WIDTH], num_attention_heads=[1, 2, 4],
        patch_sizes=[7, 3, 3], strides=[4, 2, 2], sr_ratios=[4, 2, 1], mlp_ratios=[2, 2, 3],
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
    """The caption to learn: class with its colour where that is seen, what it wears, where it is, the style."""
    colour = None if scene.style == SKETCH else colour_name(worn_colours(subject, scene.recolour)[0])
    return phrase(
        subject.class_name,
        background=scene.place,
        accessory=scene.accessory,
        style=scene.style,
        recolour=colour,
        effect=scene.effect,
    )


class Labels:
    """Reads a block for the captioner: pictures, every other subject's as a page has them, and what to say of them."""

    def __init__(self, seed: int, tokenizer: PreTrainedTokenizerBase) -> None:
        self.seed, self.tokenizer = seed, tokenizer

    def __call__(self, pool: Pool, number: int) -> Tensors:
        """``images``: uint8 ``(N, 64, 64, 3)``; ``labels``: int64 ``(N, MAX_LENGTH - 1)``, -100 after the end."""
        texts = [image_caption(subject, scene) for subject, scene in zip(*pool.truth(number), strict=True)]
        tokens = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
        )
        images = np.array(pool.block(number)[0])
        pages = np.arange(len(images)) // 2 % 2 == 1
        images[pages] = page_like(images[pages], generator(self.seed, "captioner", "jpeg", number))
        # The model itself puts <bos> before the labels when it makes the decoder's input of them.
        labels = tokens.input_ids.masked_fill(tokens.attention_mask == 0, -100)[:, 1:]
        return {"images": torch.from_numpy(images), "labels": labels}


def train_captioner(
    settings: LoopSettings,
    folder: str | Path,
    checkpoint: Path | None = None,
    log: Path | None = None,
    pool: Path | None = None,
    *,
    subjects: int = SUBJECTS_PER_BATCH,
    stream: Stream | None = None,
    judge: Judge | None = None,
) -> None:
    """Train the captioner and write its folder (``AutoProcessor``, ``AutoModelForImageTextToText``).

    Args:
        pool: folder of rendered pictures that trainers share; None: the pictures are rendered here.
        subjects: of a batch, two views each.
        stream: pictures to draw from; None: ``companion_stream``.
        judge: (folder, seed) -> held-out figures; None: ``evaluate_captioner``.
    """
    tokenizer = build_tokenizer(MAX_LENGTH)
    model = new_captioner(settings.seed, tokenizer)
    pictures = Companions(settings, pool, Labels(settings.seed, tokenizer), 2 * subjects, stream)

    def draw(step: int) -> Tensors:
        return pictures.draw_subjects("captioner", settings.seed, step, subjects, hard=0.0)

    def loss(batch: Tensors) -> dict[str, torch.Tensor]:
        x = augment(to_float(batch["images"]), shift=2, jitter=0.06)
        return {"loss": model(pixel_values=x, labels=batch["labels"], use_cache=False).loss.float()}

    spent = train(model, loss, settings, checkpoint, log, draw)
    with atomic_path(folder) as part:
        to_device(model, "cpu").save_pretrained(part)
        TrOCRProcessor(image_processor(), tokenizer).save_pretrained(part)
        store_half(part)
    extra = {"batch_size": 2 * subjects}
    evaluate(folder, settings, spent, judge or evaluate_captioner, extra)


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
