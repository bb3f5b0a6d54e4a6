"""Web pages of the world: pictures, addresses and noisy alt texts, and what mining should make of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from suti.io.atomic import atomic_path
from suti.io.shards import write_shard
from suti.world.alttext import noisy_alt_text
from suti.world.render import render
from suti.world.scenes import page_scenes
from suti.world.subjects import Subject, keyed_rng, sample_subject

KINDS: Final = ("single", "mixed", "near_duplicates", "too_few", "broken", "exact_duplicates")
HOSTS: Final = ("shop", "toys", "blog", "market", "photos", "collectors", "catalogue", "fleamarket")
MIN_IMAGES: Final = 3


@dataclass(frozen=True)
class PageImage:
    """One picture of a page as a crawler stores it; `data` may be a broken file."""

    page_url: str
    image_url: str
    alt_text: str | None
    data: bytes
    filename: str


@dataclass(frozen=True)
class PageTruth:
    """What a page really is. keep: mining should keep it. subject: JSON of the Subject if the page has just
    one.
    """

    page_url: str
    kind: str
    subject_id: str | None
    keep: bool
    n_images: int
    subject: str | None


def subject_to_json(subject: Subject) -> str:
    """One line of JSON."""
    return json.dumps(asdict(subject), sort_keys=True)


def subject_from_json(text: str) -> Subject:
    """The inverse of `subject_to_json`."""
    fields: dict[str, Any] = json.loads(text)
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return Subject(**fields)


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _shots(subjects: list[Subject], rng: np.random.Generator, size: int) -> np.ndarray:
    """Plain photographs of the subjects at the page's home (``page_scenes``): uint8 (n, size, size, 3)."""
    return render(subjects, page_scenes(len(subjects), rng), size)[0]


@dataclass(frozen=True)
class _Page:
    subjects: list[Subject]  # whom picture i shows
    files: list[bytes]


def _single(space: str, number: int, rng: np.random.Generator, size: int, quality: int) -> _Page:
    subjects = [sample_subject(space, number)] * int(rng.integers(MIN_IMAGES, 9))
    return _Page(subjects, [_jpeg(image, quality) for image in _shots(subjects, rng, size)])


def _mixed(space: str, number: int, rng: np.random.Generator, size: int, quality: int) -> _Page:
    """Four to eight different subjects; on one page in four all are of one class."""
    same = sample_subject(space, 100 * number).class_name if rng.uniform() < 0.25 else None
    subjects = [sample_subject(space, 100 * number + i, same) for i in range(int(rng.integers(4, 9)))]
    return _Page(subjects, [_jpeg(image, quality) for image in _shots(subjects, rng, size)])


def _near_duplicates(space: str, number: int, rng: np.random.Generator, size: int, quality: int) -> _Page:
    """One shot, re-encoded or shifted by a pixel; all files differ."""
    n = int(rng.integers(MIN_IMAGES, 7))
    subjects = [sample_subject(space, number)] * n
    shot = _shots(subjects[:1], rng, size)[0]
    padded = np.pad(shot, ((0, 1), (0, 1), (0, 0)), mode="edge")
    files = []
    for i in range(n):
        dy, dx = rng.integers(0, 2, size=2)
        files.append(_jpeg(padded[dy : dy + size, dx : dx + size], quality - i))
    return _Page(subjects, files)


def _too_few(space: str, number: int, rng: np.random.Generator, size: int, quality: int) -> _Page:
    subjects = [sample_subject(space, number)] * int(rng.integers(1, MIN_IMAGES))
    return _Page(subjects, [_jpeg(image, quality) for image in _shots(subjects, rng, size)])


def _broken(space: str, number: int, rng: np.random.Generator, size: int, quality: int) -> _Page:
    """Three to six files, at most two of them readable: the others are cut short, empty, or an error page."""
    n = int(rng.integers(MIN_IMAGES, 7))
    subjects = [sample_subject(space, number)] * n
    files = [_jpeg(image, quality) for image in _shots(subjects, rng, size)]
    damage: tuple[Callable[[bytes], bytes], ...] = (
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"<html><body>404 not found</body></html>",
    )
    for i in rng.permutation(n)[: n - int(rng.integers(0, MIN_IMAGES))]:
        files[i] = damage[int(rng.integers(len(damage)))](files[i])
    return _Page(subjects, files)


def _exact_duplicates(space: str, number: int, rng: np.random.Generator, size: int, quality: int) -> _Page:
    """Three to six files with only one or two different contents."""
    distinct = int(rng.integers(1, MIN_IMAGES))
    subjects = [sample_subject(space, number)] * int(rng.integers(MIN_IMAGES, 7))
    files = [_jpeg(image, quality) for image in _shots(subjects[:distinct], rng, size)]
    return _Page(subjects, [files[i % distinct] for i in range(len(subjects))])


