"""Scores, agreement and intervals: against figures computed by hand, and against tables that are wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from suti.cli.main import main
from suti.ratings import answers, sources
from suti.ratings.aggregate import aggregate
from suti.ratings.prepare import prepare
from suti.ratings.report import estimate
from suti.ratings.schemes import BINARY, PAIRWISE, SC_PQ, SCHEMES, Scheme
from suti.ratings.store import Store
from suti.ratings.study import DATABASE, load_key

# Method A, by hand. SC of its items: (1, 1), (0, .5, 0), (1); PQ: (.5, 1), (1, .5), (0).
TABLE = """rater,item,method,sc,pq
r1,i1,A,1,0.5
r2,i1,A,1.0,1
r1,i2,A,0,1
r2,i2,A,.5,0.5
r3,i2,A,0,
r1,i3,A,1,0
r1,i1,B,0,1
r2,i1,B,0.5,NA
"""


def ratings(tmp_path: Path, text: str, scheme: Scheme = SC_PQ) -> answers.Ratings:
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    return answers.read_csv(path, scheme)


def test_sc_pq_and_alpha_equal_hand_computed_figures_with_missing_ratings(tmp_path: Path) -> None:
    """Alpha of SC: five pairable values 1 1 0 .5 0. D_o = (0 + 1 / 2) / 5 = .1 and D_e = 10 / 20 = .5, so .8.

    Alpha of PQ: four pairable values .5 1 1 .5. D_o = (.5 + .5) / 4 = 1/4 and D_e = 2 / 12 = 1/6, so -.5.
    """
    (tmp_path / "in.csv").write_text(TABLE)
    command = ["ratings", "aggregate", "--scheme", "sc-pq", "--ratings", str(tmp_path / "in.csv"), "--bootstrap", "200"]
    assert main([*command, "--out", str(tmp_path / "out.json"), "--csv", str(tmp_path / "t.csv")]) == 0
    result = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    a, b = result["methods"]["A"], result["methods"]["B"]
    assert a["sc"]["mean"] == pytest.approx(3.5 / 6)
    assert a["pq"]["mean"] == pytest.approx(3 / 5)
    assert a["overall"]["mean"] == pytest.approx((math.sqrt(0.5) + 1 + 0 + 0.5 + 0) / 5)
    assert a["alpha_sc"]["value"] == pytest.approx(0.8)
    assert a["alpha_pq"]["value"] == pytest.approx(-0.5)
    assert (a["n_ratings"], a["n_items"], a["n_raters"]) == (6, 3, 3)
    for metric in ("sc", "pq", "overall", "alpha_sc"):
        assert a[metric]["low"] <= estimate(a[metric]) <= a[metric]["high"]
    assert (b["sc"]["mean"], b["pq"]["mean"], b["overall"]["mean"]) == (0.25, 1.0, 0.0)
    assert b["sc"]["low"] is None, "of one item there is no interval"
    assert result["n_items"] == 3
    assert b["alpha_pq"] == {"value": None, "low": None, "high": None}, "one pairable value: nothing to agree upon"
    assert result["bootstrap"]["over"] == "items"
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[0].startswith("method,sc,sc_low,sc_high,pq") and lines[1].startswith("A,0.58")


def test_alpha_of_a_published_example(tmp_path: Path) -> None:
    """Three raters, fifteen units, many gaps: .811 at the interval level (Wikipedia, "Krippendorff's alpha")."""
    from suti.ratings.agreement import alpha, counts

    n = math.nan
    rows = [
        [n, n, n, n, n, 3, 4, 1, 2, 1, 1, 3, 3, n, 3],
        [1, n, 2, 1, 3, 3, 4, 3, n, n, n, n, n, n, n],
        [n, n, 2, 1, 3, 4, 4, n, 2, 1, 1, 3, 3, n, 4],
    ]
    raters, units = np.indices((3, 15)).reshape(2, -1)
    table, domain = counts(raters, units, np.array(rows).ravel())
    assert alpha(table, domain) == pytest.approx(0.811, abs=5e-4)


def test_binary_overall_is_the_and_of_one_rating_and_the_bootstrap_is_over_subjects(tmp_path: Path) -> None:
    text = "rater,item,method,subject,text,realism,subject_id\n"
    text += "r1,i1,A,1,1,0,s1\nr2,i1,A,0,1,1,s1\nr3,i1,A,1,0,1,s1\nr1,i2,A,1,1,1,s2\nr2,i2,A,1,1,,s2\n"
    given = ratings(tmp_path, text, BINARY)
    result = aggregate(given, bootstrap=300)
    a = result["methods"]["A"]
    assert a["subject"]["mean"] == pytest.approx(4 / 5)
    assert a["overall"]["mean"] == pytest.approx(1 / 4), "no rater of i1 says yes to all three"
    assert (a["overall"]["low"], a["overall"]["high"]) == (0.0, 1.0), "each of two subjects may be drawn twice"
    assert result["bootstrap"]["over"] == "subjects"
    # two of three say yes to each question of i1, so the majority says yes to all
    assert aggregate(given, bootstrap=10, votes="majority")["methods"]["A"]["overall"]["mean"] == 1.0


def test_differences_are_paired_and_seeded(tmp_path: Path) -> None:
    rows = [f"r1,i{i},{m},{v},1" for i in range(12) for m, v in (("A", (0, 0.5)[i % 2]), ("B", (0.5, 1)[i % 2]))]
    given = ratings(tmp_path, "rater,item,method,sc,pq\n" + "\n".join(rows) + "\n")
    result = aggregate(given, bootstrap=100, seed=3)
    assert result == aggregate(given, bootstrap=100, seed=3)
    # sqrt: A has 0 and .707, B .707 and 1, so every resample's difference lies between the two
    (row,) = result["differences"]
    assert (row["first"], row["second"]) == ("A", "B")
    assert -math.sqrt(0.5) <= row["overall"]["low"] <= row["overall"]["high"] <= math.sqrt(0.5) - 1


def test_raters_who_fail_attention_checks_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    text = "rater,item,method,subject,text,realism,check,passed\n"
    text += "good,i1,A,1,1,1,,\nbad,i1,A,0,0,0,,\n"
    text += "good,c1,,1,1,1,real,1\ngood,c2,,0,1,1,other,1\nbad,c1,,0,1,1,real,0\nbad,c2,,0,1,1,other,1\n"
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    command = ["ratings", "aggregate", "--scheme", "binary", "--ratings", str(path), "--bootstrap", "10"]
    assert main([*command, "--tex", str(tmp_path / "t.tex"), "--out", str(tmp_path / "o.json")]) == 0
    assert "left out: rater bad failed 1 of 2 attention checks" in capsys.readouterr().out
    result = json.loads((tmp_path / "o.json").read_text())
    assert result["excluded_raters"] == ["bad"] and result["methods"]["A"]["subject"]["mean"] == 1.0
    assert r"\toprule" in (tmp_path / "t.tex").read_text()
    kept = aggregate(answers.read_csv(path, BINARY), bootstrap=10, keep_flagged=True)
    assert kept["methods"]["A"]["subject"]["mean"] == 0.5 and kept["raters"]["bad"]["flagged"]
    assert aggregate(answers.read_csv(path, BINARY), bootstrap=10, max_failed=0.5)["excluded_raters"] == []
    path.write_text(text.replace("good,c1,,1,1,1,real,1", "good,c1,,0,1,1,real,0"))
    assert main(command) == 2
    assert "all raters failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("rater,item,method,sc,pq\nr,i,A,0.7,1\n", "line 2: sc '0.7', expected 0, 0.5, 1 or nothing"),
        ("rater,item,method,sc,pq\nr,i,A,1,1\nr,i,A,0,1\n", "line 3: a second rating of rater 'r' for item 'i' of A"),
        ("rater,item,method,sc,pq,mood\nr,i,A,1,1,x\n", "line 1: unknown column 'mood'"),
        ("rater,item,method,sc\nr,i,A,1\n", "line 1: no column 'pq'"),
        ("rater,item,method,sc,pq,pq\nr,i,A,1,1,1\n", "column 'pq' is there twice"),
        ("rater,item,method,sc,pq\nr,i,A,1\n", "line 2: 4 values for 5 columns"),
        ("rater,item,method,sc,pq\n,i,A,1,1\n", "line 2: no rater"),
        ("rater,item,method,sc,pq\nr,i,=A,1,1\n", "line 2: method '=A', expected a name"),
        ("rater,item,method,sc,pq\n", "no ratings"),
        ("", "no column 'rater'"),
        ('rater,item,method,sc,pq\nr,"i,A,1,1\n', "not readable as CSV"),
    ],
)
def test_a_wrong_table_is_named_with_line_value_and_remedy(
    tmp_path: Path, text: str, wanted: str, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    assert main(["ratings", "aggregate", "--scheme", "sc-pq", "--ratings", str(path)]) == 2
    message = capsys.readouterr().err
    assert wanted in message and str(path) in message


def test_other_encodings_are_read_or_named(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("\ufeff" + TABLE.replace("\n", "\r\n"), encoding="utf-8")
    assert len(answers.read_csv(path, SC_PQ).frame) == 8
    path.write_bytes(TABLE.replace("r1", "J\u00f6").encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8"):
        answers.read_csv(path, SC_PQ)


def test_comparisons_by_question(tmp_path: Path) -> None:
    """Two methods, 6 preferences to 2 and 4 ties: the model fits exactly, pi_A / pi_B = 3 and nu = 4 / sqrt(12)."""
    values = ["a"] * 6 + ["b"] * 2 + ["tie"] * 4
    text = "rater,item,method_a,method_b,subject,text,overall,swapped\n"
    text += "".join(f"r{i % 2},i{i // 2},A,B,{v},{'a' if i % 2 else 'b'},,{i % 2}\n" for i, v in enumerate(values))
    text += "r9,i9,A,B,,,a,0\nr9,i8,A,B,,,b,1\n"
    result = aggregate(ratings(tmp_path, text, PAIRWISE), bootstrap=50)
    a, b = result["methods"]["A"], result["methods"]["B"]
    assert a["subject"]["value"] == pytest.approx(math.log(3) / 2, abs=1e-5)
    assert a["subject"]["value"] == pytest.approx(-b["subject"]["value"])
    assert result["questions"]["subject"]["tie"]["value"] == pytest.approx(4 / math.sqrt(12), abs=1e-4)
    assert (a["subject"]["n_comparisons"], a["subject"]["n_wins"], a["subject"]["n_ties"]) == (12, 6, 4)
    assert result["questions"]["text"]["left_share"] == 0.0, "a where the sides were swapped, b where not"
    assert a["text"]["value"] == pytest.approx(0, abs=1e-6) and result["questions"]["text"]["tie"]["value"] == 0


def test_a_method_that_always_wins_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    text = "rater,item,method_a,method_b,subject,text,overall\nr,i,A,B,a,a,a\nr,j,A,B,a,b,a\n"
    given = ratings(tmp_path, text, PAIRWISE)
    with pytest.raises(ValueError, match=r"question subject: one side won every comparison .*--ridge"):
        aggregate(given, bootstrap=5)
    strengths = aggregate(given, bootstrap=5, ridge=0.1)["methods"]
    assert 0 < strengths["A"]["subject"]["value"] < 10


@pytest.mark.parametrize("name", SCHEMES)
def test_a_study_is_counted_without_its_checks_and_its_raw_table_counts_the_same(
    name: str, material: sources.Material, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Three raters: two attentive, one who gives the same answer to everything."""
    scheme = SCHEMES[name]
    study = prepare(material, scheme, tmp_path / "study", checks=2, seed=5).study
    assert main(["ratings", "aggregate", "--study", str(study.folder)]) == 2
    assert "nobody has rated yet" in capsys.readouterr().err
    store, key = Store(study.folder / DATABASE, study.id), load_key(study)
    for rater in ("ann", "bob", "lazy"):
        for n, (item, secret) in enumerate(key.items()):
            for question in scheme.questions:
                accepted = scheme.expected.get(secret.kind, {}).get(question.name)
                value = question.choices[(n + (rater == "bob")) % len(question.choices)].value
                if rater == "lazy":
                    # the answer that fails a check of this scheme
                    value = {"binary": "0", "sc-pq": "0", "pairwise": "b"}[name]
                elif accepted:
                    value = accepted[0]
                store.answer(rater, item, question.name, value, study.swapped(rater, item), f"{item}-{question.name}")
    store.close()
    command = ["ratings", "aggregate", "--bootstrap", "20", "--ridge", "0.5" if name == "pairwise" else "0"]
    raw, first, second = (str(tmp_path / file) for file in ("raw.csv", "1.json", "2.json"))
    assert main([*command, "--study", str(study.folder), "--raw", raw, "--out", first]) == 0
    assert main([*command, "--ratings", raw, "--scheme", name, "--out", second]) == 0
    result = json.loads(Path(first).read_text())
    assert result == json.loads(Path(second).read_text())
    assert result["excluded_raters"] == ["lazy"]
    rated = sum(secret.kind == "rated" for secret in key.values())
    assert (result["n_ratings"], result["n_items"]) == (2 * rated, rated)
    assert set(result["methods"]) == {"alpha", "beta"} and result["bootstrap"]["over"] == "subjects"
    assert main([*command, "--study", str(study.folder), "--scheme", "binary" if name != "binary" else "sc-pq"]) == 2


def test_a_raw_table_starts_no_formula(tmp_path: Path) -> None:
    text = 'rater,item,method,sc,pq,subject_id,prompt\nr,i,A,1,1,s,"=HYPERLINK(""x"")"\n'
    answers.write_csv(tmp_path / "raw.csv", ratings(tmp_path, text))
    assert "\"'=HYPERLINK" in (tmp_path / "raw.csv").read_text()
