"""Experts (section 4.1): fine-tune the base on each subject, draw its unseen prompts, discard.

An expert is addressed by its content: pictures, texts, prompts, settings, base and code. What an expert left is kept
in a cache under that address, so a killed shard, another number of shards or one more subject trains nothing twice.
Its samples are scored later and elsewhere (suti/filtering.py): no address knows how.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from suti.config.schema import Compute, Experts
from suti.diffusion.settings import Sampling
from suti.experts.batched.keeping import save_expert
from suti.experts.batched.merging import merged_adapters
from suti.experts.batched.sampling import draw_experts
from suti.experts.batched.training import stacked_unet, train_experts
from suti.experts.fine_tuning import FineTuning, TrainingSet
from suti.experts.fine_tuning import training_set as set_of
from suti.io.finished import Finished, content_address
from suti.io.shards import decode_rgb
from suti.models.backbone import Backbone
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
    """What an expert leaves: a row of table 'expert_log', rows of table 'samples', and their pictures.

    Attributes:
        pictures: uint8 (H, W, 3), one for each row.
    """

    log: dict[str, Any]
    samples: list[dict[str, Any]]
    pictures: list[np.ndarray]


def expert_address(task: ExpertTask, settings: Experts, context: dict[str, Any]) -> str:
    """Content address of an expert, 32 hex digits.

    Args:
        settings: all settings of experts; those that say where, how many at once and what to keep are left out.
        context: seed, hash of the base, code version, precision.
    """
    chosen = settings.model_dump(mode="json", exclude={"shards", "keep", "experts_at_once", "micro_batch"})
    return content_address([task.subject_id, task.texts, task.prompts, chosen, context], task.images)


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
    settings: Experts,
    compute: Compute,
    seed: int,
    kept: Path | None = None,
    micro_batch: int | None = None,
) -> list[ExpertResult]:
    """Train the experts of all tasks at once (Eq. 4) and draw their prompts by DDPM with guidance.

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
        # Compiled, the layers would be compiled anew for each group of experts.
        with nullcontext() if compute.compile else merged_adapters(base.network, parameters):
            images = draw_experts(base, wanted, Sampling.of(settings), compute, micro_batch or settings.batch_size)
        for number, task in enumerate(tasks):
            if kept is not None and math.isfinite(losses[number]):
                save_expert(kept, task.subject_id, addresses[number], base, tuning, parameters.of_expert(number))
    return [
        _result(*parts, settings.steps)
        for parts in zip(tasks, addresses, losses, drawn, images, strict=True)
    ]  # fmt: skip


def _result(
    task: ExpertTask, address: str, loss: float, drawn: list[tuple[str, str, int]], images: np.ndarray, steps: int
) -> ExpertResult:
    status = "ok" if math.isfinite(loss) else "diverged"
    log = {"expert_id": address, "subject_id": task.subject_id, "steps": steps, "status": status, "loss": loss}
    rows = [
        {
            "sample_id": f"{task.subject_id}_{pid}_{i}",
            "subject_id": task.subject_id,
            "prompt_id": pid,
            "prompt": prompt,
            "expert_id": address,
        }
        for pid, prompt, i in drawn
    ]
    return ExpertResult(log, rows, list(images))


def keep_result(finished: Finished, address: str, result: ExpertResult) -> None:
    """Keep what an expert left."""
    keys = [row["sample_id"] for row in result.samples]
    finished.keep(address, {"log": result.log, "samples": result.samples}, zip(keys, result.pictures, strict=True))


def find_result(finished: Finished, address: str) -> ExpertResult | None:
    """What an expert left, or None if it was never trained or its file is damaged."""

    def build(record: dict[str, Any], pictures: dict[str, np.ndarray]) -> ExpertResult:
        samples = record["samples"]
        return ExpertResult(record["log"], samples, [pictures[row["sample_id"]] for row in samples])

    return finished.find(address, build)
