"""Describe each cluster's subject and refine its captions (section 4 of the paper).

python scripts/refine_subjects.py --settings JSON --captions CAPTIONS.parquet [--vocabulary GRAMMAR.yaml]
    --subjects SUBJECTS.parquet --texts TEXTS.parquet --log LOG.json
    [--answers ANSWERS.jsonl]
"""

from __future__ import annotations

from suti.cli.arguments import parser, run
from suti.io import tables
from suti.io.atomic import write_json
from suti.language.backends.base import BackendError
from suti.language.refine import refine_subjects
from suti.language.writers import make_writer


def main() -> None:
    """Read captions; write subjects, texts and the log."""
    arguments = parser(__doc__)
    arguments.add_argument("--captions", required=True, help="table captions of one part")
    arguments.add_argument("--vocabulary", help="words of the grammar (default: resources/language/grammar.yaml)")
    arguments.add_argument("--subjects", required=True, help="output: table subjects")
    arguments.add_argument("--texts", required=True, help="output: table texts")
    arguments.add_argument("--log", required=True, help="output: counts of answers, retries and fallbacks")
    arguments.add_argument("--answers", help="JSON lines of the model's answers so far; none is asked for again")
    a = arguments.parse_args()
    s = a.settings
    writer = make_writer(s.seed, s.language, s.compute, a.vocabulary, a.answers)
    captions = tables.read(a.captions, "captions")
    subjects, texts, log = refine_subjects(captions, writer, s.language.scene_in_texts)
    tables.write(a.subjects, "subjects", subjects)
    tables.write(a.texts, "texts", texts)
    write_json(a.log, log.as_json())
    print(f"{len(subjects)} subjects, {len(texts)} texts, {sum(log.fallbacks.values())} fallbacks")


if __name__ == "__main__":
    run(main, BackendError)
