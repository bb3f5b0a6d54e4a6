"""Where benchmarks come from: held-out subjects, their demonstrations and real pictures, and the prompts to draw.

``SOURCES`` has them all. `suti prompts` writes a source's full list of prompts, `suti evaluate` takes its list and its
real pictures, and the workflow (scripts/prepare_benchmark.py) makes all tables of it, with an even choice of the same
prompts. The world renders its references, which no system sees; a subject's photos are both its demonstrations and its
references, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from suti.benchmark import world
from suti.benchmark.contents import Benchmark
from suti.benchmark.dreambench import CLASSES, dataset_folder, read_dreambench
from suti.benchmark.lists import Prompt, Row, read_prompts
from suti.benchmark.photos import photo_benchmark, pictures_in, subject_folders
from suti.benchmark.prompts import class_of, prompt_rows, select_prompts, skill_of, templates_for
from suti.world.language import DREAMBENCH_LIVE_TEMPLATES, DREAMBENCH_OBJECT_TEMPLATES


@dataclass(frozen=True)
class Choice:
    """What is taken of a source, and where it lies. A source reads of it what it needs.

    Attributes:
        path: folder of a folder a subject, or a clone of google/dreambooth; the world needs none.
        prompts: CSV of prompts, of sources that are ``from_csv``.
        subjects: the first so many; None: all (of the world: 30).
        prompts_per_subject: evenly over a subject's prompts (``prompts.select_prompts``).
        compositional: prompts a subject of the second list, which the world alone has.
        seed, demonstrations, images_per_prompt: of the world's renders.
        max_pixels: photos with more are left out.
        option: the setting or option that named the path, for errors.
    """

    path: Path = Path()
    prompts: Path = Path()
    subjects: int | None = None
    prompts_per_subject: int = 25
    compositional: int = 0
    seed: int = 0
    demonstrations: int = world.DEMONSTRATIONS
    images_per_prompt: int = 1
    max_pixels: int = 40_000_000
    option: str = "evaluation.path"


@dataclass(frozen=True)
class Source:
    """One source of benchmarks.

    Attributes:
        holds: what lies at its path, in words, for help.
        prompts: its list, of all subjects and prompts, in its own order.
        benchmark: tables and pictures of the subjects and prompts that are chosen.
        rendered: True: it needs no path, and has pictures only when they are rendered.
        from_csv: True: its prompts are the CSV ``Choice.prompts``.
    """

    holds: str
    prompts: Callable[[Choice], list[Row]]
    benchmark: Callable[[Choice], Benchmark]
    rendered: bool = False
    from_csv: bool = False


def prompt_list(name: str, choice: Choice) -> list[Row]:
    """Rows with subject, class and prompt of the source of a name, of the first ``choice.subjects``.

    Raises:
        ValueError: no such source, or its content is not as expected.
        FileNotFoundError: nothing is there.
    """
    rows = find_source(name).prompts(choice)
    chosen = set(list(dict.fromkeys(row["subject"] for row in rows))[: choice.subjects])
    return [row for row in rows if row["subject"] in chosen]


def find_source(name: str) -> Source:
    """The source of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in SOURCES:
        raise ValueError(f"--benchmark: {name!r}, expected one of {', '.join(SOURCES)}")
    return SOURCES[name]


def _world_prompts(choice: Choice) -> list[Row]:
    rows = world.benchmark_prompts(world.benchmark_subjects(choice.seed, choice.subjects or world.SUBJECTS))
    return [{"subject": row["subject_id"], "class": row["class_name"], "prompt": row["prompt"]} for row in rows]


def _world(choice: Choice) -> Benchmark:
    return world.world_benchmark(
        choice.seed, choice.subjects or world.SUBJECTS, choice.prompts_per_subject, choice.demonstrations,
        choice.images_per_prompt, choice.compositional,
    )  # fmt: skip


def _dreambench_prompts(choice: Choice) -> list[Row]:
    """DreamBench's 750 pairs: every subject in the 25 templates of its kind."""
    classes, objects, lives = read_dreambench(choice.path, choice.option)
    return [
        {"subject": subject, "class": class_name, "prompt": " ".join(template.format(class_name).split())}
        for subject, class_name in classes.items()
        for template in templates_for(class_name, objects, lives)
    ]


