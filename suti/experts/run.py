"""Experts (section 4.1): fine-tune the base on each subject, draw its unseen prompts, score the draws, discard.

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

from suti.config.schema import Compute, Experts
from suti.diffusion.settings import Sampling
from suti.experts.batched.keeping import save_expert
from suti.experts.batched.sampling import draw_experts
from suti.experts.batched.training import stacked_unet, train_experts
from suti.experts.fine_tuning import FineTuning, TrainingSet
from suti.experts.fine_tuning import training_set as set_of
from suti.filtering import delta_clip
from suti.io.shards import decode_rgb, encode_png, iterate_shard, write_shard
from suti.models.backbone import Backbone
from suti.models.encoders import TextImageEncoder
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
        settings: all settings of experts; those that say where, how many at once and what to keep are left out.
        context: seed, hashes of base and scoring CLIP, code version, precision.
    """
    digest = hashlib.blake2b(digest_size=16)
    chosen = settings.model_dump(mode="json", exclude={"shards", "keep", "experts_at_once", "micro_batch"})
    digest.update(json.dumps([task.subject_id, task.texts, task.prompts, chosen, context], sort_keys=True).encode())
    for image in task.images:
        digest.update(hashlib.sha256(image).digest())
    return digest.hexdigest()


def fine_tuning(settings: Experts) -> FineTuning:
    """How the settings train an expert."""
    return FineTuning(settings.method, settings.steps, settings.batch_size, settings.learning_rate,
                      settings.lora_rank, tuple(settings.frozen))  # fmt: skip


def training_set(task: ExpertTask, base: Backbone) -> TrainingSet:
    """A subject's pictures and texts as the network takes them, computed once."""
    return set_of(base, [decode_rgb(data) for data in task.images], task.texts)


def run_experts(
    tasks: Sequence[ExpertTask],
    addresses: Sequence[str],
    base: Backbone,
    clip: TextImageEncoder,
    settings: Experts,
    compute: Compute,
    seed: int,
    kept: Path | None = None,
    micro_batch: int | None = None,
) -> list[ExpertResult]:
    """Train the experts of all tasks at once (Eq. 4), draw their prompts by DDPM with guidance, score (Eq. 6).

    What an expert gives does not depend on the others, nor on how many they are, up to rounding. A diverged one
    leaves no samples and is named in its log row.

    Args:
        addresses: content address of each expert (``expert_address``).
        kept: folder to save the trained weights in; None discards them.
        micro_batch: images of an expert in one pass (``suti.experts.batched.memory.fit_machine``); None takes all of
            a step.
    """
    tuning = fine_tuning(settings)
    data = [training_set(task, base) for task in tasks]
    drawn = [[(pid, p, i) for pid, p in task.prompts for i in range(settings.samples_per_prompt)] for task in tasks]
    generators = [torch_generator(seed, "expert", task.subject_id) for task in tasks]
    with stacked_unet(base, tuning, generators, compute) as parameters:
        losses = train_experts(base, parameters, data, generators, tuning, compute, micro_batch)
        drawn = [asked if math.isfinite(loss) else [] for asked, loss in zip(drawn, losses, strict=True)]
        wanted = [
            [(prompt, torch_generator(seed, "sample", task.subject_id, pid, i)) for pid, prompt, i in asked]
            for task, asked in zip(tasks, drawn, strict=True)
        ]
        images = draw_experts(base, wanted, Sampling.of(settings), compute, micro_batch or settings.batch_size)
        for number, task in enumerate(tasks):
            if kept is not None and math.isfinite(losses[number]):
                save_expert(kept, task.subject_id, addresses[number], base, tuning, parameters.of_expert(number))
    return [
        _result(*parts, clip, settings.steps)
        for parts in zip(tasks, addresses, losses, drawn, images, strict=True)
    ]  # fmt: skip


def _result(
    task: ExpertTask, address: str, loss: float, drawn: list[tuple[str, str, int]], images: np.ndarray,
    clip: TextImageEncoder, steps: int,
) -> ExpertResult:  # fmt: skip
    status = "ok" if math.isfinite(loss) else "diverged"
    log = {"expert_id": address, "subject_id": task.subject_id, "steps": steps, "status": status, "loss": loss}
    ids = [f"{task.subject_id}_{pid}_{i}" for pid, _, i in drawn]
    scores = score_samples(clip, images, [prompt for _, prompt, _ in drawn], [decode_rgb(d) for d in task.images])
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
    return ExpertResult(log, list(zip(ids, images, strict=True)), rows)


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
