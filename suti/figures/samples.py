"""Which pictures the sheets show: the sample figures of the paper (Figs. 1, 4 to 9) from the runs'
generations.

Subjects and prompts are spread evenly over the benchmark and never chosen by score. Sheets that choose by what the
judge says are in verdicts.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from suti.benchmark.prompts import SHEET_ONLY, requests_of, select_prompts
from suti.config.values import COMPOSITIONAL
from suti.figures.grids import Cell, Sheet
from suti.figures.style import lambda_name, run_name
from suti.runs import parse_suti

SKILL_NAMES = {
    "recontextualization": "Re-contextualisation",
    "attribute_editing": "Attribute editing",
    "art_style": "Art style",
    "accessorization": "Accessorisation",
    "compositional": "Composition",
}
UNCHOSEN = "Subjects and prompts are spread evenly over the benchmark, not chosen by score."


@dataclass
class Gallery:
    """The benchmark and the pictures of the runs, as the sheets need them.

    Attributes:
        subjects, prompts, demonstrations: tables of the benchmark.
        shown: demonstration pictures by image_id.
        generations: table 'generations' of several runs, one below the other.
        images: by run, pictures by sample_id.
        metrics: table 'image_metrics' of several runs, or None.
    """

    subjects: pd.DataFrame
    prompts: pd.DataFrame
    demonstrations: pd.DataFrame
    shown: Mapping[str, np.ndarray]
    generations: pd.DataFrame
    images: Mapping[str, Mapping[str, np.ndarray]]
    metrics: pd.DataFrame | None = None
    _index: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = self.generations[self.generations["image_index"] == 0]
        for row in first.itertuples(index=False):
            self._index[(row.run, row.subject_id, row.prompt_id)] = row.sample_id

    def demos(self, subject_id: str, count: int) -> list[Cell]:
        """The first demonstrations of a subject, padded with empty cells to ``count``."""
        rows = self.demonstrations[self.demonstrations["subject_id"] == subject_id].head(count)
        cells = [
            Cell(self.shown[row.image_id], source={"run": "demonstration", "sample_id": row.image_id,
                 "subject_id": subject_id, "prompt": row.text})
            for row in rows.itertuples(index=False)
        ]  # fmt: skip
        return cells + [Cell()] * (count - len(cells))

    def sample(self, run: str, subject_id: str, prompt_id: str, label: str = "", frame: str | None = None) -> Cell:
        """The first picture of a run for a prompt; an empty cell where the run has none."""
        sample_id = self._index.get((run, subject_id, prompt_id))
        if sample_id is None:
            return Cell()
        source = {"run": run, "sample_id": sample_id, "subject_id": subject_id, "prompt_id": prompt_id}
        source["prompt"] = self.prompt(subject_id, prompt_id)
        return Cell(self.images[run][sample_id], label, frame, source)

    def prompt(self, subject_id: str, prompt_id: str) -> str:
        """Text of a prompt."""
        rows = self.prompts[(self.prompts["subject_id"] == subject_id) & (self.prompts["prompt_id"] == prompt_id)]
        return str(rows["prompt"].iloc[0]) if len(rows) else ""

    def pairs(self, runs: Sequence[str], rows: int, skill: str | None = None) -> list[tuple[str, str]]:
        """Up to ``rows`` (subject, prompt) pairs that every run drew: subjects spread evenly, one prompt
        each."""
        table = self.prompts if skill is None else self.prompts[self.prompts["skill"] == skill]
        if skill is None:
            table = table[~table["skill"].isin(SHEET_ONLY)]
        drawn = {
            subject_id: [p for p in group["prompt_id"] if all((run, subject_id, p) in self._index for run in runs)]
            for subject_id, group in table.groupby("subject_id", sort=False)
        }
        subjects = [s for s in self.subjects["subject_id"] if drawn.get(s)]
        chosen = [subjects[i] for i in sorted(select_prompts(len(subjects), rows))]
        return [(s, drawn[s][number % len(drawn[s])]) for number, s in enumerate(chosen)]


def _class(gallery: Gallery, subject_id: str) -> str:
    names = gallery.subjects.set_index("subject_id")["class_name"]
    return str(names[subject_id])


def skills(gallery: Gallery, run: str, demonstrations: int, outputs: int = 4) -> Sheet:
    """Fig. 4: by skill, two subjects each, the demonstrations and SuTI's pictures for several prompts."""
    rows, labels = [], []
    order = [s for s in SKILL_NAMES if s in set(gallery.prompts["skill"])]
    for place, skill in enumerate(order):
        pairs = gallery.pairs([run], 2 * len(order), skill)
        for subject_id, _ in pairs[place :: len(order)][:2]:
            wanted = gallery.prompts[
                (gallery.prompts["subject_id"] == subject_id) & (gallery.prompts["skill"] == skill)
            ]
            ids = [p for p in wanted["prompt_id"] if gallery.sample(run, subject_id, p).image is not None][:outputs]
            cells = [gallery.sample(run, subject_id, p, gallery.prompt(subject_id, p)) for p in ids]
            rows.append(gallery.demos(subject_id, demonstrations) + cells + [Cell()] * (outputs - len(cells)))
            labels.append(SKILL_NAMES[skill])
    headers = ["demonstrations", *[""] * (demonstrations - 1), run_name(run)]
    return Sheet("SuTI on unseen subjects, by skill", rows, headers, labels, UNCHOSEN, frozenset({demonstrations}))


