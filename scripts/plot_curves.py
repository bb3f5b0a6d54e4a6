"""The curve of scores against lambda with |G|, or against the number of demonstrations (Fig. 6), as PNG and
CSV.

    python scripts/plot_curves.py --kind lambda --metrics results/metrics/suti-*-k4.parquet \\
        --filtered results/filtered/*.json \\
        --png results/figures/lambda_curve.png --csv results/figures/lambda_curve.csv
"""

from __future__ import annotations

from suti.cli.arguments import parser
from suti.evaluation.bootstrap import by_run, deciding_list, on_list
from suti.figures import curves
from suti.figures.style import save, save_csv
from suti.io import tables
from suti.io.atomic import read_json


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--kind", required=True, choices=["lambda", "demonstrations"])
    arguments.add_argument("--metrics", nargs="+", required=True, help="tables 'image_metrics', one a run")
    arguments.add_argument("--filtered", nargs="*", default=[], help="filtered/{lambda}.json in the order of the grid")
    arguments.add_argument("--png", required=True)
    arguments.add_argument("--csv", required=True)
    args = arguments.parse_args()
    bootstrap, seed = args.settings["evaluation.bootstrap"], args.settings.seed

    runs = by_run(tables.read(path, "image_metrics") for path in args.metrics)
    runs = on_list(runs, deciding_list(runs.values()))
    if args.kind == "lambda":
        table = curves.lambda_table(runs, [read_json(path) for path in args.filtered], bootstrap, seed)
        figure = curves.lambda_curve(table)
    else:
        table = curves.demonstration_table(runs, bootstrap, seed)
        figure = curves.demonstration_curve(table)
    save_csv(table, args.csv)
    save(figure, args.png)


if __name__ == "__main__":
    main()
