"""InstructPix2Pix (arXiv 2211.09800): a base that edits a picture by an instruction, trained once, for all subjects.

The UNet sees the picture beside the noise: its first convolution has as many more channels, which start at zero. It is
trained on the pairs of ``suti.baselines.instruction_pairs`` and edits under two guidance weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from suti.baselines.method import Method
from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.diffusion.settings import Sampling
from suti.experts.fine_tuning import training_set
from suti.generation.draw import BenchmarkSubject, Drawn, Request, demonstration_of, draw_in_turn, noise_of
from suti.io.atomic import write_json
from suti.language.instructions import instruction_of
from suti.models.backbone import References
from suti.models.base import BaseModel, load_base
from suti.models.codec import Codec, LatentCodec, PixelCodec, pixel_patch
from suti.models.conditions import Conditions
from suti.models.drawing import sample, to_images
from suti.seeds import torch_generator
from suti.small_models.loop import LoopSettings, train
from suti.small_models.records import store_half


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


AT_ONCE = 16  # pictures of a batch, three passes each


@dataclass(frozen=True)
class ShownPicture:
    """What an editor looks at, as the references of ``suti.models.backbone``.

    Attributes:
        inputs: ``(n, C, h, w)``, from ``EditingModel.condition``.
        present: ``(B,)`` of 0 and 1, B a multiple of n: rows of a prediction go through the pictures again and again.
            None: each row sees its picture.
    """

    inputs: torch.Tensor
    present: torch.Tensor | None = None

    def __bool__(self) -> bool:
        """Whether there are any."""
        return len(self.inputs) > 0

    def with_present(self, present: torch.Tensor | None) -> ShownPicture:
        """The same pictures with another ``present``."""
        return ShownPicture(self.inputs, present)

    def rolled(self) -> ShownPicture:
        """Each row sees the picture of the row before it."""
        return ShownPicture(self.inputs.roll(1, 0), self.present)

    def beside(self, x: torch.Tensor) -> torch.Tensor:
        """Channels to put after those of ``x`` ``(B, C, h, w)``; zeros where no picture is seen."""
        rows = torch.cat([self.inputs] * (len(x) // len(self.inputs))).to(x.dtype)
        return rows if self.present is None else rows * self.present.to(x.dtype)[:, None, None, None]


class EditingModel(BaseModel):
    """A base whose UNet takes a picture's channels after those of the noise: ``in_channels`` is twice the base's."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the noise, half of the UNet's input."""
        side = int(self.unet.config["sample_size"])
        return self.channels, side, side

    def predict(
        self, x: torch.Tensor, t: torch.Tensor, conditions: Conditions, references: References | None = None
    ) -> torch.Tensor:
        """The UNet's prediction beside a picture; without one, beside zeros."""
        if not references:
            beside = torch.zeros_like(x)
        elif isinstance(references, ShownPicture):
            beside = references.beside(x)
        else:
            raise TypeError(f"references: {type(references).__name__}, expected a picture that an editor encoded")
        out = self.unet(torch.cat([x, beside], 1), t, conditions.hidden_states, return_dict=False)[0]
        return out[:, : x.shape[1]]

    def encode_references(self, x_start: torch.Tensor, conditions: Conditions, k: int) -> ShownPicture:
        """What the UNet sees of one picture a row.

        Raises:
            ValueError: more than one.
        """
        if k != 1:
            raise ValueError(f"k: {k}, expected 1: an editor looks at one picture")
        return ShownPicture(self.condition(x_start))

    @property
    def codec(self) -> Codec:
        """Map between pictures and half of the UNet's input."""
        return LatentCodec(self.vae) if self.vae is not None else PixelCodec(pixel_patch(self.channels))

    @property
    def channels(self) -> int:
        """Channels of the noise, and of the picture."""
        return int(self.unet.config["in_channels"]) // 2

    def condition(self, x_start: torch.Tensor) -> torch.Tensor:
        """What the UNet sees of a picture: pixels as they are, latents without their scale, as diffusers' pipeline."""
        return x_start if self.vae is None else x_start / self.vae.config["scaling_factor"]


