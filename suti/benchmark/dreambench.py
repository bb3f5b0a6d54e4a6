"""DreamBench (google/dreambooth): its subjects' classes, and its 25 + 25 templates as its own file lists them."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType

from suti.benchmark.photos import pictures_in

CLASSES = MappingProxyType({
    "backpack": "backpack", "backpack_dog": "backpack", "bear_plushie": "stuffed animal", "berry_bowl": "bowl",
    "can": "can", "candle": "candle", "cat": "cat", "cat2": "cat", "clock": "clock", "colorful_sneaker": "sneaker",
    "dog": "dog", "dog2": "dog", "dog3": "dog", "dog5": "dog", "dog6": "dog", "dog7": "dog", "dog8": "dog",
    "duck_toy": "toy", "fancy_boot": "boot", "grey_sloth_plushie": "stuffed animal", "monster_toy": "toy",
    "pink_sunglasses": "glasses", "poop_emoji": "toy", "rc_car": "toy", "red_cartoon": "cartoon", "robot_toy": "toy",
    "shiny_sneaker": "sneaker", "teapot": "teapot", "vase": "vase", "wolf_plushie": "stuffed animal",
})  # fmt: skip
"""Classes of DreamBench's subjects, for lists that name its subjects without them."""


def dataset_folder(path: Path) -> Path:
    """The folder of the subjects' folders: ``path``, or its folder `dataset` if it is a clone of google/dreambooth."""
    inside = path / "dataset"
    return inside if inside.is_dir() and not pictures_in(inside) else path


def read_dreambench(
    path: Path, option: str = "evaluation.path"
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """Classes by subject, and the object and live templates with '{}' for the class, of
    prompts_and_classes.txt.

    The unique token of DreamBooth is left out: 'a {0} {1} in the jungle' becomes 'a {} in the jungle'.

    Args:
        path: a clone of google/dreambooth, or its `dataset` folder; the file lies in that folder or beside it.
        option: the setting or option that named it, for errors.

    Raises:
        FileNotFoundError: no such folder or file.
        ValueError: the file does not hold classes and 25 + 25 templates.
    """
    path = dataset_folder(path)
    candidates = [path / "prompts_and_classes.txt", path.parent / "prompts_and_classes.txt"]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise FileNotFoundError(
            f"{option}: no prompts_and_classes.txt in {path}; give the `dataset` folder of a clone of "
            "google/dreambooth, or take the benchmark `folders`"
        )
    text = file.read_text(encoding="utf-8")
    head, _, tail = text.partition("Object Prompts")
    objects, _, lives = tail.partition("Live Subject Prompts")
    classes = dict(re.findall(r"^([\w-]+),([^\n,]+?)[ \t\r]*$", head, flags=re.MULTILINE))
    classes.pop("subject_name", None)
    templates = [
        tuple(
            " ".join(t.replace("{0}", "").replace("{1}", "{}").split())
            for t in re.findall(r"'([^'\n]+)'\.format", part)
        )
        for part in (objects, lives)
    ]
    if not classes or [len(t) for t in templates] != [25, 25]:
        raise ValueError(
            f"{file}: {len(classes)} classes and {[len(t) for t in templates]} templates, expected "
            "classes as "
            "'backpack,backpack' and 25 object and 25 live prompts; take the file of google/dreambooth"
        )
    return classes, templates[0], templates[1]
