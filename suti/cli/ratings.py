"""``suti ratings``: let people rate pictures without knowing what drew them, and count what they say."""

from __future__ import annotations

import argparse
import importlib.util
import os
from pathlib import Path

DESCRIPTION = """
Human ratings in three steps: prepare a blind study, serve it as a web page, aggregate the answers.
"""

EPILOG = """
examples:
  suti ratings prepare --runs suti-q0.4-k4 dreambooth base --limit 60 --out study
  suti ratings serve study                                   then open http://127.0.0.1:8765
  suti ratings aggregate --study study --out ratings.json --tex ratings.tex

  ratings from elsewhere, as a table with columns rater, item, method, sc, pq:
    suti ratings aggregate --scheme sc-pq --ratings FILE.csv --out FILE.json

`suti ratings COMMAND --help` explains each; docs/ratings.md goes through a study.
"""

PREPARE = """
Make a blind study: a folder with pictures under hashed names, all at one size and without metadata, in an order drawn
by a seed. Pictures come from runs of the workflow (--results, --runs), or from plain folders (--methods, --prompts,
--references). Some items are attention checks: a real picture of the subject, or a picture of another subject.
What is what stands in key.json, which the page never reads.
"""

PREPARE_EPILOG = """
schemes:
  binary     three questions on each picture: subject, text, photorealism; yes or no (the paper's)
  pairwise   two pictures of one prompt side by side: subject, text, overall; left, equal or right
  sc-pq      two questions on each picture: fits subject and text, well made; no, partly or yes

examples:
  suti ratings prepare --runs suti-q0.4-k4 dreambooth base --limit 60 --out study
  suti ratings prepare --scheme pairwise --runs suti-q0.4-k4 dreambooth --out duel

  pictures from elsewhere: a folder a method, a picture a row of prompts.csv (columns subject, class, prompt) in the
  order of their names, and a folder with a folder of real pictures for every subject:
    suti ratings prepare --methods suti=out/suti db=out/dreambooth --prompts prompts.csv --references photos --out study
"""

SERVE = """
Serve a study as a web page. It loads nothing from elsewhere and listens on this machine alone. Several people can rate
at the same time; each goes on where that name stopped. Every answer is on the disk before the page says "saved": the
server can be killed at any time and started again.
"""

SERVE_EPILOG = """
examples:
  suti ratings serve study
  suti ratings serve study --port 9000

  raters at other machines, best through SSH (then open http://127.0.0.1:8765 there):
    ssh -L 8765:127.0.0.1:8765 MACHINE "cd suti && .venv/bin/suti ratings serve study"

  or, in a network that you trust, by an address with a token (plain http, not encrypted):
    export SUTI_RATINGS_TOKEN=$(python3 -c 'import secrets; print(secrets.token_hex(16))')
    suti ratings serve study --host 0.0.0.0 --public
    echo "http://MACHINE:8765/?token=$SUTI_RATINGS_TOKEN"

Answers are in STUDY/ratings.sqlite. To copy a study while it is served, use `sqlite3 ratings.sqlite ".backup FILE"`.
"""

AGGREGATE = """
Count the answers: a score of each method with 95 % bootstrap intervals over subjects (over items where no subject is
known), and Krippendorff's alpha for how far raters agree. Raters who fail too many attention checks are left out and
named. Attention checks never count as ratings.

  binary     share of yes for subject, text and photorealism, and of ratings that say yes to all three (overall)
  sc-pq      means of SC and PQ, and of O = sqrt(SC x PQ) of each rating
  pairwise   Bradley-Terry strengths with ties (Davidson), for each question
"""

