"""``SuTIPipeline``: the user's one object. Draws a subject from a few demonstrations, with no fine-tuning.

>>> pipe = SuTIPipeline.from_pretrained("results/apprentice/q0.4")
>>> pipe("a teapot in the snow", demonstrations=[(picture, "a teapot"), ...]).images[0]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, DDPMScheduler, DiffusionPipeline, ImagePipelineOutput, UNet2DConditionModel
from PIL import Image
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from suti.diffusion.settings import Sampling
from suti.io.atomic import write_text
from suti.io.model_specs import check_model_spec
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.base import BaseModel
from suti.models.card import model_card
from suti.models.codec import Picture, to_tensor
from suti.models.demonstration_attention import Demonstrations
from suti.models.drawing import draw

Demonstration = tuple[Picture, str]


class SuTIPipeline(DiffusionPipeline):
    """Text-to-image with demonstrations. Holds an apprentice, or a plain base (then without demonstrations).

    Components are those of a diffusers text-to-image folder: unet, text_encoder, tokenizer, scheduler, vae (optional).
    """

    _optional_components = ["vae"]  # noqa: RUF012 (diffusers' own protocol)
    model_cpu_offload_seq = "text_encoder->unet->vae"  # type: ignore[assignment] # diffusers' own is None, untyped

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        scheduler: DDPMScheduler,
        vae: AutoencoderKL | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler, vae=vae)

    @property
    def base(self) -> BaseModel:
        """The components as a ``BaseModel``, whose ``unet`` may be an apprentice."""
        return BaseModel(self.unet, self.text_encoder, self.tokenizer, self.scheduler, self.vae)

    @classmethod
    def of(cls, base: BaseModel) -> SuTIPipeline:
        """The pipeline of a base's components."""
        return cls(base.unet, base.text_encoder, base.tokenizer, base.scheduler, base.vae)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[Any], **kwargs: Any) -> SuTIPipeline:
        """Load a folder as diffusers does, but every component in float32 unless ``dtype`` says otherwise.

        Shipped folders hold float16. Without a ``dtype`` the libraries behind the components disagree: the text encoder
        would stay in float16 and the UNet become float32, which cannot be called.
        """
        if not kwargs.keys() & {"dtype", "torch_dtype"}:
            kwargs["dtype"] = torch.float32
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[Any],
        *args: Any,
        provenance: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Save the components as diffusers does, and a model card, README.md, which ``provenance`` makes complete."""
        super().save_pretrained(save_directory, *args, **kwargs)
        new = self.unet.new_parameters() if isinstance(self.unet, ApprenticeUNet) else None
        card = model_card(
            image_size=self.base.image_size, parameters=sum(p.numel() for p in self.unet.parameters()),
            new_parameters=None if new is None else sum(p.numel() for p in new), latent=self.vae is not None,
            provenance=provenance,
        )  # fmt: skip
        write_text(Path(save_directory) / "README.md", card)

    @torch.no_grad()
    def encode_subject(self, demonstrations: Sequence[Demonstration]) -> Demonstrations:
        """Encode a subject once for many calls: pass the result as ``demonstrations``.

        Args:
            demonstrations: (picture, text) pairs; any number, their order does not matter.

        Raises:
            ValueError: demonstrations were given, but the pipeline holds a plain base.
        """
        return self.encode_subjects(demonstrations, 1)

    @torch.no_grad()
    def encode_subjects(self, demonstrations: Sequence[Demonstration], subjects: int) -> Demonstrations:
        """Encode the demonstrations of several subjects, as many of each, one subject's after another's.

        Raises:
            ValueError: the subjects have not equally many, or the pipeline holds a plain base.
        """
        if len(demonstrations) % subjects:
            raise ValueError(f"demonstrations: {len(demonstrations)}, expected a multiple of {subjects} subjects")
        if len(demonstrations) == 0:
            return Demonstrations()
        base = self.base
        pictures = [to_tensor(picture, base.image_size) for picture, _ in demonstrations]
        x_start = base.codec.encode(torch.stack(pictures).to(base.device)).to(base.dtype)
        texts = base.encode([text for _, text in demonstrations])
        return cast(
            Demonstrations, base.encode_references(x_start, texts, len(demonstrations) // subjects)
        )  # as all UNets

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        demonstrations: Sequence[Demonstration] | Demonstrations = (),
        sampling: Sampling | None = None,
        *,
        num_images_per_prompt: int | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        output_type: str = "pil",
        callback: Callable[[int], None] | None = None,
        **changes: Any,
    ) -> ImagePipelineOutput:
        """Draw pictures of the demonstrations' subject.

        Args:
            prompt: one prompt or several.
            demonstrations: (picture, text) pairs, or what ``encode_subject`` returned; none gives the base.
            sampling: how to draw; by default 24 steps and guidance 3.
            num_images_per_prompt: pictures of each prompt, one after the other; by default ``images_per_prompt``.
            generator: one CPU generator, or one a picture (then no picture depends on its batch).
            output_type: 'pil' or 'np' (uint8 ``(B, H, W, 3)``).
            callback: called with the number of each finished step.
            changes: fields of ``sampling`` to change, as ``guidance_scale=5`` (``suti.diffusion.settings.Sampling``).

        Returns:
            ``.images``, prompts in order.

        Raises:
            TypeError: ``changes`` has a name that is no field of ``Sampling``.
            ValueError: demonstrations were given, but the pipeline holds a plain base.
        """
        sampling = replace(sampling or Sampling(), **changes)
        each = sampling.images_per_prompt if num_images_per_prompt is None else num_images_per_prompt
        prompts = [p for p in ([prompt] if isinstance(prompt, str) else prompt) for _ in range(each)]
        subject = demonstrations if isinstance(demonstrations, Demonstrations) else self.encode_subject(demonstrations)
        images = draw(self.base, prompts, subject, self._generators(generator, len(prompts)), sampling, callback)
        return ImagePipelineOutput(images=[Image.fromarray(i) for i in images] if output_type == "pil" else images)

    @staticmethod
    def _generators(
        generator: torch.Generator | Sequence[torch.Generator] | None, count: int
    ) -> Sequence[torch.Generator]:
        if generator is None or isinstance(generator, torch.Generator):
            first = generator if generator is not None else torch.Generator().manual_seed(torch.seed() % 2**63)
            seeds = torch.randint(2**62, (count,), generator=first).tolist()
            return [torch.Generator().manual_seed(s) for s in seeds]
        return generator


def load_apprentice(folder: str) -> BaseModel:
    """The model of a folder that ``SuTIPipeline`` saved, frozen and in float32; its ``unet`` is an apprentice.

    Raises:
        FileNotFoundError: no such folder.
    """
    check_model_spec(folder, "--model")
    return SuTIPipeline.from_pretrained(folder, dtype=torch.float32).base.freeze()


def save_base(base: BaseModel, folder: str | Path) -> None:
    """Save a base as a diffusers folder (float16 safetensors) that ``load_base`` and ``SuTIPipeline`` read."""
    pipeline = SuTIPipeline.of(base)
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    pipeline.to(dtype=torch.float32)
