"""What `suti evaluate` and `suti oracle` share: their options, protocols of the command line, printed tables."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import suti
from suti.cli.config import read
from suti.config.schema import Config
from suti.evaluation.protocols import MEANS, NO_ENCODER, PROTOCOLS, RULES, Protocol, find_protocol, kind, plain
from suti.io.provenance import provenance

if TYPE_CHECKING:
    from suti.evaluation.embedding import Embeddings

OWN = "own"
RESERVED = {"protocols", "provenance", "run", "sample_id", "subject_id", "prompt_id", "image_index", "nearest_dino",
            "nearest_pixels", "diversity"}  # fmt: skip
ENCODERS_HELP = """
NAME=SPEC: SPEC is open_clip:MODEL/PRETRAINED, open_clip:local-dir:FOLDER or transformers:ID_OR_FOLDER. A NAME that
begins with clip_t or CLIP-T compares pictures with prompts, every other compares pictures with references. With
--protocol, it stands in for the protocol's encoder of that NAME (say, for a copy on disk); NAME=none leaves it out
"""


def add_options(parser: argparse.ArgumentParser, references_required: bool = True) -> None:
    """Options of both commands."""
    add = parser.add_argument
    add(
        "--references", type=Path, required=references_required, metavar="DIR", help="real pictures: a folder a subject"
    )
    add("--encoders", nargs="+", default=[], type=_encoder, metavar="NAME=SPEC", help=ENCODERS_HELP)
    add(
        "--protocol",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"{', '.join(PROTOCOLS)}, or a YAML file; several are measured at once",
    )
    add(
        "--reference-rule",
        choices=list(RULES),
        default="all",
        help="which references count without --protocol (default: all)",
    )
    add(
        "--aggregate",
        choices=list(MEANS),
        default="subjects",
        help="mean over subjects or over images without --protocol (default: subjects)",
    )
    add("--out", type=Path, required=True, metavar="FILE.json", help="JSON to write")
    add("--bootstrap", type=positive, metavar="N", help="resamples of the intervals (default: evaluation.bootstrap)")
    add("--seed", type=int, help="seed of the resamples (default: seed)")
    add(
        "--cache",
        default=None,
        metavar="DIR",
        help="embedding cache, 'none' for none (default: $XDG_CACHE_HOME or ~/.cache, then suti/embeddings)",
    )
    add("--partial", action="store_true", help="measure what is there and can be read, instead of refusing")
    add("--configfile", nargs="+", default=[], metavar="FILE", help="YAML files, merged in order over config.yaml")


def _encoder(text: str) -> tuple[str, str]:
    name, mark, spec = text.partition("=")
    name, spec = name.strip(), spec.strip()
    if not mark or not name or not spec:
        raise argparse.ArgumentTypeError(f"{text!r}, expected NAME=SPEC, e.g. dino=transformers:facebook/dino-vits16")
    if name in RESERVED:
        raise argparse.ArgumentTypeError(f"{name!r} is a field of the output; take another name")
    home = "transformers:~"
    return name, f"transformers:{os.path.expanduser(spec[len(home) - 1 :])}" if spec.startswith(home) else spec


def positive(text: str) -> int:
    """A whole number of 1 or more, as an option."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of 1 or more")
    return int(text)


def protocols_of(options: argparse.Namespace, config: Config) -> list[Protocol]:
    """The protocols that the command line asks for; without any, the configuration's encoders against all references.

    Raises:
        ValueError: a NAME that no protocol has, twice the same, or a protocol without encoders.
    """
    given = dict(options.encoders)
    if len(given) < len(options.encoders):
        raise ValueError(f"--encoders: a NAME stands twice: {', '.join(name for name, _ in options.encoders)}")
    if not options.protocol:
        own = {name: spec for name, spec in (given or config.evaluation.encoders).items() if spec != NO_ENCODER}
        if not own:
            raise ValueError("--encoders: no encoder; give NAME=SPEC, or --protocol")
        source = "the command line" if given else "evaluation.encoders of the configuration"
        return [Protocol(OWN, own, options.reference_rule, options.aggregate, source=source)]
    chosen = [find_protocol(name) for name in dict.fromkeys(options.protocol)]
    known = sorted({metric for protocol in chosen for metric in protocol.encoders})
    unknown = [name for name in given if plain(name) not in map(plain, known)]
    if unknown:
        raise ValueError(f"--encoders: {unknown[0]!r} is no metric of these protocols, expected {', '.join(known)}")
    chosen = [protocol.with_encoders(given) for protocol in chosen]
    bare = [protocol.name for protocol in chosen if not protocol.encoders]
    if bare or len({protocol.name for protocol in chosen}) < len(chosen):
        raise ValueError(f"--protocol: {bare[0] if bare else 'two of one name'}: nothing to measure, or named twice")
    return chosen


def images_only(protocols: Sequence[Protocol]) -> list[Protocol]:
    """The protocols without their metrics of text, which real pictures do not have.

    Raises:
        ValueError: nothing is left.
    """
    left = [
        protocol.with_encoders({metric: NO_ENCODER for metric in protocol.encoders if kind(metric) == "text"})
        for protocol in protocols
    ]
    if not any(protocol.encoders for protocol in left):
        raise ValueError(
            "--encoders: real pictures have no prompts, so CLIP-T has no oracle; name a metric of pictures"
        )
    return [replace(protocol, replaced={m: s for m, s in protocol.replaced.items() if s != NO_ENCODER})
            for protocol in left if protocol.encoders]  # fmt: skip


def settings(options: argparse.Namespace) -> tuple[Config, Embeddings, int, int]:
    """Configuration, embeddings, number of resamples and seed of a call."""
    from suti.evaluation.embedding import Embeddings

    config = read(options.configfile)
    embeddings = Embeddings(cache_folder(options.cache), config.compute, config.pages.max_pixels, options.partial)
    seed = config.seed if options.seed is None else options.seed
    return config, embeddings, options.bootstrap or config.evaluation.bootstrap, seed


def cache_folder(option: str | None) -> Path | None:
    """Folder of the embedding cache, or None for none."""
    if option is None:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "suti" / "embeddings"
    return None if option == "none" else Path(option).expanduser()


def origin(
    options: argparse.Namespace, protocols: Iterable[Protocol], embeddings: Embeddings, begun: float, **more: Any
) -> dict[str, Any]:
    """Provenance of a JSON: command, versions, seed, encoders with their digests, pictures left out."""
    specs = sorted({spec for protocol in protocols for spec in protocol.encoders.values()})
    return provenance(
        {key: _plain(value) for key, value in vars(options).items() if key != "run"},
        time.perf_counter() - begun,
        suti=suti.__version__,
        encoder_digests={spec: embeddings.digest(spec) for spec in specs},
        interval="95 % percentile interval over bootstrap resamples of the subjects",
        left_out={str(path): reason for path, reason in sorted(embeddings.bad.items())},
        **more,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def number(entry: dict[str, Any]) -> str:
    """'0.871 [0.850, 0.890]' of an entry of the output; '-' where nothing was measured."""
    if entry["mean"] is None:
        return "-"
    return f"{entry['mean']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns of text, aligned."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def warn(text: str) -> None:
    """A remark that is no error, on stderr."""
    print(f"suti: note: {text}", file=sys.stderr)
