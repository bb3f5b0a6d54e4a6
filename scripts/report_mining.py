"""What mining kept: the histogram of similarities with the band, outcomes by reason, precision and recall.

    python scripts/report_mining.py --settings '{"mining.similarity": [0.82, 0.98]}' \\
        --clusters results/mining/clusters-*.parquet --pages results/pages/pages-*.parquet \\
        --truth results/world/truth.parquet --report results/mining/report.json \\
        --figure results/figures/similarity.png --table results/figures/similarity.csv
"""

from __future__ import annotations

import pandas as pd

from suti.cli.arguments import parser
from suti.figures.similarity import save_figure, similarity_figure, similarity_histogram
from suti.io import tables
from suti.io.atomic import write_json, write_text
from suti.mining.report import page_kinds, report


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clusters", nargs="+", required=True, help="tables 'clusters' of all parts")
    arguments.add_argument("--pages", nargs="+", required=True, help="tables 'pages' of all parts")
    arguments.add_argument("--truth", help="table of true page kinds, where the world is the source")
    arguments.add_argument("--report", required=True, help="JSON to write")
    arguments.add_argument("--figure", required=True, help="PNG to write")
    arguments.add_argument("--table", required=True, help="CSV to write: the figure's numbers")
    args = arguments.parse_args()

    band = args.settings["mining.similarity"]
    clusters = tables.read_all(args.clusters, "clusters").sort_values("cluster_id", ignore_index=True)
    statuses = [tables.read(path, "pages")["status"] for path in args.pages]
    truth = tables.read(args.truth, "truth") if args.truth else None
    summary = report(clusters, pd.concat(statuses, ignore_index=True), band, truth)
    histogram = similarity_histogram(clusters, page_kinds(clusters, truth))
    outcomes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in summary["outcomes"].items())
    title = f"{summary['pages']} pages: {outcomes}"
    if truth is not None and summary["truth"]["precision"] is not None:
        title += f"; precision {summary['truth']['precision']:.3f}, recall {summary['truth']['recall']:.3f}"
    without = int(clusters["similarity"].isna().sum())
    save_figure(similarity_figure(histogram, band, title, without), args.figure)
    write_text(args.table, histogram.to_csv(index=False, lineterminator="\n"))
    write_json(args.report, summary)
    print(title)


if __name__ == "__main__":
    main()
