"""``suti prompts``, ``suti evaluate`` and ``suti oracle`` from the command line, with the shipped encoders."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suti.benchmark import world as world
from suti.benchmark.dreambench import CLASSES
from suti.cli import main as program
from suti.cli.measuring import cache_folder
from suti.evaluation import embedding
from suti.world.language import DREAMBENCH_LIVE_TEMPLATES, DREAMBENCH_OBJECT_TEMPLATES

ROOT = Path(__file__).resolve().parents[2]
CLIP = f"open_clip:local-dir:{ROOT}/resources/models/clip"
DINO = f"transformers:{ROOT}/resources/models/dino"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder and the cache are temporary."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def suti(*arguments: object) -> int:
    return program.main([str(argument) for argument in arguments])


def clone(folder: Path) -> Path:
    """The prompts_and_classes.txt of a clone of google/dreambooth, made anew from the same facts."""
    lines = ["Classes", "", "subject_name,class", *(f"{s},{c}" for s, c in CLASSES.items()), "", "Prompts", ""]
    for title, templates in (
        ("Object Prompts", DREAMBENCH_OBJECT_TEMPLATES),
        ("Live Subject Prompts", DREAMBENCH_LIVE_TEMPLATES),
    ):
        quoted = [f"'{t.replace('{}', '{0} {1}')}'.format(unique_token, class_token)" for t in templates]
        lines += [title, "", "prompt_list = [", ",\n".join(quoted), "]", ""]
    folder.mkdir(parents=True)
    (folder / "prompts_and_classes.txt").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("inside", ["", "dataset"])
def test_dreambench_has_750_prompts_without_an_identifier(tmp_path: Path, inside: str):
    clone(tmp_path / "db" / inside)
    assert suti("prompts", "--benchmark", "dreambench", "--path", "db", "--out", "p.csv") == 0
    text = (tmp_path / "p.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert text.startswith("subject,class,prompt\n") and len(rows) == 750 == len(
        {(r["subject"], r["prompt"]) for r in rows}
    )
    assert rows[0]["prompt"] == "a backpack in the jungle"
    assert all(f" {row['class']}" in row["prompt"] and "  " not in row["prompt"] for row in rows)
    assert {r["prompt"] for r in rows if r["subject"] == "dog2"} == {t.format("dog") for t in DREAMBENCH_LIVE_TEMPLATES}


def test_other_lists_of_prompts(tmp_path: Path):
    assert suti("prompts", "--benchmark", "world", "--subjects", 2, "--out", "w.csv") == 0
    assert len((tmp_path / "w.csv").read_text().splitlines()) == 51
    (tmp_path / "v2.csv").write_text("subject,prompt,source\ncat2,a cat on a sofa,x\nmy_mug3,a mug,y\n")
    assert suti("prompts", "--benchmark", "dreambench-v2", "--path", "v2.csv", "--out", "o.csv") == 0
    assert (tmp_path / "o.csv").read_text().splitlines()[1:] == ["cat2,cat,a cat on a sofa", "my_mug3,my mug,a mug"]
    (tmp_path / "mine" / "grey_cat2").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "mine" / "grey_cat2" / "0.png")
    assert suti("prompts", "--benchmark", "folders", "--path", "mine", "--out", "f.csv") == 0
    assert "grey_cat2,grey cat,a grey cat wearing a red hat" in (tmp_path / "f.csv").read_text()


def test_the_worlds_subjects_as_folders(tmp_path: Path, capsys):
    arguments = ("--benchmark", "world", "--subjects", 2, "--out", "w.csv", "--pictures", "w")
    assert suti("prompts", *arguments) == 0
    subjects = {row["subject"] for row in csv.DictReader((tmp_path / "w.csv").open())}
    made = world.world_benchmark(0, 2, 1, 4, 1)
    for subject in subjects:
        references = sorted((tmp_path / "w" / "references" / subject).glob("*.png"))
        for file, image in zip(references, made.references[subject], strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(file)), image)
    for row in made.demonstrations:
        subject, number = row["image_id"].rsplit("__", 1)
        shown = tmp_path / "w" / "demonstrations" / subject / f"{number}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(shown)), made.demonstration_images[row["image_id"]])
        assert shown.with_suffix(".txt").read_text() == row["text"] + "\n"
    assert suti("prompts", *arguments) == 2 and "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--benchmark", "csv", "--path", "refs.csv", "--pictures", "x"), "csv has its own pictures"),
        (("--benchmark", "dreambunch"), "expected one of dreambench, dreambench-v2"),
        (("--benchmark", "dreambench"), "--path: needed for dreambench"),
        (("--benchmark", "dreambench", "--path", "."), "--path: no prompts_and_classes.txt"),
        (("--benchmark", "folders", "--path", "absent"), "--path: no folders of pictures in absent"),
        (("--benchmark", "csv", "--path", "absent.csv"), "absent.csv does not exist"),
        (("--benchmark", "world", "--subjects", "0"), "--subjects: 0"),
    ],
)
def test_unusable_benchmarks_are_explained(capsys, arguments: tuple[str, ...], message: str):
    assert suti("prompts", *arguments, "--out", "p.csv") == 2
    assert message in capsys.readouterr().err and not Path("p.csv").exists()


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Three subjects of the world with two prompts and two pictures each; one picture equals a reference."""
    lines = ["subject,class,prompt"]
    for subject in world.benchmark_subjects(0, 3):
        references = tmp_path / "refs" / subject.subject_id
        references.mkdir(parents=True)
        real = world.references(subject, 4, 2)
        for number, image in enumerate(real):
            Image.fromarray(image).save(references / f"{number:02d}.png")
        for number, template in enumerate(world.templates(subject.class_name)[:2]):
            prompt = template.format(subject.class_name)
            lines.append(f"{subject.subject_id},{subject.class_name},{prompt}")
            folder = tmp_path / "out" / subject.subject_id / f"{number:02d}"
            folder.mkdir(parents=True)
            for index in range(2):
                copy = number == index == 0
                Image.fromarray(real[0] if copy else world.target(subject, prompt, "t", index=index)).save(
                    folder / f"{index}.png"
                )
    (tmp_path / "p.csv").write_text("\n".join(lines))
    return tmp_path


