"""Scoring DreamBench's 3,000 pictures: batched over the embedding cache, against a loop over pairs of pictures.

    python benchmarks/metrics.py [--pairs N] [--subjects N] [--prompts N] [--images N] [--sample N]

Evaluations in the field take a generated picture and one reference at a time and embed both anew for every pair and
every metric; CLIP-T embeds the picture once more with its prompt. The loop here does that with the same encoders (the
shipped DINO and CLIP). It is timed on a random sample of the pictures, drawn anew for every pair of runs, and scaled
to all of them: its pictures do not depend on each other. Our side scores all pictures from an empty cache, reading and
writing files included. Models are loaded before, for both. The scores of the sample must be equal on both sides.

Sides take turns in this process. Prints the ratio (loop over ours) of a second protocol, one reference instead of
all, over the cache of the first; our time with the row of real pictures, copies, diversity and intervals, which the
loop does not have; and last the line ``RATIO <median> (min <a>, max <b>, n <k>)``: the loop's time over ours for the
first protocol.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from measure import line, seconds
from PIL import Image

from suti.benchmark import world as world
from suti.benchmark.folders import Picture
from suti.config.schema import Compute
from suti.evaluation.cache import RACY_SECONDS
from suti.evaluation.embedding import Embeddings
from suti.evaluation.protocols import Protocol
from suti.evaluation.scoring import prepare, real_pictures, references_of, report, score
from suti.models.encoders import load_image_encoder
from suti.seeds import generator

DINO = "transformers:resources/models/dino"
CLIP = "open_clip:local-dir:resources/models/clip"
ENCODERS = {"dino": DINO, "clip_i": CLIP, "clip_t": CLIP}
PROTOCOLS = (Protocol("all", ENCODERS, "all"), Protocol("one", ENCODERS, "one", "images"))
REFERENCES = 5  # a subject; DreamBench has 158 photos of 30
LIMIT = 10**6


def render(folder: Path, subjects: int, prompts: int, images: int) -> tuple[list[Picture], dict[str, list[Path]]]:
    """Pictures of the world in place of generated ones, and references, as PNG files."""
    pictures, references = [], {}
    for subject in world.benchmark_subjects(0, subjects):
        name = subject.subject_id
        references[name] = [folder / f"{name}-{number}.png" for number in range(REFERENCES)]
        real = world.demonstrations(subject, REFERENCES, "references").images
        for path, image in zip(references[name], real, strict=True):
            Image.fromarray(image).save(path)
        for number, template in enumerate(world.templates(subject.class_name)[:prompts]):
            prompt = template.format(subject.class_name)
            for index in range(images):
                path = folder / f"{name}__{number:02d}__{index}.png"
                Image.fromarray(world.target(subject, prompt, "target", index=index)).save(path)
                pictures.append(Picture(name, f"{number:02d}", prompt, index, path))
    return pictures, references


def loop(
    protocol: Protocol, pictures: list[Picture], references: dict[str, list[Path]], loaded: dict[str, Any]
) -> pd.DataFrame:
    """A pair of pictures at a time, both embedded anew, and a picture with its prompt."""

    def embed(spec: str, path: Path) -> np.ndarray:
        return loaded[spec].embed([np.asarray(Image.open(path).convert("RGB"))], 1)[0]

    rows = []
    for picture in pictures:
        row = {}
        for metric, spec in protocol.encoders.items():
            if metric == "clip_t":
                row[metric] = float(embed(spec, picture.path) @ loaded[spec].embed_text([picture.prompt])[0])
            else:
                known = references_of(protocol, picture.subject, references[picture.subject])
                row[metric] = np.mean([float(embed(spec, picture.path) @ embed(spec, real)) for real in known])
        rows.append(row)
    return pd.DataFrame(rows)


def ours(
    protocol: Protocol,
    pictures: list[Picture],
    references: dict[str, list[Path]],
    loaded: dict[str, Any],
    cache: Path,
    whole: bool = False,
) -> pd.DataFrame:
    """All pictures over a cache; ``whole`` adds real pictures, copies, diversity and intervals."""
    embeddings = Embeddings(cache, Compute(), LIMIT, load=lambda spec, compute: loaded[spec])
    pictures, references = prepare([protocol], pictures, references, embeddings, copies=whole)
    found = score(protocol, pictures, references, embeddings, copies=whole)
    if whole:
        real = score(protocol, real_pictures(references), references, embeddings)
        report(protocol, found, real, embeddings, 1000, 0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="times each side runs")
    parser.add_argument("--subjects", type=int, default=30)
    parser.add_argument("--prompts", type=int, default=25, help="of a subject")
    parser.add_argument("--images", type=int, default=4, help="of a prompt")
    parser.add_argument("--sample", type=int, default=40, help="pictures that the loop is timed on")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "in").mkdir()
        pictures, references = render(folder / "in", args.subjects, args.prompts, args.images)
        loaded = {spec: load_image_encoder(spec) for spec in (DINO, CLIP)}
        time.sleep(RACY_SECONDS + 0.1)  # files this new are read again each time; pictures to score are older
        print(f"{len(pictures)} pictures, {REFERENCES} references a subject, loop timed on {args.sample}", flush=True)
        ours(PROTOCOLS[0], pictures[:64], references, loaded, folder / "warm")
        loop(PROTOCOLS[0], pictures[:2], references, loaded)
        ratios: dict[str, list[float]] = {protocol.name: [] for protocol in PROTOCOLS}
        times: dict[str, list[float]] = {"first": [], "second": [], "whole": []}
        for number in range(args.pairs):
            chosen = generator(number, "metrics", "sample").choice(
                len(pictures), min(args.sample, len(pictures)), False
            )
            sample, scale = [pictures[i] for i in chosen], len(pictures) / len(chosen)
            cache = folder / f"cache-{number}"  # empty, so the first protocol embeds everything
            for protocol, name in zip(PROTOCOLS, ("first", "second"), strict=True):
                results: dict[str, pd.DataFrame] = {}
                taken: dict[str, float] = {}
                calls = {
                    "ours": partial(ours, protocol, pictures, references, loaded, cache),
                    "loop": partial(loop, protocol, sample, references, loaded),
                }
                for side in sorted(calls, reverse=number % 2 == 1):
                    taken[side] = seconds(lambda s=side, c=calls, r=results: r.update({s: c[s]()}))
                for metric in protocol.encoders:
                    apart = np.abs(
                        results["ours"][metric].to_numpy()[chosen] - results["loop"][metric].to_numpy()
                    ).max()
                    if apart > 1e-4:
                        raise SystemExit(f"{protocol.name}, {metric}: the sides differ by {apart:.2g}")
                ratios[protocol.name].append(taken["loop"] * scale / taken["ours"])
                times[name].append(taken["ours"])
            times["whole"].append(
                seconds(lambda c=cache: ours(PROTOCOLS[1], pictures, references, loaded, c, whole=True))
            )
    print(line("first protocol, empty cache, ours, s", times["first"]))
    print(line("second protocol over the cache, ours, s", times["second"]))
    print(line("the same with real pictures, copies, diversity, intervals (thumbnails made anew), s", times["whole"]))
    print(line("second protocol, loop over ours", ratios["one"]))
    print(line("RATIO", ratios["all"]))


if __name__ == "__main__":
    main()
