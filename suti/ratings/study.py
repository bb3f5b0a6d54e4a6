"""A blind study: ``study.json`` and opaque pictures for the page, ``key.json`` for the one who counts.

What raters could learn a method from is taken away. Pictures are decoded and written anew as PNG without metadata,
all candidates at one size. Their names, and those of the items, are hashes under the study's seed, which only
``key.json`` holds. Items stand in the order of these hashes; every rater sees them in an order of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from suti.io.atomic import read_json
from suti.ratings.schemes import SCHEMES, Scheme
from suti.seeds import generator, stable_hash

FORMAT = 1
RATED = "rated"
STUDY, KEY, DATABASE, IMAGES = "study.json", "key.json", "ratings.sqlite", "images"
NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Item:
    """What a rater sees: class word, prompt, names of the subject's pictures and of the candidates."""

    id: str
    subject: str
    prompt: str
    references: tuple[str, ...]
    candidates: tuple[str, ...]


@dataclass(frozen=True)
class Secret:
    """What an item is: ``kind`` 'rated', or 'real' or 'other' for an attention check; the methods of its candidates."""

    kind: str
    subject_id: str
    prompt_id: str
    index: int
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """A prepared study as the page sees it: nothing here tells a method."""

    folder: Path
    id: str
    scheme: Scheme
    order_seed: int
    size: int
    items: dict[str, Item]

    def order(self, rater: str) -> list[str]:
        """All item ids in the order of a rater, whose draws depend on nothing but the study and the name."""
        ids = list(self.items)
        return [ids[i] for i in generator(self.order_seed, "ratings-order", rater).permutation(len(ids))]

    def swapped(self, rater: str, item: str) -> bool:
        """Whether the second candidate of a comparison stands on the left for a rater."""
        if self.scheme.candidates < 2:
            return False
        return stable_hash(self.order_seed, "ratings-side", rater, item) % 2 == 1

    def picture(self, name: str) -> Path | None:
        """File of a picture of the study; None for any other name."""
        return self.folder / IMAGES / f"{name}.png" if name in self._pictures else None

    @cached_property
    def _pictures(self) -> frozenset[str]:
        return frozenset(name for item in self.items.values() for name in (*item.references, *item.candidates))


def load(folder: Path) -> Study:
    """A prepared study; every picture that it names is there.

    Raises:
        ValueError: no study, or one that was changed by hand.
    """
    raw = _read(folder, STUDY)
    try:
        items = {
            row["id"]: Item(
                row["id"], row["subject"], row["prompt"], tuple(row["references"]), tuple(row["candidates"])
            )
            for row in raw["items"]
        }
        study = Study(folder, raw["id"], SCHEMES[raw["scheme"]], raw["order_seed"], raw["size"], items)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / STUDY}: lacks or misspells {error}; prepare the study anew") from error
    for item in items.values():
        for name in (*item.references, *item.candidates):
            if not NAME.fullmatch(name) or not (folder / IMAGES / f"{name}.png").is_file():
                raise ValueError(f"{folder / STUDY}: item {item.id} names picture {name!r}, which is not in {IMAGES}/")
    return study


def load_key(study: Study) -> dict[str, Secret]:
    """What each item is. For counting only; the page's server never reads it.

    Raises:
        ValueError: it is missing, or belongs to another study.
    """
    raw = _read(study.folder, KEY)
    if raw.get("study") != study.id:
        raise ValueError(f"{study.folder / KEY}: key of study {raw.get('study')}, expected {study.id}")
    try:
        result = {name: Secret(**{**row, "methods": tuple(row["methods"])}) for name, row in raw["items"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{study.folder / KEY}: lacks or misspells {error}; restore it") from error
    if set(result) != set(study.items):
        raise ValueError(f"{study.folder / KEY}: other items than {STUDY}; restore both files")
    return result


def _read(folder: Path, name: str) -> dict:
    if not (folder / name).is_file():
        raise ValueError(f"{folder}: no {name}; name a folder that `suti ratings prepare` wrote")
    raw = read_json(folder / name)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        seen = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        raise ValueError(f"{folder / name}: format {seen}, expected {FORMAT}; prepare the study anew")
    return raw