EVALUATE = ("evaluate", "--generated", "out", "--references", "refs", "--prompts", "p.csv")


def test_evaluate_writes_every_number_with_how_it_was_made(drawn: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    encoders = ("--encoders", f"DINO={DINO}", f"CLIP-I={CLIP}", f"CLIP-T={CLIP}")
    assert suti(*EVALUATE, *encoders, "--out", "m.json", "--scores", "s.csv", "--images", "2") == 0
    shown = capsys.readouterr().out
    found = json.loads((drawn / "m.json").read_text())
    own = found["protocols"]["own"]
    assert set(own["metrics"]) == {"DINO", "CLIP-I", "CLIP-T"} and set(own["real"]) == {"DINO", "CLIP-I"}
    assert found["CLIP-I"] == own["metrics"]["CLIP-I"]
    for name, entry in own["metrics"].items():
        assert (entry["n"], entry["n_subjects"], entry["n_images"], entry["protocol"]) == (3, 3, 12, "own")
        assert entry["low"] <= entry["mean"] <= entry["high"] and entry["interval"] == [entry["low"], entry["high"]]
        assert (
            entry["encoder"] in (DINO, CLIP) and len(entry["encoder_digest"]) == 32 and "cosine" in entry["references"]
        )
        assert f"{entry['mean']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]" in shown and name in shown
    assert 0.25 <= own["copies"]["copies_pixels"]["mean"] < 0.5  # 3 of 12 are a reference
    assert own["diversity"]["n_images"] == 12 and own["diversity"]["mean"] > 0
    assert set(found["provenance"]["encoder_digests"]) == {DINO, CLIP} and found["provenance"]["seed"] == 0
    with (drawn / "s.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12 + 12 and rows[0]["protocol"] == "own"
    means = [
        np.mean([float(r["DINO"]) for r in rows[:12] if r["subject_id"] == s]) for s in {r["subject_id"] for r in rows}
    ]
    assert np.mean(means) == pytest.approx(own["metrics"]["DINO"]["mean"])

    def refuse(spec, compute):
        raise AssertionError(f"{spec} was loaded for numbers that the cache has")

    monkeypatch.setattr(embedding, "_load", refuse)
    rule = ("--reference-rule", "other")
    assert suti(*EVALUATE, *encoders, *rule, "--out", "again.json") == 0
    again = json.loads((drawn / "again.json").read_text())
    assert again["provenance"]["embedded"] == 0 < found["provenance"]["embedded"]
    assert again["CLIP-T"]["mean"] == pytest.approx(found["CLIP-T"]["mean"], abs=1e-9)
    assert again["DINO"]["mean"] < found["DINO"]["mean"]  # the copied reference does not count
    assert suti(*EVALUATE, *encoders, *rule, "--aggregate", "images", "--out", "images.json") == 0
    assert json.loads((drawn / "images.json").read_text())["DINO"]["n_images"] == 12


def test_several_protocols_with_encoders_on_disk(drawn: Path, capsys):
    (drawn / "mine.yaml").write_text(f"name: mine\nencoders: {{dino: '{DINO}'}}\nreferences: one\n")
    encoders = ("--encoders", f"dino={DINO}", f"dinov2={DINO}", f"CLIP-I={CLIP}", f"clip_t={CLIP}")
    protocols = ("dreambooth", "kosmos-g", "dreambench-plus", "imagenhub", "mine.yaml")
    assert suti(*EVALUATE, "--protocol", *protocols, *encoders, "--out", "m.json") == 0
    out, err = capsys.readouterr()
    assert "kosmos-g: its one reference of 3 subjects" in err and "dreambench-plus: its one" not in err
    found = json.loads((drawn / "m.json").read_text())["protocols"]
    assert set(found) == {"dreambooth", "kosmos-g", "dreambench-plus", "imagenhub", "mine"}
    assert found["kosmos-g"]["metrics"]["dino"]["mean"] > found["dreambooth"]["metrics"]["dino"]["mean"]
    assert found["dreambooth"]["metrics"]["dino"]["replaced"] and not found["mine"]["metrics"]["dino"]["replaced"]
    assert set(found["kosmos-g"]["one_reference"].values()) == {"00.png"} and found["imagenhub"]["one_reference"] == {}
    assert "not comparable" in out and "2310.02992" in found["kosmos-g"]["source"]
    assert set(found["dreambench-plus"]["metrics"]) == {"dino", "dinov2", "clip_i", "clip_t"}


def test_the_configuration_names_the_encoders_otherwise(drawn: Path):
    (drawn / "config.yaml").write_text(
        f"evaluation: {{encoders: {{dino: '{DINO}', clip_i: null, clip_t: null}}, bootstrap: 7}}"
    )
    assert suti("oracle", "--references", "refs", "--out", "o.json", "--cache", "none") == 0
    found = json.loads((drawn / "o.json").read_text())
    assert set(found) == {"dino", "provenance"} and found["dino"]["n_images"] == 12
    assert found["provenance"]["bootstrap"] == 7 and not (drawn / "cache").exists()


def test_oracle_of_protocols(drawn: Path, capsys):
    arguments = ("--protocol", "kosmos-g", "--encoders", f"dino={DINO}", "clip_i=none", "--out", "o.json")
    assert suti("oracle", "--references", "refs", *arguments) == 0
    found = json.loads((drawn / "o.json").read_text())
    assert set(found) == {"kosmos-g/dino", "provenance"}
    assert found["kosmos-g/dino"]["n_images"] == 9  # the one reference is not compared with itself
    assert "9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--encoders", "dino=x:y"), "unknown form"),
        (("--encoders", "dino=transformers:./absent/x"), "--encoders NAME=none"),
        (("--encoders", "a=transformers:x", "a=transformers:y"), "stands twice"),
        (("--encoders", "a=none"), "no encoder"),
        (("--protocol", "kosmos"), "expected dreambooth, kosmos-g"),
        (("--protocol", "kosmos-g", "--encoders", "lpips=transformers:x"), "'lpips' is no metric of these protocols"),
        (("--encoders", f"CLIP-T={DINO}"), "no text tower"),
        (("--encoders", f"dino={DINO}", "--images", "4"), "6 of 6 prompts do not have 4 pictures"),
    ],
)
def test_mistakes_are_explained(drawn: Path, capsys, arguments: tuple[str, ...], message: str):
    assert suti(*EVALUATE, *arguments, "--out", "m.json") == 2
    assert message in capsys.readouterr().err and not (drawn / "m.json").exists()


