"""The probe: networks that know the world's truth and judge pictures, in place of the paper's human raters.

The paper asks people whether a picture shows the subject, follows the text, and looks like a photograph
(Table 2). In the rendered world a network can be trained on the truth and answer the same three questions.
It is used for judging only: filtering and metrics use other networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from PIL import Image
from torch import Tensor, nn

from suti.config.schema import Compute
from suti.devices import pick_device
from suti.world.language import PromptTruth, parse
from suti.world.render import worn_colours
from suti.world.scenes import Scene
from suti.world.subjects import Subject, colour_name
from suti.world.vocabulary import (
    ACCESSORIES,
    BACKGROUNDS,
    CLASSES,
    COLOURS,
    DECALS,
    EFFECTS,
    PATTERNS,
    PHOTO,
    SKETCH,
    STUDIO,
    STYLES,
)

NOTHING = "none"
PATCH = 2
# Attribute -> its values, in the order of the head's logits. `colour` is the primary colour as seen. Prompts ask for
# the first six; the others belong to the subject, and reading them makes the probe look at details.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "class_name": CLASSES,
    "background": (*BACKGROUNDS, STUDIO),
    "accessory": (NOTHING, *ACCESSORIES),
    "style": (PHOTO, *STYLES),
    "colour": tuple(COLOURS),
    "effect": (NOTHING, *EFFECTS),
    "pattern": PATTERNS,
    "second_colour": tuple(COLOURS),
    "decal": DECALS,
}


class Judgement(NamedTuple):
    """Scores of N pictures, float32 ``(N,)`` each.

    subject: mean cosine with the references' identity embeddings, [-1, 1]. text: share of the attributes
    that the prompt states and the probe sees, [0, 1]. realism: 1 for a true render, falling with corruption,
    [0, 1].
    """

    subject: np.ndarray
    text: np.ndarray
    realism: np.ndarray


class ProbeOutput(NamedTuple):
    """identity: ``(N, D)`` of length 1; logits: attribute -> ``(N, values)``; realism: ``(N,)`` logits."""

    identity: Tensor
    logits: dict[str, Tensor]
    realism: Tensor


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with group norm; the first has the stride, the skip is pooled and projected."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(8, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(8, channels)
        self.skip = nn.Identity() if channels_in == channels else nn.Conv2d(channels_in, channels, 1, bias=False)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels_in, H, W)`` to ``(N, channels, H / stride, W / stride)``."""
        y = F.silu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        x = F.avg_pool2d(x, self.stride) if self.stride > 1 else x
        return F.silu(y + self.skip(x))


class Probe(ModelMixin, ConfigMixin):
    """A small residual network with an identity embedding, one head an attribute, and a realism head.

    It reads pictures in 2 x 2 patches. The heads see the last two maps, pooled: patterns and decals are small.

    ``config.thresholds`` holds the cuts of the binary columns (``{"subject": .., "text": .., "realism":
    ..}``).
    """

    config_name = "config.json"  # type: ignore[assignment] # diffusers' own is None, untyped

    @register_to_config
    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 128, 224),
        embed_dim: int = 128,
        image_size: int = 64,
        attributes: dict[str, Sequence[str]] | None = None,
        thresholds: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.values = {name: tuple(values) for name, values in (attributes or ATTRIBUTES).items()}
        self.stem = nn.Conv2d(3 * PATCH**2, channels[0], 3, 1, 1)
        pairs = pairwise(channels)
        self.blocks = nn.Sequential(*(ResidualBlock(a, b, 2) for a, b in pairs))
        features = 2 * (channels[-1] + channels[-2])
        self.identity = nn.Linear(features, embed_dim)
        self.heads = nn.ModuleDict({name: nn.Linear(features, len(values)) for name, values in self.values.items()})
        # Corruptions are seen in fine texture, so realism also looks at the first, finest block.
        self.fine = ResidualBlock(channels[0], channels[1], 2)
        self.realism = nn.Sequential(nn.Linear(features + 2 * channels[1], 64), nn.SiLU(), nn.Linear(64, 1))

    @property
    def thresholds(self) -> dict[str, float]:
        """Cuts of the binary columns: a score above its cut counts as yes."""
        return dict(self.config["thresholds"] or {"subject": 0.5, "text": 0.99, "realism": 0.5})

    def forward(self, x: Tensor) -> ProbeOutput:
        """x: ``(N, 3, S, S)`` in [-1, 1], S being ``config.image_size``."""
        stem = self.stem(F.pixel_unshuffle(x, PATCH))
        middle = self.blocks[:-1](stem)
        features = torch.cat([_pool(self.blocks[-1](middle)), _pool(middle)], 1)
        fine = torch.cat([features, _pool(self.fine(F.silu(stem)))], 1)
        return ProbeOutput(
            identity=F.normalize(self.identity(features).float(), dim=-1),
            logits={name: head(features).float() for name, head in self.heads.items()},
            realism=self.realism(fine).float()[:, 0],
        )

    @torch.inference_mode()
    def look(self, images: Sequence[np.ndarray] | np.ndarray, batch_size: int = 256) -> ProbeOutput:
        """The networks' outputs for uint8 pictures of any size, on the CPU in float32."""
        size = self.config["image_size"]
        pixels = np.stack([_fit(image, size) for image in images])
        parts = []
        for start in range(0, len(pixels), batch_size):
            x = torch.from_numpy(pixels[start : start + batch_size]).to(self.device).permute(0, 3, 1, 2).float()
            parts.append(self(x / 127.5 - 1))
        return ProbeOutput(
            identity=torch.cat([part.identity for part in parts]).cpu(),
            logits={name: torch.cat([part.logits[name] for part in parts]).cpu() for name in self.values},
            realism=torch.cat([part.realism for part in parts]).cpu(),
        )

    def attributes(self, output: ProbeOutput) -> dict[str, np.ndarray]:
        """The most likely value of each attribute, arrays of names ``(N,)``."""
        return {
            name: np.array(values, dtype=object)[output.logits[name].argmax(-1).numpy()]
            for name, values in self.values.items()
        }

    def judge(
        self,
        images: Sequence[np.ndarray] | np.ndarray,
        prompts: Sequence[str],
        references: Sequence[Sequence[np.ndarray]],
    ) -> Judgement:
        """Judge picture i against prompt i and the pictures ``references[i]`` of its subject.

        Args:
            images: N pictures, uint8 ``(H, W, 3)``; other sizes than ``config.image_size`` are resized.
            prompts: N prompts of the world (``suti.world.language``).
            references: N lists of real pictures of the subject; a list may be shared by many rows.

        Raises:
            ValueError: the lengths differ, a list of references is empty, or a prompt is not of the world.
        """
        if not len(images) == len(prompts) == len(references):
            raise ValueError(
                f"judge: {len(images)} images, {len(prompts)} prompts, {len(references)} lists of references"
            )
        if len(images) == 0:
            empty = np.zeros(0, np.float32)
            return Judgement(empty, empty, empty)
        seen = self.look(images)
        means: dict[int, Tensor] = {}
        for index, row in enumerate(references):
            if len(row) == 0:
                raise ValueError(f"judge: no reference pictures for image {index} ({prompts[index]!r})")
            if id(row) not in means:
                means[id(row)] = self.look(row).identity.mean(0)
        subject = [float(z @ means[id(row)]) for z, row in zip(seen.identity, references, strict=True)]
        found = self.attributes(seen)
        text = [
            share_confirmed(stated_attributes(prompt), {name: values[i] for name, values in found.items()})
            for i, prompt in enumerate(prompts)
        ]
        realism = seen.realism.sigmoid().numpy()
        return Judgement(np.array(subject, np.float32), np.array(text, np.float32), realism.astype(np.float32))


