"""The scripts from pages to the experts' inputs: equal bytes for any parts, clear errors, no half files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from suti.experts.partition import partition
from suti.figures.similarity import save_figure, similarity_figure, similarity_histogram
from suti.io import tables
from suti.io.shard_index import ShardIndex
from suti.mining.clusters import mine
from suti.seeds import shard_of

BAND = "0.2, 0.9999"


@pytest.fixture
def photos(tmp_path: Path, files: SimpleNamespace) -> Path:
    """Six subjects of four pictures each, and the odd files of a real folder."""
    root = tmp_path / "photos"
    for subject in range(6):
        folder = root / f"cup_{subject}"
        folder.mkdir(parents=True)
        for i in range(4):
            tint = Image.new("RGB", (32, 24), (40 * subject, 200 - 30 * subject, 60))
            Image.blend(tint, files.photo(10 * subject + i), 0.3).save(folder / f"{i}.png")
        (folder / "9.jpg").write_bytes(b"no picture")
    return root


def ingest_all(script: Callable, out: Path, root: Path, parts: int) -> list[tuple[Path, Path]]:
    settings = json.dumps({"pages": {"format": "folders", "path": [str(root)], "parts": parts, "image_size": 16}})
    made = [(out / f"pages-{part}.parquet", out / f"images-{part}.tar") for part in range(parts)]
    for part, (pages, images) in enumerate(made):
        done = script("ingest_pages", "--settings", settings, "--part", part, "--pages", pages, "--images", images)
        assert done.returncode == 0, done.stderr
    return made


def test_ingest_is_the_same_for_any_parts_and_twice_the_same(script, photos, tmp_path) -> None:
    first, again, dealt = (ingest_all(script, tmp_path / n, photos, p) for n, p in (("a", 1), ("b", 1), ("c", 3)))
    assert [p.read_bytes() for p in first[0]] == [p.read_bytes() for p in again[0]]
    whole = tables.read(first[0][0], "pages").sort_values("image_id", ignore_index=True)
    joined = tables.read_all([p for p, _ in dealt], "pages").sort_values("image_id", ignore_index=True)
    pd.testing.assert_frame_equal(whole, joined)
    assert whole["status"].value_counts().to_dict() == {"ok": 24, "broken": 6}
    pictures = {key: data for _, tar in dealt for key, data in ShardIndex(tar).items()}
    assert pictures == dict(ShardIndex(first[0][1]))


def test_missing_source_and_missing_model_are_named_and_write_nothing(script, photos, tmp_path) -> None:
    out = tmp_path / "out"
    settings = json.dumps({"pages": {"format": "folders", "path": ["no/such/folder"], "parts": 1}})
    done = script("ingest_pages", "--settings", settings, "--part", 0, "--pages", out / "p", "--images", out / "i")
    assert done.returncode != 0 and "no/such/folder: not a folder" in done.stderr
    assert not out.exists() or not list(out.iterdir())

    pages, images = ingest_all(script, tmp_path / "pages", photos, 1)[0]
    settings = json.dumps({"mining": {"encoder": "transformers:./no/model"}, "compute": {}})
    done = script("mine_clusters", "--settings", settings, "--pages", pages, "--images", images,
                  "--clusters", out / "c", "--members", out / "m")  # fmt: skip
    assert done.returncode != 0 and "no/model does not exist" in done.stderr
    assert not out.exists() or not list(out.iterdir())


def test_full_disk_leaves_nothing_behind(script, photos, tmp_path) -> None:
    out = tmp_path / "out"
    settings = json.dumps({"pages": {"format": "folders", "path": [str(photos)], "parts": 1}})
    done = script("ingest_pages", "--settings", settings, "--part", 0, "--pages", out / "p.parquet",
                  "--images", out / "i.tar", limit=12_000)  # fmt: skip
    assert done.returncode != 0 and "File too large" in done.stderr
    assert list(out.iterdir()) == []


def mined(script: Callable, photos: Path, out: Path, parts: int, encoder) -> tuple[list[Path], list[Path]]:
    """Members of every part with the stub encoder, beside the parts' pictures."""
    from suti.config.schema import Mining

    settings = Mining(similarity=(0.2, 0.9999), max_images=3)
    members = []
    for part, (pages, images) in enumerate(ingest_all(script, out, photos, parts)):
        rows = mine(tables.read(pages, "pages"), ShardIndex(images).picture, encoder, settings)
        tables.write(out / f"clusters-{part}.parquet", "clusters", rows[0])
        tables.write(out / f"members-{part}.parquet", "members", rows[1])
        members.append(out / f"members-{part}.parquet")
    return members, [out / f"images-{part}.tar" for part in range(parts)]


