"""Training the apprentice: data keyed by step, dropping, exact resume, NaN stops it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from suti.apprentice import Subject, Trainer, by_class, dropped, make_batch, new_apprentice, train_apprentice
from suti.config.schema import Apprentice, Compute
from tests.tiny import tiny_base

SETTINGS = Apprentice(steps=4, subjects_per_batch=2, targets_per_subject=2, demonstrations=2,
                      warmup_steps=1, checkpoint_every=2, ema_decay=0.9)  # fmt: skip
FP32 = Compute(precision="fp32", device="cpu")


PICTURES = {f"{s}{kind}{i}": None for s in "abc" for kind in "dt" for i in range(4)}
PICTURES = {k: np.full((16, 16, 3), 10 * i, np.uint8) for i, k in enumerate(PICTURES)}
SUBJECTS = [
    Subject(
        s, tuple((f"{s}d{i}", "a cat") for i in range(3)), tuple((f"{s}t{i}", "a cat in the snow") for i in range(n))
    )
    for s, n in (("a", 4), ("b", 1), ("c", 2))
]


def trainer(**changes) -> Trainer:
    base = tiny_base()
    settings = SETTINGS.model_copy(update=changes)
    return Trainer(new_apprentice(base, settings, 0), base, settings, FP32, 0)


def run(checkpoint, **changes):
    return train_apprentice(trainer(**changes), SUBJECTS, PICTURES.__getitem__, PICTURES.__getitem__, checkpoint)


def test_batch_is_keyed_by_step_and_pairs_subjects_with_their_own():
    make = lambda step: make_batch(  # noqa: E731
        SUBJECTS, PICTURES.__getitem__, PICTURES.__getitem__, SETTINGS, 16, 0, step
    )
    one, again, other = make(5), make(5), make(6)
    assert torch.equal(one.targets, again.targets) and one.prompts == again.prompts
    assert not torch.equal(one.targets, other.targets) or not torch.equal(one.demonstrations, other.demonstrations)
    assert one.targets.shape == (4, 3, 16, 16) and one.demonstrations.shape == (4, 3, 16, 16)
    value = lambda x: round(float((x[0, 0, 0] + 1) * 127.5) / 10)  # noqa: E731
    keys = list(PICTURES)
    for row in range(4):
        subject = keys[value(one.targets[row])][0]
        shown = {keys[value(d)] for d in one.demonstrations[row // 2 * 2 : row // 2 * 2 + 2]}
        assert {k[0] for k in shown} == {subject} and len(shown) == 2


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a teal vase in the snow", "a vase in the snow"),
        ("a pencil sketch of a Teal Vase", "a pencil sketch of a vase"),
        ("the teal vase", "the vase"),
        ("a shiny teal vase", "a shiny vase"),
        ("a red vase on the beach", "a red vase on the beach"),  # another colour is asked for
        ("two steal vases", "two steal vases"),
    ],
)
def test_texts_by_the_class_noun_alone(text, want):
    assert by_class(text, Subject("s", (), (), "teal vase", "vase")) == want


def test_the_class_nouns_article_fits():
    assert by_class("an ostra purple fish", Subject("s", (), (), "ostra purple fish", "fish")) == "a fish"
    assert by_class("a red apple", Subject("s", (), (), "red apple", "apple")) == "an apple"


def test_demonstrations_and_prompts_are_named_alike():
    named = [
        Subject(s.subject_id, tuple((k, "a teal cat") for k, _ in s.demonstrations),
                tuple((k, "a teal cat in the snow") for k, _ in s.targets), "teal cat", "cat")
        for s in SUBJECTS
    ]  # fmt: skip

    def texts(share: float, step: int) -> tuple[list[str], list[str]]:
        settings = SETTINGS.model_copy(update={"class_noun_share": share, "drop_text": 0.0, "drop_both": 0.0})
        batch = make_batch(named, PICTURES.__getitem__, PICTURES.__getitem__, settings, 16, 0, step)
        return batch.texts, batch.prompts

    assert texts(1.0, 0) == (["a cat"] * 4, ["a cat in the snow"] * 4)
    assert texts(0.0, 0) == (["a teal cat"] * 4, ["a teal cat in the snow"] * 4)
    seen = set()
    for step in range(20):
        shown, prompts = texts(0.5, step)
        for subject in range(2):  # two demonstrations and two targets each
            together = {"teal" in text for text in (*shown[2 * subject :][:2], *prompts[2 * subject :][:2])}
            assert len(together) == 1
            seen |= together
    assert seen == {True, False}


def test_dropping_follows_its_probabilities():
    settings = SETTINGS.model_copy(update={"drop_both": 0.1, "drop_text": 0.2, "drop_demonstrations": 0.3})
    draws = [dropped((i + 0.5) / 1000, settings) for i in range(1000)]
    count = {pair: draws.count(pair) for pair in set(draws)}
    assert count == {(True, True): 100, (True, False): 200, (False, True): 300, (False, False): 400}


def test_a_killed_run_ends_with_the_same_weights(tmp_path):
    whole = run(tmp_path / "a.pt")
    killed = trainer()
    calls = iter(range(10))

    def dies(key):
        if next(calls) > 8:  # within the third step, after the checkpoint of the second
            raise KeyboardInterrupt
        return PICTURES[key]

    with pytest.raises(KeyboardInterrupt):
        train_apprentice(killed, SUBJECTS, dies, PICTURES.__getitem__, tmp_path / "b.pt")
    assert (tmp_path / "b.pt").exists()
    resumed = run(tmp_path / "b.pt")
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_it_learns_and_moves_both_kinds_of_layers(tmp_path):
    before = trainer()
    start = {n: p.clone() for n, p in before.unet.named_parameters()}
    after = train_apprentice(before, SUBJECTS, PICTURES.__getitem__, PICTURES.__getitem__, tmp_path / "c.pt")
    moved = [n for n, p in after.named_parameters() if not torch.equal(p, start[n])]
    assert any(".processor.layer.to_out" in n for n in moved) and any(".processor.layer." not in n for n in moved)


def test_nan_stops_with_a_remedy(tmp_path):
    broken = trainer()
    with torch.no_grad():
        next(iter(broken.unet.parameters())).fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"step 0; lower apprentice\.learning_rate"):
        train_apprentice(broken, SUBJECTS, PICTURES.__getitem__, PICTURES.__getitem__, tmp_path / "d.pt")
    assert not (tmp_path / "d.pt").exists()


def test_empty_g_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="G is empty"):
        train_apprentice(trainer(), [], PICTURES.__getitem__, PICTURES.__getitem__, tmp_path / "e.pt")
