"""The filter: the mean pairwise similarity by hand, the edges of the band, and independence of the parts."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from suti.config.schema import Mining
from suti.io import tables
from suti.mining.clusters import cluster_id, mean_pairwise_similarity, mine, status_of
from suti.mining.report import judge, no_cluster_message, page_kinds, precision_recall, report

BAND = Mining(similarity=(0.82, 0.98), min_images=3, max_images=4)


def test_similarity_by_hand() -> None:
    # cosines of the pairs: (1,0)-(0,1) = 0, (1,0)-(1,1)/sqrt2 = .7071, (0,1)-(1,1)/sqrt2 = .7071
    rows = np.array([[2.0, 0], [0, 1], [3, 3]])
    assert mean_pairwise_similarity(rows) == pytest.approx(2 * 0.7071067811865476 / 3, abs=1e-12)
    assert mean_pairwise_similarity(np.array([[1.0, 0], [-1, 0]])) == pytest.approx(-1)
    assert mean_pairwise_similarity(np.ones((5, 3))) == 1.0
    assert np.isnan(mean_pairwise_similarity(np.ones((1, 3))))


def test_similarity_is_the_mean_over_all_pairs() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 16))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [unit[i] @ unit[j] for i, j in combinations(range(9), 2)]
    assert mean_pairwise_similarity(rows.astype(np.float32)) == pytest.approx(np.mean(pairs), abs=1e-6)


def test_embeddings_without_direction_are_an_error() -> None:
    for bad in (0.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"mining.encoder"):
            mean_pairwise_similarity(np.array([[1.0, 0], [bad, 0]]))


@pytest.mark.parametrize(
    ("images", "similarity", "status"),
    [
        (2, 0.9, "too_few"),
        (0, float("nan"), "too_few"),
        (3, 0.82, "kept"),
        (3, 0.98, "kept"),
        (3, np.nextafter(0.82, 0), "too_different"),
        (3, np.nextafter(0.98, 1), "too_similar"),
        (9, -0.2, "too_different"),
    ],
)
def test_band_keeps_its_edges(images: int, similarity: float, status: str) -> None:
    assert status_of(images, similarity, BAND) == status


def corpus(colours: dict[str, list[tuple[int, int, int]]]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    rows, pictures = [], {}
    for page, members in colours.items():
        for position, colour in enumerate(members):
            key = f"{page}-{position}"
            pictures[key] = np.full((8, 8, 3), colour, np.uint8)
            rows.append(
                {
                    "page_url": page,
                    "image_id": key,
                    "image_url": None,
                    "alt_text": None if position else page,
                    "position": position,
                    "sha256": "",
                    "width": 8,
                    "height": 8,
                    "status": "ok",
                    "detail": None,
                }
            )
    return pd.DataFrame(rows), pictures


COLOURS = {
    "subject": [(250, 20, 20), (250, 90, 20), (250, 20, 90), (200, 0, 0), (255, 60, 60)],
    "mixed": [(250, 20, 20), (20, 250, 20), (20, 20, 250)],
    "one shot": [(250, 20, 20), (250, 21, 20), (250, 20, 21)],
    "few": [(250, 20, 20), (250, 30, 20)],
    "single": [(250, 20, 20)],
}


def test_pages_get_their_reasons_and_kept_ones_their_members(encoder) -> None:
    pages, pictures = corpus(COLOURS)
    broken = pages.iloc[[0]].assign(page_url="broken", image_id="x", status="broken")
    pages = pd.concat([pages.sample(frac=1, random_state=0), broken])
    clusters, members = mine(pages, pictures.__getitem__, encoder, BAND)
    tables.to_arrow("clusters", clusters)
    tables.to_arrow("members", members)
    statuses = {row["page_url"]: row["status"] for row in clusters}
    assert statuses == {
        "subject": "kept",
        "mixed": "too_different",
        "one shot": "too_similar",
        "few": "too_few",
        "single": "too_few",
        "broken": "too_few",
    }
    assert [m["image_id"] for m in members] == [f"subject-{i}" for i in range(4)]
    assert [m["position"] for m in members] == [0, 1, 2, 3] and members[0]["alt_text"] == "subject"
    assert {m["cluster_id"] for m in members} == {cluster_id("subject")} and len(cluster_id("subject")) == 16
    known = {row["page_url"]: row["similarity"] for row in clusters}
    assert known["single"] is None and known["broken"] is None and known["few"] > 0.98


def test_a_page_is_embedded_by_itself_so_parts_change_nothing(encoder) -> None:
    pages, pictures = corpus({f"p{i}": COLOURS["subject"][: 3 + i % 3] for i in range(7)})
    whole = mine(pages, pictures.__getitem__, encoder, BAND)
    assert sorted(encoder.calls) == sorted(3 + i % 3 for i in range(7))
    parts = [mine(pages[pages["page_url"].isin(names)], pictures.__getitem__, encoder, BAND)
             for names in (["p0", "p5"], ["p1"], ["p2", "p3", "p4", "p6"])]  # fmt: skip
    for i in range(2):
        together = sorted(
            (row for part in parts for row in part[i]), key=lambda r: (r["cluster_id"], r.get("position"))
        )
        assert together == whole[i]


def test_empty_part_is_legal(encoder) -> None:
    empty = tables.schema("pages").empty_table().to_pandas()
    assert mine(empty, {}.__getitem__, encoder, BAND) == ([], [])


def test_precision_and_recall_by_hand() -> None:
    cells = precision_recall(np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0]))
    assert cells == {
        "precision": 2 / 3,
        "recall": 2 / 3,
        "true_positive": 2,
        "false_positive": 1,
        "false_negative": 1,
        "true_negative": 1,
    }
    assert precision_recall(np.array([0]), np.array([0]))["precision"] is None


def test_report_counts_and_judges_by_kind(encoder) -> None:
    pages, pictures = corpus(COLOURS)
    clusters = pd.DataFrame(mine(pages, pictures.__getitem__, encoder, BAND)[0])
    truth = pd.DataFrame({"page_url": list(COLOURS), "kind": ["single", "mixed", "near", "few", "few"],
                          "keep": [True, False, True, False, False]})  # fmt: skip
    summary = report(clusters, pages["status"], BAND.similarity, truth)
    assert summary["outcomes"] == {"kept": 1, "too_few": 2, "too_different": 1, "too_similar": 1}
    assert summary["truth"]["precision"] == 1.0 and summary["truth"]["recall"] == 0.5
    assert summary["truth"]["by_kind"]["few"]["outcomes"]["too_few"] == 2
    assert summary["truth"]["by_kind"]["near"] == {
        "pages": 1, "should_be_kept": True, "right": 0.0,
        "outcomes": {"kept": 0, "too_few": 0, "too_different": 0, "too_similar": 1},
    }  # fmt: skip
    assert set(page_kinds(clusters, truth)) == {"single", "mixed", "near", "few"}
    with pytest.raises(ValueError, match=r"lack 1 pages of the truth, e.g. nowhere"):
        judge(
            clusters,
            pd.concat([truth, pd.DataFrame({"page_url": ["nowhere"], "kind": ["x"], "keep": [True]})]),
        )


def test_without_a_truth_the_sources_are_counted() -> None:
    clusters = pd.DataFrame(
        {
            "cluster_id": ["a", "b", "c"],
            "page_url": ["folder:dog", "https://b/1", "https://b/2"],
            "images": [5, 4, 1],
            "similarity": [0.9, 0.5, None],
            "status": ["kept", "too_different", "too_few"],
        }
    )
    sources = report(clusters, pd.Series(["ok"]), (0.82, 0.98), None)["sources"]
    assert sources["folder"]["outcomes"]["kept"] == 1 and sources["https"]["pages"] == 2


def test_nothing_kept_is_an_error_with_counts_and_remedy() -> None:
    clusters = pd.DataFrame(
        {
            "cluster_id": list("abc"),
            "page_url": list("abc"),
            "images": [5, 4, 1],
            "similarity": [0.5, 0.6, None],
            "status": ["too_different", "too_different", "too_few"],
        }
    )
    with pytest.raises(ValueError) as caught:
        report(clusters, pd.Series(["ok", "broken"]), (0.82, 0.98), None)
    for words in ("no cluster was kept of 3 pages", "2 too_different", "1 broken", "0.500 to 0.600",
                  "lower the first number of mining.similarity"):  # fmt: skip
        assert words in str(caught.value)
    assert "check pages.path" in no_cluster_message(clusters.iloc[:0], None, None)


def test_a_page_in_the_files_of_two_parts_is_an_error() -> None:
    """Its subject would be two subjects of one id: the apprentice would see the wrong pictures."""
    rows = [
        {"cluster_id": name, "page_url": f"https://x.org/{name}", "status": "kept", "images": 3, "similarity": 0.9}
        for name in ("a", "b", "c")
    ]
    statuses = pd.Series(["ok"] * 9)
    assert report(pd.DataFrame(rows), statuses, (0.8, 0.98), None)["pages"] == 3
    with pytest.raises(ValueError, match=r"1 pages lie in .* parts, e\.g\. 'https://x\.org/b'.*\{part\}"):
        report(pd.DataFrame([*rows, rows[1]]), statuses, (0.8, 0.98), None)
