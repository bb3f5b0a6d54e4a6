"""``SuTIPipeline``: the user's one object. Draws a subject from a few demonstrations, with no fine-tuning.

>>> pipe = SuTIPipeline.from_pretrained("results/apprentice/q0.4")
>>> pipe("a teapot in the snow", demonstrations=[(picture, "a teapot"), ...]).images[0]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, DiffusionPipeline, ImagePipelineOutput, UNet2DConditionModel
from PIL import Image
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from suti.diffusion.sampling import guide, sample_ddpm, sampling_scheduler
from suti.io.atomic import write_text
from suti.io.images import centre_crop_square
from suti.io.model_specs import check_model_spec
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.base import BaseModel
from suti.models.card import model_card
from suti.models.demonstration_attention import Demonstrations

Picture = Image.Image | np.ndarray
Demonstration = tuple[Picture, str]


class SuTIPipeline(DiffusionPipeline):
    """Text-to-image with demonstrations. Holds an apprentice, or a plain base (then without demonstrations).

    Components are those of a diffusers text-to-image folder: unet, text_encoder, tokenizer, scheduler, vae (optional).
    """

    _optional_components = ["vae"]  # noqa: RUF012 (diffusers' own protocol)
    model_cpu_offload_seq = "text_encoder->unet->vae"

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
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> SuTIPipeline:
        """Load a folder as diffusers does, but every component in float32 unless ``dtype`` says otherwise.

        Shipped folders hold float16. Without a ``dtype`` the libraries behind the components disagree: the text encoder
        would stay in float16 and the UNet become float32, which cannot be called.
        """
        if not kwargs.keys() & {"dtype", "torch_dtype"}:
            kwargs["dtype"] = torch.float32
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    def save_pretrained(
        self, save_directory: str | Path, *args: Any, provenance: Mapping[str, Any] | None = None, **kwargs: Any
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
        if len(demonstrations) == 0:
            return Demonstrations()
        if not isinstance(self.unet, ApprenticeUNet):
            raise ValueError("demonstrations: the model is a plain base, which takes none; load an apprentice")
        base = self.base
        pictures = [to_tensor(picture, base.image_size) for picture, _ in demonstrations]
        x_start = base.codec.encode(torch.stack(pictures).to(self.unet.device))
        return self.unet.encode_demonstrations(
            x_start.to(self.unet.dtype), base.encode_text([text for _, text in demonstrations]), len(demonstrations)
        )

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        demonstrations: Sequence[Demonstration] | Demonstrations = (),
        num_inference_steps: int = 24,
        guidance_scale: float = 3.0,
        dynamic_thresholding: bool = False,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        output_type: str = "pil",
        callback: Callable[[int], None] | None = None,
        demonstration_guidance_scale: float | None = None,
        guidance_stop: float = 1.0,
    ) -> ImagePipelineOutput:
        """Draw pictures of the demonstrations' subject.

        Args:
            prompt: one prompt or several.
            demonstrations: (picture, text) pairs, or what ``encode_subject`` returned; none gives the base.
            num_inference_steps: DDPM steps.
            guidance_scale: classifier-free guidance of text and demonstrations together, or of text alone if
                ``demonstration_guidance_scale`` is given; 1 is none.
            dynamic_thresholding: Imagen's, for pixel bases under strong guidance; False clips x_0.
            num_images_per_prompt: pictures of each prompt, one after the other.
            generator: one CPU generator, or one a picture (then no picture depends on its batch).
            output_type: 'pil' or 'np' (uint8 ``(B, H, W, 3)``).
            callback: called with the number of each finished step.
            demonstration_guidance_scale: guidance of the demonstrations by themselves, at a third pass of the UNet.
            guidance_stop: share of the schedule, from its noisy end, that is guided; the rest takes one pass a step.

        Returns:
            ``.images``, prompts in order.
        """
        prompts = [p for p in ([prompt] if isinstance(prompt, str) else prompt) for _ in range(num_images_per_prompt)]
        subject = demonstrations if isinstance(demonstrations, Demonstrations) else self.encode_subject(demonstrations)
        images = draw(
            self.base, prompts, subject, self._generators(generator, len(prompts)),
            num_inference_steps, guidance_scale, dynamic_thresholding, callback,
            demonstration_guidance_scale=demonstration_guidance_scale, guidance_stop=guidance_stop,
        )  # fmt: skip
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


@torch.no_grad()
def draw(
    base: BaseModel,
    prompts: Sequence[str],
    demonstrations: Demonstrations,
    generators: Sequence[torch.Generator],
    num_inference_steps: int,
    guidance_scale: float,
    dynamic_thresholding: bool,
    callback: Callable[[int], None] | None = None,
    text: torch.Tensor | None = None,
    experts: int = 1,
    demonstration_guidance_scale: float | None = None,
    guidance_stop: float = 1.0,
) -> np.ndarray:
    """Sample one picture a prompt: uint8 ``(B, H, W, 3)``. ``demonstrations`` are of one subject, or empty.

    Text and demonstrations are dropped together in the unconditional pass, unless the demonstrations have a weight of
    their own: then a pass with the demonstrations alone stands between,
    ``e(0, 0) + w_d (e(0, C) - e(0, 0)) + w (e(p, C) - e(0, C))`` (as InstructPix2Pix, arXiv 2211.09800, section 3.2,
    weighs its picture and its text). All passes share one forward of the UNet and the demonstrations' keys and values.
    Guidance ends after ``guidance_stop`` of the noise schedule, and a step is then the conditional pass alone: at low
    noise guidance is largely unnecessary (Kynkäänniemi et al., arXiv 2404.07724), and here it coarsens
    experts' textures (docs/results/guidance.json).
    ``text`` replaces the prompts' hidden states if they are known already. With ``experts`` (``suti.experts.batched``)
    the prompts are those of several experts, one expert's after another's and as many of each; the rows of a forward
    pass are then expert-major too, all passes of an expert together.
    """
    device, count, codec = base.unet.device, len(prompts), base.codec
    text = base.encode_text(list(prompts)) if text is None else text
    weight = guidance_scale if demonstration_guidance_scale is None else demonstration_guidance_scale
    # (whether a pass sees the text, whether it sees the demonstrations)
    if demonstrations.keys_values and weight != guidance_scale:
        passes = [(False, False), (False, True), (True, True)]
    else:
        passes = [(False, False), (True, True)] if guidance_scale != 1 else [(True, True)]

    def stacked(*parts: torch.Tensor) -> torch.Tensor:
        return torch.cat([part.unflatten(0, (experts, -1)) for part in parts], 1).flatten(0, 1)

    dropped = base.encode_text([""]).expand(count, -1, -1) if len(passes) > 1 else text

    def conditions(made: Sequence[tuple[bool, bool]]) -> tuple[torch.Tensor, dict[str, Any]]:
        """Text and demonstrations of the rows of a forward that makes these passes."""
        hidden = stacked(*(text if with_text else dropped for with_text, _ in made)).to(base.unet.dtype)
        if not demonstrations.keys_values:
            return hidden, {}
        present = stacked(*(torch.full((count,), float(shown), device=device) for _, shown in made))
        return hidden, {"cross_attention_kwargs": {"demonstrations": demonstrations.with_present(present)}}

    guided, unguided = conditions(passes), conditions(passes[-1:])
    last_guided = (1 - guidance_stop) * base.scheduler.config.num_train_timesteps

    def denoiser(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        x = x.to(base.unet.dtype)
        n, (hidden, extra) = (len(passes), guided) if timesteps[0] >= last_guided else (1, unguided)
        out = base.unet(stacked(*[x] * n), stacked(*[timesteps] * n), hidden, return_dict=False, **extra)[0]
        parts = [part.flatten(0, 1) for part in out.unflatten(0, (experts, n, -1)).unbind(1)]
        if n == 1:
            return parts[0]
        if n == 2:
            return guide(parts[1], parts[0], guidance_scale)
        return guide(parts[1], parts[0], weight) + guidance_scale * (parts[2] - parts[1])

    scheduler = sampling_scheduler(base.scheduler, pixel=base.vae is None, dynamic_thresholding=dynamic_thresholding)
    side = int(base.unet.config.sample_size)
    channels = base.unet.config.in_channels
    x = sample_ddpm(
        denoiser, scheduler, (count, channels, side, side), generators, num_inference_steps, device, callback
    )
    pictures = codec.decode(x)
    return ((pictures.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def to_tensor(picture: Picture, size: int) -> torch.Tensor:
    """Centre square of a picture at the model's size: ``(3, size, size)`` in [-1, 1], area-filtered when shrinking."""
    array = np.asarray(picture.convert("RGB")) if isinstance(picture, Image.Image) else np.asarray(picture)
    square = Image.fromarray(centre_crop_square(array))
    if square.size != (size, size):
        smaller = square.size[0] > size
        square = square.resize((size, size), Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 127.5 - 1


def load_apprentice(folder: str) -> BaseModel:
    """The model of a folder that ``SuTIPipeline`` saved, frozen and in float32; its ``unet`` is an apprentice.

    Raises:
        FileNotFoundError: no such folder.
    """
    check_model_spec(folder, "--model")
    return SuTIPipeline.from_pretrained(folder, dtype=torch.float32).base.freeze()


def save_base(base: BaseModel, folder: str | Path) -> None:
    """Save a base as a diffusers folder (float16 safetensors) that ``load_base`` and ``SuTIPipeline`` read."""
    components = {"unet": base.unet, "text_encoder": base.text_encoder, "tokenizer": base.tokenizer}
    pipeline = SuTIPipeline(**components, scheduler=base.scheduler, vae=base.vae)
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    pipeline.to(dtype=torch.float32)
