"""Super-resolution stages of real bases: diffusers' own pipelines that condition on a noisy low-resolution picture.

Both families augment their input by noise and tell the UNet its level, as Imagen does (arXiv 2205.11487, section 2.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, IFSuperResolutionPipeline, StableDiffusionUpscalePipeline
from PIL import Image
from transformers import PreTrainedModel, PreTrainedTokenizerBase, T5Config, T5EncoderModel

from suti.compute import autocast
from suti.config.schema import Compute

IF_FACTOR = 4
_UNCHECKED = {"safety_checker": None, "feature_extractor": None, "watermarker": None}
# What makes two T5 encoders interchangeable here: all that shapes the weights and the forward pass.
_T5_KEYS = (
    "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads", "feed_forward_proj",
    "relative_attention_num_buckets", "relative_attention_max_distance",
)  # fmt: skip


@dataclass(frozen=True)
class Family:
    """Defaults of a kind of pipeline, those of diffusers 0.42; spelt out so that a picture's record can name them.

    Attributes:
        noise_level: timestep of the schedule that noises the low-resolution picture.
        load: keywords of ``from_pretrained``; optional checkers and watermarks are left out.
        call: keywords of every call.
    """

    noise_level: int
    num_inference_steps: int
    guidance_scale: float
    load: Mapping[str, Any]
    call: Mapping[str, Any] = field(default_factory=dict)


FAMILIES = {
    # Cleaning captions depends on which packages are installed; prompts are plain text already.
    "IFSuperResolutionPipeline": Family(
        250, 50, 4.0, {**_UNCHECKED, "requires_safety_checker": False}, {"clean_caption": False}
    ),
    "StableDiffusionUpscalePipeline": Family(20, 75, 9.0, _UNCHECKED),
}


class PipelineSuperResolution:
    """An ``IFSuperResolutionPipeline`` or a ``StableDiffusionUpscalePipeline``."""

    def __init__(
        self, pipeline: IFSuperResolutionPipeline | StableDiffusionUpscalePipeline, compute: Compute | None = None
    ) -> None:
        self.pipeline, self.compute = pipeline, compute or Compute(precision="fp32")
        self.family = FAMILIES[type(pipeline).__name__]
        pipeline.set_progress_bar_config(disable=True)

    @property
    def max_noise_level(self) -> int:
        """Largest noise level, inclusive."""
        if isinstance(self.pipeline, IFSuperResolutionPipeline):
            return int(self.pipeline.image_noising_scheduler.config["num_train_timesteps"]) - 1
        return int(self.pipeline.config["max_noise_level"])

    def output_size(self, side: int) -> int:
        """Side of the enlarged pictures of ``side`` pixels.

        Raises:
            ValueError: the stage enlarges pictures of another side. The pipelines themselves would resize them unasked.
        """
        if isinstance(self.pipeline, IFSuperResolutionPipeline):
            expected = int(self.pipeline.unet.config["sample_size"]) // IF_FACTOR
            if side != expected:
                raise ValueError(f"pictures are {side} x {side}, expected {expected} x {expected}")
            return side * IF_FACTOR
        factor = int(self.pipeline.vae_scale_factor)
        if side % factor:
            raise ValueError(f"pictures are {side} x {side}, expected a side that is a multiple of {factor}")
        return side * factor

    def arguments(
        self, noise_level: float | None, num_inference_steps: int | None, guidance_scale: float | None
    ) -> dict[str, Any]:
        """Keywords of ``upscale`` for a stage's settings, None being the default of the family.

        Raises:
            ValueError: one is out of range; the message starts with its name.
        """
        level = self.family.noise_level if noise_level is None else noise_level
        if level != int(level) or not 0 <= level <= self.max_noise_level:
            raise ValueError(f"noise_level: {level}, expected a whole number in [0, {self.max_noise_level}]")
        return {
            "noise_level": int(level),
            "num_inference_steps": num_inference_steps or self.family.num_inference_steps,
            "guidance_scale": self.family.guidance_scale if guidance_scale is None else guidance_scale,
        }

    @torch.inference_mode()
    def upscale(
        self,
        images: np.ndarray,
        prompts: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
        **arguments: Any,
    ) -> np.ndarray:
        """Enlarge pictures one by one under their prompts.

        Args:
            images: uint8 ``(N, S, S, 3)``.
            prompts: as many texts.
            generator: CPU generator of all noise, drawn from picture by picture.
            arguments: what ``arguments`` returned; the family's defaults if absent.

        Returns:
            uint8 ``(N, output_size(S), output_size(S), 3)``.

        Raises:
            ValueError: no prompts, which these pipelines need, or pictures of another size.
        """
        if prompts is None or len(prompts) != len(images):
            count = "none" if prompts is None else len(prompts)
            raise ValueError(f"{len(images)} pictures need as many prompts, got {count}")
        side = self.output_size(images.shape[1])
        arguments = arguments or self.arguments(None, None, None)
        results = [np.zeros((0, side, side, 3), np.uint8)]
        with autocast(self.compute, self.pipeline.device):
            for image, prompt in zip(images, prompts, strict=True):
                drawn = self.pipeline(
                    prompt=prompt, image=Image.fromarray(image), generator=generator, **self.family.call, **arguments
                )
                results.append(np.asarray(drawn[0][0])[None])
        return np.concatenate(results)


def load_pipeline_stage(
    spec: str,
    index: Mapping[str, Any],
    device: torch.device,
    compute: Compute | None = None,
    text_encoder: PreTrainedModel | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> PipelineSuperResolution:
    """A stage of a diffusers folder or hub id, in fp32 (``compute.precision`` is autocast).

    Args:
        spec: folder or hub id.
        index: its ``model_index.json``.
        text_encoder, tokenizer: those of the base. An IF stage takes the encoder over, instead of a second copy, if
            its own has the same class and shape, or if it comes without one. Only an encoder in fp32 will do: the
            pipeline computes in the encoder's type.

    Raises:
        ValueError: an IF stage comes without a text encoder, and the base's does not fit.
    """
    parts: dict[str, Any] = dict(FAMILIES[index["_class_name"]].load)
    if index["_class_name"] == "IFSuperResolutionPipeline":
        own = index.get("text_encoder", [None, None])[1] is not None
        usable = isinstance(text_encoder, T5EncoderModel) and text_encoder.dtype == torch.float32
        if own and usable and text_encoder is not None and _same_shape(spec, text_encoder):
            parts["text_encoder"] = text_encoder
        if not own:
            if not usable or tokenizer is None:
                raise ValueError(f"{spec} has no text encoder, and the base's is no T5EncoderModel in fp32")
            parts |= {"text_encoder": text_encoder, "tokenizer": tokenizer}
    pipeline: Any = DiffusionPipeline.from_pretrained(spec, use_safetensors=True, torch_dtype=torch.float32, **parts)
    if not _width_fits(pipeline):
        raise ValueError(
            f"{spec}: its UNet reads texts {pipeline.unet.config.encoder_hid_dim} wide, the text encoder writes "
            f"{pipeline.text_encoder.config.hidden_size}"
        )
    return PipelineSuperResolution(pipeline.to(device), compute)


def _width_fits(pipeline: DiffusionPipeline) -> bool:
    """Whether the text encoder's width is the one that the UNet projects from, if it projects."""
    width = pipeline.unet.config.encoder_hid_dim
    return width is None or width == pipeline.text_encoder.config.hidden_size


def _same_shape(spec: str, text_encoder: PreTrainedModel) -> bool:
    """Whether the stage's own encoder is like the given one in all but the weights."""
    own = T5Config.from_pretrained(spec, subfolder="text_encoder")
    return all(getattr(own, key) == getattr(text_encoder.config, key) for key in _T5_KEYS)
