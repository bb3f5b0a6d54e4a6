"""Sum the language stage's counts over all parts: usable answers, retries, fallbacks by reason, shortfalls.

python scripts/report_language.py --subjects LOG.json... --prompts LOG.json... --report REPORT.json
"""

from __future__ import annotations

from suti.cli.arguments import parser
from suti.io.atomic import read_json, write_json
from suti.language.schema import add_logs


def main() -> None:
    """Read the logs of all parts; write one report."""
    arguments = parser(__doc__)
    arguments.add_argument("--subjects", nargs="+", required=True, help="logs of refine_subjects.py")
    arguments.add_argument("--prompts", nargs="+", required=True, help="logs of write_prompts.py")
    arguments.add_argument("--report", required=True, help="output: JSON")
    a = arguments.parse_args()
    report = {
        "subjects": add_logs([read_json(path) for path in a.subjects]),
        "prompts": add_logs([read_json(path) for path in a.prompts]),
    }
    write_json(a.report, report)
    for name, counts in report.items():
        fallbacks = sum(counts["fallbacks"].values())
        print(f"{name}: {counts['rows']} rows, {counts['requests']} questions to a model, {fallbacks} fallbacks")


if __name__ == "__main__":
    main()
