"""A prepared study tells no method, repeats by its seed, and has attention checks with a known answer."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suti.cli.main import main
from suti.io import tables
from suti.io.shards import encode_png, write_shard
from suti.ratings import sources
from suti.ratings.prepare import choose, fit, prepare
from suti.ratings.schemes import BINARY, PAIRWISE, SC_PQ
from suti.ratings.study import load, load_key
from tests.ratings.conftest import HOSTILE, ROWS, picture


def test_nothing_that_the_page_gets_tells_a_method(material: sources.Material, tmp_path: Path) -> None:
    made = prepare(material, BINARY, tmp_path / "study", seed=5)
    told = (tmp_path / "study" / "study.json").read_text()
    for word in ("alpha", "beta", "dog1", "real", "other", "rated", '"seed"'):
        assert word not in told
    files = sorted((tmp_path / "study" / "images").iterdir())
    for file in files:
        with Image.open(io.BytesIO(file.read_bytes())) as shown:
            assert (shown.format, shown.size, shown.info, len(shown.getexif())) == ("PNG", (24, 24), {}, 0)
        assert b"made by" not in file.read_bytes()
    assert [item["id"] for item in json.loads(told)["items"]] == sorted(made.study.items)
    key = load_key(made.study)
    assert Counter(secret.methods for secret in key.values()) == {("alpha",): 3, ("beta",): 3, (): 2}
    assert (tmp_path / "study" / "key.json").stat().st_mode & 0o077 == 0
    # alpha's pictures are JPEG, beta's PNG: what is shown of beta has the very pixels
    (item,) = [i for i, s in key.items() if s.methods == ("beta",) and s.subject_id == "cup"]
    with Image.open(made.study.picture(made.study.items[item].candidates[0])) as shown:
        assert (np.asarray(shown) == picture("beta", "cup")).all()


def test_names_and_orders_follow_the_seed_and_differ_without(material: sources.Material, tmp_path: Path) -> None:
    first, again = (prepare(material, BINARY, tmp_path / name, seed=5).study for name in "ab")
    assert (tmp_path / "a" / "study.json").read_bytes() == (tmp_path / "b" / "study.json").read_bytes()
    others = [prepare(material, BINARY, tmp_path / name).study for name in "cd"]
    assert len({frozenset(s.items) for s in (first, again, *others)}) == 3, "a secret seed if none is given"
    assert first.order("ann") == again.order("ann") != first.order("bob")
    assert sorted(first.order("ann")) == sorted(first.items)


def test_attention_checks_show_a_real_picture_or_another_subject(material: sources.Material, tmp_path: Path) -> None:
    study = prepare(material, SC_PQ, tmp_path / "study", checks=3, seed=1).study
    real = {(s, n): picture("real", s, n) for s, _, _ in ROWS for n in range(3)}
    kinds = Counter()
    for name, secret in load_key(study).items():
        if secret.kind == "rated":
            continue
        with Image.open(study.picture(study.items[name].candidates[0])) as image:
            ((subject, number),) = [k for k, known in real.items() if (np.asarray(image) == known).all()]
        kinds[secret.kind] += 1
        if secret.kind == "real":
            assert (subject, number) == (secret.subject_id, 2), "the picture that is not shown beside it"
        else:
            assert {subject, secret.subject_id} in ({"cup", "dog1"}, {"cup", "dog2"}), "of another class"
    assert kinds == {"real": 2, "other": 1}


def test_comparisons_turn_sides_by_rater(material: sources.Material, tmp_path: Path) -> None:
    study = prepare(material, PAIRWISE, tmp_path / "study", checks=1, seed=1).study
    key = load_key(study)
    assert sorted(s.methods for s in key.values()) == [(), *[("alpha", "beta")] * 3]
    (item,) = [name for name, secret in key.items() if secret.kind == "real"]
    assert len(study.items[item].candidates) == 2
    assert {study.swapped(f"rater {n}", item) for n in range(20)} == {True, False}
    with pytest.raises(ValueError, match="expected 2 or more"):
        only = {"alpha": material.methods["alpha"]}
        prepare(sources.Material(only, material.cases, material.classes, material.shown, material.real), PAIRWISE,
                tmp_path / "x")  # fmt: skip


def test_a_limit_takes_every_subject_before_it_repeats_one() -> None:
    cases = [sources.Case(s, f"{p:02d}", 0, "x") for s in "abcd" for p in range(5)]
    assert Counter(case.subject_id for case in choose(cases, 6, 0)).most_common()[0][1] == 2
    assert len({case.subject_id for case in choose(cases, 4, 0)}) == 4
    assert set(choose(cases, 4, 0)) < set(choose(cases, 9, 0))


def test_pictures_come_to_one_size_and_what_still_tells_is_said(folders: Path, tmp_path: Path) -> None:
    Image.fromarray(picture("wide", size=(24, 48))).save(folders / "beta" / "2.png")
    read = {"alpha": folders / "alpha", "beta": folders / "beta"}
    wide = sources.from_folders(read, folders / "prompts.csv", folders / "references", 4, 10_000)
    made = prepare(wide, BINARY, tmp_path / "study", checks=0)
    assert made.study.size == 24 and made.checks == 0
    assert "1 pictures of beta are not square" in made.warnings[0] and "differ in size" in made.warnings[1]
    fitted = fit(np.full((24, 48, 3), 200, np.uint8), 24)
    assert fitted.shape == (24, 24, 3) and (fitted[:6] == 128).all() and (fitted[6:18] == 200).all()


def test_runs_of_the_workflow(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    results, prompts = tmp_path / "results", {"00": "a dog in the snow", "01": "a red dog", "c1": "only shown"}
    subjects = [{"subject_id": s, "class_name": c, "live": True} for s, c in (("d", "dog"), ("e", "cat"))]
    tables.write(results / "benchmark/subjects.parquet", "benchmark_subjects", subjects)
    rows = [{"subject_id": s, "prompt_id": p, "prompt": t, "skill": "x"} for s in "de" for p, t in prompts.items()]
    tables.write(results / "benchmark/prompts.parquet", "benchmark_prompts", rows)
    for name in ("images", "references"):
        pictures = [(f"{s}__{n:02d}.png", encode_png(picture(name, s, n))) for s in "de" for n in range(2)]
        write_shard(results / f"benchmark/{name}.tar", pictures)
    for run, drawn in (("suti", ("00", "01", "c1")), ("base", ("01", "00"))):
        rows = [
            {
                "run": run,
                "sample_id": f"{run}-{s}-{p}",
                "subject_id": s,
                "prompt_id": p,
                "prompt": "sks",
                "image_index": 0,
            }
            for s in "de"
            for p in drawn
        ]
        tables.write(results / f"generations/{run}.parquet", "generations", rows)
        pngs = [(f"{row['sample_id']}.png", encode_png(picture(row["sample_id"]))) for row in rows]
        write_shard(results / f"generations/{run}.tar", pngs)
    command = ["ratings", "prepare", "--results", str(results), "--out", str(tmp_path / "study")]
    assert main([*command, "--runs", "suti", "base"]) == 0
    study = load(tmp_path / "study")
    assert {item.prompt for item in study.items.values()} == {"a dog in the snow", "a red dog"}, "the benchmark's texts"
    assert sum(secret.kind == "rated" for secret in load_key(study).values()) == 8
    for name, secret in load_key(study).items():
        if secret.methods == ("base",):
            with Image.open(study.picture(study.items[name].candidates[0])) as shown:
                wanted = picture(f"base-{secret.subject_id}-{secret.prompt_id}")
                assert (np.asarray(shown) == wanted).all()
    assert main([*command, "--runs", "suti", "base"]) == 2
    assert "study: exists, and may hold ratings" in capsys.readouterr().err
    assert main([*command, "--runs", "sut"]) == 2
    assert "there are base, suti" in capsys.readouterr().err


HEAD = "subject,class,prompt\n"


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda f: (f / "beta" / "10.png").unlink(), "beta: 2 pictures for 3 rows"),
        (lambda f: (f / "beta" / "2.png").write_bytes(b"no picture"), "2.png: broken"),
        (lambda f: (f / "references" / "cup" / "0.png").write_bytes(b""), "0.png: broken"),
        (lambda f: (f / "prompts.csv").write_text("subject,prompt\ncup,x\n"), "columns subject, prompt; expected"),
        (lambda f: (f / "prompts.csv").write_text(HEAD + "cup,cup,y\n" * 2 + "../beta,x,y\n"), "no folder '../beta'"),
        (lambda f: (f / "prompts.csv").write_text(HEAD + "cup,cup,\n"), "line 2: no prompt"),
        (lambda f: (f / "prompts.csv").write_text(HEAD + "cup,cup\n"), "line 2: expected 3 values"),
        (lambda f: (f / "prompts.csv").write_text(HEAD), "no rows"),
        (lambda f: (f / "prompts.csv").write_bytes(HEAD.encode() + b"cup,cup,\xff\n"), "not a CSV file in UTF-8"),
        (
            lambda f: (f / "prompts.csv").write_text("subject,class,prompt,file\ncup,cup,a cup,../alpha/1.jpg\n"),
            "no picture '../alpha/1.jpg'",
        ),
    ],
)
def test_wrong_folders_are_named(
    folders: Path, change: Callable[[Path], object], wanted: str, capsys: pytest.CaptureFixture
) -> None:
    change(folders)
    command = ["ratings", "prepare", "--methods", f"beta={folders / 'beta'}", "--prompts", str(folders / "prompts.csv")]
    assert main([*command, "--references", str(folders / "references"), "--out", str(folders / "study")]) == 2
    assert wanted in capsys.readouterr().err
    assert not (folders / "study").exists() and not list(folders.glob(".*.part"))


def test_natural_order_of_names_and_hostile_prompts(material: sources.Material) -> None:
    assert [case.prompt for case in material.cases if case.subject_id == "dog1"] == [HOSTILE]
    cup = next(case for case in material.cases if case.subject_id == "cup")
    assert (material.methods["beta"](cup) == picture("beta", "cup")).all(), "10.png is the third, after 2.png"


def test_a_study_that_was_changed_is_refused(material: sources.Material, tmp_path: Path) -> None:
    prepare(material, BINARY, tmp_path / "study")
    raw = json.loads((tmp_path / "study" / "study.json").read_text())
    raw["items"][0]["candidates"] = ["../../prompts"]
    (tmp_path / "study" / "study.json").write_text(json.dumps(raw))
    with pytest.raises(ValueError, match="which is not in images/"):
        load(tmp_path / "study")
    with pytest.raises(ValueError, match=r"no study\.json"):
        load(tmp_path)
