"""True pictures of the experts' prompts: whose page a cluster is, which prompts have one, and how it is judged."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from suti.benchmark.page_subjects import asked_of, page_subjects, real_pictures, true_pictures
from suti.benchmark.world import target
from suti.mining.clusters import cluster_id
from suti.world.pages import make_page, subject_from_json


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    pages = [make_page(0, kind, number, size=32)[1] for kind, number in (("single", 0), ("single", 1), ("mixed", 0))]
    return pd.DataFrame([asdict(page) for page in pages])


def sample(truth: pd.DataFrame, page: int, prompt: str, number: int = 0) -> dict:
    key = cluster_id(truth["page_url"][page])
    return {"sample_id": f"{key}_{prompt}_{number}", "subject_id": key, "prompt_id": prompt, "prompt": prompt}


def named(truth: pd.DataFrame) -> pd.DataFrame:
    names = [subject_from_json(text).class_name if isinstance(text, str) else "teapot" for text in truth["subject"]]
    keys = [cluster_id(url) for url in truth["page_url"]]
    return pd.DataFrame({"subject_id": keys, "class_name": names, "description": [f"blue {name}" for name in names]})


def test_a_page_with_one_subject_is_known_by_its_cluster(truth):
    pages = page_subjects(truth)
    assert list(pages) == [cluster_id(url) for url in truth["page_url"][:2]]
    for number, (key, subject) in enumerate(pages.items()):
        assert replace(subject, subject_id="") == replace(subject_from_json(truth["subject"][number]), subject_id="")
        assert subject.subject_id == key


def test_prompts_with_a_true_picture_name_the_class(truth):
    noun = named(truth)["class_name"][0]
    wrong = "teapot" if noun != "teapot" else "dog"
    asked = [f"a blue {noun} in the snow", f"a red {noun}", f"a {wrong} in the snow", f"a {noun} made of dreams"]
    rows = [sample(truth, 0, prompt) for prompt in asked] + [sample(truth, 2, "a teapot in the snow")]
    rows.insert(1, sample(truth, 0, asked[0], 1))
    found = asked_of(pd.DataFrame(rows), named(truth), page_subjects(truth))
    article = "an" if noun[0] in "aeiou" else "a"
    assert found["prompt"].tolist() == [f"{article} {noun} in the snow"] * 2 + [f"a red {noun}"]
    assert found["image_index"].tolist() == [0, 1, 0] and found.index.tolist() == [0, 1, 2]


def test_true_pictures_and_what_they_are_judged_by(truth):
    pages, noun = page_subjects(truth), named(truth)["class_name"][0]
    rows = [sample(truth, 0, f"a {noun} in the snow"), sample(truth, 0, f"a red {noun}"),
            sample(truth, 0, f"a red {noun}", 1)]  # fmt: skip
    asked = asked_of(pd.DataFrame(rows), named(truth), pages)
    pictures = true_pictures(asked, pages, 0, 32)
    subject = pages[rows[0]["subject_id"]]
    assert [p.shape for p in pictures] == [(32, 32, 3)] * 3 and (pictures[1] != pictures[2]).any()
    assert (pictures[2] == target(subject, f"a red {noun}", "experts-0", index=1, size=32)).all()
    references, appearances = real_pictures(asked, pages, 0)
    plain, red = references[subject.subject_id], appearances[f"{subject.subject_id}__a red {noun}"]
    assert list(appearances) == [f"{subject.subject_id}__a red {noun}"] and len(plain) == len(red) > 2
    assert np.abs(plain[0].astype(int) - red[0].astype(int)).max() > 30
