"""Unseen prompts and the two stages: counts, uniqueness, determinism, independence of parts."""

from __future__ import annotations

import collections

import pandas as pd
import pytest

from suti.config.schema import Compute, Language
from suti.io import tables
from suti.language import lexicon as lexicons
from suti.language.prompting import write_prompts
from suti.language.refine import refine_subjects
from suti.language.schema import Description, Evidence, add_logs
from suti.language.text import unseen_form
from suti.language.unseen import draw_skills, unseen_prompts
from suti.language.writers import GrammarWriter, make_writer

LEXICON = lexicons.load()
NOUNS = ("teapot", "cat", "sunglasses", "old boot", "clock", "vase")
LANGUAGE = Language()


def captions_table(count: int = 6) -> pd.DataFrame:
    rows = []
    scenes = ("in the snow", "on the beach", "wearing a red hat in the jungle")
    for number in range(count):
        noun = NOUNS[number % len(NOUNS)]
        for place, scene in enumerate(scenes):
            rows.append(
                {
                    "cluster_id": f"c{number:02d}",
                    "image_id": f"c{number:02d}-{place}",
                    "alt_text": None if place == 1 else f"buy {noun} 12m",
                    "caption": f"a red {noun} {scene}",
                }
            )
    return pd.DataFrame(rows)


def run(captions: pd.DataFrame, seed: int = 0, language: Language = LANGUAGE):
    writer = GrammarWriter(seed, LEXICON)
    subjects, texts, log = refine_subjects(captions, writer)
    prompts, prompt_log = write_prompts(subjects, captions, texts, writer, seed, language)
    return subjects, texts, prompts, log, prompt_log


def test_tables_fit_their_schemas_and_counts(tmp_path) -> None:
    captions = captions_table()
    subjects, texts, prompts, log, prompt_log = run(captions)
    for name, table in (("subjects", subjects), ("texts", texts), ("prompts", prompts)):
        tables.write(tmp_path / f"{name}.parquet", name, table)
    assert list(texts["image_id"]) == list(captions["image_id"])
    assert (prompts.groupby("subject_id").size() == LANGUAGE.prompts_per_subject).all()
    assert not prompts["prompt_id"].duplicated().any()
    assert log.requests == prompt_log.requests == 0 and not prompt_log.shortfalls
    total = add_logs([log.as_json(), log.as_json()])
    assert total["subjects"] == 2 * len(subjects) and total["usable_share"] is None


@pytest.mark.parametrize("count", [1, 8, 60])
def test_prompts_are_unseen_and_different(count: int) -> None:
    captions = captions_table()
    language = Language(prompts_per_subject=count)
    _, texts, prompts, _, log = run(captions, language=language)
    assert not log.shortfalls and len(prompts) == 6 * count
    for subject, rows in prompts.groupby("subject_id"):
        forms = [unseen_form(p) for p in rows["prompt"]]
        own = captions[captions["cluster_id"] == subject]
        known = {unseen_form(t) for t in (*own["caption"], *own["alt_text"].dropna())}
        known |= {unseen_form(t) for t in texts.loc[texts["subject_id"] == subject, "text"]}
        assert len(set(forms)) == count and not known & set(forms)


def test_contexts_of_the_cluster_come_last() -> None:
    _, _, prompts, _, _ = run(captions_table(1))
    assert not prompts["prompt"].str.contains("in the snow|on the beach|in the jungle|a red hat").any()


def test_rows_depend_on_seed_and_cluster_alone() -> None:
    captions = captions_table()
    whole = run(captions)
    again = run(captions.iloc[::-1].sort_values("image_id", kind="stable"))
    for first, second in zip(whole[:3], again[:3], strict=True):
        pd.testing.assert_frame_equal(first, second)
    odd = captions["cluster_id"].isin(["c01", "c03", "c05"])
    halves = [run(captions[odd]), run(captions[~odd])]
    for index in range(3):
        joined = pd.concat([half[index] for half in halves]).sort_values("subject_id", kind="stable")
        pd.testing.assert_frame_equal(whole[index], joined.reset_index(drop=True))
    assert list(run(captions, seed=1)[2]["prompt"]) != list(whole[2]["prompt"])


def test_skills_follow_the_shares() -> None:
    shares = Language().skills
    assert collections.Counter(draw_skills(shares, 100, 0, "a")) == {s: round(100 * v) for s, v in shares.items()}
    eight = [collections.Counter(draw_skills(shares, 8, 0, str(i))) for i in range(200)]
    for skill, share in shares.items():
        assert all(abs(c[skill] - 8 * share) < 1 for c in eight)
        assert abs(sum(c[skill] for c in eight) / 1600 - share) < 0.02
    with pytest.raises(ValueError, match=r"language\.skills"):
        draw_skills({"art_style": 0.0}, 4, 0)


