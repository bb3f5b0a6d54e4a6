"""One of the paper's tables with our numbers beside the published ones, as CSV, PNG and LaTeX.

    python scripts/make_tables.py --table table1 --metrics results/metrics/*.parquet \\
        --csv results/tables/table1.csv --png results/tables/table1.png --tex results/tables/table1.tex
"""

from __future__ import annotations

from suti.cli.arguments import parser
from suti.evaluation.bootstrap import by_run, deciding_list, on_list
from suti.figures import tables as paper
from suti.figures.style import save, save_csv
from suti.figures.table_layout import draw, to_latex
from suti.io import tables
from suti.io.atomic import read_json, write_text
from suti.runs import Run


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--table", required=True, choices=["table1", "table2", "table3", "differences", "copies"])
    arguments.add_argument("--metrics", nargs="+", required=True, help="tables 'image_metrics', one a run")
    arguments.add_argument("--timings", nargs="*", default=[], help="NAME.timing.json of each run (table2 only)")
    arguments.add_argument("--summary", help="metrics/{run}.json with the protocol (tables 1 to 3)")
    arguments.add_argument("--suti-run", required=True, help="run of the main result, e.g. suti-q0.4-k4")
    arguments.add_argument("--csv", required=True)
    arguments.add_argument("--png", required=True)
    arguments.add_argument("--tex", required=True)
    args = arguments.parse_args()
    bootstrap, seed = args.settings["evaluation.bootstrap"], args.settings.seed

    runs = by_run(tables.read(path, "image_metrics") for path in args.metrics)
    # As the paper: Table 1 on DreamBench's templates, Tables 2 and 3 on compositional prompts where there are any.
    if args.table in ("table2", "table3"):
        runs = on_list(runs, deciding_list(runs.values()))
    else:
        runs = on_list(runs, "both" if args.table == "differences" else "templates")
    protocol = read_json(args.summary)["protocol"] if args.summary else {}
    thresholds = protocol.get("thresholds") or {}
    if args.table == "table1":
        table = paper.table1(runs, args.suti_run, bootstrap, seed, protocol, args.settings["evaluation.benchmark"])
    elif args.table == "table2":
        timings = {path.rsplit("/", 1)[-1].removesuffix(".timing.json"): read_json(path) for path in args.timings}
        measured = (protocol, args.settings["evaluation.benchmark"])
        table = paper.table2(runs, args.suti_run, thresholds, timings, bootstrap, seed, *measured)
    elif args.table == "table3":
        measured = (protocol, args.settings["evaluation.benchmark"])
        table = paper.table3(runs, args.suti_run, thresholds, bootstrap, seed, *measured)
    elif args.table == "copies":
        table = paper.copies(runs, args.suti_run, bootstrap, seed)
    else:
        without = str(Run.parse(args.suti_run).at(demonstrations=0))
        table = paper.differences(runs, args.suti_run, without, bootstrap, seed)
    save_csv(table.frame, args.csv)
    write_text(args.tex, to_latex(table))
    save(draw(table), args.png)


if __name__ == "__main__":
    main()
