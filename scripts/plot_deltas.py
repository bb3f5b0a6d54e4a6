"""Histogram of delta-CLIP with the grid of lambdas and |G| at each, as PNG and CSV.

    python scripts/plot_deltas.py --scores results/experts/scores-*.parquet \\
        --filtered results/filtered/*.json --png results/figures/delta_histogram.png \\
        --csv results/figures/delta_histogram.csv
"""

from __future__ import annotations

from suti.cli.arguments import parser
from suti.figures.histogram import delta_histogram, delta_table
from suti.figures.style import save, save_csv
from suti.io import tables
from suti.io.atomic import read_json


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--scores", nargs="+", required=True, help="tables 'scores' of all shards")
    arguments.add_argument(
        "--filtered", nargs="+", required=True, help="filtered/{lambda}.json in the order of the grid"
    )
    arguments.add_argument("--png", required=True)
    arguments.add_argument("--csv", required=True)
    args = arguments.parse_args()

    table = delta_table(tables.read_all(args.scores, "scores")["delta"].to_numpy())
    reports = [read_json(path) for path in args.filtered]
    save_csv(table, args.csv)
    save(delta_histogram(table, reports, args.settings["filtering.default"]), args.png)


if __name__ == "__main__":
    main()
