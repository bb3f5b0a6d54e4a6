"""Judge the small models on held-out renders: figures as JSON, sheets as PNG.

python scripts/report_models.py --models resources/models --out docs/results/models.json --sheets
docs/images
"""

from __future__ import annotations

from pathlib import Path

from suti.cli.arguments import parser
from suti.compute import prepare
from suti.io.atomic import write_json
from suti.small_models.report import figures, megabytes, sheets


def main() -> None:
    """Parse arguments, evaluate, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--models", type=Path, required=True, help="folder of the model folders")
    arguments.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    arguments.add_argument("--sheets", type=Path, help="folder for the sample sheets")
    arguments.add_argument("--seed", type=int, default=0, help="of the held-out renders")
    args = arguments.parse_args()
    prepare(args.settings.compute)
    found = figures(args.models, args.seed)
    found["megabytes"] = round(sum(megabytes(args.models / name) for name in found), 2)
    write_json(args.out, found)
    if args.sheets:
        for path in sheets(args.models, args.seed, args.sheets, args.settings.compute):
            print(path)


if __name__ == "__main__":
    main()
