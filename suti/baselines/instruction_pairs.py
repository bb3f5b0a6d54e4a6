"""Training pairs of InstructPix2Pix (arXiv 2211.09800, section 3.1): pictures before and after an instruction.

Both pictures of a pair are drawn by the base with Prompt-to-Prompt. How much of the first goes into the second differs
from edit to edit, so several are drawn of each pair of captions, and CLIP says which are good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from suti.baselines.prompt_to_prompt import draw_pairs
from suti.compute import autocast
from suti.config.schema import Compute
from suti.config.values import Skill
from suti.diffusion.settings import Sampling
from suti.language.instructions import Edit, edits
from suti.language.lexicon import Lexicon
from suti.language.schema import Description
from suti.models.base import BaseModel
from suti.models.encoders import TextImageEncoder
from suti.seeds import generator, torch_generator

SHARES = (0.1, 0.9)  # of the steps with shared attention, uniform (section 3.1)


@dataclass(frozen=True)
class Pair:
    """One pair to draw: draw number ``draw`` of edit number ``edit``, and the share of steps that share attention."""

    pair_id: str
    edit_id: str
    edit: Edit
    share: float


def plan_pairs(
    subjects: pd.DataFrame, skills: dict[Skill, float], count: int, draws: int, lexicon: Lexicon, seed: int
) -> list[Pair]:
    """``draws`` pairs of each of ``count`` edits, which are dealt to the subjects in turn.

    Args:
        subjects: table 'subjects'.

    Raises:
        ValueError: there are no subjects.
    """
    if subjects.empty:
        raise ValueError("table 'subjects': no subjects, so no captions to edit; look at mining/report.json for why")
    rows = subjects.sort_values("subject_id")
    each = -(-count // len(rows))
    found = []
    for row in rows.itertuples():
        subject = Description(row.description, row.class_name)
        key = (seed, "instructions", row.subject_id)
        found += [(number, row.subject_id, e) for number, e in enumerate(edits(subject, skills, each, lexicon, *key))]
    # First edits of all subjects, then second ones: a smaller count is a part of a larger one.
    found.sort(key=lambda item: (item[0], item[1]))
    result = []
    for number, subject_id, edit in found[:count]:
        edit_id = f"{subject_id}-{number}"
        rng = generator(seed, "instruction-pairs", edit_id)
        result += [Pair(f"{edit_id}-{d}", edit_id, edit, float(rng.uniform(*SHARES))) for d in range(draws)]
    return result


def draw_pictures(
    base: BaseModel, pairs: Sequence[Pair], sampling: Sampling, compute: Compute, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of pairs, uint8 ``(n, H, W, 3)`` before and after.

    As the authors' code, and other than Prompt-to-Prompt's: self-attention maps are shared and cross-attention maps are
    not, in both halves of the guidance.
    """
    generators = [tuple(torch_generator(seed, "instruction-pairs", p.pair_id) for _ in range(2)) for p in pairs]
    with autocast(compute, base.device):
        return draw_pairs(
            base, [p.edit.source for p in pairs], [p.edit.target for p in pairs], generators, sampling,
            cross_share=0.0, self_share=[p.share for p in pairs], unconditional=True,
        )  # fmt: skip


def score(
    pairs: Sequence[Pair], before: np.ndarray, after: np.ndarray, clip: TextImageEncoder
) -> Iterator[dict[str, object]]:
    """Rows of table 'instruction_pairs': the CLIP similarities by which pairs are filtered (section 3.1)."""
    pictures = [clip.embed(list(pictures)) for pictures in (before, after)]
    texts = [clip.embed_text([getattr(pair.edit, side) for pair in pairs]) for side in ("source", "target")]
    picture_change, text_change = pictures[1] - pictures[0], texts[1] - texts[0]
    lengths = np.linalg.norm(picture_change, axis=1) * np.linalg.norm(text_change, axis=1)
    direction = (picture_change * text_change).sum(1) / np.maximum(lengths, 1e-12)  # equal pictures: 0
    for row, pair in enumerate(pairs):
        yield {
            "pair_id": pair.pair_id, "edit_id": pair.edit_id, "source": pair.edit.source,
            "instruction": pair.edit.instruction, "target": pair.edit.target, "skill": pair.edit.skill,
            "share": pair.share,
            "clip_source": float(pictures[0][row] @ texts[0][row]),
            "clip_target": float(pictures[1][row] @ texts[1][row]),
            "clip_image": float(pictures[0][row] @ pictures[1][row]),
            "clip_direction": float(direction[row]),
        }  # fmt: skip


def chosen_pairs(table: pd.DataFrame, image: float, text: float, direction: float, keep: int) -> pd.DataFrame:
    """Pairs to train on: those that pass all thresholds, of each edit the ``keep`` best by direction (section 3.1).

    Args:
        table: 'instruction_pairs'.
        image: least cosine of the two pictures (paper: .75).
        text: least cosine of each picture and its caption (paper: .2).
        direction: least cosine of the pictures' difference and the captions' difference (paper: .2).

    Raises:
        ValueError: none passes; names the best value of each score.
    """
    passed = (
        (table["clip_image"] >= image) & (table["clip_source"] >= text) & (table["clip_target"] >= text)
        & (table["clip_direction"] >= direction)
    )  # fmt: skip
    kept = table[passed].sort_values(["clip_direction", "pair_id"], ascending=[False, True])
    kept = kept.groupby("edit_id").head(keep).sort_values("pair_id", ignore_index=True)
    if kept.empty:
        names = ("image", "source", "target", "direction")
        best = {name: round(float(table[f"clip_{name}"].max()), 3) for name in names}
        raise ValueError(
            f"no pair of {len(table)} passes baselines.instruct_pix2pix.min_image {image}, min_text {text} and "
            f"min_direction {direction}; the largest are {best}: lower the thresholds, which belong to the encoder"
        )
    return kept
