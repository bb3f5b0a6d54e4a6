"""Tables and figures on made-up metrics: columns, empty cells, what is shown, and equal bytes."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from suti.evaluation import published
from suti.figures import curves, grids, histogram, samples, style, table_layout, tables
from suti.seeds import generator

SUTI = "suti-q0.4-k4"


def run(name: str, subject: float, prompts: int = 4, probe: bool = True) -> pd.DataFrame:
    rng = generator(name)
    rows = []
    for s in range(5):
        for p in range(prompts):
            scores = {m: float(np.clip(subject + rng.normal(0, 0.1), 0, 1)) for m in ("subject", "text", "realism")}
            rows.append(
                {"run": name, "sample_id": f"s{s}-{p}", "subject_id": f"s{s}", "prompt_id": f"{p:02d}"}
                | {"image_index": 0, "dino": subject, "clip_i": subject, "clip_t": 0.3, "dinov2": np.nan}
                | {"nearest_dino": subject + 0.01 * p, "nearest_pixels": subject, "diversity": np.nan}
                | (scores if probe else dict.fromkeys(scores, np.nan))
                | {"overall": float(min(scores.values()) > 0.5) if probe else np.nan}
            )
    return pd.DataFrame(rows)


@pytest.fixture
def runs() -> dict[str, pd.DataFrame]:
    return {
        "real": run("real", 0.9),
        "base": run("base", 0.3),
        "dreambooth": run("dreambooth", 0.7, 2),
        "dream-suti": run("dream-suti", 0.8, 2),
        SUTI: run(SUTI, 0.75),
        "suti-none-k4": run("suti-none-k4", 0.6, 2),
        "suti-q0.4-k0": run("suti-q0.4-k0", 0.3, 2),
    }


def test_table1_prints_ours_beside_the_paper_and_leaves_out_what_was_not_run(runs):
    table = tables.table1(runs, SUTI, 50, 0)
    frame = table.frame.set_index("method")
    assert list(table.frame)[:5] == ["method", "run", "dino", "dino_low", "dino_high"]
    assert frame.loc["SuTI", "dino"] == pytest.approx(0.75) and frame.loc["SuTI", "published_dino"] == 0.741
    assert frame.loc["Re-Imagen", "published_clip_i"] == 0.740 and pd.isna(frame.loc["Re-Imagen", "clip_i"])
    assert pd.isna(frame.loc["Base (text only)", "published_dino"]) and pd.isna(
        frame.loc["Real images", "published_clip_t"]
    )
    assert frame.loc["DreamBooth", "n_images"] == 10 and not [c for c in frame if "seconds" in c]
    del runs["dreambooth"]
    assert pd.isna(tables.table1(runs, SUTI, 50, 0).frame.set_index("method").loc["DreamBooth", "dino"])


def test_published_numbers():
    assert {(r.method, r.dino, r.clip_i, r.clip_t) for r in published.TABLE_1} >= {
        ("SuTI", 0.741, 0.819, 0.304),
        ("Real images", 0.774, 0.885, None),
    }
    assert {(r.method, r.overall) for r in published.TABLE_2} >= {
        ("SuTI", 0.82),
        ("DreamBooth (Imagen)", 0.77),
    }


def test_table2_counts_votes_and_holds_time_and_space(runs):
    limits = {"subject": 0.75, "text": 0.5, "realism": 0.5}
    timings = {SUTI: {"seconds_per_subject": 1.5, "bytes_per_subject": 0}}
    timings["re-imagen"] = {"seconds_per_subject": 1.0, "bytes_per_subject": 0}
    found = tables.table2(runs | {"dreambooth-prior": run("dreambooth-prior", 0.7, 2)}, SUTI, limits, timings, 50, 0)
    frame = found.frame.set_index("method")
    share = (runs[SUTI]["subject"] >= 0.75).groupby(runs[SUTI]["subject_id"]).mean().mean()
    assert frame.loc["SuTI", "subject"] == pytest.approx(share)
    assert (frame.loc["SuTI", "seconds"], frame.loc["SuTI", "published_seconds"]) == (1.5, 20)
    assert pd.isna(frame.loc["Imagic", "subject"]) and pd.isna(frame.loc["DreamBooth", "seconds"])
    assert frame.index.is_unique and frame.index[-1] == "Base (text only)" and "Real images" in frame.index
    # A system that the paper does not print has a row of its own if it was run; one that was not run has no number.
    assert frame.loc["DreamBooth, prior preservation", ["n_subjects", "n_prompts", "n_images"]].tolist() == [5, 10, 10]
    assert "Dream-SuTI" in frame.index and pd.isna(frame.loc["Re-Imagen", "seconds"])
    assert frame.loc["SuTI", "bytes"] == 0 and pd.isna(frame.loc["Imagic", "bytes"])


def test_protocols_stand_beside_the_numbers(runs):
    ours = {"encoders": {"dino": "transformers:x", "clip_i": "open_clip:y"}, "probe": "p", "thresholds": {"text": 0.5}}
    table = tables.table1(runs, SUTI, 50, 0, ours, "dreambench")
    frame = table.frame.set_index("method")
    assert frame.loc["SuTI", "protocol"] == "DreamBench; DINO transformers:x; CLIP-I open_clip:y"
    assert "DINO ViT-S/16" in frame.loc["SuTI", "published_protocol"] and "DINO ViT-S/16" in table.note
    assert pd.isna(frame.loc["Base (text only)", "published_protocol"]) and pd.isna(frame.loc["Re-Imagen", "protocol"])
    judged = tables.table3(runs, SUTI, {}, 50, 0, ours, "world").frame["protocol"].tolist()
    assert judged == ["the world's benchmark; probe p (text 0.5); overall: all three, per picture"] * 3


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (768, "768 B"), (4_553_784, "4.55 MB"), (1_719_041_928, "1.72 GB")]
)
def test_space_is_readable(count, text):
    assert table_layout.size(count) == text


def test_table3_and_differences_use_what_the_systems_share(runs):
    limits = dict.fromkeys(("subject", "text", "realism"), 0.5)
    frame = tables.table3(runs, SUTI, limits, 50, 0).frame
    assert frame["n_images"].tolist() == [10, 10, 10] and not [c for c in frame if "seconds" in c]
    found = tables.differences(runs, SUTI, "suti-q0.4-k0", 50, 0).frame.set_index("method")
    assert found.loc["SuTI - base", "dino"] == pytest.approx(0.45)
    assert found.loc["SuTI - base", "n_images"] == 20 and found.loc["SuTI - DreamBooth", "n_images"] == 10
    assert found.loc["SuTI - base", "subject_low"] > 0


def test_no_probe_leaves_tables_2_and_3_to_the_paper(runs):
    bare = {name: run(name, 0.5, 2, probe=False) for name in runs}
    frame = tables.table2(bare, SUTI, {}, {}, 50, 0).frame
    assert frame["subject"].isna().all() and frame["published_subject"].notna().any()


def test_latex_and_cells(runs):
    table = tables.differences(runs, SUTI, "suti-q0.4-k0", 50, 0)
    text = table_layout.to_latex(table)
    assert r"\toprule" in text and r"\bottomrule" in text and "SuTI $-$ base" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert len({line.count("&") for line in rows}) == 1
    row = {"dino": 0.7412, "dino_low": -0.0001, "dino_high": 1.0, "published_subject": 0.9}
    assert table_layout.cell(row, "dino", True) == ".741 [.000, 1.000]"
    assert table_layout.cell(row, "published_subject", False) == ".90"
    assert table_layout.cell({"dino": None}, "dino", True) == ""


def reports() -> list[dict]:
    return [
        {"lambda": "none", "threshold": None, "samples": 100, "kept": 100},
        {"lambda": "q0.4", "threshold": 0.1, "samples": 100, "kept": 60},
    ]


def png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def test_lambda_curve(runs, tmp_path):
    chosen = {name: runs[name] for name in (SUTI, "suti-none-k4")}
    table = curves.lambda_table(chosen, reports(), 50, 0)
    assert table["lambda"].tolist() == ["none", "q0.4"] and table["kept"].tolist() == [100, 60]
    assert table["n_images"].tolist() == [10, 10]
    assert (table["subject_low"] <= table["subject"]).all() and (table["subject"] <= table["subject_high"]).all()
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        style.save(curves.lambda_curve(table), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with pytest.raises(ValueError, match=r"lambda 'q0\.4'"):
        curves.lambda_table({"suti-none-k4": runs["suti-none-k4"]}, reports(), 50, 0)


def test_demonstration_curve(runs):
    table = curves.demonstration_table({name: runs[name] for name in ("suti-q0.4-k0", SUTI)}, 50, 0)
    assert table["demonstrations"].tolist() == [0, 4]
    assert table["published_overall"].tolist()[1] == 0.80
    assert png(curves.demonstration_curve(table))
    bare = {name: run(name, 0.5, 2, probe=False) for name in ("suti-q0.4-k0", SUTI)}
    without = curves.demonstration_table(bare, 50, 0)
    assert curves.shown_metrics(without) == ["dino", "clip_i", "clip_t"] and png(curves.demonstration_curve(without))


def test_delta_histogram():
    deltas = np.linspace(-0.1, 0.3, 100)
    table = histogram.score_table(deltas, "delta_clip")
    assert table["samples"].sum() == 100
    assert png(histogram.score_histogram(table, reports(), "q0.4", "delta_clip"))
    with pytest.raises(ValueError, match="no samples"):
        histogram.score_table(np.array([]), "delta_clip")


def test_run_names():
    assert style.lambda_name("q0.4") == "40 %\nquantile" and style.lambda_name("0.02") == "0.02"
    names = ("suti-none-k0", "base", "real", "dream-suti", "not-listed")
    titles = ["SuTI", "Base (text only)", "Real images", "Dream-SuTI", "not-listed"]
    assert [style.run_name(name) for name in names] == titles


def test_enlarging_keeps_pixels():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = np.asarray(grids.enlarge(image, 8))
    assert (large[::4, ::4] == image).all() and len(np.unique(large.reshape(-1, 3), axis=0)) == 4
    assert grids.enlarge(np.zeros((300, 100, 3), np.uint8), 96).size == (96, 96)


@pytest.fixture
def gallery(runs) -> samples.Gallery:
    picture = np.zeros((8, 8, 3), np.uint8)
    ids = [(f"s{s}", f"{p:02d}") for s in range(5) for p in range(4)]
    skill = {
        "00": "recontextualization",
        "01": "accessorization",
        "02": "attribute_editing",
        "03": "compositional",
    }
    frames = [frame.assign(prompt="a dog in the snow") for frame in runs.values()]
    columns = ["run", "sample_id", "subject_id", "prompt_id", "prompt", "image_index"]
    return samples.Gallery(
        subjects=pd.DataFrame({"subject_id": [f"s{s}" for s in range(5)], "class_name": "dog", "live": True}),
        prompts=pd.DataFrame(
            [{"subject_id": s, "prompt_id": p, "prompt": "a dog in the snow", "skill": skill[p]} for s, p in ids]
        ),
        demonstrations=pd.DataFrame(
            [{"subject_id": f"s{s}", "image_id": f"s{s}__00", "text": "a dog"} for s in range(5)]
        ),
        shown={f"s{s}__00": picture for s in range(5)},
        generations=pd.concat(frames)[columns],
        images={name: dict.fromkeys(frame["sample_id"], picture) for name, frame in runs.items()},
        metrics=pd.concat(list(runs.values())),
    )


def test_sheets(gallery, tmp_path):
    sheets = {
        "skills": samples.skills(gallery, SUTI, 2),
        "comparison": samples.comparison(gallery, ["real", "base", "dreambooth", SUTI]),
        "compositional": samples.compositional(gallery, SUTI),
        "lambda": samples.sweep(gallery, ["suti-none-k4", SUTI], "lambda"),
        "demonstrations": samples.sweep(gallery, ["suti-q0.4-k0", SUTI], "demonstrations"),
        "failures": samples.failures(gallery, SUTI, 2),
    }
    for name, sheet in sheets.items():
        table = grids.table(sheet)
        assert len(table) and list(table) == grids.COLUMNS, name
        grids.save(sheet, tmp_path / f"{name}.png")
        grids.save(sheet, tmp_path / "again.png")
        assert (tmp_path / f"{name}.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    drawn = grids.table(sheets["comparison"])
    assert set(drawn.loc[drawn["run"] == "dreambooth", "prompt_id"]) <= {"00", "01"}
    worst = gallery.metrics[gallery.metrics["run"] == SUTI].sort_values("subject").iloc[0]
    assert worst["sample_id"] in set(grids.table(sheets["failures"])["sample_id"])
    assert not set(grids.table(sheets["failures"])["prompt_id"]) & {"c1"}


def test_a_run_without_compositional_prompts_says_so(gallery):
    gallery.prompts = gallery.prompts[gallery.prompts["skill"] != "compositional"]
    sheet = samples.compositional(gallery, SUTI)
    assert "no compositional prompts" in sheet.note and grids.draw(sheet).size[0] > 100


def test_expert_sheet(gallery):
    scores = pd.DataFrame(
        {"sample_id": ["x", "y", "z"], "subject_id": "s0", "prompt_id": ["0", "1", "2"], "prompt": "a dog"}
        | {"score": [0.3, 0.1, -0.2]}
    )
    pictures = dict.fromkeys(["x", "y", "z"], np.zeros((8, 8, 3), np.uint8))
    sheet = samples.experts(scores, 0.2, pictures, gallery.demonstrations, gallery.shown)
    found = grids.table(sheet)
    assert found[found["run"] == "expert"]["sample_id"].tolist() == ["x", "z", "y"]
    assert "delta +0.300" in found["label"].tolist()[1]
