"""The world's benchmark: unseen subjects, DreamBench's 25 + 25 templates, compositional prompts, the true answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from suti.benchmark.contents import Benchmark, appearance_key, target_row
from suti.benchmark.prompts import prompt_rows
from suti.config.values import COMPOSITIONAL
from suti.io.atomic import atomic_path
from suti.io.shards import encode_png
from suti.world.language import DREAMBENCH_LIVE_TEMPLATES, DREAMBENCH_OBJECT_TEMPLATES, parse, phrase
from suti.world.render import render
from suti.world.scenes import Scene, page_scenes, sample_scene
from suti.world.subjects import Subject, colour_name, keyed_rng, sample_subject
from suti.world.vocabulary import (
    ACCESSORIES,
    BACKGROUNDS,
    CLASSES,
    COLOURS,
    EFFECTS,
    LIVE_CLASSES,
    PHOTO,
    STUDIO,
    STYLES,
)

SUBJECTS, DEMONSTRATIONS = 30, 4  # of a list of prompts, and of the pictures beside it
REFERENCES = 6  # real pictures a subject, as many as DreamBench has at most
BENCHMARK, VALIDATION = "benchmark", "validation"  # key spaces of subjects
SHEET_SUBJECTS = 8  # that also get art-style prompts


@dataclass(frozen=True)
class Demonstrations:
    """images: uint8 (k, S, S, 3); captions, scenes: k each."""

    images: np.ndarray
    captions: list[str]
    scenes: list[Scene]


def benchmark_subjects(seed: int, n: int = 30, space: str = BENCHMARK) -> list[Subject]:
    """n subjects of the seed space 'benchmark-SEED', which no page or batch uses; classes in turn.

    The space 'validation' is another one: settings are chosen on its subjects, which no benchmark has at any seed.
    """
    return [sample_subject(f"{space}-{seed}", i, CLASSES[i % len(CLASSES)]) for i in range(n)]


def templates(class_name: str) -> tuple[str, ...]:
    """DreamBench's 25 templates for the class: live or object."""
    return DREAMBENCH_LIVE_TEMPLATES if class_name in LIVE_CLASSES else DREAMBENCH_OBJECT_TEMPLATES


def skill(prompt: str) -> str:
    """The one skill that a prompt asks for, or compositional if it asks for several.

    recontextualization (also of a prompt that asks for nothing), accessorization, art_style or
    attribute_editing.
    """
    truth = parse(prompt)
    requests = {
        "accessorization": truth.accessory is not None,
        "art_style": truth.style is not None,
        "attribute_editing": truth.recolour is not None or truth.effect is not None,
        "recontextualization": truth.background is not None,
    }
    names = [name for name, found in requests.items() if found]
    return names[0] if len(names) == 1 else ("compositional" if names else "recontextualization")


def benchmark_prompts(subjects: Sequence[Subject]) -> list[dict[str, str]]:
    """25 rows a subject: subject_id, class_name, prompt_id ('00' to '24'), prompt, skill."""
    return [
        {
            "subject_id": subject.subject_id,
            "class_name": subject.class_name,
            "prompt_id": f"{number:02d}",
            "prompt": template.format(subject.class_name),
            "skill": skill(template.format(subject.class_name)),
        }
        for subject in subjects
        for number, template in enumerate(templates(subject.class_name))
    ]


LEVELS = (2, 3, 1)
"""Requests of a chain's prompts, in the order of choice: a list that is cut short keeps the hard ones."""