def editing_model(base: BaseModel) -> EditingModel:
    """A base's copy that takes a picture too; it starts as the base, which is left as it is (section 3.2)."""
    old = base.unet
    channels = int(old.config["in_channels"])
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
        texts: conditions of the empty text, row 0, and of the distinct instructions.
        text_of: the instruction of each pair, as a row of ``texts``, ``(n,)``.
    """

    before: torch.Tensor
    after: torch.Tensor
    texts: Conditions
    text_of: torch.Tensor


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
    texts = [model.encode(distinct[i : i + at_once]) for i in range(0, len(distinct), at_once)]
    text_of = torch.tensor([1 + distinct.index(i) for i in instructions])
    return EditingSet(model.condition(coded[0]), coded[1], Conditions.join([model.encode([""]), *texts]), text_of)


def train_instruct_pix2pix(
    model: EditingModel, data: EditingSet, settings: LoopSettings, batch_size: int, drop: float,
    checkpoint: str | Path | None = None, log: str | Path | None = None,
) -> float:  # fmt: skip
    """Train an editor in place (section 3.2) and return the seconds that it took.

    Args:
        drop: probability of dropping the instruction alone, the picture alone, and both: each so much (paper: .05).
        settings: of ``suti.small_models.loop``; its draws are keyed by (seed, name, step), so a resumed run ends
            the same.
    """
    unet, device = model.unet, model.unet.device

    def loss(step: int) -> dict[str, torch.Tensor]:
        rng = torch_generator(settings.seed, settings.name, "batch", step)
        rows = torch.randint(len(data.after), (batch_size,), generator=rng)
        u = torch.rand(batch_size, generator=rng)
        no_text = (u < drop) | ((u >= 2 * drop) & (u < 3 * drop))
        with_picture = (~((u >= drop) & (u < 3 * drop))).to(device)
        timesteps = model.schedule.random_times(batch_size, rng).to(device)
        x_start = data.after[rows]
        noise = torch.randn(x_start.shape, generator=rng).to(device)
        picture = ShownPicture(data.before[rows], with_picture)
        text = data.texts[data.text_of[rows].masked_fill(no_text, 0)]
        value = denoising_loss(
            lambda x, t: model.predict(x, t, text, picture), model.schedule, x_start, noise, timesteps
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
    parts: dict[str, Any] = {"unet": model.unet, "text_encoder": model.text_encoder, "tokenizer": model.tokenizer,
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


def edit(
    model: EditingModel, pictures: torch.Tensor, instructions: Sequence[str], generators: Sequence[torch.Generator],
    settings: InstructPix2Pix, sampling: Sampling, compute: Compute,
) -> torch.Tensor:  # fmt: skip
    """Edited pictures ``(n, C, h, w)`` under two guidance weights at all steps (section 3.2.1, Eq. 3).

    ``e(0, 0) + s_I (e(picture, 0) - e(0, 0)) + s_T (e(picture, text) - e(picture, 0))``, as
    ``suti.models.drawing.sample`` weighs references and text.

    Args:
        pictures: what the UNet sees of them, ``(n, C, h, w)`` (``EditingModel.condition``).
        instructions: n texts.
    """
    weighed = replace(
        sampling, guidance_scale=settings.guidance_scale, demonstration_guidance_scale=settings.image_guidance_scale,
        guidance_stop=1.0,
    )  # fmt: skip
    with autocast(compute, model.device):
        return sample(model, instructions, ShownPicture(pictures), generators, weighed)


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

    def draw_requests(requests: Sequence[Request]) -> np.ndarray:
        demonstrations = [demonstration_of(subject, request.image_index)[0] for request in requests]
        pictures = base.condition(training_set(base, demonstrations, [""]).x_start)
        instructions = [instruction_of(request.prompt, subject.class_name) for request in requests]
        noise = noise_of(seed, subject, requests)
        return to_images(base, edit(base, pictures, instructions, noise, settings, sampling, compute))

    return draw_in_turn(subject, sampling, draw_requests, AT_ONCE)


METHODS = {"instruct-pix2pix": Method(InstructPix2Pix, draw_instruct_pix2pix, load_instruct_pix2pix)}
