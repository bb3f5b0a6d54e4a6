"""The DINO-like image encoder: a small ConvNeXt, laid out as DINOv3's, trained on who is in the picture.

DINO's use in the paper is a metric of subject fidelity that looks past background and style.
Self-supervision learns that from millions of photographs; here the renderer knows which pictures show one
subject, so the encoder is trained on that, with augmentation, and has another architecture than CLIP and the
probe: a judge should not be the filter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel, ViTImageProcessor

from suti.compute import to_device
from suti.io.atomic import atomic_path
from suti.seeds import stable_hash
from suti.small_models.companions import Companions, Tensors, to_float
from suti.small_models.loop import LoopSettings, train
from suti.small_models.pool import Stream
from suti.small_models.records import Judge, evaluate, store_half
from suti.small_models.streams import IMAGE_SIZE
from suti.small_models.views import augment, draw_views, retrieval, supervised_contrastive

SUBJECTS_PER_BATCH: Final = 64
TEMPERATURE: Final = 0.1


def new_dino(seed: int) -> DINOv3ConvNextModel:
    """The untrained encoder, about 1.1M parameters; its first token is the pooled, normalised embedding."""
    torch.manual_seed(stable_hash(seed, "dino", "init", bits=56))
    config = DINOv3ConvNextConfig(
        image_size=IMAGE_SIZE, hidden_sizes=[48, 96, 160, 192], depths=[1, 2, 3, 1], layer_scale_init_value=0.1
    )
    return DINOv3ConvNextModel(config)


def image_processor() -> ViTImageProcessor:
    """64 px, bicubic, to [-1, 1]: what every tiny transformers folder carries."""
    return ViTImageProcessor(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, resample=3, do_rescale=True, do_normalize=True,
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip


def train_dino(
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
    """Train the encoder and write its folder (``transformers:FOLDER``).

    Args:
        pool: folder of rendered pictures that trainers share; None: the pictures are rendered here.
        subjects: of a batch, two views each.
        stream: pictures to draw from; None: ``companion_stream``.
        judge: (folder, seed) -> held-out figures; None: ``evaluate_dino``.
    """
    model = new_dino(settings.seed)
    pictures = Companions(settings, pool, lambda pool, number: {}, 2 * subjects, stream)
    labels = torch.arange(subjects, device=settings.device).repeat_interleave(2)

    def draw(step: int) -> Tensors:
        return pictures.draw_subjects("dino", settings.seed, step, subjects, hard=0.5)

    def loss(batch: Tensors) -> dict[str, torch.Tensor]:
        x = augment(to_float(batch["images"]), shift=4, jitter=0.15, noise=0.08)
        z = model(pixel_values=x).last_hidden_state[:, 0]
        return {"loss": supervised_contrastive(F.normalize(z.float(), dim=-1), labels, TEMPERATURE)}

    spent = train(model, loss, settings, checkpoint, log, draw)
    with atomic_path(folder) as part:
        to_device(model, "cpu").save_pretrained(part)
        image_processor().save_pretrained(part)
        store_half(part)
    extra = {"subjects_per_batch": subjects, "views": 2, "temperature": TEMPERATURE}
    evaluate(folder, settings, spent, judge or evaluate_dino, extra)


def evaluate_dino(folder: str | Path, seed: int, subjects: int = 192) -> dict[str, Any]:
    """Held-out figures of a folder, loaded as the evaluation loads it: retrieval and mean cosines."""
    from suti.models.encoders import load_image_encoder

    encoder = load_image_encoder(f"transformers:{Path(folder).resolve()}")

    def embed(images: np.ndarray) -> np.ndarray:
        count, views = images.shape[:2]
        return encoder.embed(list(images.reshape(-1, *images.shape[2:])), batch_size=256).reshape(count, views, -1)

    held = embed(draw_views("held out", "dino", seed, subjects=subjects, views=6).images)
    teapots = embed(draw_views("held out", "dino", seed, "class", subjects=64, views=6, class_name="teapot").images)
    starts = range(0, subjects - 63, 64)
    gram = np.einsum("nvd,mwd->nmvw", held, held)
    own = gram[np.arange(subjects), np.arange(subjects)][:, ~np.eye(6, dtype=bool)]
    other = gram[~np.eye(subjects, dtype=bool)]
    class_gram = np.einsum("nvd,mwd->nmvw", teapots, teapots)
    return {
        "subject_top1_of_64": round(
            float(np.mean([retrieval(held[i : i + 64, :3], held[i : i + 64, 3:]) for i in starts])), 4
        ),
        "subject_top1_of_64_same_class": round(retrieval(teapots[:, :3], teapots[:, 3:]), 4),
        "cosine": {
            "same_subject": round(float(own.mean()), 4),
            "other_subject": round(float(other.mean()), 4),
            "other_subject_same_class": round(float(class_gram[~np.eye(64, dtype=bool)].mean()), 4),
        },
    }
