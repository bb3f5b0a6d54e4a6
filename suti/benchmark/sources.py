"""Benchmarks: held-out subjects, their demonstrations and real pictures, and the prompts to draw them in.

Sources in one form: the procedural world, a clone of DreamBench (google/dreambooth), or one's own folders of
photos, with DreamBench's templates or with the prompts of a CSV. For photos the subject's pictures are both the
demonstrations and the references of the metrics, as in the paper; the world renders references that no system sees.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suti.benchmark import world as world
from suti.benchmark.folders import Prompt, read_prompts
from suti.io.images import BadImage, read_image, shrink
from suti.seeds import stable_hash
from suti.world.language import DREAMBENCH_LIVE_TEMPLATES, DREAMBENCH_OBJECT_TEMPLATES

PHOTO_SIZE = 512  # pixels: shorter side to which photos are reduced; above what any encoder of the metrics looks at
REAL, COMPOSITIONAL = "real", "compositional"
SHOWN_ONLY = (COMPOSITIONAL, "art_style")  # skills beyond DreamBench's templates: on sheets, in no table
WORLD_REFERENCES = 6  # real pictures a subject of the world, as many as DreamBench has at most
SHOWN_SUBJECTS = 8  # of the world that also get compositional and art-style prompts
# The last word of a class that makes a subject a live one: it can wear things.
LIVE_WORDS = frozenset((
    "baby", "bear", "bird", "boy", "bunny", "calf", "cat", "child", "cow", "dog", "duck", "elephant", "fish",
    "fox", "girl", "hamster", "hen", "horse", "kitten", "lamb", "man", "monkey", "parrot", "person", "pig",
    "pony", "puppy", "rabbit", "sheep", "turtle", "woman",
))  # fmt: skip
Asked = Callable[[Path, str, str], list[dict]]  # folder, subject_id, class_name -> rows of benchmark_prompts
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Benchmark:
    """Rows of the tables benchmark_subjects, benchmark_prompts, demonstrations and generations (run 'real').

    Pictures are uint8 (H, W, 3). ``demonstrations`` and ``targets`` key theirs by image_id and sample_id;
    ``references`` maps a subject to its real pictures.
    """

    subjects: list[dict] = field(default_factory=list)
    prompts: list[dict] = field(default_factory=list)
    demonstrations: list[dict] = field(default_factory=list)
    targets: list[dict] = field(default_factory=list)
    demonstration_images: dict[str, np.ndarray] = field(default_factory=dict)
    references: dict[str, list[np.ndarray]] = field(default_factory=dict)
    target_images: dict[str, np.ndarray] = field(default_factory=dict)


def select_prompts(n_total: int, n: int) -> list[int]:
    """Indices of n of n_total templates, spread evenly and nested: a smaller choice is always inside a
    larger one.

    Steps of the golden ratio leave gaps of at most three lengths however many are taken. The order of the
    result is that of choice, so the first m of it are ``select_prompts(n_total, m)``.
    """
    golden = (math.sqrt(5) - 1) / 2
    chosen: dict[int, None] = {}
    step = 0
    while len(chosen) < min(n, n_total):
        chosen.setdefault(int((0.5 + step * golden) % 1.0 * n_total), None)
        step += 1
    return list(chosen)


def first_prompts(prompts: pd.DataFrame, n: int) -> pd.DataFrame:
    """The first n template prompts of each subject; all rows, those that are only shown too, if there are no
    more than n.

    A smaller n gives a subset of a larger one (see ``select_prompts``), so the ablations draw some of the
    pictures of the main runs.

    Args:
        prompts: table 'benchmark_prompts', whose rows stand in the order of choice within a subject.
    """
    templates = prompts[~prompts["skill"].isin(SHOWN_ONLY)]
    chosen = templates.groupby("subject_id", sort=False).head(n)
    return prompts if len(chosen) == len(templates) else chosen


def thinned(benchmark: Benchmark, main_subjects: int, n: int) -> Benchmark:
    """A benchmark whose subjects behind the first ``main_subjects`` are asked their first n prompts only.

    Real pictures of prompts that are asked no more go too; photos, which belong to no prompt, stay.
    """
    main = {row["subject_id"] for row in benchmark.subjects[:main_subjects]}
    asked: dict[str, list[str]] = {}
    dropped = set()
    for row in benchmark.prompts:
        subject, prompt = row["subject_id"], row["prompt_id"]
        kept = asked.setdefault(subject, [])
        if subject in main or (row["skill"] not in SHOWN_ONLY and len(kept) < n):
            kept.append(prompt)
        else:
            dropped.add((subject, prompt))

    def stays(row: Mapping[str, Any]) -> bool:
        return (row["subject_id"], row["prompt_id"]) not in dropped

    targets = [row for row in benchmark.targets if stays(row)]
    return replace(
        benchmark,
        prompts=[row for row in benchmark.prompts if stays(row)],
        targets=targets,
        target_images={row["sample_id"]: benchmark.target_images[row["sample_id"]] for row in targets},
    )


def skill_of(template: str) -> str:
    """Skill of a DreamBench template: accessorization, attribute_editing or recontextualization."""
    if re.search(r"\bwearing\b|\boutfit\b", template):
        return "accessorization"
    bare = re.fullmatch(r"a (\w+ ){1,2}\{\}", template)
    return "attribute_editing" if bare else "recontextualization"


def prompt_rows(subject_id: str, class_name: str, templates: tuple[str, ...], n: int) -> list[dict]:
    """Rows of 'benchmark_prompts' of one subject: n templates with the class word, in the order of choice."""
    return [
        {
            "subject_id": subject_id,
            "prompt_id": f"{index:02d}",
            "prompt": templates[index].format(class_name),
            "skill": skill_of(templates[index]),
        }
        for index in select_prompts(len(templates), n)
    ]


def from_world(
    seed: int, subjects: int, prompts_per_subject: int, demonstrations: int, images_per_prompt: int,
    spread: float = 0.0,
) -> Benchmark:  # fmt: skip
    """The world's benchmark: unseen subjects, whose references and true targets are renders that no system
    sees. spread: of the demonstrations' poses (`suti.world.scenes.widen`)."""
    result = Benchmark()
    chosen = world.benchmark_subjects(seed, subjects)
    shown_only = world.compositional_prompts(chosen[:SHOWN_SUBJECTS]) + world.style_prompts(chosen[:SHOWN_SUBJECTS])
    for subject in chosen:
        subject_id, class_name = subject.subject_id, subject.class_name
        templates = world.templates(class_name)
        live = templates is DREAMBENCH_LIVE_TEMPLATES
        result.subjects.append({"subject_id": subject_id, "class_name": class_name, "live": live})
        rows = prompt_rows(subject_id, class_name, templates, prompts_per_subject)
        rows += [
            {name: row[name] for name in ("subject_id", "prompt_id", "prompt", "skill")}
            for row in shown_only
            if row["subject_id"] == subject_id
        ]
        result.prompts.extend(rows)
        shown = world.demonstrations(subject, demonstrations, seed, spread=spread)
        for number, (image, caption) in enumerate(zip(shown.images, shown.captions, strict=True)):
            key = f"{subject_id}__{number:02d}"
            result.demonstrations.append({"subject_id": subject_id, "image_id": key, "text": caption})
            result.demonstration_images[key] = image
        result.references[subject_id] = list(
            world.demonstrations(subject, WORLD_REFERENCES, f"references-{seed}").images
        )
        for row in rows:
            for index in range(images_per_prompt):
                key = f"{subject_id}__{row['prompt_id']}__{index}"
                result.targets.append(target_row(key, subject_id, row["prompt_id"], row["prompt"], index))
                result.target_images[key] = world.target(subject, row["prompt"], f"target-{seed}", index=index)
    return result


