"""Every table of the pipeline: its columns, types, meanings and units. Checked on write and on read.

Tables are parquet. ``write(path, "clusters", rows)`` refuses rows that do not fit the schema, and
``read(path, "clusters")`` refuses a file that does not, naming the file, the column and the type wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from suti.io.atomic import atomic_path


@dataclass(frozen=True)
class Column:
    """One column: ``dtype`` (string, int32, int64, float32, float64, bool), its meaning, and whether it may be null."""

    name: str
    dtype: str
    meaning: str
    nullable: bool = False


def _columns(*rows: tuple[str, str, str] | tuple[str, str, str, bool]) -> tuple[Column, ...]:
    return tuple(Column(*row) for row in rows)


TABLES: dict[str, tuple[Column, ...]] = {
    "truth": _columns(
        ("page_url", "string", "URL of a page of the world"),
        ("kind", "string", "single, mixed, near_duplicates, too_few, broken or exact_duplicates"),
        ("subject_id", "string", "the world's subject, if the page shows just one", True),
        ("keep", "bool", "mining should keep the page"),
        ("n_images", "int32", "pictures on the page, broken ones included"),
        ("subject", "string", "JSON of the subject's identity, if the page shows just one", True),
    ),
    "pages": _columns(
        ("page_url", "string", "URL of the web page; the grouping key"),
        ("image_id", "string", "blake2b of (page_url, position): key of the image in its shard"),
        ("image_url", "string", "address of the picture as the page gives it", True),
        ("alt_text", "string", "alt text, tags stripped and cut to the configured length", True),
        ("position", "int32", "place of the picture on its page, from 0"),
        ("sha256", "string", "hash of the picture's bytes as read; empty if they were not"),
        ("width", "int32", "pixels as read; 0 if it could not be decoded"),
        ("height", "int32", "pixels as read; 0 if it could not be decoded"),
        (
            "status",
            "string",
            "'ok', or why the picture was dropped: broken, too_large, bad_shape, duplicate, page_full",
        ),
        ("detail", "string", "the decoder's message for a dropped picture", True),
    ),
    "clusters": _columns(
        ("cluster_id", "string", "blake2b of the page URL; the subject_id of every later stage"),
        ("page_url", "string", "the page"),
        ("images", "int32", "usable pictures of the page"),
        ("similarity", "float64", "mean pairwise cosine of the image embeddings; null if < 2 pictures", True),
        ("status", "string", "'kept', or why it was rejected: too_few, too_different, too_similar"),
    ),
    "members": _columns(
        ("cluster_id", "string", "a kept cluster"),
        ("image_id", "string", "a picture of it"),
        ("position", "int32", "place in the cluster, from 0"),
        ("alt_text", "string", "alt text as in pages", True),
    ),
    "captions": _columns(
        ("cluster_id", "string", "cluster"),
        ("image_id", "string", "picture"),
        ("alt_text", "string", "alt text as in pages", True),
        ("caption", "string", "what the captioner says of the picture"),
    ),
    "subjects": _columns(
        ("subject_id", "string", "the cluster_id"),
        ("description", "string", "short specific description of the subject, e.g. 'red striped teapot'"),
        ("class_name", "string", "the noun of the description, e.g. 'teapot'"),
        ("backend", "string", "grammar, transformers or openai"),
        ("fallback", "bool", "true if the model's answer was unusable and the grammar wrote the row"),
    ),
    "texts": _columns(
        ("subject_id", "string", "subject"),
        ("image_id", "string", "demonstration"),
        ("text", "string", "refined caption of the demonstration, e.g. 'Hey duggee toy on the table'"),
    ),
    "prompts": _columns(
        ("subject_id", "string", "subject"),
        ("prompt_id", "string", "blake2b of (subject_id, prompt)"),
        ("prompt", "string", "unseen prompt p_s"),
        ("skill", "string", "recontextualization, attribute_editing, art_style or accessorization"),
        ("backend", "string", "grammar, transformers or openai"),
        ("fallback", "bool", "true if the grammar wrote the row in the model's stead"),
    ),
    "demonstrations": _columns(
        ("subject_id", "string", "subject"),
        ("image_id", "string", "key of the picture in the image shard beside this table"),
        ("text", "string", "text of the demonstration"),
    ),
    "neighbours": _columns(
        ("image_id", "string", "a picture of a cluster, what Re-Imagen learns to draw"),
        ("neighbour_id", "string", "a picture of another cluster, and so of another page: its demonstration"),
        ("rank", "int32", "0 for the nearest"),
        ("cosine", "float64", "cosine of their image embeddings by mining.encoder, in [-1, 1]"),
    ),
    "samples": _columns(
        ("sample_id", "string", "key of the picture in the samples shard"),
        ("subject_id", "string", "subject of the expert that drew it"),
        ("prompt_id", "string", "prompt"),
        ("prompt", "string", "prompt p_s"),
        ("expert_id", "string", "content address of the expert"),
    ),
    "scores": _columns(
        ("sample_id", "string", "sample"),
        ("subject_id", "string", "subject of the expert that drew it"),
        ("prompt_id", "string", "prompt"),
        ("score", "float64", "the score that the file is named after, e.g. delta-CLIP of Eq. 6; larger is kept first"),
    ),
    "expert_log": _columns(
        ("expert_id", "string", "content address of the expert"),
        ("subject_id", "string", "subject"),
        ("steps", "int32", "optimiser steps"),
        ("loss", "float64", "mean loss over the last tenth of the steps"),
        ("status", "string", "'ok', or why the expert was dropped: diverged"),
    ),
    "filtered": _columns(
        ("sample_id", "string", "a member of G at this lambda"),
        ("subject_id", "string", "subject"),
        ("prompt_id", "string", "prompt"),
        ("score", "float64", "its score (filtering.score, delta-CLIP by default), larger than lambda"),
    ),
    "benchmark_subjects": _columns(
        ("subject_id", "string", "held-out subject"),
        ("class_name", "string", "class word of the prompts, e.g. 'backpack'"),
        ("live", "bool", "true: the live-subject templates; false: the object templates"),
    ),
    "benchmark_prompts": _columns(
        ("subject_id", "string", "held-out subject"),
        ("prompt_id", "string", "two-digit number of the template, or any stable id"),
        ("prompt", "string", "template filled in with the class word"),
        ("skill", "string", "recontextualization, attribute_editing, art_style, accessorization or compositional"),
    ),
    "generations": _columns(
        ("run", "string", "system and setting, e.g. 'suti-none-k4'"),
        ("sample_id", "string", "key of the picture in the shard beside this table"),
        ("subject_id", "string", "held-out subject"),
        ("prompt_id", "string", "prompt"),
        ("prompt", "string", "prompt"),
        ("image_index", "int32", "number of the picture for this prompt, from 0"),
    ),
    "instruction_pairs": _columns(
        ("pair_id", "string", "key of the two pictures in the shard beside this table: PAIR-before and PAIR-after"),
        ("edit_id", "string", "pair of captions; several pairs of pictures are drawn of each"),
        ("source", "string", "caption before the edit"),
        ("instruction", "string", "what to do, e.g. 'make it in the snow'"),
        ("target", "string", "caption after the edit"),
        ("skill", "string", "recontextualization, attribute_editing, art_style or accessorization"),
        ("share", "float64", "share of the sampling steps at which both pictures had one self-attention"),
        ("clip_source", "float64", "raw cosine of the first picture and its caption"),
        ("clip_target", "float64", "raw cosine of the second picture and its caption"),
        ("clip_image", "float64", "raw cosine of the two pictures"),
        ("clip_direction", "float64", "cosine of the change of the pictures and the change of the captions"),
    ),
    "image_metrics": _columns(
        ("run", "string", "system and setting"),
        ("sample_id", "string", "picture"),
        ("subject_id", "string", "held-out subject"),
        ("prompt_id", "string", "prompt"),
        ("image_index", "int32", "number of the picture for this prompt"),
        ("dino", "float64", "mean cosine of DINO embeddings to the subject's real pictures", True),
        ("clip_i", "float64", "mean cosine of CLIP image embeddings to the subject's real pictures", True),
        ("clip_t", "float64", "raw cosine of the CLIP embeddings of picture and prompt", True),
        ("subject", "float64", "probe: cosine of identity embeddings to the real pictures, in [-1, 1]", True),
        ("text", "float64", "probe: share of the prompt's attributes that the picture shows, in [0, 1]", True),
        ("realism", "float64", "probe: probability of being a true render, in [0, 1]", True),
        (
            "overall",
            "float64",
            "1 if subject, text and realism all pass their thresholds (the paper's AND), else 0",
            True,
        ),
        ("subject_text", "float64", "1 if subject and text both pass their thresholds, else 0", True),
        (
            "nearest_dino",
            "float64",
            "largest cosine of DINO embeddings to a known picture of the subject",
            True,
        ),
        ("nearest_pixels", "float64", "largest correlation of pixels with a known picture, in [-1, 1]", True),
        ("diversity", "float64", "mean DINO distance to the other pictures of the prompt; null if there is one", True),
        ("dinov2", "float64", "mean cosine of DINOv2 embeddings to the subject's real pictures", True),
    ),
}


def schema(table: str) -> pa.Schema:
    """Arrow schema of a table, its meanings as field metadata. KeyError names the known tables."""
    if table not in TABLES:
        raise KeyError(f"unknown table {table!r}; known: {', '.join(TABLES)}")
    return pa.schema(
        [
            pa.field(c.name, pa.string() if c.dtype == "string" else getattr(pa, _ARROW[c.dtype])(), c.nullable,
                     metadata={"meaning": c.meaning})
            for c in TABLES[table]
        ]
    )  # fmt: skip


_ARROW = {"int32": "int32", "int64": "int64", "float32": "float32", "float64": "float64", "bool": "bool_"}


def to_arrow(table: str, rows: pd.DataFrame | Iterable[Mapping[str, Any]], where: str = "") -> pa.Table:
    """Rows as an Arrow table of the named schema; extra or missing columns, wrong types and nulls are errors."""
    wanted = schema(table)
    prefix = f"{where}: " if where else ""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), columns=None)
    if len(frame.columns) == 0 and len(frame) == 0:
        return wanted.empty_table()
    missing = [n for n in wanted.names if n not in frame.columns]
    extra = [n for n in frame.columns if n not in wanted.names]
    if missing or extra:
        raise ValueError(f"{prefix}table {table!r}: missing columns {missing}, unknown columns {extra}")
    try:
        result = pa.Table.from_pandas(frame[wanted.names], schema=wanted, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"{prefix}table {table!r}: {error}") from error
    for field in wanted:
        if not field.nullable and result.column(field.name).null_count:
            raise ValueError(f"{prefix}table {table!r}: column {field.name!r} has nulls; every row needs a value")
    return result.replace_schema_metadata({"table": table})


def write(path: str | Path, table: str, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> None:
    """Check rows against the schema and write them as parquet, atomically and with stable bytes."""
    arrow = to_arrow(table, rows, str(path))
    with atomic_path(path) as part:
        pq.write_table(arrow, part, compression="zstd")


def read(path: str | Path, table: str) -> pd.DataFrame:
    """Read a table and check that it has the named schema.

    Raises:
        ValueError: not parquet, or columns differ (the message names file, column and type wanted).
    """
    try:
        arrow = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: not a readable parquet table ({error}); delete it and run again") from error
    for field in schema(table):
        if field.name not in arrow.column_names:
            raise ValueError(f"{path}: table {table!r} lacks column {field.name!r} ({field.type})")
        seen = arrow.schema.field(field.name).type
        if seen != field.type:
            raise ValueError(f"{path}: column {field.name!r} is {seen}, table {table!r} wants {field.type}")
    return arrow.select(schema(table).names).to_pandas()


def read_all(paths: Iterable[str | Path], table: str) -> pd.DataFrame:
    """Concatenate several files of one table, in the order given."""
    frames = [read(path, table) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else schema(table).empty_table().to_pandas()
