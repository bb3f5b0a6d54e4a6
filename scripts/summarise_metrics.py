"""The summary of one run: every metric's mean with its interval over subjects, and the protocol.

    python scripts/summarise_metrics.py --metrics results/metrics/base.parquet --summary results/metrics/base.json \\
        --settings '{"seed": 0, "evaluation.encoders": {}, "evaluation.probe": null, "evaluation.bootstrap": 1000}'

No picture is read: another number of resamples, or another formula of the interval, embeds nothing.
"""

from __future__ import annotations

from suti.cli.arguments import parser
from suti.evaluation.summary import probe_thresholds, summary
from suti.io import tables
from suti.io.atomic import write_json


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--metrics", required=True, help="table 'image_metrics' of the run")
    arguments.add_argument("--summary", required=True, help="JSON to write: means, intervals, protocol")
    args = arguments.parse_args()
    s = args.settings
    probe = s["evaluation.probe"]
    report = summary(
        tables.read(args.metrics, "image_metrics"),
        s["evaluation.encoders"],
        probe,
        probe and probe_thresholds(probe),
        s["evaluation.bootstrap"],
        s.seed,
    )
    write_json(args.summary, report)
    for metric, values in report["metrics"].items():
        if values["mean"] is not None:
            print(f"{report['run']} {metric}: {values['mean']:.3f} [{values['low']:.3f}, {values['high']:.3f}]")


if __name__ == "__main__":
    main()
