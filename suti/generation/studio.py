"""What people draw with, on the command line and on the page: an apprentice, its super-resolution and a captioner.

``Studio`` holds the loaded models. A subject is encoded once and re-used while its pictures and texts stay the
same; each picture's noise is keyed by seed, prompt and number, so no picture depends on what else was asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from suti.config.schema import Compute, Config, SuperResolutionStage
from suti.diffusion.settings import Sampling
from suti.io.atomic import atomic_path
from suti.seeds import torch_generator

Picture = Image.Image | np.ndarray
Demonstration = tuple[Picture, str]
SUBJECTS = 4
"""Encoded subjects that are kept; of a large base one takes hundreds of megabytes."""


@dataclass(frozen=True)
class Wish:
    """What to draw and how: one prompt.

    Attributes:
        prompt: what to draw.
        sampling: how; one picture is drawn at a time, whatever ``images_per_prompt`` says.
        seed: number of the draw.
        upscale: enlarge with the studio's super-resolution, if it has any.
    """

    prompt: str
    sampling: Sampling
    seed: int = 0
    upscale: bool = True

    def record(self) -> dict[str, Any]:
        """How a picture is drawn, for its record."""
        return {name: value for name, value in asdict(self.sampling).items() if name != "images_per_prompt"}


class Studio:
    """Loaded models. ``super_resolution`` and ``captioner`` may be absent."""

    def __init__(
        self, pipeline: Any, super_resolution: Any = None, captioner: Any = None, max_caption_tokens: int = 24
    ) -> None:
        self.pipeline, self.super_resolution, self.captioner = pipeline, super_resolution, captioner
        self.max_caption_tokens = max_caption_tokens
        self._encoded: OrderedDict[bytes, Any] = OrderedDict()

    def suggest(self, pictures: Sequence[np.ndarray]) -> list[str]:
        """A caption of each uint8 ``(H, W, 3)`` picture; empty strings without a captioner."""
        if self.captioner is None:
            return [""] * len(pictures)
        return list(self.captioner.caption(list(pictures), max_new_tokens=self.max_caption_tokens))

    def encode(self, demonstrations: Sequence[Demonstration]) -> Any:
        """The subject's encoding, computed once for equal pictures and texts.

        Raises:
            ValueError: the pipeline holds a plain base, which takes no demonstrations.
        """
        key = _digest(demonstrations)
        if key not in self._encoded:
            self._encoded[key] = self.pipeline.encode_subject(list(demonstrations))
        self._encoded.move_to_end(key)
        while len(self._encoded) > SUBJECTS:
            self._encoded.popitem(last=False)
        return self._encoded[key]

    def draw(
        self,
        wish: Wish,
        demonstrations: Sequence[Demonstration],
        number: int,
        callback: Callable[[int], None] | None = None,
        enlarging: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Picture ``number`` (from 0) of a wish: uint8 ``(H, W, 3)``.

        Args:
            callback: called with the number of each finished step, from 1.
            enlarging: called before each super-resolution stage with its number, from 1, and the number of stages.
        """
        output = self.pipeline(
            wish.prompt,
            demonstrations=self.encode(demonstrations),
            sampling=wish.sampling,
            num_images_per_prompt=1,
            generator=torch_generator(wish.seed, "generate", wish.prompt, number),
            callback=callback,
        )
        picture = np.asarray(output.images[0])
        if wish.upscale and self.super_resolution is not None:
            noise = torch_generator(wish.seed, "super_resolution", wish.prompt, number)
            picture = self.super_resolution.upscale(picture[None], [wish.prompt], generator=noise, callback=enlarging)[
                0
            ]
        return picture

    def enlarged_by(self, wish: Wish) -> list[dict[str, Any]]:
        """Name and settings of each super-resolution stage that a wish's pictures go through, for their record."""
        return list(self.super_resolution.settings) if wish.upscale and self.super_resolution is not None else []


def _digest(demonstrations: Sequence[Demonstration]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for picture, text in demonstrations:
        array = np.ascontiguousarray(np.asarray(picture))
        digest.update(repr((array.shape, str(array.dtype), text)).encode())
        digest.update(array.tobytes())
    return digest.digest()


def model_folder(chosen: Path | None, config: Config) -> Path:
    """The apprentice's folder: ``chosen``, else the one that the configuration's run makes, else the shipped one.

    Raises:
        ValueError: there is none, with the remedy.
    """
    own = chosen or Path(config.results) / "apprentice" / config.filtering.default
    shipped = [Path(config.models.apprentice)] if chosen is None and config.models.apprentice else []
    for folder in (own, *shipped):
        if (folder / "model_index.json").is_file():
            return folder
    if chosen is not None:
        seen = "no such folder" if not own.exists() else "no model_index.json in it"
        raise ValueError(f"--model: {own}: {seen}; expected an apprentice, e.g. {config.results}/apprentice/none")
    raise ValueError(f"{own}: no apprentice there yet; train it with `make run`, or name another with --model")


def load_pipeline(folder: Path, compute: Compute) -> Any:
    """The apprentice as a pipeline, on the configured device."""
    import torch

    from suti.devices import pick_device
    from suti.models.pipeline import SuTIPipeline

    torch.set_num_threads(compute.threads)
    # shipped ones are stored in half precision, which CPUs are slow at
    return SuTIPipeline.from_pretrained(str(folder), dtype=torch.float32).to(pick_device(compute))


def load_upscaler(stages: Sequence[SuperResolutionStage], compute: Compute, pipeline: Any) -> Any:
    """The cascade of ``models.super_resolution`` for a pipeline's pictures; None if there are no stages.

    Raises:
        FileNotFoundError, ValueError: a stage is missing or does not fit; see ``load_super_resolution``.
    """
    if not stages:
        return None
    from suti.models.cascade import load_super_resolution

    cascade = load_super_resolution(stages, compute, pipeline.text_encoder, pipeline.tokenizer)
    cascade.output_size(pipeline.base.image_size)  # before hours of drawing, not after
    return cascade


def load_captioner(spec: str, compute: Compute) -> Any:
    """The captioner of a folder or hub id."""
    from suti.models import captioner

    return captioner.load_captioner(spec, compute)


def save_png(path: Path, picture: Image.Image, settings: dict[str, Any]) -> None:
    """Write a PNG, whole or not at all, that keeps how it was drawn as JSON under the key "suti"."""
    note = PngInfo()
    note.add_itxt("suti", json.dumps(settings, ensure_ascii=False))
    with atomic_path(path) as part:
        picture.save(part, format="PNG", pnginfo=note)