def test_broken_pictures_are_refused_or_left_out_and_named(drawn: Path, capsys):
    broken = next((drawn / "out").glob("*/01/1.png"))
    broken.write_bytes(broken.read_bytes()[:50])
    encoders = ("--encoders", f"dino={DINO}", "--out", "m.json")
    assert suti(*EVALUATE, *encoders) == 2
    assert broken.name in capsys.readouterr().err
    assert suti(*EVALUATE, *encoders, "--partial") == 0
    found = json.loads((drawn / "m.json").read_text())
    assert found["dino"]["n_images"] == 11 and list(found["provenance"]["left_out"]) == [str(broken.relative_to(drawn))]


def test_a_benchmark_stands_for_prompts_and_references(tmp_path: Path):
    for subject in ("3d_printer", "grey_cat2"):
        (tmp_path / "mine" / subject).mkdir(parents=True)
        for number in range(2):
            picture = np.random.default_rng(number + len(subject)).integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(picture).save(tmp_path / "mine" / subject / f"{number}.png")
        for number in range(25):
            place = tmp_path / "out" / subject / str(number)
            place.mkdir(parents=True)
            Image.fromarray(np.roll(picture, number)).save(place / "0.png")
    assert suti("prompts", "--benchmark", "folders", "--path", "mine", "--out", "p.csv") == 0
    score = ("evaluate", "--generated", "out", "--encoders", f"dino={DINO}", f"clip_t={CLIP}", "--out")
    assert suti(*score, "files.json", "--prompts", "p.csv", "--references", "mine") == 0
    assert suti(*score, "benchmark.json", "--benchmark", "folders", "--path", "mine") == 0
    files, benchmark = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("files", "benchmark"))
    assert benchmark["protocols"] == files["protocols"] and benchmark["dino"]["n_images"] == 50
    assert benchmark["provenance"]["prompts"] == 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--prompts: needed, or --benchmark and --path"),
        (("--prompts", "p.csv"), "--references: needed"),
        (("--benchmark", "folders"), "--path: needed for folders"),
        (("--benchmark", "world"), "'world', expected one of dreambench, folders; render the world's"),
        (("--benchmark", "dreambunch"), "'dreambunch', expected one of dreambench, folders"),
        (("--benchmark", "folders", "--path", "x", "--prompts", "p.csv"), "has prompts and references of its own"),
    ],
)
def test_what_evaluate_lacks_is_said(capsys, arguments: tuple[str, ...], message: str):
    assert suti("evaluate", "--generated", "out", *arguments, "--out", "m.json") == 2
    assert message in capsys.readouterr().err


def test_help_shows_how_the_folder_must_look(capsys):
    for command in ("evaluate", "oracle", "prompts"):
        with pytest.raises(SystemExit):
            suti(command, "--help")
        shown = capsys.readouterr().out
        assert "examples:" in shown and ("SUBJECT" in shown or command == "prompts")


def test_the_cache_has_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert cache_folder(None) == tmp_path / "cache" / "suti" / "embeddings"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / ".cache" / "suti" / "embeddings"
    assert cache_folder("none") is None and cache_folder("x") == Path("x")
