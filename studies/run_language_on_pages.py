"""Run the language stage on alt texts of real web pages; report how many of a model's answers were usable.

Not part of the workflow: the evidence behind docs/results/language_smollm2.json. The pages are a parquet file
in OBELICS layout. Captions stay empty (the tiny captioner knows nothing of real photos), so alt texts are all
that the model sees. Pages are taken in the order of a hash of their address until --pages or --seconds are
spent; the first --prompt-pages of them get prompts too. The report is written anew after every page.

python studies/run_language_on_pages.py --documents documents.parquet --pages 40 --seconds 600
    --settings '{"language": {"backend": "transformers", "model": "MODEL_FOLDER", "temperature": 0.2}}'
    --report docs/results/language_smollm2.json
"""

from __future__ import annotations

import hashlib
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from suti.cli.arguments import parser
from suti.config.schema import Config, Language
from suti.io.atomic import write_json
from suti.language.prompting import write_prompts
from suti.language.refine import refine_subjects
from suti.language.schema import add_logs
from suti.language.text import clean, has_latin
from suti.language.writers import GrammarWriter, make_writer
from suti.seeds import stable_hash

MIN_ALT_TEXTS, MAX_IMAGES = 3, 10


def read_pages(path: str) -> list[pd.DataFrame]:
    """``captions`` tables, one a page with three alt texts or more, in the order of a hash of its address."""
    pages = []
    documents = pd.read_parquet(path)
    for metadata, general in zip(documents["metadata"], documents["general_metadata"], strict=True):
        images = [image for image in json.loads(metadata) if image]
        alts = [clean(image.get("alt_text"), 300) for image in images]
        if sum(bool(alt) for alt in alts) < MIN_ALT_TEXTS:
            continue
        url = json.loads(general)["url"]
        pages.append(
            pd.DataFrame(
                {
                    "cluster_id": url,
                    "image_id": [f"{stable_hash(url, i):016x}" for i in range(len(alts[:MAX_IMAGES]))],
                    "alt_text": alts[:MAX_IMAGES],
                    "caption": "",
                }
            )
        )
    return sorted(pages, key=lambda page: stable_hash(page["cluster_id"].iloc[0]))


def summary(
    rows: list[dict[str, Any]],
    logs: dict[str, list[dict[str, Any]]],
    language: Language,
    documents: str,
    seconds: float,
) -> dict[str, Any]:
    """The report: provenance, counts, and every page's answers."""
    latin = [row for row in rows if row["latin"]]
    return {
        "what": "language stage on alt texts of real web pages, captions empty; pages in hash order",
        "model": Path(language.model).name,
        "documents_sha256": hashlib.sha256(Path(documents).read_bytes()).hexdigest(),
        "settings": language.model_dump(exclude={"model", "base_url", "api_key_variable"}),
        "pages": len(rows),
        "pages_in_latin_script": len(latin),
        "subjects": add_logs(logs["subjects"]),
        "subjects_usable_in_latin_script": sum(not row["fallback"] for row in latin),
        "prompts": add_logs(logs["prompts"]),
        "prompt_rows_by_the_model": sum(not p["fallback"] for row in rows for p in row["prompts"]),
        "timing": {"seconds": round(seconds, 1), "seconds_per_page": round(seconds / max(len(rows), 1), 2)},
        "software": {name: version(name) for name in ("torch", "transformers")},
        "rows": rows,
    }


def main() -> None:
    """Read pages; write the report."""
    arguments = parser(__doc__)
    arguments.add_argument("--documents", required=True, help="parquet file of pages, OBELICS layout")
    arguments.add_argument("--pages", type=int, default=40, help="pages at most")
    arguments.add_argument("--seconds", type=float, default=600.0, help="no new page is begun after so many seconds")
    arguments.add_argument("--prompt-pages", type=int, default=8, help="pages, the first, that get prompts too")
    arguments.add_argument("--report", required=True, help="output: JSON")
    a = arguments.parse_args()
    s = a.settings
    # Settings that the caller leaves out have their documented defaults here: this is a study, not a rule.
    config = Config.model_validate({name: s[name].model_dump() for name in ("language",)})
    writer = make_writer(config.seed, config.language, config.compute)
    stand_in = GrammarWriter(config.seed, writer.lexicon)
    pages = read_pages(a.documents)
    start = time.perf_counter()
    logs: dict[str, list[dict[str, Any]]] = {"subjects": [], "prompts": []}
    rows: list[dict[str, Any]] = []
    for page in tqdm(pages[: a.pages], desc="pages", mininterval=5):
        if time.perf_counter() - start > a.seconds:
            break
        subjects, texts, log = refine_subjects(page, writer)
        asked = subjects if len(rows) < a.prompt_pages else subjects[:0]
        prompts, prompt_log = write_prompts(asked, page, texts, writer, config.seed, config.language)
        logs["subjects"].append(log.as_json())
        logs["prompts"].append(prompt_log.as_json())
        subject = subjects.iloc[0]
        rows.append(
            {
                "page": page["cluster_id"].iloc[0],
                "latin": any(has_latin(alt) for alt in page["alt_text"]),
                "alt_texts": list(page["alt_text"])[:5],
                "description": subject["description"],
                "class_name": subject["class_name"],
                "fallback": bool(subject["fallback"]),
                "rejected": log.as_json()["rejected"],
                "grammar_would_say": refine_subjects(page, stand_in)[0].iloc[0]["description"],
                "prompts": [
                    {"prompt": p.prompt, "skill": p.skill, "fallback": bool(p.fallback)} for p in prompts.itertuples()
                ],
            }
        )
        # After every page, so that a run that is stopped has its result.
        report = summary(rows, logs, config.language, a.documents, time.perf_counter() - start)
        write_json(a.report, report)
    if rows:
        print(json.dumps({name: report[name] for name in ("pages", "subjects", "prompts", "timing")}, indent=2))


if __name__ == "__main__":
    main()
