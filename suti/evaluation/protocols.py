"""Protocols: how a number of DINO, CLIP-I or CLIP-T was made, each as one small declared object.

Published numbers of one method differ between papers because each takes other encoders, other references and
other prompts. A number without its protocol cannot be compared with another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import yaml

References = Literal["all", "one", "other"]
Aggregate = Literal["subjects", "images"]
Crop = Literal["own", "resize256-crop224"]
Kind = Literal["image", "text"]

RULES: Mapping[str, str] = MappingProxyType({
    "all": "mean cosine to all real pictures of the subject",
    "one": "cosine to one real picture of the subject: the one that the protocol names, else the first by file name",
    "other": "mean cosine to the real pictures of the subject but the one that the rule 'one' takes: what a system "
    "that was shown that one has never seen",
})  # fmt: skip
MEANS: Mapping[str, str] = MappingProxyType({
    "subjects": "mean over subjects of the mean over a subject's pictures",
    "images": "mean over all pictures",
})  # fmt: skip
METRICS = ("dino", "dinov2", "clip_i", "clip_t")
NO_ENCODER = "none"

DINO_S16 = "transformers:facebook/dino-vits16"
DINO_S8 = "transformers:facebook/dino-vits8"
DINOV2_S14 = "transformers:facebook/dinov2-small"
CLIP_B32 = "transformers:openai/clip-vit-base-patch32"
CLIP_L14 = "transformers:openai/clip-vit-large-patch14"


@dataclass(frozen=True)
class Protocol:
    """One way to measure.

    Attributes:
        name: what the numbers are called by.
        encoders: encoder spec (suti/models/encoders.py) by metric. A metric whose name begins with clip_t or CLIP-T
            compares pictures with prompts, every other compares pictures with references.
        references: the reference rule, see ``RULES``.
        aggregate: what is averaged, see ``MEANS``. Intervals are over subjects either way.
        crops: preprocessing by metric: 'own', the encoder's own (also where nothing is said), or
            'resize256-crop224', which goes before it.
        chosen: file name of the one reference by subject.
        source: where the protocol stands, and what its authors leave open.
        replaced: metrics whose encoder is not the protocol's own any more, with the spec that is.
    """

    name: str
    encoders: Mapping[str, str]
    references: References = "all"
    aggregate: Aggregate = "subjects"
    crops: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    source: str = "the command line"
    replaced: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value, known, what in (
            (self.references, get_args(References), "references"),
            (self.aggregate, get_args(Aggregate), "aggregate"),
            *((crop, get_args(Crop), f"crops.{metric}") for metric, crop in self.crops.items()),
        ):
            if value not in known:
                raise ValueError(f"protocol {self.name!r}: {what}: {value!r}, expected one of {', '.join(known)}")
        stray = sorted(set(self.crops) - set(self.encoders))
        if stray:
            raise ValueError(f"protocol {self.name!r}: crops.{stray[0]}: no such metric among its encoders")

    def crop(self, metric: str) -> str:
        """Preprocessing of a metric's pictures before the encoder's own."""
        return self.crops.get(metric, "own")

    def images(self) -> tuple[str, ...]:
        """Metrics that compare pictures with references."""
        return tuple(metric for metric in self.encoders if kind(metric) == "image")

    def with_encoders(self, encoders: Mapping[str, str]) -> Protocol:
        """The protocol with other encoders for some of its metrics; 'none' leaves a metric out.

        What was replaced is remembered, so that no number passes for the protocol's own.
        """
        given = {plain(metric): spec for metric, spec in encoders.items()}
        mine = {metric: given[plain(metric)] for metric in self.encoders if plain(metric) in given}
        kept = {metric: mine.get(metric, spec) for metric, spec in self.encoders.items()}
        kept = {metric: spec for metric, spec in kept.items() if spec != NO_ENCODER}
        replaced = {metric: spec for metric, spec in mine.items() if spec != self.encoders[metric]}
        crops = {metric: crop for metric, crop in self.crops.items() if metric in kept}
        return replace(self, encoders=kept, crops=crops, replaced={**self.replaced, **replaced})


def plain(metric: str) -> str:
    """A metric's name as protocols write it: CLIP-I is clip_i."""
    return metric.lower().replace("-", "_")


def kind(metric: str) -> Kind:
    """Whether a metric compares pictures with 'text' or with 'image's, by its name."""
    return "text" if plain(metric).startswith("clip_t") else "image"