_MAKERS = dict(zip(KINDS, (_single, _mixed, _near_duplicates, _too_few, _broken, _exact_duplicates), strict=True))


def make_page(
    seed: int, kind: str, number: int, *, size: int = 64, quality: int = 95
) -> tuple[list[PageImage], PageTruth]:
    """Page `number` of its kind: its pictures and its truth. Keyed by (seed, kind, number) alone."""
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} is no kind of page; choose one of {', '.join(KINDS)}")
    rng = keyed_rng("page", seed, kind, number)
    space = f"pages-{seed}" if kind == "single" else f"pages-{seed}-{kind}"
    page = _MAKERS[kind](space, number, rng, size, quality)
    slug = f"{int(rng.integers(16**8)):08x}"
    url = f"https://{HOSTS[int(rng.integers(len(HOSTS)))]}.example/{page.subjects[0].class_name}/{slug}"
    images = []
    for i, (subject, data) in enumerate(zip(page.subjects, page.files, strict=True)):
        filename = f"img_{i + 1}.jpg" if rng.uniform() < 0.5 else f"{slug[:4]}-{i + 1}.jpg"
        images.append(PageImage(url, f"{url}/{filename}", noisy_alt_text(subject, rng), data, filename))
    one = page.subjects[0] if len(set(page.subjects)) == 1 else None
    truth = PageTruth(
        page_url=url,
        kind=kind,
        subject_id=one.subject_id if one else None,
        keep=kind == "single",
        n_images=len(images),
        subject=subject_to_json(one) if one else None,
    )
    return images, truth


def _all_pages(seed: int, counts: dict[str, int], **options: int) -> Iterator[tuple[list[PageImage], PageTruth]]:
    """Every page, the kinds interleaved evenly; more pages of a kind never change the others."""
    places = [((i + 0.5) / n, kind, i) for kind, n in counts.items() for i in range(n)]
    for _, kind, i in sorted(places):
        yield make_page(seed, kind, i, **options)


def world_pages(
    seed: int,
    n_subjects: int,
    *,
    mixed: int = 20,
    near_duplicates: int = 14,
    too_few: int = 14,
    broken: int = 10,
    exact_duplicates: int = 10,
    truths: list[PageTruth] | None = None,
    size: int = 64,
    quality: int = 95,
) -> Iterator[PageImage]:
    """The pictures of `n_subjects` single-subject pages and of the given numbers of pages to be dropped.

    The pictures of a page follow one another. truths: a list to which the truth of every page is appended.
    Pictures are JPEG, size x size pixels, 4:4:4. The kept subjects are `sample_subject(f"pages-{seed}", i)`.
    """
    counts = dict(zip(KINDS, (n_subjects, mixed, near_duplicates, too_few, broken, exact_duplicates), strict=True))
    for images, truth in _all_pages(seed, counts, size=size, quality=quality):
        if truths is not None:
            truths.append(truth)
        yield from images


def write_pages(
    folder: str | Path, seed: int, n_subjects: int, *, shard_size: int = 1000, **options: Any
) -> list[Path]:
    """Writes WebDataset shards `pages-00000.tar`, ... and the truth table `truth.jsonl` to `folder`.

    Members are `<page>_<picture>.jpg` and `.json` (page_url, image_url, alt_text, filename). A shard takes
    about `shard_size` pictures and whole pages only. `options` go to `world_pages`. Returns the tars.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    truths: list[PageTruth] = []
    paths: list[Path] = []
    members: list[tuple[str, bytes]] = []

    def flush() -> None:
        if members:
            paths.append(folder / f"pages-{len(paths):05d}.tar")
            write_shard(paths[-1], members)
            members.clear()

    pictures = world_pages(seed, n_subjects, truths=truths, **options)
    for number, (url, page) in enumerate(groupby(pictures, key=lambda picture: picture.page_url)):
        for position, picture in enumerate(page):
            key = f"{number:06d}_{position:02d}"
            facts = {
                "page_url": url,
                "image_url": picture.image_url,
                "alt_text": picture.alt_text,
                "filename": picture.filename,
            }
            members.append((f"{key}.jpg", picture.data))
            members.append((f"{key}.json", json.dumps(facts, sort_keys=True).encode()))
        if len(members) >= 2 * shard_size:
            flush()
    flush()
    with atomic_path(folder / "truth.jsonl") as part:
        part.write_text("".join(json.dumps(asdict(truth), sort_keys=True) + "\n" for truth in truths))
    return paths
