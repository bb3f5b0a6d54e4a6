"""The cascade after the base: super-resolution stages, one after the other, e.g. 64 to 256 to 1024 pixels.

As in the paper the stages are those of the base's family and stay as they are. Each augments its input by noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from suti.config.schema import Compute, SuperResolutionStage
from suti.devices import pick_device
from suti.io.model_specs import check_model_spec
from suti.models.base import pipeline_index
from suti.models.super_resolution import PixelSuperResolution
from suti.models.upscalers import FAMILIES, PipelineSuperResolution, load_pipeline_stage
from suti.seeds import torch_generator

SETTING = "models.super_resolution"


@dataclass(frozen=True)
class Stage:
    """A loaded stage. ``arguments``: keywords of ``model.upscale``, every default filled in."""

    name: str
    model: PixelSuperResolution | PipelineSuperResolution
    arguments: dict[str, Any]


class Cascade:
    """Stages in order, each fed with the pictures of the one before, rounded to 8 bits."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = list(stages)

    @property
    def settings(self) -> list[dict[str, Any]]:
        """What enlarges, for a picture's record: name and settings of each stage."""
        return [{"model": stage.name, **stage.arguments} for stage in self.stages]

    def output_size(self, side: int) -> int:
        """Side in pixels of the enlarged pictures of ``side`` pixels.

        Raises:
            ValueError: a stage enlarges pictures of another side; names the stage.
        """
        for number, stage in enumerate(self.stages):
            try:
                side = stage.model.output_size(side)
            except ValueError as error:
                whence = f"stage {number - 1}" if number else "the base"
                raise ValueError(f"{SETTING}.{number}: {stage.name}: {error} (from {whence})") from None
        return side

    def upscale(
        self,
        images: np.ndarray,
        prompts: Sequence[str] | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        callback: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Enlarge pictures through all stages, one picture after the other.

        Args:
            images: uint8 ``(N, S, S, 3)``.
            prompts: as many texts; None will do if no stage reads text.
            generator: CPU generators of all noise, one a picture: none then depends on its batch or place. A single
                one is drawn from picture by picture; None is a fixed seed for every picture. The stages of a picture
                share its generator.
            callback: called with the number of each stage before it runs, from 1, and the number of stages.

        Returns:
            uint8 ``(N, output_size(S), output_size(S), 3)``.

        Raises:
            ValueError: pictures of a wrong kind or size, or prompts or generators missing. Nothing was computed then.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
            raise ValueError(f"{SETTING}: pictures are {images.dtype} {images.shape}, expected uint8 (N, S, S, 3)")
        count, side = len(images), self.output_size(images.shape[1])
        for number, stage in enumerate(self.stages):
            if prompts is None and isinstance(stage.model, PipelineSuperResolution):
                raise ValueError(f"{SETTING}.{number}: {stage.name} reads text; pass a prompt for each picture")
        if prompts is not None and len(prompts) != count:
            raise ValueError(f"{SETTING}: {count} pictures need as many prompts, got {len(prompts)}")
        if generator is None:
            generators = [torch_generator("super_resolution") for _ in range(count)]
        else:
            generators = [generator] * count if isinstance(generator, torch.Generator) else list(generator)
        if len(generators) != count:
            raise ValueError(f"{SETTING}: {count} pictures need as many generators, got {len(generators)}")
        results = [np.zeros((0, side, side, 3), np.uint8)]
        for index, noise in enumerate(generators):
            picture = images[index : index + 1]
            for number, stage in enumerate(self.stages, 1):
                if callback is not None:
                    callback(number, len(self.stages))
                prompt = None if prompts is None else [prompts[index]]
                picture = stage.model.upscale(picture, prompt, generator=noise, **stage.arguments)
            results.append(picture)
        return np.concatenate(results)


def load_super_resolution(
    stages: Sequence[SuperResolutionStage | str],
    compute: Compute | None = None,
    text_encoder: PreTrainedModel | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Cascade:
    """Load the stages of ``models.super_resolution``.

    Args:
        stages: folders or hub ids, with or without settings; an empty list gives a cascade that changes nothing.
        compute: device and precision; None is the CPU in fp32.
        text_encoder, tokenizer: those of the base, which IF stages then share (``load_pipeline_stage``).

    Raises:
        FileNotFoundError: a spec looks like a path and no such folder exists.
        ValueError: a folder holds something else, or a setting is out of its stage's range.
        All messages name setting and stage, and all folders are looked at before any is loaded.
    """
    wanted = [SuperResolutionStage(model=s) if isinstance(s, str) else s for s in stages]
    device = pick_device(compute) if compute else torch.device("cpu")
    specs = [_spec(stage.model, f"{SETTING}.{number}") for number, stage in enumerate(wanted)]
    result = []
    for number, (stage, (spec, index)) in enumerate(zip(wanted, specs, strict=True)):
        try:
            if index["_class_name"] == "PixelSuperResolution":
                model: Any = PixelSuperResolution.from_pretrained(spec, device)
            else:
                model = load_pipeline_stage(spec, index, device, compute, text_encoder, tokenizer)
        except ValueError as error:
            raise ValueError(f"{SETTING}.{number}: {error}") from error
        try:
            arguments = model.arguments(stage.noise_level, stage.num_inference_steps, stage.guidance_scale)
        except ValueError as error:
            raise ValueError(f"{SETTING}.{number}.{error}") from None
        result.append(Stage(stage.model, model, arguments))
    return Cascade(result)


def _spec(name: str, place: str) -> tuple[str, dict[str, Any]]:
    """What to load a stage from, and its ``model_index.json``."""
    check_model_spec(name, place)
    folder = Path(name).expanduser()
    spec = str(folder) if folder.is_dir() else name
    if folder.is_dir() and not (folder / "model_index.json").is_file():
        raise ValueError(f"{place}: {name}: no model_index.json in it; expected a super-resolution stage")
    index = pipeline_index(spec)
    known = ("PixelSuperResolution", *FAMILIES)
    if index.get("_class_name") not in known:
        raise ValueError(f"{place}: {name} is a {index.get('_class_name')}, expected one of {', '.join(known)}")
    return spec, index
