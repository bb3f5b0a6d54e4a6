"""Make a blind study: choose what is rated, add attention checks, write pictures without a trace of their origin."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from suti.io.atomic import atomic_path, write_json
from suti.io.images import centre_crop_square, shrink
from suti.io.shards import encode_png
from suti.ratings.schemes import OTHER, REAL, Scheme
from suti.ratings.sources import Case, Material
from suti.ratings.study import FORMAT, IMAGES, KEY, RATED, STUDY, Item, Secret, Study, load
from suti.seeds import generator, stable_hash

LARGEST = 1024
"""Pixels of a side: larger candidates are reduced to it."""
REFERENCE_SIZE = 512
ITEMS_PER_CHECK = 15


@dataclass(frozen=True)
class Prepared:
    """What was written: numbers of items and checks, and warnings for the one who made the study."""

    study: Study
    rated: int
    checks: int
    warnings: tuple[str, ...]


def prepare(
    material: Material,
    scheme: Scheme,
    out: Path,
    *,
    prompts: int | None = None,
    checks: int | None = None,
    size: int | None = None,
    seed: int | None = None,
) -> Prepared:
    """Write a study folder.

    Args:
        out: a folder that does not exist yet.
        prompts: how many (subject, prompt, number) are rated, of every method; all if None. They are drawn by the
            seed and spread evenly over subjects.
        checks: attention checks; one in 15 items, at least 2, if None.
        size: side in pixels to which candidates are brought; the smallest longer side of all if None, so that
            resolution tells no method.
        seed: of names, selection and orders. A secret drawn for this study if None.

    Raises:
        FileExistsError: ``out`` exists.
        ValueError: too few methods or a bad number.
    """
    if out.exists():
        raise FileExistsError(f"{out}: exists, and may hold ratings; choose another --out, or move it away")
    if len(material.methods) < scheme.candidates:
        raise ValueError(f"scheme {scheme.name}: {len(material.methods)} method, expected {scheme.candidates} or more")
    seed = secrets.randbits(63) if seed is None else seed
    cases = choose(material.cases, prompts, seed)
    groups = list(itertools.combinations(sorted(material.methods), scheme.candidates))
    n_checks = max(2, round(len(cases) * len(groups) / ITEMS_PER_CHECK)) if checks is None else checks
    size, warnings = _common_size(material, cases, size)

    items: list[Item] = []
    secret: dict[str, Secret] = {}
    with atomic_path(out) as part:
        writer = _Writer(part / IMAGES, seed, size)
        for case, methods in itertools.product(cases, groups):
            pictures = [writer.candidate(material.methods[m](case), RATED, m, *_key(case)) for m in methods]
            item = _item(RATED, case, material, pictures, writer, "-".join(methods))
            items.append(item)
            secret[item.id] = Secret(RATED, case.subject_id, case.prompt_id, case.index, methods)
        for kind, case, chosen in _checks(material, scheme, cases, n_checks, seed):
            pictures = [writer.candidate(centre_crop_square(p), kind, place, *_key(case)) for place, p in chosen]
            item = _item(kind, case, material, pictures, writer, chosen[0][0])
            items.append(item)
            secret[item.id] = Secret(kind, case.subject_id, case.prompt_id, case.index, ())
        if len(secret) - len(cases) * len(groups) < n_checks:
            warnings.append(
                f"{len(secret) - len(cases) * len(groups)} of {n_checks} attention checks: there are not enough "
                "subjects and prompts for more"
            )
        study = {
            "format": FORMAT,
            "scheme": scheme.name,
            "size": size,
            "order_seed": stable_hash(seed, "ratings-order-seed", bits=32),
            "items": [asdict(item) for item in sorted(items, key=lambda item: item.id)],
        }
        study["id"] = f"{stable_hash(json.dumps(study, sort_keys=True)):016x}"
        write_json(part / STUDY, study)
        key = {
            "format": FORMAT,
            "study": study["id"],
            "seed": seed,
            "methods": sorted(material.methods),
            "items": {name: asdict(value) for name, value in secret.items()},
        }
        write_json(part / KEY, key)
        (part / KEY).chmod(0o600)
    rated = sum(value.kind == RATED for value in secret.values())
    return Prepared(load(out), rated, len(secret) - rated, tuple(warnings))


def choose(cases: Sequence[Case], number: int | None, seed: int) -> list[Case]:
    """``number`` of the cases, drawn by the seed: every subject gives one before any gives a second."""
    if number is None or number >= len(cases):
        return list(cases)
    turns: dict[str, int] = {}
    keyed: list[tuple[int, int, Case]] = []
    for i in generator(seed, "ratings-prompts").permutation(len(cases)):
        subject = cases[i].subject_id
        turns[subject] = turns.get(subject, -1) + 1
        keyed.append((turns[subject], len(keyed), cases[i]))
    return sorted(case for _, _, case in sorted(keyed)[:number])


def _common_size(material: Material, cases: Sequence[Case], size: int | None) -> tuple[int, list[str]]:
    """Side of all candidates, and what of the pictures' own shapes could still tell a method."""
    shapes = {m: [draw(case).shape[:2] for case in cases] for m, draw in material.methods.items()}
    longer = {m: sorted({max(shape) for shape in s}) for m, s in shapes.items()}
    warnings = []
    for method, seen in shapes.items():
        odd = sum(h != w for h, w in seen)
        if odd:
            warnings.append(f"{odd} pictures of {method} are not square; they get grey bars, which may tell the method")
    if len({side for sides in longer.values() for side in sides}) > 1:
        sides = ", ".join(f"{m} {'/'.join(map(str, s))}" for m, s in longer.items())
        warnings.append(f"pictures differ in size ({sides} pixels); all are shown at one size, but sharpness may tell")
    return size or min(LARGEST, min(side for sides in longer.values() for side in sides)), warnings


