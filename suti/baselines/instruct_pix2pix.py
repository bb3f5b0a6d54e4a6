"""InstructPix2Pix (arXiv 2211.09800): a base that edits a picture by an instruction, trained once, for all subjects.

The UNet sees the picture beside the noise: its first convolution has as many more channels, which start at zero. It is
trained on the pairs of ``suti.baselines.instruction_pairs`` and edits under two guidance weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from suti.arguments import Settings
from suti.baselines.prompt_to_prompt import to_images
from suti.baselines.taking_turns import Asked, draw_in_turn, edited
from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.diffusion.sampling import sample_ddpm, sampling_scheduler
from suti.generation import BenchmarkSubject, Drawn, Sampling, training_set
from suti.io.atomic import write_json
from suti.language.instructions import instruction_of
from suti.models.base import BaseModel, load_base
from suti.models.codec import Codec, LatentCodec, PixelCodec, pixel_patch
from suti.seeds import torch_generator
from suti.training.loop import LoopSettings, train
from suti.training.records import store_half


@dataclass(frozen=True)
class InstructPix2Pix:
    """How pictures are edited.

    Attributes:
        guidance_scale: of the instruction, s_T.
        image_guidance_scale: of the picture, s_I.
    """

    guidance_scale: float
    image_guidance_scale: float
    steps: int = 0  # optimiser steps a subject


def instruct_pix2pix_settings(s: Settings) -> InstructPix2Pix:
    """InstructPix2Pix of the passed settings."""
    names = ("guidance_scale", "image_guidance_scale")
    return InstructPix2Pix(**{name: s[f"baselines.instruct_pix2pix_{name}"] for name in names})


class EditingModel(BaseModel):
    """A base whose UNet takes a picture's channels after those of the noise: ``in_channels`` is twice the base's."""

    @property
    def codec(self) -> Codec:
        """Map between pictures and half of the UNet's input."""
        return LatentCodec(self.vae) if self.vae is not None else PixelCodec(pixel_patch(self.channels))

    @property
    def channels(self) -> int:
        """Channels of the noise, and of the picture."""
        return int(self.unet.config.in_channels) // 2

    def condition(self, x_start: torch.Tensor) -> torch.Tensor:
        """What the UNet sees of a picture: pixels as they are, latents without their scale, as diffusers' pipeline."""
        return x_start if self.vae is None else x_start / self.vae.config.scaling_factor


def editing_model(base: BaseModel) -> EditingModel:
    """A base's copy that takes a picture too; it starts as the base, which is left as it is (section 3.2)."""
    old = base.unet
    channels = int(old.config.in_channels)
    unet = UNet2DConditionModel.from_config({**old.config, "in_channels": 2 * channels})
    weights = {name: value.clone() for name, value in old.state_dict().items()}
    weights["conv_in.weight"] = torch.cat([weights["conv_in.weight"], torch.zeros_like(weights["conv_in.weight"])], 1)
    unet.load_state_dict(weights)
    unet.set_attn_processor(old.attn_processors)
    unet.to(old.device, old.dtype)
    return EditingModel(unet, base.text_encoder, base.tokenizer, base.scheduler, base.vae)


@dataclass(frozen=True)
class EditingSet:
    """What an editor learns from: pictures as the UNet sees them, ``(n, C, h, w)``, and instructions.

    Attributes:
        before, after: the pairs' pictures.
        texts: hidden states of the distinct instructions, ``(m, L, D)``.
        text_of: the instruction of each pair, as a row of ``texts``, ``(n,)``.
        empty: hidden states of the empty text, ``(1, L, D)``.
    """

    before: torch.Tensor
    after: torch.Tensor
    texts: torch.Tensor
    text_of: torch.Tensor
    empty: torch.Tensor


def editing_set(
    model: EditingModel, before: Sequence[np.ndarray], after: Sequence[np.ndarray], instructions: Sequence[str],
    at_once: int = 64,
) -> EditingSet:  # fmt: skip
    """Encode pairs once, ``at_once`` pictures a pass of a VAE."""
    distinct = sorted(set(instructions))
    coded = [
        torch.cat([
            training_set(model, pictures[i : i + at_once], [""]).x_start for i in range(0, len(pictures), at_once)
        ])
        for pictures in (before, after)
    ]  # fmt: skip
    texts = torch.cat([model.encode_text(distinct[i : i + at_once]) for i in range(0, len(distinct), at_once)])
    text_of = torch.tensor([distinct.index(i) for i in instructions])
    return EditingSet(model.condition(coded[0]), coded[1], texts, text_of, model.encode_text([""]))


