"""Experts (section 4.1): fine-tune the base on one subject, draw its unseen prompts, score the draws, discard.

An expert is addressed by its content: pictures, texts, prompts, settings, base, scoring CLIP and code. What an
expert left (samples and scores) is kept in a cache under that address, so a killed shard, another number of shards or
one more subject trains nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import math
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from suti.compute import autocast
from suti.config.schema import Compute, Experts
from suti.filtering import delta_clip
from suti.fine_tuning import FineTuning, TrainingSet, fine_tune, subject_unet
from suti.io.shards import decode_rgb, encode_png, iterate_shard, write_shard
from suti.models.base import BaseModel
from suti.models.demonstration_attention import Demonstrations
from suti.models.encoders import TextImageEncoder
from suti.models.pipeline import draw, to_tensor
from suti.seeds import torch_generator


@dataclass(frozen=True)
class ExpertTask:
    """What one expert learns and draws: a cluster C_s and its unseen prompts."""

    subject_id: str
    images: tuple[bytes, ...]  # encoded pictures, as in the shard
    texts: tuple[str, ...]
    prompts: tuple[tuple[str, str], ...]  # (prompt_id, prompt)


@dataclass(frozen=True)
class ExpertResult:
    """What an expert leaves: ``samples`` are (sample_id, uint8 (H, W, 3)), ``scores`` rows of that table."""

    log: dict[str, Any]
    samples: list[tuple[str, np.ndarray]]
    scores: list[dict[str, Any]]


def expert_address(task: ExpertTask, settings: Experts, context: dict[str, Any]) -> str:
    """Content address of an expert, 32 hex digits.

    Args:
        settings: all settings of experts but those that say where and whether to keep them.
        context: seed, hashes of base and scoring CLIP, code version, precision.
    """
    digest = hashlib.blake2b(digest_size=16)
    chosen = settings.model_dump(mode="json", exclude={"shards", "keep"})
    digest.update(json.dumps([task.subject_id, task.texts, task.prompts, chosen, context], sort_keys=True).encode())
    for image in task.images:
        digest.update(hashlib.sha256(image).digest())
    return digest.hexdigest()


def run_expert(
    task: ExpertTask,
    address: str,
    base: BaseModel,
    clip: TextImageEncoder,
    settings: Experts,
    compute: Compute,
    seed: int,
) -> ExpertResult:
    """Train one expert (Eq. 4), draw its prompts by DDPM with guidance, and score the draws (Eq. 6).

    A diverged expert leaves no samples and is named in its log row.
    """
    size, device = base.image_size, base.device
    pictures = [decode_rgb(data) for data in task.images]
    x_start = base.codec.encode(torch.stack([to_tensor(p, size) for p in pictures]).to(device))
    data = TrainingSet(x_start, base.encode_text(list(task.texts)))
    tuning = FineTuning(settings.method, settings.steps, settings.batch_size, settings.learning_rate,
                        settings.lora_rank, tuple(settings.frozen))  # fmt: skip
    log = {"expert_id": address, "subject_id": task.subject_id, "steps": settings.steps, "status": "ok"}
    drawn = [(pid, prompt, i) for pid, prompt in task.prompts for i in range(settings.samples_per_prompt)]
    with subject_unet(base, tuning) as (_, parameters):
        loss = fine_tune(base, parameters, data, tuning, compute, (seed, "expert", task.subject_id))
        if not math.isfinite(loss):
            return ExpertResult({**log, "loss": loss, "status": "diverged"}, [], [])
        generators = [torch_generator(seed, "sample", task.subject_id, pid, i) for pid, _, i in drawn]
        with autocast(compute, device):
            images = draw(
                base, [prompt for _, prompt, _ in drawn], Demonstrations(), generators,
                settings.num_inference_steps, settings.guidance_scale, settings.dynamic_thresholding,
            ) if drawn else np.zeros((0, size, size, 3), np.uint8)  # fmt: skip
    ids = [f"{task.subject_id}_{pid}_{i}" for pid, _, i in drawn]
    scores = score_samples(clip, images, [prompt for _, prompt, _ in drawn], pictures)
    rows = [
        {
            "sample_id": sid,
            "subject_id": task.subject_id,
            "prompt_id": pid,
            "prompt": prompt,
            "expert_id": address,
            **score,
        }
        for sid, (pid, prompt, _), score in zip(ids, drawn, scores, strict=True)
    ]
    return ExpertResult({**log, "loss": loss}, list(zip(ids, images, strict=True)), rows)


def score_samples(
    clip: TextImageEncoder, samples: np.ndarray, prompts: Sequence[str], demonstrations: Sequence[np.ndarray]
) -> list[dict[str, float]]:
    """Both cosines of Eq. 6 and delta-CLIP of each sample.

    Embedded in batches of one subject, so that no score depends on other subjects.

    Args:
        samples: ``(N, H, W, 3)`` uint8.
        prompts: N prompts, those that the samples were drawn for.
        demonstrations: the pictures of C_s.
    """
    if len(samples) == 0:
        return []
    seen, said, known = clip.embed(list(samples)), clip.embed_text(list(prompts)), clip.embed(list(demonstrations))
    return [
        {
            "clip_sample": float(image @ text),
            "clip_demonstration": float((known @ text).max()),
            "delta": delta_clip(image, text, known),
        }
        for image, text in zip(seen, said, strict=True)
    ]


def write_cached(cache: Path, address: str, result: ExpertResult) -> None:
    """Keep what an expert left, whole or not at all."""
    record = json.dumps({"log": result.log, "scores": result.scores}, sort_keys=True).encode()
    members = [("result.json", record), *((f"{sid}.png", encode_png(image)) for sid, image in result.samples)]
    write_shard(cache_path(cache, address), members)


def read_cached(cache: Path, address: str) -> ExpertResult | None:
    """What an expert left, or None if it was never trained (or its file is damaged, which is then removed)."""
    path = cache_path(cache, address)
    if not path.exists():
        return None
    try:
        members = dict(iterate_shard(path))
        record = json.loads(members.pop("result.json"))
        samples = [(row["sample_id"], decode_rgb(members[f"{row['sample_id']}.png"])) for row in record["scores"]]
    except (ValueError, KeyError, OSError, tarfile.TarError):
        path.unlink(missing_ok=True)
        return None
    return ExpertResult(record["log"], samples, record["scores"])


def cache_path(cache: Path, address: str) -> Path:
    """Place of an expert's remains in the cache."""
    return cache / address[:2] / f"{address}.tar"