AGGREGATE_EPILOG = """
examples:
  suti ratings aggregate --study study --out ratings.json --csv ratings.csv --tex ratings.tex
  suti ratings aggregate --study study --raw answers.csv          all single answers as a table
  suti ratings aggregate --scheme sc-pq --ratings FILE.csv --out FILE.json

tables that --ratings reads (an empty cell is a missing rating; subject_id and prompt may be added):
  sc-pq      rater,item,method,sc,pq                              sc and pq: 0, 0.5 or 1
  binary     rater,item,method,subject,text,realism               0 or 1
  pairwise   rater,item,method_a,method_b,subject,text,overall    a, tie or b
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand with its three."""
    group = commands.add_parser(
        "ratings",
        help="people rate pictures on a blind page; count what they say",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_prepare(actions)
    _add_serve(actions)
    _add_aggregate(actions)


def _add(
    actions: argparse._SubParsersAction, name: str, text: str, description: str, epilog: str
) -> argparse.ArgumentParser:
    return actions.add_parser(
        name, help=text, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _add_prepare(actions: argparse._SubParsersAction) -> None:
    parser = _add(actions, "prepare", "make a blind study of pictures", PREPARE, PREPARE_EPILOG)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="STUDY", help="folder to make; it must not exist")
    add("--scheme", choices=("binary", "pairwise", "sc-pq"), default="binary", help="what is asked (default: binary)")
    add("--results", type=Path, default=Path("results"), help="results of the workflow (default: results)")
    add("--runs", nargs="+", metavar="RUN", help="runs to rate, as in RESULTS/generations/RUN.parquet")
    add("--methods", nargs="+", metavar="NAME=DIR", type=_named_folder, help="instead of runs: a folder a method")
    add("--prompts", type=Path, metavar="CSV", help="with --methods: columns subject, class, prompt, and perhaps file")
    add("--references", type=Path, metavar="DIR", help="with --methods: DIR/SUBJECT holds real pictures")
    add(
        "--limit",
        type=_positive,
        metavar="N",
        help="rate N prompts only, spread over subjects (default: all)",
    )
    add("--checks", type=_natural, metavar="N", help="attention checks (default: one in 15 items, at least 2)")
    add("--shown", type=_positive, default=4, metavar="N", help="pictures of the subject to show (default: 4)")
    add("--size", type=_positive, metavar="PIXELS", help="side of all candidates (default: that of the smallest)")
    add("--seed", type=_natural, help="of names and orders (default: a secret drawn for the study, kept in key.json)")
    add(
        "--max-pixels", type=_positive, default=40_000_000, help="largest picture that is decoded (default: 40,000,000)"
    )
    parser.set_defaults(run=run_prepare)


def _add_serve(actions: argparse._SubParsersAction) -> None:
    parser = _add(actions, "serve", "serve a study as a web page", SERVE, SERVE_EPILOG)
    add = parser.add_argument
    add("study", type=Path, metavar="STUDY", help="folder that `suti ratings prepare` made")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)")
    add("--port", type=_port, default=8765, help="port to listen on (default: 8765)")
    add("--public", action="store_true", help="allow a --host that other machines reach; needs SUTI_RATINGS_TOKEN")
    parser.set_defaults(run=run_serve)


def _add_aggregate(actions: argparse._SubParsersAction) -> None:
    parser = _add(actions, "aggregate", "count the answers", AGGREGATE, AGGREGATE_EPILOG)
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--study", type=Path, help="a prepared study with its answers")
    source.add_argument("--ratings", type=Path, metavar="CSV", help="ratings from elsewhere; needs --scheme")
    add("--scheme", choices=("binary", "pairwise", "sc-pq"), help="scheme of --ratings (a study knows its own)")
    add("--out", type=Path, metavar="JSON", help="write everything")
    add("--csv", type=Path, help="write the table of methods")
    add("--tex", type=Path, help="write the table of methods for LaTeX")
    add("--raw", type=Path, metavar="CSV", help="write all single answers, attention checks included")
    add("--bootstrap", type=_positive, default=1000, metavar="N", help="resamples (default: 1000)")
    add("--seed", type=_natural, default=0, help="of the resamples (default: 0)")
    add("--max-failed", type=_share, default=0.25, metavar="SHARE",
        help="leave out raters who fail more than this share of their attention checks (default: 0.25)")  # fmt: skip
    add("--keep-flagged", action="store_true", help="count raters who fail their checks, too")
    add("--votes", choices=("mean", "majority"), default="mean",
        help="binary: every rating counts, or each picture has the majority's answer (default: mean)")  # fmt: skip
    add("--ridge", type=_weight, default=0.0, metavar="WEIGHT",
        help="pairwise: penalty WEIGHT/2 x sum of squared log strengths; finite strengths for methods that always "
        "win or lose (default: 0)")  # fmt: skip
    parser.set_defaults(run=run_aggregate)


