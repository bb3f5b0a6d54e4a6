"""Write unseen prompts for each subject (section 4 of the paper).

python scripts/write_prompts.py --settings JSON --subjects SUBJECTS.parquet --captions CAPTIONS.parquet
    --texts TEXTS.parquet [--vocabulary GRAMMAR.yaml] --prompts PROMPTS.parquet --log LOG.json
    [--answers ANSWERS.jsonl]
"""

from __future__ import annotations

from suti.cli.arguments import parser, run
from suti.io import tables
from suti.io.atomic import write_json
from suti.language.backends.base import BackendError
from suti.language.prompting import write_prompts
from suti.language.writers import make_writer


def main() -> None:
    """Read subjects, captions and texts; write prompts and the log."""
    arguments = parser(__doc__)
    arguments.add_argument("--subjects", required=True, help="table subjects of one part")
    arguments.add_argument("--captions", required=True, help="table captions of the same part")
    arguments.add_argument("--texts", required=True, help="table texts of the same part")
    arguments.add_argument("--vocabulary", help="words of the grammar (default: resources/language/grammar.yaml)")
    arguments.add_argument("--prompts", required=True, help="output: table prompts")
    arguments.add_argument("--log", required=True, help="output: counts of answers, retries, fallbacks and shortfalls")
    arguments.add_argument("--answers", help="JSON lines of the model's answers so far; none is asked for again")
    a = arguments.parse_args()
    s = a.settings
    prompts, log = write_prompts(
        tables.read(a.subjects, "subjects"),
        tables.read(a.captions, "captions"),
        tables.read(a.texts, "texts"),
        make_writer(s.seed, s.language, s.compute, a.vocabulary, a.answers),
        s.seed,
        s.language,
    )
    tables.write(a.prompts, "prompts", prompts)
    write_json(a.log, log.as_json())
    shortfall = sum(log.shortfalls.values())
    print(f"{len(prompts)} prompts, {sum(log.fallbacks.values())} fallbacks to the grammar, {shortfall} missing")


if __name__ == "__main__":
    run(main, BackendError)
