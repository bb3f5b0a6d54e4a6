"""Histogram of the samples' score, delta-CLIP by default, with the grid of lambdas and |G| at each, as PNG and CSV.

    python scripts/plot_deltas.py --scores results/scores/delta_clip.parquet \\
        --filtered results/filtered/*.json --png results/figures/delta_histogram.png \\
        --csv results/figures/delta_histogram.csv
"""

from __future__ import annotations

from suti.cli.arguments import parser
from suti.figures.histogram import score_histogram, score_table
from suti.figures.style import save, save_csv
from suti.io import tables
from suti.io.atomic import read_json


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--scores", required=True, help="table 'scores' of all samples")
    arguments.add_argument(
        "--filtered", nargs="+", required=True, help="filtered/{lambda}.json in the order of the grid"
    )
    arguments.add_argument("--png", required=True)
    arguments.add_argument("--csv", required=True)
    args = arguments.parse_args()

    name = args.settings["filtering.score"]
    table = score_table(tables.read(args.scores, "scores")["score"].to_numpy(), name)
    reports = [read_json(path) for path in args.filtered]
    save_csv(table, args.csv)
    save(score_histogram(table, reports, args.settings["filtering.default"], name), args.png)


if __name__ == "__main__":
    main()
