"""Draw the picture of the workflow in README.md: its chapters, and what is one job of each.

    python studies/plot_workflow.py --png docs/images/workflow.png

Drawn by hand: the graph that `snakemake --dag` draws of the embedded default has a node for every job.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from suti.figures.style import GREY, INK, RC, save

WIDTH, HEIGHT = 2.3, 1.5  # inches of a box
COLOURS = {"part": "#DCE9F7", "shard": "#FBE3CF", "lambda": "#DDF0DC", "run": "#F6DDE6", "all": "#EEEEEE"}
JOBS = {
    "part": "a job for each part of the pages",
    "shard": "a job for each shard of subjects",
    "lambda": "a job for each lambda",
    "run": "a job for each run (system)",
    "all": "single jobs",
}


@dataclass(frozen=True)
class Box:
    """A box: its column and row, what it is called, what it does, the file of its rules, and what is one job."""

    column: int
    row: int
    title: str
    text: str
    rules: str
    job: str

    @property
    def x(self) -> float:
        """Left edge in inches."""
        return COLUMNS[self.column]

    @property
    def y(self) -> float:
        """Lower edge in inches."""
        return ROWS[self.row]


COLUMNS = (0.2, 3.2, 6.2, 9.2)
ROWS = (5.5, 3.1, 0.7)  # from the top
HEADINGS = (
    "From pages to prompts (section 4)",
    "Apprenticeship learning (sections 3 and 4)",
    "Evaluation on unseen subjects (section 5)",
)
BOXES = [
    Box(0, 0, "Pages", "the rendered world, OBELICS,\nWebDataset or folders of photos", "mining.smk", "part"),
    Box(1, 0, "Clusters", "pages of one subject, by mean\npairwise similarity", "mining.smk", "part"),
    Box(2, 0, "Captions", "what a captioner says\nof each picture", "captions.smk", "part"),
    Box(3, 0, "Subjects, prompts", "a name of the subject, and\nprompts that no picture shows", "prompts.smk", "part"),
    Box(3, 1, "Experts", "Eq. 4: fine-tune on one subject,\ndraw its prompts, discard", "experts.smk", "shard"),
    Box(2, 1, "Samples, scores", "Eq. 6: delta-CLIP\nof every sample", "experts.smk", "shard"),
    Box(1, 1, "G", "samples whose delta-CLIP\nexceeds lambda", "filtering.smk", "lambda"),
    Box(0, 1, "Apprentice", "Eq. 5: one model, trained on G,\nthat reads demonstrations", "apprentice.smk", "lambda"),
    Box(0, 2, "Benchmark", "unseen subjects, demonstrations,\nprompts of DreamBench", "evaluation.smk", "all"),
    Box(
        1, 2, "Generations", "SuTI, base, DreamBooth,\nDream-SuTI on the benchmark",
        "baselines.smk, apprentice.smk", "run",
    ),
    Box(2, 2, "Metrics", "DINO, CLIP-I, CLIP-T, probe,\ncopies, with bootstrap intervals", "evaluation.smk", "run"),
    Box(
        3, 2, "Tables, claims", "Tables 1 to 3, curves, sheets\nof samples, claims, report",
        "figures.smk, claims.smk", "all",
    ),
]  # fmt: skip
PATHS = (BOXES[:8], BOXES[8:])  # neighbours follow from each other


def draw_box(axes: Axes, box: Box) -> None:
    """A chapter's box with its three texts."""
    shape = FancyBboxPatch(
        (box.x, box.y), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=COLOURS[box.job], edgecolor=INK, linewidth=0.9,
    )  # fmt: skip
    axes.add_patch(shape)
    middle, centred = box.x + WIDTH / 2, {"ha": "center", "va": "center"}
    axes.text(middle, box.y + 1.25, box.title, fontsize=12, fontweight="bold", **centred)
    axes.text(middle, box.y + 0.76, box.text, fontsize=8.6, linespacing=1.3, **centred)
    axes.text(middle, box.y + 0.22, box.rules, fontsize=7.8, color=GREY, family="monospace", **centred)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    """An arrow between two points in inches."""
    shape = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=13, color=INK, linewidth=1.2, shrinkA=2, shrinkB=2,
        connectionstyle=f"arc3,rad={bend}",
    )  # fmt: skip
    axes.add_patch(shape)


def connect(axes: Axes, first: Box, second: Box) -> None:
    """An arrow between neighbouring boxes, sideways or down."""
    if first.row == second.row:
        right = second.column > first.column
        start, end = (first.x + WIDTH, second.x) if right else (first.x, second.x + WIDTH)
        arrow(axes, (start, first.y + HEIGHT / 2), (end, first.y + HEIGHT / 2))
    else:
        arrow(axes, (first.x + WIDTH / 2, first.y), (second.x + WIDTH / 2, second.y + HEIGHT))


def draw_legend(axes: Axes) -> None:
    """What the colours mean, in a line at the foot."""
    x = COLUMNS[0]
    for job, text in JOBS.items():
        shape = FancyBboxPatch(
            (x, 0.17), 0.2, 0.2, boxstyle="round,pad=0,rounding_size=0.04", facecolor=COLOURS[job],
            edgecolor=INK, linewidth=0.7,
        )  # fmt: skip
        axes.add_patch(shape)
        axes.text(x + 0.28, 0.265, text, fontsize=8.2, va="center")
        x += 0.5 + 0.068 * len(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--png", default="docs/images/workflow.png", help="picture to write")
    args = parser.parse_args()
    with plt.rc_context(RC):
        figure = plt.figure(figsize=(11.7, 7.6))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, 11.7), ylim=(0, 7.6))
        axes.axis("off")
        for y, text in zip(ROWS, HEADINGS, strict=True):
            axes.text(COLUMNS[0], y + HEIGHT + 0.2, text, fontsize=11, color=GREY, va="center")
        for box in BOXES:
            draw_box(axes, box)
        for path in PATHS:
            for first, second in pairwise(path):
                connect(axes, first, second)
        # The apprentice draws the benchmark: down and to the right.
        arrow(axes, (COLUMNS[0] + WIDTH, ROWS[1] + 0.15), (COLUMNS[1] + 0.7, ROWS[2] + HEIGHT), -0.3)
        draw_legend(axes)
        save(figure, args.png)


if __name__ == "__main__":
    main()
