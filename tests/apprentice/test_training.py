"""Training the apprentice: data keyed by step, dropping, exact resume, equal in parts, NaN stops it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from suti.apprentice import Subject, Trainer, dropped, hold_out, make_batch, train_apprentice
from suti.apprentice.data import Batch
from suti.apprentice.stream import BatchesAhead
from suti.language.text import named_by_class
from tests.small_g import PICTURES, SETTINGS, SUBJECTS, killed_and_resumed, run, trainer

READ = PICTURES.__getitem__


def make(step: int, process: tuple[int, int] = (0, 1), settings=SETTINGS, size: int = 16) -> Batch:
    return make_batch(SUBJECTS, READ, READ, settings, size, 0, step, process)


def gradients(trainer: Trainer, batch: Batch) -> dict[str, torch.Tensor]:
    """Gradients of a step as the optimiser gets them."""
    found: dict[str, torch.Tensor] = {}
    names = {id(p): n for n, p in trainer.unet.named_parameters()}
    step = trainer.optimizer.step
    trainer.optimizer.step = lambda: found.update(
        {names[id(p)]: p.grad.clone() for group in trainer.optimizer.param_groups for p in group["params"]}
    )
    trainer.train_step(batch)
    trainer.optimizer.step = step
    return found


def test_batch_is_keyed_by_step_and_pairs_subjects_with_their_own():
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
    assert named_by_class(text, "teal vase", "vase") == want


def test_the_class_nouns_article_fits():
    assert named_by_class("an ostra purple fish", "ostra purple fish", "fish") == "a fish"
    assert named_by_class("a red apple", "red apple", "apple") == "an apple"


def test_demonstrations_and_prompts_are_named_alike():
    named = [
        Subject(s.subject_id, tuple((k, "a teal cat") for k, _ in s.demonstrations),
                tuple((k, "a teal cat in the snow") for k, _ in s.targets), "teal cat", "cat")
        for s in SUBJECTS
    ]  # fmt: skip

    def texts(share: float, step: int) -> tuple[list[str], list[str]]:
        settings = SETTINGS.model_copy(update={"class_noun_share": share, "drop_text": 0.0, "drop_both": 0.0})
        batch = make_batch(named, READ, READ, settings, 16, 0, step)
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


@pytest.mark.parametrize("parts", [2, 3])
def test_processes_and_micro_batches_share_a_step_out(parts):
    settings = SETTINGS.model_copy(update={"subjects_per_batch": 5})
    whole = make(3, settings=settings)
    for shares in ([make(3, (rank, parts), settings) for rank in range(parts)], whole.split(parts)):
        assert [s.first for s in shares] == np.cumsum([0, *(len(s.prompts) for s in shares[:-1])]).tolist()
        assert {s.total for s in shares} == {10}
        assert torch.equal(torch.cat([s.targets for s in shares]), whole.targets)
        assert torch.equal(torch.cat([s.demonstrations for s in shares]), whole.demonstrations)
        assert torch.equal(torch.cat([s.present for s in shares]), whole.present)
        assert [p for s in shares for p in s.prompts] == whole.prompts
        assert [t for s in shares for t in s.texts] == whole.texts


def test_dropping_follows_its_probabilities():
    settings = SETTINGS.model_copy(update={"drop_both": 0.1, "drop_text": 0.2, "drop_demonstrations": 0.3})
    draws = [dropped((i + 0.5) / 1000, settings) for i in range(1000)]
    count = {pair: draws.count(pair) for pair in set(draws)}
    assert count == {(True, True): 100, (True, False): 200, (False, True): 300, (False, False): 400}


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_timesteps_are_distributed_as_a_power_of_uniform_draws(power):
    """timestep = T u^power, so P(timestep < q T) = q^(1 / power): below 1 high noise is favoured."""
    now, seen = trainer(timestep_power=power), []
    now.unet.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    batch = make(0, settings=SETTINGS.model_copy(update={"subjects_per_batch": 60, "targets_per_subject": 4}))
    now.train_step(batch)
    total = now.base.scheduler.config.num_train_timesteps
    drawn = torch.cat(seen).double().sort().values / total
    assert len(drawn) == 240 and drawn.min() >= 0 and drawn.max() < 1
    want, below = drawn ** (1 / power), torch.arange(240) / 240
    assert (want - below).abs().max() < 0.1  # 1 draw of 100 is farther (Kolmogorov); the draws are keyed


def test_held_out_subjects_are_the_same_for_another_g():
    trained, kept = hold_out(SUBJECTS, 0.3, seed=0)
    assert len(kept) == 1 and sorted(s.subject_id for s in (*trained, *kept)) == list("abc")
    rest = next(s for s in SUBJECTS if s not in kept)
    assert hold_out([s for s in SUBJECTS if s != rest], 0.3, seed=0)[1] == kept
    assert hold_out(SUBJECTS, 0.0, seed=0) == (SUBJECTS, [])
    assert hold_out([], 0.3, seed=0) == ([], []) and hold_out(SUBJECTS[:1], 0.3, seed=0) == (SUBJECTS[:1], [])


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_the_order_of_the_steps(workers):
    done = [threading.Event() for _ in range(17)]

    def make(step: int) -> int:
        if workers > 1 and step % 3 == 0 and step + 1 < 17:
            assert done[step + 1].wait(60)  # the next one is ready before it
        done[step].set()
        return step

    assert list(BatchesAhead(make, 5, 17, workers)) == list(range(5, 17))


def test_few_batches_are_held_and_an_error_reaches_the_training():
    made = [threading.Event() for _ in range(100)]

    def make(step: int) -> int:
        made[step].set()
        if step == 6:
            raise KeyError("no such picture")
        return step

    stream = iter(BatchesAhead(make, 0, 100, 2))
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    assert made[5].wait(60)  # two workers hold four batches: those of steps 2 (just taken) to 5
    assert not any(event.is_set() for event in made[6:])
    with pytest.raises(KeyError, match="no such picture"):
        list(stream)


@pytest.mark.parametrize("changes", [{"loader_workers": 0}, {"loader_workers": 3}, {"checkpoint_every": 1}])
def test_how_it_computes_changes_no_weight(tmp_path, changes):
    same(run(tmp_path / "a"), run(tmp_path / "b", **changes))


def test_a_killed_run_ends_with_the_same_weights(tmp_path, monkeypatch):
    same(run(tmp_path / "a"), killed_and_resumed(tmp_path / "b", monkeypatch))


@pytest.mark.parametrize("kind", ["pixel", "latent", "if"])
@pytest.mark.parametrize("changes", [{"gradient_accumulation": 2}, {"gradient_checkpointing": True}])
def test_parts_and_checkpointing_give_the_same_gradients(kind, changes):
    common = {"initialization": "random", "subjects_per_batch": 3}
    plain = trainer(kind, **common)
    batch = make(0, settings=plain.settings, size=plain.base.image_size)
    want, got = gradients(plain, batch), gradients(trainer(kind, **common, **changes), batch)
    assert want.keys() == got.keys()
    for name, value in want.items():
        torch.testing.assert_close(got[name], value, rtol=1e-4, atol=1e-6 * max(1, value.abs().max()), msg=name)


def test_all_parameters_get_a_gradient():
    """Several processes wait for the gradient of every parameter."""
    for kind in ("pixel", "latent", "if"):
        now = trainer(kind)
        found = gradients(now, make(0, size=now.base.image_size))
        assert found.keys() == dict(now.unet.named_parameters()).keys()


def test_too_many_parts_are_refused():
    with pytest.raises(ValueError, match=r"apprentice\.subjects_per_batch: 2, expected at least 3"):
        trainer(gradient_accumulation=3)


def test_few_texts_are_kept():
    now, texts = trainer(), ["a cat", "a dog", "", "a cat", "a teapot"]
    want = now.encode(texts)
    again = trainer()
    again.text_bytes = 2 * want[[0]].nbytes
    for text in texts:
        again.encode([text])
        assert len(again._texts) <= 2
    found = again.encode(texts)
    assert found.tensors.keys() == want.tensors.keys() and len(again._texts) <= 4
    assert all(torch.equal(tensor, want.tensors[name]) for name, tensor in found.tensors.items())


def test_a_latent_base_encodes_each_picture_once(tmp_path, monkeypatch):
    now = trainer("latent", steps=6)
    encode, taken = now.base.vae.encode, []
    monkeypatch.setattr(now.base.vae, "encode", lambda x: taken.append(len(x)) or encode(x))
    train_apprentice(now, SUBJECTS, READ, READ, tmp_path / "kept")
    assert (
        now.keep_latents
        and set(taken) == {1}
        and len(taken) <= len({k for s in SUBJECTS for k, _ in s.targets + s.demonstrations})
    )


def test_kept_latents_are_those_of_the_step(tmp_path):
    kept, plain = trainer("latent", steps=1), trainer("latent", steps=1)
    kept.keep_latents = True
    batch = make(0, size=kept.base.image_size)
    for part in (batch, *batch.split(2)):
        for pictures, keys in ((part.targets, part.target_keys), (part.demonstrations, part.shown_keys)):
            assert len(keys) == len(pictures)
            torch.testing.assert_close(kept.clean(pictures, keys), plain.clean(pictures, keys), rtol=1e-4, atol=1e-5)
    assert not trainer("pixel").latents_fit(1) and not kept.latents_fit(2**30)


def test_it_learns_and_moves_both_kinds_of_layers(tmp_path):
    before = trainer()
    start = {n: p.clone() for n, p in before.unet.named_parameters()}
    after = train_apprentice(before, SUBJECTS, READ, READ, tmp_path / "c")
    moved = [n for n, p in after.named_parameters() if not torch.equal(p, start[n])]
    assert any(".processor.layer.to_out" in n for n in moved) and any(".processor.layer." not in n for n in moved)
    assert 0 <= before.waited < 1


def test_nan_stops_with_a_remedy(tmp_path):
    broken = trainer()
    with torch.no_grad():
        next(iter(broken.unet.parameters())).fill_(float("nan"))
    before = {n: p.clone() for n, p in broken.unet.state_dict().items()}
    with pytest.raises(FloatingPointError, match=r"step 0; lower apprentice\.learning_rate"):
        train_apprentice(broken, SUBJECTS, READ, READ, tmp_path / "d")
    assert not (tmp_path / "d").exists()
    for name, value in broken.unet.state_dict().items():
        assert torch.equal(value.nan_to_num(), before[name].nan_to_num()), name


def test_empty_g_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="G is empty"):
        train_apprentice(trainer(), [], READ, READ, tmp_path / "e")


def same(ours: torch.nn.Module, wanted: torch.nn.Module) -> None:
    for (name, a), b in zip(ours.state_dict().items(), wanted.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
