"""Prompt-to-Prompt: words align, maps are replaced where they should be, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from suti.baselines.prompt_to_prompt import draw_pairs
from suti.diffusion.settings import Sampling
from suti.models.attention_control import AttentionControl, ControlledAttnProcessor, controlled_attention
from suti.models.base import BaseModel
from suti.models.drawing import draw
from suti.models.word_alignment import Alignment, align
from suti.seeds import torch_generator
from suti.small_models.vocabulary import build_tokenizer
from tests.tiny import tiny_base

SOURCE, TARGET = "a cat in the snow", "a red cat on the beach"


def test_replace_maps_every_word_to_the_one_in_its_place() -> None:
    found = align(build_tokenizer(), "a cat in the snow", "a dog on the snow")
    assert torch.equal(found.mapping, torch.eye(32))
    assert found.shared.all()


def test_refine_leaves_new_words_alone() -> None:
    found = align(build_tokenizer(), "a cat in the snow", "a red cat in the snow")
    # <bos> a cat in the snow <eos> at 0 to 6; in the target 'red' stands at 2 and what follows is one later.
    moves = {0: 0, 1: 1, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7}
    for old, new in moves.items():
        assert found.mapping[old, new] == 1
    assert found.shared[2] == 0
    assert found.mapping[:, 2].sum() == 0
    assert found.shared.sum() == 31
    # 25 pads in the source, 24 in the target: the n-th from the end goes to the n-th from the end.
    assert torch.equal(found.mapping[8:, 8:], torch.eye(24))
    assert found.mapping[7].sum() == 0


def test_a_replaced_word_of_several_tokens_spreads_evenly() -> None:
    """A tokenizer of letters: a word is as many tokens as letters, grouped by ``word_ids``."""

    class Letters:
        model_max_length = 10

        def __call__(self, text: str, **_: object) -> object:
            words = text.split()
            ids = [ord(c) for w in words for c in w]
            groups = [i for i, w in enumerate(words) for _ in w]
            pad = 10 - len(ids)

            class Encoded(dict):
                def word_ids(self, _: int) -> list[int | None]:
                    return [*groups, *[None] * pad]

            return Encoded(input_ids=[*ids, *[0] * pad], attention_mask=[1] * len(ids) + [0] * pad)

    found = align(Letters(), "a cow", "a goat")  # type: ignore[arg-type]
    assert found.mapping[0, 0] == 1
    torch.testing.assert_close(found.mapping[1:4, 1:5], torch.full((3, 4), 0.25))
    maps = torch.zeros(10)
    maps[1:4] = torch.tensor([0.2, 0.3, 0.1])
    torch.testing.assert_close((maps @ found.mapping)[1:5], torch.full((4,), 0.15))  # 0.6 over four tokens


def test_a_map_is_replaced_by_hand() -> None:
    """Row 1 takes column 0 from row 0 and keeps column 1; at another step nothing changes."""
    alignment = Alignment(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([1.0, 0.0]))
    control = AttentionControl([1], [0], [alignment], 0.1, 0.2, torch.device("cpu"))
    maps = torch.tensor([[[[0.9, 0.1]]], [[[0.4, 0.6]]]])
    assert control.edit(maps, 2) is maps
    control.at(0, 10)
    torch.testing.assert_close(control.edit(maps, 2), torch.tensor([[[[0.9, 0.1]]], [[[0.9, 0.6]]]]))
    control.at(1, 10)
    assert control.edit(maps, 2) is maps
    torch.testing.assert_close(control.edit(maps, 0)[1], maps[0])
    control.at(2, 10)
    assert control.edit(maps, 0) is maps


def test_rows_have_shares_of_their_own() -> None:
    alignment = Alignment(torch.eye(2), torch.ones(2))
    control = AttentionControl([1, 2], [0, 0], [alignment] * 2, [0.5, 1.0], 0.0, torch.device("cpu"))
    maps = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])[:, None, None]
    control.at(1, 2)
    torch.testing.assert_close(control.edit(maps, 2)[:, 0, 0], torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]]))


def test_a_processor_weighs_values_with_the_edited_maps() -> None:
    """One head, identity projections: the output is the map times the values, computed here by hand."""
    attention = Attention(query_dim=2, heads=1, dim_head=2, bias=False)
    with torch.no_grad():
        for layer in (attention.to_q, attention.to_k, attention.to_v, attention.to_out[0]):
            layer.weight.copy_(torch.eye(2))
            if layer.bias is not None:
                layer.bias.zero_()
    x = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    text = torch.tensor([[[2.0, 0.0], [0.0, 2.0]]]).repeat(2, 1, 1)
    control = AttentionControl([1], [0], [Alignment(torch.eye(2), torch.ones(2))], 1.0, 0.0, torch.device("cpu"))
    attention.set_processor(ControlledAttnProcessor(control, AttnProcessor2_0(), joint=False))
    weight = torch.softmax(torch.tensor([2.0, 0.0]) / 2**0.5, 0)
    by_itself, replaced = 2 * weight.flip(0), 2 * weight
    torch.testing.assert_close(attention(x, encoder_hidden_states=text)[1, 0], by_itself)
    control.at(0, 1)
    torch.testing.assert_close(attention(x, encoder_hidden_states=text)[1, 0], replaced)


def pairs(
    base: BaseModel, source: str, target: str, cross: float, self_: float, unconditional: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    generators = [tuple(torch_generator(0, "pair") for _ in range(2))]
    return draw_pairs(base, [source], [target], generators, Sampling(4, 3.0), cross, self_, unconditional)


@pytest.mark.parametrize("kind", ["pixel", "latent", "if"])
def test_ends_of_the_scale(kind: str) -> None:
    """Equal prompts: equal pictures. Shares of 0: what plain sampling draws. Shares above it: another target."""
    base = tiny_base(kind)
    before = dict(base.unet.attn_processors)
    source, target = pairs(base, SOURCE, SOURCE, 0.8, 0.4)
    np.testing.assert_array_equal(source, target)
    plain = draw(base, [SOURCE, TARGET], None, [torch_generator(0, "pair") for _ in range(2)], Sampling(4, 3.0))
    source, target = pairs(base, SOURCE, TARGET, 0.0, 0.0)
    assert abs(np.concatenate([source, target]).astype(int) - plain).max() <= 1
    same, edited = pairs(base, SOURCE, TARGET, 1.0, 1.0)
    np.testing.assert_array_equal(same, source)
    assert (edited != target).any()
    assert (pairs(base, SOURCE, TARGET, 1.0, 1.0, unconditional=True)[1] != edited).any()
    assert before == base.unet.attn_processors
    assert "get_attention_scores" not in vars(next(m for m in base.unet.modules() if isinstance(m, Attention)))


def test_processors_are_back_after_an_error() -> None:
    base = tiny_base()
    before = dict(base.unet.attn_processors)
    control = AttentionControl([1], [0], [align(base.tokenizer, SOURCE, TARGET)], 1.0, 1.0, torch.device("cpu"))
    with pytest.raises(KeyError), controlled_attention(base.unet, control):
        raise KeyError
    assert before == base.unet.attn_processors
