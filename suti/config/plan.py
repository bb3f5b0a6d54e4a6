"""Whether the files, folders and models that the configuration names are there, asked before a job is planned.

Snakemake keeps an output whose input is missing, so a mistyped path would give old results as new ones; a model that is
missing would fail minutes later inside a job. Nothing heavy is imported here and no network is asked: of a hub id, and
of a name of open_clip's, only the form is checked.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from suti.config.load import ConfigError, located, places_of
from suti.config.schema import CSV_BENCHMARKS, Config
from suti.io.model_specs import HF_HUB, LOCAL_DIR, OPEN_CLIP, REMEDY, SPEC_FORMS, TRANSFORMERS, is_hub_id, model_folder

SHIPPED = Path("resources/models")
INDEX, CONFIG, OPEN_CLIP_CONFIG = "model_index.json", "config.json", "open_clip_config.json"
_SUFFIXES = {"obelics": (".parquet",), "webdataset": (".tar",), "auto": (".parquet", ".tar")}
_PHOTOS = "give a folder that holds one folder of photos for each subject"

Mistake = tuple[str, str]
"""Dotted key, and what is wrong with its value: 'data/fotos: no such file or folder; did you mean data/photos?'"""


def check_plan(
    config: Config, settings: Mapping[str, Any], files: Iterable[str | Path] = (), training: bool = False
) -> None:
    """Raise if a path, a model folder or the spec of an encoder names what is not there.

    Paths are relative to the current folder. What a rule makes need not be there: files below ``results``, and files
    of the first path with ``{part}``, which rules/download.smk fetches.

    Args:
        config: the whole configuration.
        settings, files: the merged mapping and the files it came from, which say where a mistake stands.
        training: this run trains the small models, so those below resources/models need not be there yet.

    Raises:
        ConfigError: a line for each mistake, with key, value and remedy.
    """
    found = [*_results(config), *_pages(config), *_benchmark(config), *_models(config, training)]
    if found:
        places = places_of(settings, files)
        raise ConfigError([located(key, places) + f"{key}: {problem}" for key, problem in found])


def _results(config: Config) -> Iterator[Mistake]:
    if Path(config.results).is_file():
        yield "results", f"{config.results!r}: a file; name a folder"


def _pages(config: Config) -> Iterator[Mistake]:
    """Mistakes of pages.path; the rendered world has none."""
    if config.pages.format == "world":
        return
    patterns = [text for text in config.pages.path if "{" in text]
    for text in config.pages.path:
        if text in patterns:
            problem = _pattern(text, config.pages.parts, made=text == patterns[0])
        elif Path(text).is_relative_to(config.results):
            continue  # a rule makes it, or Snakemake says that none does
        else:
            problem = _source(text, config.pages.format)
        if problem:
            yield "pages.path", f"{text!r}: {problem}"


def _pattern(text: str, parts: int, made: bool) -> str | None:
    try:
        names = [text.format(part=part) for part in range(parts)]
    except (KeyError, IndexError, ValueError):
        return "not a pattern of {part}; write e.g. data/pages-{part:05d}.parquet"
    missing = [] if made else [name for name in names if not Path(name).is_file()]
    return f"no file {missing[0]!r}; a rule fetches the files of the first pattern only" if missing else None


def _source(text: str, layout: str) -> str | None:
    """What is wrong with one file or folder of pages, if anything is."""
    path = Path(text)
    if problem := _absent(text):
        return problem
    if path.is_dir():
        wanted = _SUFFIXES.get(layout) if layout != "auto" else None
        if wanted and not any(any(path.glob(f"*{suffix}")) for suffix in wanted):
            return f"no *{wanted[0]} in this folder, but pages.format is {layout!r}; set its own format, or auto"
        return None if _holds_a_file(path) else "an empty folder; put the pages there, or name another"
    if layout == "folders":
        return "a file, but pages.format is 'folders'; give the folder of the subjects' folders, or set auto"
    if path.suffix.lower() not in _SUFFIXES[layout]:
        return f"a file that is no {' or '.join(_SUFFIXES[layout])}, but pages.format is {layout!r}; name another"
    return None


def _benchmark(config: Config) -> Iterator[Mistake]:
    """Mistakes of the photos and prompts that the benchmark is read from; the rendered world has none."""
    wanted = config.evaluation
    if wanted.benchmark == "world":
        return
    path = Path(wanted.path)
    if problem := _absent(wanted.path):
        yield "evaluation.path", f"{wanted.path!r}: {problem}"
    elif not path.is_dir():
        yield "evaluation.path", f"{wanted.path!r}: a file; {_PHOTOS}"
    elif not any(entry.is_dir() and not entry.name.startswith(".") for entry in os.scandir(path)):
        yield "evaluation.path", f"{wanted.path!r}: no folder in it; {_PHOTOS}"
    if wanted.benchmark in CSV_BENCHMARKS:
        problem = _absent(wanted.prompts)
        if not problem and not Path(wanted.prompts).is_file():
            problem = "a folder; give the CSV file with columns subject, class and prompt"
        if problem:
            yield "evaluation.prompts", f"{wanted.prompts!r}: {problem}"


def _models(config: Config, training: bool) -> Iterator[Mistake]:
    """Mistakes of all models: diffusers folders, transformers folders, encoders, the probe."""
    models, judged = config.models, config.evaluation
    folders: list[tuple[str, str | None, str]] = [
        ("models.base", models.base, INDEX),
        *((f"models.super_resolution.{i}.model", s.model, INDEX) for i, s in enumerate(models.super_resolution)),
        ("models.apprentice", models.apprentice, INDEX),
        ("models.captioner", models.captioner, CONFIG),
        ("evaluation.probe", judged.probe, CONFIG),
    ]
    if config.language.backend == "transformers":
        folders.append(("language.model", config.language.model, CONFIG))
    encoders = {
        "mining.encoder": config.mining.encoder,
        "filtering.encoder": config.filtering.encoder,
        **{f"evaluation.encoders.{metric}": spec for metric, spec in judged.encoders.items()},
    }
    found = [(key, spec, _model(spec, file)) for key, spec, file in folders if spec is not None]
    found += [
        (key, spec, _encoder(spec, key in ("filtering.encoder", "evaluation.encoders.clip_t")))
        for key, spec in encoders.items()
    ]
    for key, spec, problem in found:
        if problem and not (training and _trained_here(spec, config)):
            yield key, f"{spec!r}: {problem}"


def _trained_here(spec: str, config: Config) -> bool:
    folder = model_folder(spec)
    return folder is not None and any(folder.is_relative_to(place) for place in (SHIPPED, config.results))


def _model(spec: str, file: str, name: str | None = None) -> str | None:
    """What is wrong with a model's folder, which has a ``file``, or with its hub id, if anything is."""
    name = spec if name is None else name
    folder = model_folder(spec)
    if name.startswith("~"):
        return _HOME
    if folder is None:
        if near := _near(Path(name)):  # `weights/bsae` has the form of a hub id
            return f"no such folder; did you mean {near}?"
        return None if is_hub_id(name) else f"neither a folder nor a hub id; {REMEDY}"
    if not folder.is_dir():
        near = _near(folder)
        return f"no such folder; did you mean {near}?" if near else f"no such folder; {REMEDY}"
    return None if (folder / file).is_file() else f"no {file} in this folder; {REMEDY}"


