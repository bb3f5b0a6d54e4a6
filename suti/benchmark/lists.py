"""Lists of prompts to draw: rows of subject, class and prompt, in the order in which a benchmark names them.

These are the full lists, for any system; the workflow's own benchmark takes an even choice of the same
templates (suti/benchmark/sources.py).
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from suti.benchmark import world as world
from suti.benchmark.folders import pictures_in, read_prompts
from suti.benchmark.sources import WORLD_REFERENCES, class_of, read_dreambench, templates_for
from suti.io.atomic import atomic_path
from suti.io.shards import encode_png
from suti.world.language import DREAMBENCH_LIVE_TEMPLATES, DREAMBENCH_OBJECT_TEMPLATES

BENCHMARKS = ("dreambench", "dreambench-v2", "world", "folders", "csv")
WORLD_SUBJECTS, WORLD_DEMONSTRATIONS = 30, 4
CLASSES = MappingProxyType({
    "backpack": "backpack", "backpack_dog": "backpack", "bear_plushie": "stuffed animal", "berry_bowl": "bowl",
    "can": "can", "candle": "candle", "cat": "cat", "cat2": "cat", "clock": "clock", "colorful_sneaker": "sneaker",
    "dog": "dog", "dog2": "dog", "dog3": "dog", "dog5": "dog", "dog6": "dog", "dog7": "dog", "dog8": "dog",
    "duck_toy": "toy", "fancy_boot": "boot", "grey_sloth_plushie": "stuffed animal", "monster_toy": "toy",
    "pink_sunglasses": "glasses", "poop_emoji": "toy", "rc_car": "toy", "red_cartoon": "cartoon", "robot_toy": "toy",
    "shiny_sneaker": "sneaker", "teapot": "teapot", "vase": "vase", "wolf_plushie": "stuffed animal",
})  # fmt: skip
"""Classes of DreamBench's subjects, for lists that name its subjects without them."""

Row = dict[str, str]


def prompt_list(benchmark: str, path: Path | None, seed: int = 0, subjects: int | None = None) -> list[Row]:
    """Rows with subject, class and prompt of a benchmark of ``BENCHMARKS``.

    Args:
        path: where it lies; unused for the world.
        seed: of the world's subjects.
        subjects: take the first so many.

    Raises:
        ValueError: no such benchmark, a path is lacking, or its content is not as expected.
        FileNotFoundError: nothing is there.
    """
    if benchmark not in BENCHMARKS:
        raise ValueError(f"--benchmark: {benchmark!r}, expected one of {', '.join(BENCHMARKS)}")
    if benchmark == "world":
        return _world(seed, subjects or WORLD_SUBJECTS)
    if path is None:
        raise ValueError(f"--path: needed for {benchmark}; see suti prompts --help for what it holds")
    make = {"dreambench": dreambench, "dreambench-v2": from_csv, "folders": folders, "csv": from_csv}[benchmark]
    rows = make(path)
    chosen = list(dict.fromkeys(row["subject"] for row in rows))[:subjects]
    return [row for row in rows if row["subject"] in set(chosen)]


def dreambench(path: Path) -> list[Row]:
    """DreamBench's 750 (subject, prompt) pairs: every subject in the 25 templates of its kind.

    Args:
        path: a clone of google/dreambooth, or its `dataset` folder.
    """
    folder = path / "dataset" if (path / "dataset").is_dir() else path
    classes, objects, lives = read_dreambench(folder, "--path")
    return [
        {"subject": subject, "class": class_name, "prompt": " ".join(template.format(class_name).split())}
        for subject, class_name in classes.items()
        for template in templates_for(class_name, objects, lives)
    ]


def from_csv(path: Path) -> list[Row]:
    """The rows of a CSV with subject and prompt, such as DreamBench-v2's.

    Where it has no class, a subject of DreamBench has its own, and another the words of its name.
    """
    return [
        {
            "subject": prompt.subject,
            "class": prompt.class_name or CLASSES.get(prompt.subject) or class_of(prompt.subject),
            "prompt": prompt.text,
        }
        for prompt in read_prompts(path)
    ]


def folders(path: Path) -> list[Row]:
    """DreamBench's templates for one's own subjects: a folder each, whose name gives the class."""
    found = sorted(p for p in path.iterdir() if p.is_dir() and pictures_in(p)) if path.is_dir() else []
    if not found:
        raise FileNotFoundError(f"--path: no folders of pictures in {path}; make one a subject, e.g. {path}/my_dog")
    return [
        {"subject": folder.name, "class": class_name, "prompt": template.format(class_name)}
        for folder in found
        for class_name in [class_of(folder.name)]
        for template in templates_for(class_name, DREAMBENCH_OBJECT_TEMPLATES, DREAMBENCH_LIVE_TEMPLATES)
    ]


def _world(seed: int, subjects: int) -> list[Row]:
    rows = world.benchmark_prompts(world.benchmark_subjects(seed, subjects))
    return [{"subject": row["subject_id"], "class": row["class_name"], "prompt": row["prompt"]} for row in rows]


def world_pictures(folder: Path, seed: int, subjects: int | None = None) -> int:
    """The world's subjects as folders of PNG files, as the workflow's benchmark has them; returns how many files.

    ``folder``/demonstrations/SUBJECT holds what a system may see, each picture with its text beside it, and
    ``folder``/references/SUBJECT what it is judged by.

    Raises:
        ValueError: the folder has pictures already, which would be mixed with these.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"--pictures: {folder} is not empty; name a new folder")
    count = 0
    with atomic_path(folder) as part:
        for subject in world.benchmark_subjects(seed, subjects or WORLD_SUBJECTS):
            shown = world.demonstrations(subject, WORLD_DEMONSTRATIONS, seed)
            real = world.demonstrations(subject, WORLD_REFERENCES, f"references-{seed}")
            for kind, pictures in (("demonstrations", shown), ("references", real)):
                place = part / kind / subject.subject_id
                place.mkdir(parents=True)
                for number, (image, caption) in enumerate(zip(pictures.images, pictures.captions, strict=True)):
                    (place / f"{number:02d}.png").write_bytes(encode_png(image))
                    count += 1
                    if kind == "demonstrations":
                        (place / f"{number:02d}.txt").write_text(caption + "\n", encoding="utf-8")
    return count