def test_an_edited_colour_replaces_the_old_one() -> None:
    subject = Description("blue striped teapot", "teapot")
    found, missing = unseen_prompts(subject, Evidence("s", (), (), ()), [], ["attribute_editing"] * 24, LEXICON, 0, "s")
    texts = [p.prompt for p in found]
    assert not missing
    assert any(t.startswith("a red striped teapot") for t in texts)
    assert not any("blue" in t.split("teapot")[0] and "red" in t.split("teapot")[0].split() for t in texts)
    assert not any(t.startswith("a blue teapot") for t in texts)  # it is blue already


def test_phrases_that_run_out_are_counted() -> None:
    small = LEXICON.model_copy(update={"prompts": {s: p[:1] for s, p in LEXICON.prompts.items()}})
    captions = captions_table(1)
    writer = GrammarWriter(0, small)
    subjects, texts, _ = refine_subjects(captions, writer)
    language = Language(prompts_per_subject=40)
    prompts, log = write_prompts(subjects, captions, texts, writer, 0, language)
    assert len(prompts) + sum(log.shortfalls.values()) == 40
    assert all(reason.startswith("no_phrase_left:") for reason in log.shortfalls)


def test_default_phrases_are_dreambenchs_in_the_worlds_words() -> None:
    vocabulary = pytest.importorskip("suti.world.vocabulary")
    assert LEXICON.prompts["recontextualization"] == tuple(vocabulary.BACKGROUNDS.values())
    assert LEXICON.prompts["accessorization"] == tuple(vocabulary.ACCESSORIES.values())
    assert LEXICON.prompts["art_style"] == tuple(vocabulary.STYLES.values())
    edits = (*vocabulary.COLOURS, *vocabulary.EFFECT_WORDS.values())
    assert LEXICON.prompts["attribute_editing"] == edits


def test_captions_of_another_part_are_an_error() -> None:
    captions = captions_table(2)
    writer = make_writer(0, LANGUAGE, Compute())
    subjects, texts, _ = refine_subjects(captions, writer)
    with pytest.raises(ValueError, match="same part"):
        write_prompts(subjects, captions[captions["cluster_id"] == "c00"], texts, writer, 0, LANGUAGE)


def test_a_table_without_rows() -> None:
    subjects, texts, prompts, _, _ = run(captions_table(1).iloc[:0])
    assert len(subjects) == len(texts) == len(prompts) == 0
    for name, table in (("subjects", subjects), ("texts", texts), ("prompts", prompts)):
        tables.to_arrow(name, table)


def test_texts_may_name_the_subject_alone() -> None:
    captions = captions_table(2)
    writer = GrammarWriter(0, LEXICON)
    with_scene, alone = (refine_subjects(captions, writer, scene)[1] for scene in (True, False))
    names = refine_subjects(captions, writer)[0].set_index("subject_id")["description"]
    assert not (with_scene["text"] == alone["text"]).any()
    for row in alone.itertuples():
        assert row.text.split(" ", 1)[1] == names[row.subject_id]


def test_a_composition_asks_for_two_or_three_things_and_no_style() -> None:
    captions = captions_table()
    language = Language(prompts_per_subject=30, skills={"compositional": 1.0})
    prompts = run(captions, language=language)[2]
    assert (prompts["skill"] == "compositional").all() and not prompts["prompt"].duplicated().any()
    asked = collections.Counter()
    for row in prompts.itertuples():
        place = [p for p in LEXICON.prompts["recontextualization"] if row.prompt.endswith(p)]
        worn = [p for p in LEXICON.prompts["accessorization"] if f" {p} " in f"{row.prompt} "]
        edits = [p for p in LEXICON.prompts["attribute_editing"] if f" {p} " in f" {row.prompt} "]
        assert len(place) >= 1 and len(worn) <= 1 and not any(p in row.prompt for p in LEXICON.prompts["art_style"])
        asked[len(worn) + bool(set(edits) - {"red"})] += 1
    assert asked[0] == 0 and min(asked[1], asked[2]) > 0.25 * len(prompts)


def test_the_clusters_own_places_are_no_new_ones() -> None:
    captions = captions_table()
    language = Language(prompts_per_subject=30, skills={"compositional": 1.0})
    prompts = run(captions, language=language)[2]
    for subject_id, rows in prompts.groupby("subject_id"):
        own = captions[captions["cluster_id"] == subject_id]["caption"]
        seen = {p for p in LEXICON.prompts["recontextualization"] if own.str.endswith(p).any()}
        assert not [text for text in rows["prompt"] if any(text.endswith(p) for p in seen)]
