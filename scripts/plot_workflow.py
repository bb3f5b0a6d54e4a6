"""Draw the picture of the workflow in README.md: its chapters, and what is one job of each.

    python scripts/plot_workflow.py --png docs/images/workflow.png

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
class Chapter:
    """A box: its lower left corner in inches, what it is called, what it does, and the file of its rules."""

    x: float
    y: float
    title: str
    text: str
    rules: str
    job: str


TOP, MIDDLE, BOTTOM = 5.5, 3.1, 0.7
FIRST, SECOND, THIRD, FOURTH = 0.2, 3.2, 6.2, 9.2
CHAPTERS = {
    "pages": Chapter(
        FIRST, TOP, "Pages", "the rendered world, OBELICS,\nWebDataset or folders of photos",
        "mining.smk", "part",
    ),
    "mining": Chapter(
        SECOND, TOP, "Clusters", "pages of one subject, by mean\npairwise similarity", "mining.smk", "part"
    ),
    "captions": Chapter(
        THIRD, TOP, "Captions", "what a captioner says\nof each picture", "captions.smk", "part"
    ),
    "prompts": Chapter(
        FOURTH, TOP, "Subjects, prompts", "a name of the subject, and\nprompts that no picture shows",
        "prompts.smk", "part",
    ),
    "experts": Chapter(
        FOURTH, MIDDLE, "Experts", "Eq. 4: fine-tune on one subject,\ndraw its prompts, discard",
        "experts.smk", "shard",
    ),
    "scores": Chapter(
        THIRD, MIDDLE, "Samples, scores", "Eq. 6: delta-CLIP\nof every sample", "experts.smk", "shard"
    ),
    "filtered": Chapter(
        SECOND, MIDDLE, "G", "samples whose delta-CLIP\nexceeds lambda", "filtering.smk", "lambda"
    ),
    "apprentice": Chapter(
        FIRST, MIDDLE, "Apprentice", "Eq. 5: one model, trained on G,\nthat reads demonstrations",
        "apprentice.smk", "lambda",
    ),
    "benchmark": Chapter(
        FIRST, BOTTOM, "Benchmark", "unseen subjects, demonstrations,\nprompts of DreamBench",
        "evaluation.smk", "all",
    ),
    "generations": Chapter(
        SECOND, BOTTOM, "Generations", "SuTI, base, DreamBooth,\nDream-SuTI on the benchmark",
        "baselines.smk, apprentice.smk", "run",
    ),
    "metrics": Chapter(
        THIRD, BOTTOM, "Metrics", "DINO, CLIP-I, CLIP-T, probe,\nwith bootstrap intervals",
        "evaluation.smk", "run",
    ),
    "figures": Chapter(
        FOURTH, BOTTOM, "Tables, figures", "Tables 1 to 3, curves, sheets\nof samples, report",
        "figures.smk, ablations.smk", "all",
    ),
}  # fmt: skip
PATHS = [
    ("pages", "mining", "captions", "prompts", "experts", "scores", "filtered", "apprentice"),
    ("benchmark", "generations", "metrics", "figures"),
]


def draw_box(axes: Axes, chapter: Chapter) -> None:
    """A chapter's box with its three texts."""
    shape = FancyBboxPatch(
        (chapter.x, chapter.y), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=COLOURS[chapter.job], edgecolor=INK, linewidth=0.9,
    )  # fmt: skip
    axes.add_patch(shape)
    middle, centred = chapter.x + WIDTH / 2, {"ha": "center", "va": "center"}
    axes.text(middle, chapter.y + 1.25, chapter.title, fontsize=12, fontweight="bold", **centred)
    axes.text(middle, chapter.y + 0.76, chapter.text, fontsize=8.6, linespacing=1.3, **centred)
    axes.text(middle, chapter.y + 0.22, chapter.rules, fontsize=7.8, color=GREY, family="monospace", **centred)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    """An arrow between two points in inches."""
    shape = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=13, color=INK, linewidth=1.2, shrinkA=2, shrinkB=2,
        connectionstyle=f"arc3,rad={bend}",
    )  # fmt: skip
    axes.add_patch(shape)


def connect(axes: Axes, first: Chapter, second: Chapter) -> None:
    """An arrow between neighbouring boxes, sideways or down."""
    if first.y == second.y:
        right = second.x > first.x
        start, end = (first.x + WIDTH, second.x) if right else (first.x, second.x + WIDTH)
        arrow(axes, (start, first.y + HEIGHT / 2), (end, first.y + HEIGHT / 2))
    else:
        arrow(axes, (first.x + WIDTH / 2, first.y), (second.x + WIDTH / 2, second.y + HEIGHT))


def draw_legend(axes: Axes) -> None:
    """What the colours mean, in a line at the foot."""
    x = FIRST
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
    titles = {
        TOP: "From pages to prompts (section 4)",
        MIDDLE: "Apprenticeship learning (sections 3 and 4)",
        BOTTOM: "Evaluation on unseen subjects (section 5)",
    }
    with plt.rc_context(RC):
        figure = plt.figure(figsize=(11.7, 7.6))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, 11.7), ylim=(0, 7.6))
        axes.axis("off")
        for y, text in titles.items():
            axes.text(FIRST, y + HEIGHT + 0.2, text, fontsize=11, color=GREY, va="center")
        for chapter in CHAPTERS.values():
            draw_box(axes, chapter)
        for path in PATHS:
            for first, second in pairwise(path):
                connect(axes, CHAPTERS[first], CHAPTERS[second])
        # The apprentice draws the benchmark: down and to the right.
        start = (CHAPTERS["apprentice"].x + WIDTH, MIDDLE + 0.15)
        arrow(axes, start, (CHAPTERS["generations"].x + 0.7, BOTTOM + HEIGHT), -0.3)
        draw_legend(axes)
        save(figure, args.png)


if __name__ == "__main__":
    main()