def _checks(
    material: Material, scheme: Scheme, cases: Sequence[Case], number: int, seed: int
) -> list[tuple[str, Case, list[tuple[str, np.ndarray]]]]:
    """Attention checks: kind, the case whose subject and prompt are shown, and its candidates with their origins.

    Comparisons show a real picture of the subject (first) beside one of another subject; single pictures are
    one or the other in turn. Other subjects are of another class if there are any.
    """
    draws = generator(seed, "ratings-checks")
    result: list[tuple[str, Case, list[tuple[str, np.ndarray]]]] = []
    pool = [cases[i] for i in draws.permutation(len(cases))]
    subjects = sorted({case.subject_id for case in material.cases})
    kinds = [kind for kind in (REAL, OTHER) if kind in scheme.expected]
    for turn, case in enumerate(pool):
        if len(result) >= number:
            break
        mine = material.classes[case.subject_id]
        rest = [s for s in subjects if s != case.subject_id]
        rest = [s for s in rest if material.classes[s] != mine] or rest
        kind = kinds[turn % len(kinds)]
        if not rest and (kind == OTHER or scheme.candidates == 2):
            continue
        chosen = []
        if kind == REAL:
            chosen.append((REAL, _any_of(material.real(case.subject_id), draws)))
        if kind == OTHER or scheme.candidates == 2:
            chosen.append((OTHER, _any_of(material.real(rest[draws.integers(len(rest))]), draws)))
        result.append((kind, case, chosen))
    return result


def _any_of(pictures: list[np.ndarray], draws: np.random.Generator) -> np.ndarray:
    return pictures[draws.integers(len(pictures))]


class _Writer:
    """Writes pictures under names that are hashes of what they are, keyed by the study's seed."""

    def __init__(self, folder: Path, seed: int, size: int) -> None:
        folder.mkdir(parents=True)
        self.folder, self.seed, self.size = folder, seed, size
        self._references: dict[str, tuple[str, ...]] = {}

    def candidate(self, picture: np.ndarray, *key: str | int) -> str:
        return self._write(fit(picture, self.size), "candidate", *key)

    def references(self, subject_id: str, material: Material) -> tuple[str, ...]:
        if subject_id not in self._references:
            shown = [shrink(picture, REFERENCE_SIZE) for picture in material.shown(subject_id)]
            self._references[subject_id] = tuple(
                self._write(picture, "reference", subject_id, i) for i, picture in enumerate(shown)
            )
        return self._references[subject_id]

    def _write(self, picture: np.ndarray, *key: str | int) -> str:
        name = f"{stable_hash(self.seed, 'ratings-picture', *key, bits=128):032x}"
        (self.folder / f"{name}.png").write_bytes(encode_png(picture))
        return name


def fit(picture: np.ndarray, size: int) -> np.ndarray:
    """uint8 (H, W, 3) as (size, size, 3): its longer side becomes ``size`` (Lanczos), the rest grey bars."""
    height, width = picture.shape[:2]
    if (height, width) == (size, size):
        return picture
    scale = size / max(height, width)
    within = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("RGB", (size, size), (128, 128, 128))
    small = Image.fromarray(picture).resize(within, Image.Resampling.LANCZOS)
    canvas.paste(small, ((size - within[0]) // 2, (size - within[1]) // 2))
    return np.asarray(canvas)


def _key(case: Case) -> tuple[str, str, int]:
    return case.subject_id, case.prompt_id, case.index


def _item(kind: str, case: Case, material: Material, candidates: list[str], writer: _Writer, methods: str) -> Item:
    name = f"{stable_hash(writer.seed, 'ratings-item', kind, methods, *_key(case)):016x}"
    references = writer.references(case.subject_id, material)
    return Item(name, material.classes[case.subject_id], case.prompt, references, tuple(candidates))
