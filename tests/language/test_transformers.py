"""The transformers backend on a random Llama of a few thousand parameters."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from suti.config.schema import Compute, Language
from suti.language.backends.base import BackendError, Unusable
from suti.language.backends.transformers import TransformersBackend, opening_of
from suti.language.prompting import write_prompts
from suti.language.refine import refine_subjects
from suti.language.schema import PromptsAnswer, SubjectAnswer
from suti.language.writers import make_writer

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer with a chat template, and an untrained model."""
    path = tmp_path_factory.mktemp("llama")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate([*alphabet, "<eos>"])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(path)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(
        vocab_size=len(fast),
        max_position_embeddings=8192,
        eos_token_id=fast.eos_token_id,
        bos_token_id=None,
        **size,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    return path


def language(folder: Path, **settings: object) -> Language:
    base = {"backend": "transformers", "model": str(folder), "max_new_tokens": 8, "max_retries": 1}
    return Language(**{**base, **settings})


def test_openings() -> None:
    assert opening_of(SubjectAnswer.model_json_schema()) == '{"description": "'
    assert opening_of(PromptsAnswer.model_json_schema()) == '{"prompts": ["'
    assert opening_of({}) == "{"


def test_answers_follow_the_key_and_never_the_neighbours(folder: Path) -> None:
    schema = PromptsAnswer.model_json_schema()
    question = [{"role": "system", "content": "Write."}, {"role": "user", "content": "A cat."}]
    other = [{"role": "system", "content": "Write."}, {"role": "user", "content": "A dog on a boat."}]

    def answer(model: TransformersBackend, messages: list[dict[str, str]], key: tuple[object, ...]) -> str:
        try:
            return str(model.complete(messages, schema, key))  # type: ignore[arg-type]
        except Unusable as error:
            return error.answer

    sampled = language(folder, temperature=1.0, max_new_tokens=24)
    first = TransformersBackend(sampled, Compute())
    torch.manual_seed(5)
    alone = answer(first, question, (0, "a", 0))
    answer(first, other, (0, "b", 0))
    again = answer(first, question, (0, "a", 0))
    fresh = TransformersBackend(sampled, Compute())
    answer(fresh, other, (0, "b", 0))
    assert alone == again == answer(fresh, question, (0, "a", 0)) != answer(fresh, question, (0, "a", 1))
    greedy = TransformersBackend(language(folder, temperature=0.0), Compute())
    assert answer(greedy, question, (0,)) == answer(greedy, question, (1,))


def test_gibberish_falls_back_and_every_fallback_is_counted(folder: Path) -> None:
    chosen = language(folder, prompts_per_subject=4)
    captions = pd.DataFrame(
        {
            "cluster_id": ["c"] * 3,
            "image_id": ["0", "1", "2"],
            "alt_text": [None, "my cat", "cat <b>x</b>"],
            "caption": ["a black cat on a bed", "a black cat", "a cat"],
        }
    )
    writer = make_writer(0, chosen, Compute())
    subjects, texts, log = refine_subjects(captions, writer)
    prompts, prompt_log = write_prompts(subjects, captions, texts, writer, 0, chosen)
    assert list(subjects["description"]) == ["black cat"] and subjects["fallback"].all()
    assert list(subjects["backend"]) == ["transformers"]
    assert len(prompts) == 4 and prompts["fallback"].all()
    assert log.requests == 1 == sum(log.fallbacks.values()) and sum(log.rejected.values()) == 2
    assert prompt_log.requests == sum(prompt_log.fallbacks.values()) == prompts["skill"].nunique()


def test_a_question_longer_than_the_context_is_counted_not_fatal(folder: Path) -> None:
    model = TransformersBackend(language(folder, max_new_tokens=8192), Compute())
    with pytest.raises(Unusable, match="too_long"):
        model.complete([{"role": "user", "content": "?"}], {})


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"language\.model.*cannot be loaded"):
        TransformersBackend(language(tmp_path), Compute())
