"""Weights of experts that are kept (``experts.keep``): one folder a subject that diffusers opens."""

from __future__ import annotations

from pathlib import Path
from typing import cast
from urllib.parse import quote

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from suti.experts.fine_tuning import FineTuning
from suti.io.atomic import atomic_path, read_json, write_json
from suti.models.backbone import Backbone

LORA_FILE = "pytorch_lora_weights.safetensors"  # the name that diffusers looks for
RECORD = "expert.json"


def save_expert(
    folder: Path, subject_id: str, address: str, base: Backbone, settings: FineTuning, tensors: dict[str, torch.Tensor]
) -> Path:
    """Write an expert's weights, whole or not at all, and return their folder.

    LoRA: ``pytorch_lora_weights.safetensors``, which ``load_lora_weights`` of diffusers' pipelines and
    ``unet.load_lora_adapter(folder, prefix="unet", use_safetensors=True)`` open (alpha = rank). Full: a folder for
    ``UNet2DConditionModel.from_pretrained``.

    Args:
        tensors: from ``StackedParameters.of_expert``.
    """
    place = kept_path(folder, subject_id)
    with atomic_path(place) as part:
        part.mkdir()
        if settings.method == "lora":
            save_file(
                {f"unet.{name}": tensor.cpu().contiguous() for name, tensor in tensors.items()}, part / LORA_FILE,
                metadata={"format": "pt"},
            )  # fmt: skip
        else:
            kind = cast(type[UNet2DConditionModel], type(base.network))  # what of it is called, all models have
            network = cast(UNet2DConditionModel, kind.from_config(base.network.config))
            network.load_state_dict({**base.network.state_dict(), **tensors})
            network.save_pretrained(part, safe_serialization=True)
        write_json(part / RECORD, {"subject_id": subject_id, "expert_id": address, "method": settings.method})
    return place


def is_kept(folder: Path, subject_id: str, address: str) -> bool:
    """Whether the weights of exactly this expert are there."""
    record = kept_path(folder, subject_id) / RECORD
    return record.is_file() and read_json(record).get("expert_id") == address


def kept_path(folder: Path, subject_id: str) -> Path:
    """Folder of a subject's expert; characters that no file name should hold are escaped."""
    return folder / quote(subject_id, safe=" ")