def comparison(gallery: Gallery, runs: Sequence[str], demonstrations: int = 3, rows: int = 8) -> Sheet:
    """Figs. 7 and 8: one prompt a row, drawn by every system; 'real' among the runs is the true picture."""
    pairs = gallery.pairs(runs, rows)
    cells = [
        gallery.demos(subject_id, demonstrations) + [gallery.sample(run, subject_id, prompt_id) for run in runs]
        for subject_id, prompt_id in pairs
    ]
    headers = ["demonstrations", *[""] * (demonstrations - 1)]
    headers += ["true picture" if run == "real" else run_name(run) for run in runs]
    labels = [gallery.prompt(*pair) for pair in pairs]
    return Sheet("The same prompt, drawn by each system", cells, headers, labels, UNCHOSEN, frozenset({demonstrations}))


def compositional(gallery: Gallery, run: str, demonstrations: int = 2, rows: int = 6) -> Sheet:
    """The first chain of prompts, which ask for one thing more from column to column, as in DreamBench-v2."""
    table = gallery.prompts[gallery.prompts["skill"] == COMPOSITIONAL]
    ids = sorted(table["prompt_id"].unique(), key=lambda name: requests_of(name) or 0)
    ids = [name for name in ids if ids and name[:-1] == ids[0][:-1]]
    subjects = (
        [s for s in gallery.subjects["subject_id"] if gallery.sample(run, s, ids[0]).image is not None] if ids else []
    )
    chosen = [subjects[i] for i in sorted(select_prompts(len(subjects), rows))]
    cells = [
        gallery.demos(s, demonstrations) + [gallery.sample(run, s, p, gallery.prompt(s, p)) for p in ids]
        for s in chosen
    ]
    headers = ["demonstrations", *[""] * (demonstrations - 1), *[f"{n + 1} asked" for n in range(len(ids))]]
    note = UNCHOSEN if chosen else "This run drew no compositional prompts."
    title = f"{run_name(run)} on prompts that ask for more and more"
    return Sheet(title, cells, headers if chosen else (), (), note, frozenset({demonstrations}))


def sweep(gallery: Gallery, runs: Sequence[str], by: str, demonstrations: int = 2, rows: int = 6) -> Sheet:
    """One column a setting of SuTI: ``by`` is 'lambda' or 'demonstrations'."""
    pairs = gallery.pairs(runs, rows)
    cells = [
        gallery.demos(subject_id, demonstrations) + [gallery.sample(run, subject_id, prompt_id) for run in runs]
        for subject_id, prompt_id in pairs
    ]
    headers = ["demonstrations", *[""] * (demonstrations - 1)]
    if by == "lambda":
        headers += [f"lambda\n{lambda_name(parse_suti(run)[0]).replace(chr(10), ' ')}" for run in runs]
        title = "SuTI by the lambda that filtered its training set"
    else:
        headers += ["no demonstration" if not parse_suti(run)[1] else f"k = {parse_suti(run)[1]}" for run in runs]
        title = "SuTI by number of demonstrations"
    labels = [gallery.prompt(*pair) for pair in pairs]
    return Sheet(title, cells, headers, labels, UNCHOSEN, frozenset({demonstrations}))