def _encoder(spec: str, both_towers: bool) -> str | None:
    """What is wrong with the spec of an encoder, if anything is."""
    if spec.startswith(TRANSFORMERS):
        problem = _model(spec, CONFIG, spec.removeprefix(TRANSFORMERS))
        folder = model_folder(spec)
        if problem or folder is None or not both_towers:
            return problem
        try:
            towers = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        except ValueError as error:
            return f"{CONFIG} is not valid JSON ({error}); {REMEDY}"
        if {"text_config", "text_config_dict"}.isdisjoint(towers):
            return "a model without a text tower, which scores against prompts need; name a CLIP with both towers"
        return None
    name = spec.removeprefix(OPEN_CLIP)
    if not spec.startswith(OPEN_CLIP):
        return f"no encoder of a known form; write {SPEC_FORMS}"
    if name.startswith(LOCAL_DIR):
        return _model(spec, OPEN_CLIP_CONFIG, name.removeprefix(LOCAL_DIR))
    if name.startswith(HF_HUB):
        known = is_hub_id(name.removeprefix(HF_HUB).partition("@")[0])
        return None if known else f"no hub id (owner/name) after {HF_HUB}; write {SPEC_FORMS}"
    model, _, pretrained = name.partition("/")
    known = bool(model and pretrained) and "/" not in pretrained
    return None if known else f"no open_clip:MODEL/PRETRAINED; write {SPEC_FORMS}"


_HOME = "the workflow expands no ~; write the whole path"


def _absent(text: str) -> str | None:
    """That there is no such file or folder, with the nearest name that is there."""
    if text.startswith("~"):
        return _HOME
    if Path(text).exists():
        return None
    near = _near(Path(text))
    return "no such file or folder; " + (f"did you mean {near}?" if near else "name one that is there")


def _near(path: Path) -> Path | None:
    """A path that is there and differs from this one in one name that is much like it."""
    for parent in path.parents:
        if parent.is_dir():
            first, *rest = path.relative_to(parent).parts
            alike = difflib.get_close_matches(first, os.listdir(parent), 3, 0.6)
            found = [parent.joinpath(name, *rest) for name in alike if name != first]
            return next((candidate for candidate in found if candidate.exists()), None)
    return None


def _holds_a_file(folder: Path) -> bool:
    return any(not name.startswith(".") for _, _, names in os.walk(folder) for name in names)