def compositional_prompts(subject: Subject, n: int) -> list[dict[str, str]]:
    """n prompts that ask for one, two or three things, as DreamBench-v2's (section 5.1), the first k of more the same.

    Prompts come in chains of three, each asking for all that the one before asked for: a place; an accessory or a
    recolouring or an effect beside it; and another of these. No style: a sketch hides the place and the colour. Objects
    and live subjects are asked alike.

    Returns:
        Rows as in `benchmark_prompts`; prompt_id is c, the chain's number from 1, and the number of requests: 'c12'.
    """
    rows = []
    for number in range(n):
        chain, level = number // len(LEVELS) + 1, LEVELS[number % len(LEVELS)]
        rng = keyed_rng("compositional", subject.subject_id, chain)
        values = {
            "accessory": str(rng.choice(list(ACCESSORIES))),
            "effect": str(rng.choice(list(EFFECTS))),
            "recolour": str(rng.choice([name for name in COLOURS if name != colour_name(subject.primary)])),
        }
        looks = "effect" if rng.uniform() < 0.5 else "recolour"
        order = [looks, "accessory"] if rng.uniform() < 0.5 else ["accessory", looks]
        asked = {"background": str(rng.choice(list(BACKGROUNDS)))}
        asked |= {name: values[name] for name in order[: level - 1]}
        rows.append(
            {
                "subject_id": subject.subject_id,
                "class_name": subject.class_name,
                "prompt_id": f"c{chain}{level}",
                "prompt": phrase(subject.class_name, **asked),
                "skill": COMPOSITIONAL,
            }
        )
    return rows


def style_prompts(subjects: Sequence[Subject]) -> list[dict[str, str]]:
    """One prompt for each art style, which DreamBench's templates lack: ids 'a1', 'a2', ..., skill 'art_style'."""
    return [
        {
            "subject_id": subject.subject_id,
            "class_name": subject.class_name,
            "prompt_id": f"a{number}",
            "prompt": phrase(subject.class_name, style=style),
            "skill": "art_style",
        }
        for subject in subjects
        for number, style in enumerate((style for style in STYLES if style != PHOTO), start=1)
    ]


@dataclass(frozen=True)
class Appearance:
    """What a prompt changes of a subject's looks; the default changes nothing."""

    style: str = PHOTO
    recolour: str | None = None
    effect: str | None = None

    @classmethod
    def of(cls, prompt: str) -> Appearance:
        """The appearance that a prompt of the world asks for."""
        truth = parse(prompt)
        return cls(truth.style or PHOTO, truth.recolour, truth.effect)


def demonstrations(subject: Subject, k: int, seed: int | str, *, size: int = 64) -> Demonstrations:
    """k photos of the subject as its page would have them (`page_scenes`), with true captions ('a cat in the snow').

    The first k of more are the same k. Other values of `seed` give another page.
    """
    if k < 1:
        raise ValueError(f"k: {k} demonstrations; expected 1 or more")
    scenes = page_scenes(k, keyed_rng("demonstrations", seed, subject.subject_id))
    captions = [phrase(subject.class_name, background=scene.background, accessory=scene.accessory) for scene in scenes]
    return Demonstrations(render([subject] * k, scenes, size)[0], captions, scenes)


def references(
    subject: Subject, n: int, seed: int | str, *, size: int = 64, appearance: Appearance = Appearance()
) -> np.ndarray:
    """n photos of the subject by which its pictures are judged, in n places: uint8 (n, size, size, 3).

    Each in another place, without accessories, so that what they share is the subject and nothing else. The first k
    of more are the same k.

    Args:
        appearance: the subject recoloured, under an effect or in a style, in the same places and poses.
    """
    if not 1 <= n <= len(BACKGROUNDS):
        raise ValueError(f"n: {n} references; the world has backgrounds for 1 to {len(BACKGROUNDS)}")
    key = f"references-{seed}"
    places = keyed_rng("places", key, subject.subject_id).permutation(list(BACKGROUNDS))[:n]
    scenes = [
        sample_scene(
            keyed_rng("demonstration", key, subject.subject_id, i),
            background=str(place),
            accessory=None,
            style=appearance.style,
            recolour=appearance.recolour,
            effect=appearance.effect,
        )
        for i, place in enumerate(places)
    ]
    return render([subject] * n, scenes, size)[0]


def target_scene(prompt: str, *key: object) -> Scene:
    """A scene that fulfils the prompt, in the studio where it names no place; the pose is drawn by `key`."""
    truth = parse(prompt)
    return sample_scene(
        keyed_rng("target", prompt, *key),
        background=truth.background or STUDIO,
        accessory=truth.accessory,
        style=truth.style or PHOTO,
        recolour=truth.recolour,
        effect=truth.effect,
    )