def language(members: list[Path], out: Path) -> tuple[Path, Path]:
    """Texts and prompts for all members."""
    rows = tables.read_all(members, "members")
    tables.write(
        out / "texts.parquet",
        "texts",
        [{"subject_id": r.cluster_id, "image_id": r.image_id, "text": "a cup"} for r in rows.itertuples()],
    )
    prompts = [
        {
            "subject_id": s,
            "prompt_id": f"{s}{i}",
            "prompt": f"a cup {i}",
            "skill": "art_style",
            "backend": "grammar",
            "fallback": False,
        }
        for s in sorted(set(rows["cluster_id"]))
        for i in range(2)
    ]
    tables.write(out / "prompts.parquet", "prompts", prompts)
    return out / "texts.parquet", out / "prompts.parquet"


def test_partition_gives_equal_bytes_for_any_parts_and_full_shards(script, photos, tmp_path, encoder) -> None:
    results = []
    for parts in (1, 3):
        out = tmp_path / str(parts)
        members, images = mined(script, photos, out, parts, encoder)
        texts, prompts = language(members, out)
        done = script(
            "partition_subjects",
            "--shards",
            "9",
            "--members",
            *members,
            "--texts",
            texts,
            "--prompts",
            prompts,
            "--images",
            *images,
            "--out-dir",
            out / "inputs",
        )
        assert done.returncode == 0, done.stderr
        results.append({p.relative_to(out): p.read_bytes() for p in sorted((out / "inputs").rglob("*")) if p.is_file()})
    assert results[0] == results[1] and len(results[0]) == 27
    subjects = set()
    for shard in range(9):
        folder = tmp_path / "1" / "inputs" / str(shard)
        rows = tables.read(folder / "demonstrations.parquet", "demonstrations")
        lines = tables.read(folder / "prompts.parquet", "prompts")
        assert list(ShardIndex(folder / "images.tar")) == list(rows["image_id"])
        assert set(rows["subject_id"]) == set(lines["subject_id"])
        assert {shard_of(s, 9) for s in rows["subject_id"]} <= {shard}
        assert (rows.groupby("subject_id").size() == 3).all() and len(lines) == 2 * rows["subject_id"].nunique()
        subjects |= set(rows["subject_id"])
    assert len(subjects) == 6


def test_one_more_picture_changes_one_shard_only(script, photos, tmp_path, encoder, files) -> None:
    made = []
    for name in ("before", "after"):
        if name == "after":
            files.photo(99).save(photos / "cup_2" / "00.png")
        out = tmp_path / name
        members, images = mined(script, photos, out, 2, encoder)
        texts, prompts = language(members, out)
        script(
            "partition_subjects",
            "--shards",
            "9",
            "--members",
            *members,
            "--texts",
            texts,
            "--prompts",
            prompts,
            "--images",
            *images,
            "--out-dir",
            out / "inputs",
        )
        made.append({p.relative_to(out): p.read_bytes() for p in (out / "inputs").rglob("*") if p.is_file()})
    changed = {path.parts[1] for path in made[0] if made[0][path] != made[1][path]}
    assert len(changed) == 1


def test_partition_of_nothing_says_why(script, tmp_path) -> None:
    (tmp_path / "void").mkdir()
    pages, images = ingest_all(script, tmp_path, tmp_path / "void", 1)[0]
    assert len(tables.read(pages, "pages")) == 0 and len(ShardIndex(images)) == 0
    for table in ("clusters", "members", "texts", "prompts"):
        tables.write(tmp_path / f"{table}-0.parquet", table, [])
    done = script(
        "partition_subjects",
        "--shards",
        "2",
        "--members",
        tmp_path / "members-0.parquet",
        "--texts",
        tmp_path / "texts-0.parquet",
        "--prompts",
        tmp_path / "prompts-0.parquet",
        "--images",
        images,
        "--out-dir",
        tmp_path / "inputs",
    )
    assert done.returncode != 0 and "no cluster was kept: the corpus has no pages; check pages.path" in done.stderr
    done = script("report_mining", "--settings", '{"mining.similarity": [0.82, 0.98]}', "--clusters",
                  tmp_path / "clusters-0.parquet", "--pages", pages, "--report", tmp_path / "r.json",
                  "--figure", tmp_path / "f.png", "--table", tmp_path / "t.csv")  # fmt: skip
    assert done.returncode != 0 and "no cluster was kept: the corpus has no pages" in done.stderr
    assert not (tmp_path / "inputs").exists() and not (tmp_path / "r.json").exists()