KOSMOS_G_CHOSEN = MappingProxyType({
    "backpack": "02.jpg", "backpack_dog": "02.jpg", "bear_plushie": "03.jpg", "berry_bowl": "02.jpg", "can": "01.jpg",
    "candle": "02.jpg", "cat": "04.jpg", "cat2": "02.jpg", "clock": "03.jpg", "colorful_sneaker": "01.jpg",
    "dog": "02.jpg", "dog2": "02.jpg", "dog3": "05.jpg", "dog5": "00.jpg", "dog6": "02.jpg", "dog7": "01.jpg",
    "dog8": "04.jpg", "duck_toy": "01.jpg", "fancy_boot": "02.jpg", "grey_sloth_plushie": "04.jpg",
    "monster_toy": "04.jpg", "pink_sunglasses": "04.jpg", "poop_emoji": "00.jpg", "rc_car": "03.jpg",
    "red_cartoon": "00.jpg", "robot_toy": "00.jpg", "shiny_sneaker": "01.jpg", "teapot": "04.jpg", "vase": "02.jpg",
    "wolf_plushie": "04.jpg",
})  # fmt: skip
"""The picture of each DreamBench subject that Kosmos-G's script keeps; it deletes the others."""

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({
    protocol.name: protocol
    for protocol in (
        Protocol(
            "dreambooth",
            {"dino": DINO_S16, "clip_i": CLIP_B32, "clip_t": CLIP_B32},
            references="all",
            aggregate="subjects",
            crops={"dino": "resize256-crop224"},
            source="DreamBooth, arXiv 2208.12242, section 4.1: average pairwise cosine of generated and real pictures, "
            "DINO ViT-S/16. The paper does not name the CLIP; ViT-B/32 is what re-implementations take. SuTI's Table 1 "
            "follows it",
        ),
        Protocol(
            "kosmos-g",
            {"dino": DINO_S16, "clip_i": CLIP_L14, "clip_t": CLIP_L14},
            references="one",
            aggregate="images",
            crops={"dino": "resize256-crop224"},
            chosen=KOSMOS_G_CHOSEN,
            source="Kosmos-G, arXiv 2310.02992, microsoft/unilm kosmos-g/eval: DINO ViT-S/16 and CLIP ViT-L/14 against "
            "one picture a subject, which is also the system's input",
        ),
        Protocol(
            "dreambench-plus",
            {"dino": DINO_S8, "dinov2": DINOV2_S14, "clip_i": CLIP_B32, "clip_t": CLIP_B32},
            references="one",
            aggregate="images",
            crops={"dino": "resize256-crop224"},
            source="DreamBench++, arXiv 2406.16855, yuangpeng/dreambench_plus metrics: DINO ViT-S/8, DINOv2 ViT-S/14 "
            "and CLIP ViT-B/32 against the one picture that its benchmark has of a subject",
        ),
        Protocol(
            "imagenhub",
            {"dino": DINO_S16, "clip_i": CLIP_B32, "clip_t": CLIP_B32},
            references="all",
            aggregate="images",
            crops={"dino": "resize256-crop224"},
            source="ImagenHub, arXiv 2310.01596, TIGER-AI-Lab/ImagenHub metrics/dreambooth_metric.py: DINO ViT-S/16 "
            "and CLIP ViT-B/32 of one generated and one real picture. Which real pictures are paired is left to the "
            "caller; here all",
        ),
    )
})  # fmt: skip


def find_protocol(name: str) -> Protocol:
    """A protocol by its name, or from a YAML file (a name that ends in .yaml or .yml).

    Raises:
        ValueError: no such protocol, or a file that does not describe one.
        FileNotFoundError: no such file.
    """
    if name.endswith((".yaml", ".yml")):
        return read_protocol(Path(name))
    if name not in PROTOCOLS:
        raise ValueError(
            f"--protocol: {name!r}, expected {', '.join(PROTOCOLS)}, or a YAML file with name, encoders, references"
        )
    return PROTOCOLS[name]


def read_protocol(file: Path) -> Protocol:
    """One's own protocol from YAML with the fields of ``Protocol``; only name and encoders must be there."""
    if not file.is_file():
        raise FileNotFoundError(f"--protocol: {file} does not exist; write it, or name one of {', '.join(PROTOCOLS)}")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: not YAML ({' '.join(str(error).split())[:200]})") from error
    fields = ("name", "encoders", "references", "aggregate", "crops", "chosen", "source")
    if not isinstance(content, dict) or not isinstance(content.get("name"), str) or not content.get("encoders"):
        raise ValueError(f"{file}: expected a mapping with 'name' and 'encoders', and perhaps {', '.join(fields[2:])}")
    unknown = sorted(str(key) for key in set(content) - set(fields))
    if unknown:
        raise ValueError(f"{file}: unknown field {unknown[0]!r}, expected {', '.join(fields)}")
    for name in ("encoders", "crops", "chosen"):
        pairs = content.get(name, {})
        if not isinstance(pairs, dict) or not all(isinstance(x, str) for pair in pairs.items() for x in pair):
            raise ValueError(f"{file}: {name}: {pairs!r}, expected a mapping of text to text")
    return Protocol(**{"source": str(file.name), **content})