def target(subject: Subject, prompt: str, seed: int | str, *, index: int = 0, size: int = 64) -> np.ndarray:
    """The true picture number `index` of the subject for the prompt: uint8 (size, size, 3)."""
    if parse(prompt).class_name != subject.class_name:
        raise ValueError(f"prompt: {prompt!r} is not about a {subject.class_name}, but {subject.subject_id} is one")
    scene = target_scene(prompt, seed, subject.subject_id, index)
    return render([subject], [scene], size)[0][0]


def world_benchmark(
    seed: int,
    subjects: int,
    prompts_per_subject: int,
    count: int,
    images_per_prompt: int,
    compositional: int = 0,
    space: str = BENCHMARK,
) -> Benchmark:
    """The world's benchmark: unseen subjects, whose references and true targets are renders that no system sees.

    A prompt for another colour, an effect or a style is judged by references of the subject so changed: a true picture
    of a dog that was asked to be red is no picture of the brown one.

    Args:
        prompts_per_subject: of the templates of its class.
        count: demonstrations a subject.
        compositional: prompts a subject of the second list (`compositional_prompts`).
        space: of the subjects, see `benchmark_subjects`.
    """
    result = Benchmark()
    chosen = benchmark_subjects(seed, subjects, space)
    for number, subject in enumerate(chosen):
        subject_id, class_name = subject.subject_id, subject.class_name
        choice = templates(class_name)
        live = choice is DREAMBENCH_LIVE_TEMPLATES
        result.subjects.append({"subject_id": subject_id, "class_name": class_name, "live": live})
        more = compositional_prompts(subject, compositional)
        more += style_prompts([subject]) if number < SHEET_SUBJECTS else []
        rows = prompt_rows(subject_id, class_name, choice, prompts_per_subject)
        rows += [{name: row[name] for name in ("subject_id", "prompt_id", "prompt", "skill")} for row in more]
        result.prompts.extend(rows)
        pictures = demonstrations(subject, count, seed)
        for place, (image, caption) in enumerate(zip(pictures.images, pictures.captions, strict=True)):
            key = f"{subject_id}__{place:02d}"
            result.demonstrations.append({"subject_id": subject_id, "image_id": key, "text": caption})
            result.demonstration_images[key] = image
        result.references[subject_id] = list(references(subject, REFERENCES, seed))
        result.appearances.update(changed_references(subject, rows, seed))
        for row in rows:
            for index in range(images_per_prompt):
                key = f"{subject_id}__{row['prompt_id']}__{index}"
                result.targets.append(target_row(key, subject_id, row["prompt_id"], row["prompt"], index))
                result.target_images[key] = target(subject, row["prompt"], f"target-{seed}", index=index)
    return result


def changed_references(subject: Subject, prompts: Sequence[dict], seed: int) -> dict[str, list[np.ndarray]]:
    """References of the prompts that change the subject's looks, by ``appearance_key``; each look is rendered once."""
    looks = {row["prompt_id"]: Appearance.of(row["prompt"]) for row in prompts}
    rendered = {
        look: list(references(subject, REFERENCES, seed, appearance=look))
        for look in set(looks.values()) - {Appearance()}
    }
    return {
        appearance_key(subject.subject_id, prompt_id): rendered[look]
        for prompt_id, look in looks.items()
        if look in rendered
    }


def world_pictures(folder: Path, seed: int, subjects: int = SUBJECTS) -> int:
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
        for subject in benchmark_subjects(seed, subjects):
            seen = demonstrations(subject, DEMONSTRATIONS, seed)
            real = references(subject, REFERENCES, seed)
            for kind, pictures in (("demonstrations", seen.images), ("references", real)):
                place = part / kind / subject.subject_id
                place.mkdir(parents=True)
                for number, image in enumerate(pictures):
                    (place / f"{number:02d}.png").write_bytes(encode_png(image))
                    count += 1
                    if kind == "demonstrations":
                        text = seen.captions[number] + "\n"
                        (place / f"{number:02d}.txt").write_text(text, encoding="utf-8")
    return count
