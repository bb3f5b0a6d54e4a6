"""Draw the training pairs of InstructPix2Pix by Prompt-to-Prompt and score them by CLIP.

Finished chunks are kept in CACHE under their content address, so a killed run goes on where it was; they are removed
once the table is written.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from suti.baselines.instruction_pairs import Pair, draw_pictures, plan_pairs, score
from suti.cli.arguments import parser
from suti.compute import precision, prepare
from suti.digests import code_digest, model_digest
from suti.generation.files import sampling_settings
from suti.io import tables
from suti.io.finished import Finished, content_address
from suti.io.shards import encode_png, write_shard
from suti.language import lexicon
from suti.models.base import load_base
from suti.models.encoders import load_text_image_encoder

ROOT = Path(__file__).resolve().parent.parent


def chunk_of(chunk: list[Pair], found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second pictures of a finished chunk, each ``(N, H, W, 3)``, of its pictures by key."""
    before, after = (np.stack([found[f"{pair.pair_id}-{side}"] for pair in chunk]) for side in ("before", "after"))
    return before, after


def keyed(chunk: list[Pair], before: np.ndarray, after: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """A chunk's pictures with their keys."""
    return [
        (f"{pair.pair_id}-{side}", picture)
        for pair, pictures in zip(chunk, zip(before, after, strict=True), strict=True)
        for side, picture in zip(("before", "after"), pictures, strict=True)
    ]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--subjects", nargs="+", required=True, metavar="FILE", help="tables 'subjects'")
    arguments.add_argument("--vocabulary", required=True, metavar="FILE", help="the grammar's words")
    arguments.add_argument("--cache", required=True, type=Path, metavar="FOLDER", help="finished chunks")
    arguments.add_argument("--pairs", required=True, metavar="FILE", help="table 'instruction_pairs' to write")
    arguments.add_argument("--images", required=True, metavar="FILE", help="shard of pictures to write")
    arguments.add_argument("--chunk", type=int, default=16, metavar="N", help="pairs drawn at once, and kept as one")
    args = arguments.parse_args()
    s = args.settings
    device = prepare(s.compute)
    sampling = sampling_settings(s)
    pairs = plan_pairs(
        tables.read_all(args.subjects, "subjects"), s["language.skills"], s["baselines.instruct_pix2pix.edits"],
        s["baselines.instruct_pix2pix.draws"], lexicon.load(args.vocabulary), s.seed,
    )  # fmt: skip
    context = {
        "seed": s.seed, "model": model_digest(s["models.base"]), "sampling": asdict(sampling),
        "precision": precision(s.compute, device), "code": code_digest(__file__, ROOT),
    }  # fmt: skip
    base = load_base(s["models.base"]).to(device)
    clip = load_text_image_encoder(s["filtering.encoder"], s.compute)
    finished = Finished(args.cache)
    rows: list[dict[str, object]] = []
    files: list[tuple[str, bytes]] = []
    starts = range(0, len(pairs), args.chunk)
    for start in tqdm(starts, desc="pairs", unit="chunk", mininterval=5):
        chunk = pairs[start : start + args.chunk]
        address = content_address([[asdict(pair) for pair in chunk], context])
        drawn = finished.find(address, lambda _, found, chunk=chunk: chunk_of(chunk, found))
        if drawn is None:
            drawn = draw_pictures(base, chunk, sampling, s.compute, s.seed)
            finished.keep(address, {}, keyed(chunk, *drawn))
        rows += score(chunk, *drawn, clip)
        files += [(f"{key}.png", encode_png(picture)) for key, picture in keyed(chunk, *drawn)]
    write_shard(args.images, files)
    tables.write(args.pairs, "instruction_pairs", rows)
    shutil.rmtree(args.cache, ignore_errors=True)


if __name__ == "__main__":
    main()