def train_instruct_pix2pix(
    model: EditingModel, data: EditingSet, settings: LoopSettings, batch_size: int, drop: float,
    checkpoint: str | Path | None = None, log: str | Path | None = None,
) -> float:  # fmt: skip
    """Train an editor in place (section 3.2) and return the seconds that it took.

    Args:
        drop: probability of dropping the instruction alone, the picture alone, and both: each so much (paper: .05).
        settings: of ``suti.training.loop``; its draws are keyed by (seed, name, step), so a resumed run ends the same.
    """
    unet, device = model.unet, model.unet.device
    total = model.scheduler.config.num_train_timesteps

    def loss(step: int) -> dict[str, torch.Tensor]:
        rng = torch_generator(settings.seed, settings.name, "batch", step)
        rows = torch.randint(len(data.after), (batch_size,), generator=rng)
        u = torch.rand(batch_size, generator=rng)
        no_text = ((u < drop) | ((u >= 2 * drop) & (u < 3 * drop))).to(device)
        shown = (~((u >= drop) & (u < 3 * drop))).to(device)
        timesteps = torch.randint(total, (batch_size,), generator=rng).to(device)
        x_start = data.after[rows]
        noise = torch.randn(x_start.shape, generator=rng).to(device)
        picture = data.before[rows] * shown[:, None, None, None]
        text = torch.where(no_text[:, None, None], data.empty, data.texts[data.text_of[rows]])
        value = denoising_loss(
            lambda x, t: unet(torch.cat([x, picture], 1), t, text, return_dict=False)[0],
            model.scheduler, x_start, noise, timesteps,
        ).mean()  # fmt: skip
        return {"loss": value}

    unet.requires_grad_(True)
    spent = train(unet, loss, settings, checkpoint, log)
    unet.requires_grad_(False)
    return spent.seconds


def data_key(values: Any) -> str:
    """Short hash of what an editor is trained on, for its loop's name: no checkpoint of other data is resumed then."""
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=4).hexdigest()


def save_instruct_pix2pix(model: EditingModel, folder: Path) -> None:
    """Save an editor as a diffusers folder, float16 safetensors.

    One on Stable Diffusion opens as ``StableDiffusionInstructPix2PixPipeline`` too.
    """
    parts = {"unet": model.unet, "text_encoder": model.text_encoder, "tokenizer": model.tokenizer,
             "scheduler": model.scheduler, "vae": model.vae}  # fmt: skip
    index: dict[str, Any] = {"_class_name": "StableDiffusionInstructPix2PixPipeline"}
    for name, part in parts.items():
        if part is not None:
            part.save_pretrained(folder / name)
            library = "transformers" if name in ("text_encoder", "tokenizer") else "diffusers"
            index[name] = [library, type(part).__name__]
    index |= {name: [None, None] for name in ("vae", "safety_checker", "feature_extractor") if name not in index}
    write_json(folder / "model_index.json", index)
    for name in ("unet", "text_encoder", "vae"):
        if (folder / name).is_dir():
            store_half(folder / name)


def load_instruct_pix2pix(folder: str) -> EditingModel:
    """The editor of a folder, frozen.

    Raises:
        FileNotFoundError: no such folder.
    """
    return EditingModel(**vars(load_base(folder, "--model")))


@torch.no_grad()
def edit(
    model: EditingModel, pictures: torch.Tensor, instructions: Sequence[str], generators: Sequence[torch.Generator],
    settings: InstructPix2Pix, sampling: Sampling, compute: Compute,
) -> torch.Tensor:  # fmt: skip
    """Edited pictures ``(n, C, h, w)`` under two guidance weights (section 3.2.1, Eq. 3).

    ``e(0, 0) + s_I (e(picture, 0) - e(0, 0)) + s_T (e(picture, text) - e(picture, 0))``

    Args:
        pictures: conditions of the UNet, ``(n, C, h, w)``.
        instructions: n texts.
    """
    n, dtype = len(instructions), model.unet.dtype
    empty = model.encode_text([""]).expand(n, -1, -1)
    text = torch.cat([empty, empty, model.encode_text(list(instructions))]).to(dtype)
    shown = torch.cat([torch.zeros_like(pictures), pictures, pictures]).to(dtype)

    def denoiser(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        seen = torch.cat([torch.cat([x.to(dtype)] * 3), shown], 1)
        neither, picture, both = model.unet(seen, torch.cat([timesteps] * 3), text, return_dict=False)[0].chunk(3)
        guided = neither + settings.image_guidance_scale * (picture - neither)
        return guided + settings.guidance_scale * (both - picture)

    thresholding = sampling.dynamic_thresholding
    scheduler = sampling_scheduler(model.scheduler, pixel=model.vae is None, dynamic_thresholding=thresholding)
    with autocast(compute, model.device):
        return sample_ddpm(
            denoiser, scheduler, tuple(pictures.shape), generators, sampling.num_inference_steps, model.device
        )


def draw_instruct_pix2pix(
    base: EditingModel, subject: BenchmarkSubject, settings: InstructPix2Pix, sampling: Sampling, compute: Compute,
    seed: int,
) -> Drawn:  # fmt: skip
    """Edit a demonstration to every prompt; image i of a prompt edits demonstration i, in turn if there are fewer.

    Our choices: the instruction is the prompt less the subject ('make it in the snow', ``suti.language.instructions``),
    in the form of the training's; noise is that of the other systems; nothing is kept of a subject.

    Args:
        base: an editor (``load_instruct_pix2pix``).
    """

    def together(asked: Sequence[Asked]) -> np.ndarray:
        shown = [edited(subject, a.image_index)[0] for a in asked]
        pictures = base.condition(training_set(base, shown, [""]).x_start)
        said = [instruction_of(a.prompt, subject.class_name) for a in asked]
        generators = [
            torch_generator(seed, "generation", subject.subject_id, a.prompt_id, a.image_index) for a in asked
        ]
        return to_images(base, edit(base, pictures, said, generators, settings, sampling, compute))

    return draw_in_turn(subject, sampling, together)