def test_partition_names_what_the_language_stage_left_out() -> None:
    members = pd.DataFrame({"cluster_id": ["s"], "image_id": ["i"], "position": [0], "alt_text": [None]})
    texts = pd.DataFrame({"subject_id": ["s"], "image_id": ["i"], "text": ["t"]})
    prompts = pd.DataFrame({"subject_id": ["s"], "prompt_id": ["p"], "prompt": ["t"]})
    with pytest.raises(ValueError, match=r"texts: 1 of 1 demonstrations have no text, e.g. picture i of subject s"):
        list(partition(members, texts.iloc[:0], prompts, 2))
    with pytest.raises(ValueError, match=r"prompts: 1 of 1 subjects have no prompt, e.g. s"):
        list(partition(members, texts, prompts.iloc[:0], 2))


def test_figure_and_its_numbers(tmp_path: Path) -> None:
    clusters = pd.DataFrame({"similarity": [0.5, 0.9, 0.91, 1.0, None]})
    kinds = pd.Series(["mixed", "single", "single", "near", "few"])
    table = similarity_histogram(clusters, kinds, bins=10)
    assert list(table.columns) == ["low", "high", "mixed", "near", "single"]
    assert table["single"].tolist() == [0] * 9 + [2] and table["mixed"].sum() == 1
    assert similarity_histogram(clusters.iloc[:0], None)["low"].is_monotonic_increasing
    for name in ("a.png", "b.png"):
        save_figure(similarity_figure(table, (0.82, 0.98), "5 pages", 1), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.asarray(Image.open(tmp_path / "a.png")).std() > 5


def test_world_pages_are_dealt_with_their_truth(script, tmp_path, encoder) -> None:
    from suti.config.schema import Mining
    from suti.mining.report import judge

    world = {
        "subjects": 3,
        "mixed": 1,
        "near_duplicates": 1,
        "too_few": 1,
        "broken": 1,
        "exact_duplicates": 1,
    }
    tars = [tmp_path / f"world-{part}.tar" for part in range(2)]
    done = script("render_pages", "--settings", json.dumps({"seed": 1, "world": world, "pages.parts": 2}),
                  "--pages", *tars, "--truth", tmp_path / "truth.parquet")  # fmt: skip
    assert done.returncode == 0, done.stderr
    truth = tables.read(tmp_path / "truth.parquet", "truth")
    assert truth["kind"].value_counts().to_dict() == {"single": 3, **{k: 1 for k in world if k != "subjects"}}

    clusters = []
    settings = json.dumps({"pages": {"format": "world", "parts": 2, "image_size": 32}})
    for part, tar in enumerate(tars):
        pages, images = tmp_path / f"pages-{part}.parquet", tmp_path / f"images-{part}.tar"
        done = script(
            "ingest_pages",
            "--settings",
            settings,
            "--part",
            part,
            "--source",
            tar,
            "--pages",
            pages,
            "--images",
            images,
        )
        assert done.returncode == 0, done.stderr
        found = mine(tables.read(pages, "pages"), ShardIndex(images).picture, encoder, Mining(similarity=(-1, 1)))[0]
        tables.write(tmp_path / f"clusters-{part}.parquet", "clusters", found)
        clusters += found
    assert {row["page_url"] for row in clusters} == set(truth["page_url"])
    outcomes = judge(pd.DataFrame(clusters), truth)["by_kind"]
    assert outcomes["single"]["outcomes"]["kept"] == 3
    assert all(outcomes[kind]["outcomes"]["too_few"] == 1 for kind in ("too_few", "broken", "exact_duplicates"))
    done = script(
        "report_mining",
        "--settings",
        '{"mining.similarity": [-1, 1]}',
        "--clusters",
        *(tmp_path / f"clusters-{part}.parquet" for part in range(2)),
        "--pages",
        *(tmp_path / f"pages-{part}.parquet" for part in range(2)),
        "--truth",
        tmp_path / "truth.parquet",
        "--report",
        tmp_path / "r.json",
        "--figure",
        tmp_path / "f.png",
        "--table",
        tmp_path / "t.csv",
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "r.json").read_text())
    assert summary["truth"]["recall"] == 1.0 and summary["truth"]["precision"] == 0.6
    assert (tmp_path / "f.png").stat().st_size > 0 and len(pd.read_csv(tmp_path / "t.csv")) == 60