def run_prepare(options: argparse.Namespace) -> int:
    """Run ``suti ratings prepare``; returns the exit status."""
    from suti.ratings import sources
    from suti.ratings.prepare import prepare
    from suti.ratings.schemes import SCHEMES

    if bool(options.runs) == bool(options.methods):
        raise ValueError("name either --runs of the workflow or --methods NAME=DIR with --prompts and --references")
    if options.methods:
        if options.prompts is None or options.references is None:
            raise ValueError("--methods needs --prompts CSV and --references DIR")
        sources.check_methods([name for name, _ in options.methods])
        material = sources.from_folders(
            dict(options.methods), options.prompts, options.references, options.shown, options.max_pixels
        )
    else:
        material = sources.from_results(options.results, options.runs, options.shown)
    made = prepare(
        material,
        SCHEMES[options.scheme],
        options.out,
        prompts=options.limit,
        checks=options.checks,
        size=options.size,
        seed=options.seed,
    )
    questions = len(made.study.scheme.questions)
    for warning in made.warnings:
        print(f"suti ratings: warning: {warning}")
    print(
        f"{options.out}: {made.rated} items and {made.checks} attention checks, {questions} questions each, "
        f"{made.study.size} x {made.study.size} pixels, methods {', '.join(sorted(material.methods))}\n"
        f"next: suti ratings serve {options.out}    (keep {options.out}/key.json from raters)"
    )
    return 0


def run_serve(options: argparse.Namespace) -> int:
    """Run ``suti ratings serve`` until it is interrupted; returns the exit status."""
    _need("starlette", "uvicorn")
    from suti.ratings import guard, server
    from suti.ratings.store import Store
    from suti.ratings.study import DATABASE, load

    token = os.environ.get("SUTI_RATINGS_TOKEN")
    guard.check_address(options.host, options.public, token)
    study = load(options.study)
    store = Store(options.study / DATABASE, study.id)
    try:
        server.serve(study, store, options.host, options.port, token)
    finally:
        store.close()
    return 0


def run_aggregate(options: argparse.Namespace) -> int:
    """Run ``suti ratings aggregate``; returns the exit status."""
    _need("krippendorff", "scipy")
    from suti.io.atomic import write_json, write_text
    from suti.ratings import answers, report
    from suti.ratings.aggregate import aggregate
    from suti.ratings.schemes import SCHEMES

    if options.study:
        ratings = answers.from_study(options.study)
        if options.scheme not in (None, ratings.scheme.name):
            raise ValueError(f"{options.study}: a study of scheme {ratings.scheme.name}; leave --scheme out")
    else:
        if options.scheme is None:
            raise ValueError("--ratings needs --scheme: binary, pairwise or sc-pq")
        ratings = answers.read_csv(options.ratings, SCHEMES[options.scheme])
    if options.votes != "mean" and ratings.scheme.name != "binary":
        raise ValueError(f"--votes {options.votes} is for scheme binary; these ratings are {ratings.scheme.name}")
    if options.ridge and ratings.scheme.name != "pairwise":
        raise ValueError(f"--ridge is for scheme pairwise; these ratings are {ratings.scheme.name}")
    if options.raw:
        answers.write_csv(options.raw, ratings)
    result = aggregate(
        ratings,
        bootstrap=options.bootstrap,
        seed=options.seed,
        max_failed=options.max_failed,
        keep_flagged=options.keep_flagged,
        votes=options.votes,
        ridge=options.ridge,
    )
    if options.out:
        write_json(options.out, result)
    if options.csv:
        write_text(options.csv, report.to_csv(result))
    if options.tex:
        write_text(options.tex, report.to_latex(result))
    print(report.to_text(result), end="")
    return 0


def _need(*modules: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"suti ratings needs {', '.join(missing)}; install with `make setup`, or pip install 'suti[ratings]'"
        )


def _named_folder(text: str) -> tuple[str, Path]:
    name, found, folder = text.partition("=")
    if not found or not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r}, expected NAME=DIR")
    return name, Path(folder)


def _number(text: str, least: int, what: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r}, expected {what}")
    return int(text)


def _positive(text: str) -> int:
    return _number(text, 1, "a whole number from 1")


def _natural(text: str) -> int:
    return _number(text, 0, "a whole number from 0")


def _port(text: str) -> int:
    port = _number(text, 1, "a port from 1 to 65535")
    if port > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a port from 1 to 65535")
    return port


def _weight(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0")
    return value


def _share(text: str) -> float:
    value = _weight(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a share from 0 to 1")
    return value