def _dreambench(choice: Choice) -> Benchmark:
    """Subjects and templates as DreamBench's file lists them; cats and dogs are live subjects."""
    classes, objects, lives = read_dreambench(choice.path, choice.option)
    folder = dataset_folder(choice.path)
    chosen = [(folder / name, class_name) for name, class_name in list(classes.items())[: choice.subjects]]
    missing = [place.name for place, _ in chosen if not place.is_dir()]
    if missing:
        raise FileNotFoundError(
            f"{folder}: no folder for subject {missing[0]!r} of prompts_and_classes.txt; clone it whole"
        )
    return _in_templates(chosen, objects, lives, choice)


def _folder_prompts(choice: Choice) -> list[Row]:
    """DreamBench's templates for one's own subjects: a folder each, whose name gives the class."""
    rows = []
    for folder in subject_folders(choice.path, choice.option):
        if not pictures_in(folder):
            raise FileNotFoundError(f"{folder}: no pictures in it; add some, or remove the folder")
        class_name = class_of(folder.name)
        for template in templates_for(class_name, DREAMBENCH_OBJECT_TEMPLATES, DREAMBENCH_LIVE_TEMPLATES):
            rows.append({"subject": folder.name, "class": class_name, "prompt": template.format(class_name)})
    return rows


def _folders(choice: Choice) -> Benchmark:
    chosen = [(folder, class_of(folder.name)) for folder in subject_folders(choice.path, choice.option)]
    return _in_templates(
        chosen[: choice.subjects], DREAMBENCH_OBJECT_TEMPLATES, DREAMBENCH_LIVE_TEMPLATES, choice
    )  # fmt: skip


def _csv_prompts(choice: Choice) -> list[Row]:
    """The rows of a CSV. Where it has no class, a subject of DreamBench has its own, another the words of its name."""
    return [
        {"subject": prompt.subject, "class": _class_in_csv(prompt), "prompt": prompt.text}
        for prompt in read_prompts(choice.prompts)
    ]


def _csv(choice: Choice) -> Benchmark:
    """One's own photos and prompts: a folder a subject, and a CSV with the columns subject, class and prompt."""
    rows: dict[str, list[Prompt]] = {}
    for prompt in read_prompts(choice.prompts):
        rows.setdefault(prompt.subject, []).append(prompt)
    path = dataset_folder(choice.path)
    chosen = [(path / name, _class_in_csv(prompts[0])) for name, prompts in list(rows.items())[: choice.subjects]]
    missing = [folder for folder, _ in chosen if not folder.is_dir()]
    if missing:
        raise FileNotFoundError(
            f"{choice.option}: no folder {missing[0]}, a subject of {choice.prompts}; add its photos"
        )

    def prompts_of(folder: Path, subject_id: str, class_name: str) -> list[dict]:
        texts = [prompt.text for prompt in rows[folder.name]]
        return [
            {
                "subject_id": subject_id,
                "prompt_id": f"{index:02d}",
                "prompt": texts[index],
                "skill": skill_of(texts[index].replace(class_name, "{}", 1)),
            }
            for index in select_prompts(len(texts), choice.prompts_per_subject)
        ]

    return photo_benchmark(chosen, prompts_of, choice.max_pixels)


def _class_in_csv(prompt: Prompt) -> str:
    return prompt.class_name or CLASSES.get(prompt.subject) or class_of(prompt.subject)


def _in_templates(
    chosen: Sequence[tuple[Path, str]], objects: tuple[str, ...], lives: tuple[str, ...], choice: Choice
) -> Benchmark:
    def prompts_of(folder: Path, subject_id: str, class_name: str) -> list[dict]:
        templates = templates_for(class_name, objects, lives)
        return prompt_rows(subject_id, class_name, templates, choice.prompts_per_subject)

    return photo_benchmark(chosen, prompts_of, choice.max_pixels)


SOURCES = {
    "dreambench": Source(
        "a clone of google/dreambooth, or its `dataset` folder: subjects, classes and 25 + 25 templates are read from "
        "prompts_and_classes.txt; 30 subjects x 25 templates are 750 pairs",
        _dreambench_prompts, _dreambench,
    ),
    "dreambench-v2": Source("a CSV with columns subject and prompt", _csv_prompts, _csv, from_csv=True),
    "world": Source(
        "nothing: unseen subjects of the rendered world, as the workflow judges them", _world_prompts, _world,
        rendered=True,
    ),
    "folders": Source(
        "a folder a subject, named after it (grey_cat2); DreamBench's templates", _folder_prompts, _folders
    ),
    "csv": Source(
        "a CSV of your own with columns subject and prompt, and perhaps class", _csv_prompts, _csv, from_csv=True
    ),
}  # fmt: skip
"""Every source of benchmarks, by the name that `suti prompts` and `evaluation.benchmark` give it."""