def _pool(x: Tensor) -> Tensor:
    return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)


def _fit(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape[:2] == (size, size):
        return image
    # Box filter to a whole fraction, as a render averages what its pixels cover; bicubic for all else.
    exact = image.shape[0] == image.shape[1] and image.shape[0] % size == 0
    method = Image.Resampling.BOX if exact else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(image).resize((size, size), method))


def true_attributes(subject: Subject, scene: Scene) -> dict[str, str]:
    """What a render of ``subject`` in ``scene`` shows, by attribute.

    A pencil sketch shows no colours, and a clock no decal. The second colour of a recoloured subject is a shade of the
    new one.
    """
    found = {
        "class_name": subject.class_name,
        "background": scene.background,
        "accessory": scene.accessory or NOTHING,
        "style": scene.style,
        "effect": scene.effect or NOTHING,
        "pattern": subject.pattern,
        "decal": NOTHING if subject.class_name == "clock" else subject.decal,
    }
    if scene.style != SKETCH:
        worn = worn_colours(subject, scene.recolour)
        found["colour"] = colour_name(worn[0])
        changed = worn[1] != subject.secondary
        found["second_colour"] = found["colour"] if changed else colour_name(subject.secondary)
    return found


def stated_attributes(prompt: str) -> dict[str, str]:
    """What a prompt asks for, by attribute; what it does not mention is absent.

    A pattern word describes the subject, whom the subject score judges, and is no request; it is left out. So is
    the colour of a pencil sketch, which shows none.

    Raises:
        ValueError: the prompt is not of the world.
    """
    truth: PromptTruth = parse(prompt)
    stated = {
        "class_name": truth.class_name,
        "background": truth.background,
        "accessory": truth.accessory,
        "style": truth.style,
        "colour": None if truth.style == SKETCH else truth.recolour,
        "effect": truth.effect,
    }
    return {name: value for name, value in stated.items() if value is not None}


def share_confirmed(stated: dict[str, str], seen: dict[str, Any]) -> float:
    """Share of the stated attributes that are seen, in [0, 1]."""
    return float(np.mean([seen[name] == value for name, value in stated.items()]))


def load_probe(folder: str | Path, compute: Compute | None = None) -> Probe:
    """The probe of a model folder, in evaluation mode.

    Raises:
        FileNotFoundError: there is no such folder, or it is none of a probe (names the remedy).
    """
    if not (Path(folder) / "config.json").is_file():
        raise FileNotFoundError(
            f"evaluation.probe: {folder} holds no config.json; train the small models with `make models`, or "
            "set evaluation.probe to null where there is no truth to judge by"
        )
    probe = Probe.from_pretrained(folder, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    device = pick_device(compute) if compute else torch.device("cpu")
    return probe.to(device).eval().requires_grad_(False)