def read_dreambench(
    path: Path, asked: str = "evaluation.path"
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """Classes by subject, and the object and live templates with '{}' for the class, of
    prompts_and_classes.txt.

    The unique token of DreamBooth is left out: 'a {0} {1} in the jungle' becomes 'a {} in the jungle'.

    Args:
        path: the clone's dataset folder; the file lies in it or beside it.
        asked: the setting or option that named it, for errors.

    Raises:
        FileNotFoundError: no such folder or file.
        ValueError: the file does not hold classes and 25 + 25 templates.
    """
    candidates = [path / "prompts_and_classes.txt", path.parent / "prompts_and_classes.txt"]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise FileNotFoundError(
            f"{asked}: no prompts_and_classes.txt in {path}; give the `dataset` folder of a clone of "
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


def dreambench(path: Path, subjects: int, prompts_per_subject: int, max_pixels: int) -> Benchmark:
    """DreamBench from a clone: subjects and templates as its file lists them, cats and dogs as live
    subjects."""
    classes, objects, lives = read_dreambench(path)
    chosen = list(classes.items())[:subjects]
    missing = [name for name, _ in chosen if not (path / name).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"{path}: no folder for subject {missing[0]!r} of prompts_and_classes.txt; clone it whole"
        )
    return _photos(
        [(path / name, cls) for name, cls in chosen], _filled(objects, lives, prompts_per_subject), max_pixels
    )


def templates_for(class_name: str, objects: tuple[str, ...], lives: tuple[str, ...]) -> tuple[str, ...]:
    """The templates of a class: those of live subjects, or those of objects."""
    return lives if is_live(class_name) else objects


def is_live(class_name: str) -> bool:
    """Whether the last word of a class is one of ``LIVE_WORDS``."""
    return class_name.lower().split()[-1] in LIVE_WORDS


def folders(path: Path, subjects: int, prompts_per_subject: int, max_pixels: int) -> Benchmark:
    """One's own photos: a folder a subject, its class from the folder's name, the templates of DreamBench."""
    found = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")) if path.is_dir() else []
    if not found:
        raise FileNotFoundError(
            f"evaluation.path: no folders of photos in {path}; make one folder a subject, e.g. {path}/my_dog"
        )
    chosen = [(folder, class_of(folder.name)) for folder in found[:subjects]]
    templates = _filled(DREAMBENCH_OBJECT_TEMPLATES, DREAMBENCH_LIVE_TEMPLATES, prompts_per_subject)
    return _photos(chosen, templates, max_pixels)


def listed(path: Path, prompts: Path, subjects: int, prompts_per_subject: int, max_pixels: int) -> Benchmark:
    """One's own photos and prompts: a folder a subject, and a CSV with the columns subject, class and prompt.

    Raises:
        FileNotFoundError: the CSV, or the folder of one of its subjects, is not there.
        ValueError: a row that cannot be used.
    """
    rows: dict[str, list[Prompt]] = {}
    for prompt in read_prompts(prompts):
        rows.setdefault(prompt.subject, []).append(prompt)
    chosen = {name: of_subject[0].class_name or class_of(name) for name, of_subject in list(rows.items())[:subjects]}
    missing = [name for name in chosen if not (path / name).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"evaluation.path: no folder {path / missing[0]}, a subject of {prompts}; add its photos"
        )

    def asked(folder: Path, subject_id: str, class_name: str) -> list[dict]:
        texts = [prompt.text for prompt in rows[folder.name]]
        return [
            {
                "subject_id": subject_id,
                "prompt_id": f"{index:02d}",
                "prompt": texts[index],
                "skill": skill_of(texts[index].replace(class_name, "{}", 1)),
            }
            for index in select_prompts(len(texts), prompts_per_subject)
        ]

    return _photos([(path / name, class_name) for name, class_name in chosen.items()], asked, max_pixels)


def class_of(folder: str) -> str:
    """Class words of a folder's name without digits, underscores and dashes: 'grey_cat2' is 'grey cat'."""
    words = re.sub(r"[\W\d_]+", " ", folder).strip()
    if not words:
        raise ValueError(f"folder {folder!r}: its name gives no class word; rename it after its subject, e.g. dog_1")
    return words


def subject_key(folder: str) -> str:
    """Subject id of a folder: its name where that is plain, else a plain form of it with a hash."""
    if re.fullmatch(r"[A-Za-z0-9][\w-]{0,59}", folder, flags=re.ASCII):
        return folder
    plain = re.sub(r"\W+", "-", folder, flags=re.ASCII).strip("-")[:40]
    return f"{plain or 'subject'}-{stable_hash('folder', folder, bits=32):08x}"


def _filled(objects: tuple[str, ...], lives: tuple[str, ...], n: int) -> Asked:
    return lambda folder, subject_id, class_name: prompt_rows(
        subject_id, class_name, templates_for(class_name, objects, lives), n
    )


def _photos(chosen: list[tuple[Path, str]], asked: Asked, max_pixels: int) -> Benchmark:
    """A benchmark of folders with their classes; ``asked`` gives a subject's rows of 'benchmark_prompts'."""
    result = Benchmark()
    for folder, class_name in chosen:
        subject_id = subject_key(folder.name)
        result.subjects.append({"subject_id": subject_id, "class_name": class_name, "live": is_live(class_name)})
        result.prompts.extend(asked(folder, subject_id, class_name))
        photos = read_photos(folder, max_pixels)
        result.references[subject_id] = photos
        for number, photo in enumerate(photos):
            key = f"{subject_id}__{number:02d}"
            result.demonstrations.append({"subject_id": subject_id, "image_id": key, "text": f"a {class_name}"})
            result.demonstration_images[key] = photo
            # No prompt: a photo was not made for one, so it has no score of text.
            result.targets.append(target_row(key, subject_id, f"photo-{number:02d}", ""))
            result.target_images[key] = photo
    return result


def target_row(sample_id: str, subject_id: str, prompt_id: str, prompt: str, image_index: int = 0) -> dict:
    """Row of table 'generations' for a real picture."""
    return {
        "run": REAL,
        "sample_id": sample_id,
        "subject_id": subject_id,
        "prompt_id": prompt_id,
        "prompt": prompt,
        "image_index": image_index,
    }


def read_photos(folder: Path, max_pixels: int) -> list[np.ndarray]:
    """The usable photos of a folder in order of their names, uint8 (H, W, 3), shorter side at most
    ``PHOTO_SIZE``.

    Files that are no pictures are named in the log and left out.

    Raises:
        ValueError: none is usable.
    """
    photos, reasons = [], []
    for file in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        try:
            photos.append(shrink(read_image(file, max_pixels=max_pixels), PHOTO_SIZE))
        except BadImage as error:
            reasons.append(f"{file.name}: {error}")
            logger.warning("%s: left out, %s", file, error)
    if not photos:
        raise ValueError(
            f"{folder}: no usable photo ({'; '.join(reasons[:3]) or 'the folder is empty'}); add JPEG or PNG files"
        )
    return photos
