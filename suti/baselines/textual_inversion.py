"""Textual Inversion (arXiv 2208.01618): only the embedding of a new word is trained; every model stays as it is."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from suti.baselines.method import Method
from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.diffusion.settings import Sampling
from suti.experts.fine_tuning import training_set
from suti.generation.draw import (
    BenchmarkSubject,
    Drawn,
    clocks,
    draw_subject,
    kept_bytes,
    prepared,
)
from suti.models.base import BaseModel
from suti.seeds import Key, torch_generator

# Neutral contexts of the new word, in the manner of the paper's appendix.
TEMPLATES = (
    "a photo of a {}", "a picture of a {}", "a photo of the {}", "a picture of the {}", "a close-up photo of a {}",
    "a photograph of a {}", "a bright photo of the {}", "a photo of one {}", "a good photo of a {}", "a photo of my {}",
)  # fmt: skip


@dataclass(frozen=True)
class TextualInversion:
    """How a subject's word is trained.

    Attributes:
        steps: AdamW steps.
        vectors: embeddings that the new word consists of.
    """

    steps: int
    batch_size: int
    learning_rate: float
    vectors: int


class NewWord:
    """A word that a tokenizer and a text encoder learn for a while, without being changed.

    Attributes:
        word: its spelling in prompts: one token a vector.
        tokenizer: a copy of the tokenizer that knows the word.
        vectors: ``(n, D)`` embeddings.
    """

    def __init__(
        self, text_encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, vectors: int, initial_text: str
    ) -> None:
        """``vectors`` tokens, each with the mean of the embeddings of ``initial_text``'s tokens."""
        words = text_encoder.get_input_embeddings()
        if not isinstance(words, torch.nn.Embedding):
            raise TypeError(f"text encoder: its words are looked up in a {type(words).__name__}, expected an Embedding")
        table = words.weight
        # `shared` of a T5 is tied to the embedding that its encoder looks words up in; both are found by their weight.
        self._layers = [m for m in text_encoder.modules() if isinstance(m, torch.nn.Embedding) and m.weight is table]
        known = tokenizer(initial_text, add_special_tokens=False).input_ids
        unknown = tokenizer.unk_token_id
        known = [i for i in known if i != unknown or tokenizer.eos_token_id == unknown] or known
        self.vectors = table[known].detach().mean(0, keepdim=True).repeat(vectors, 1).clone()
        self._first, names = len(tokenizer), [f"<subject-{i}>" for i in range(vectors)]
        self.tokenizer = copy.deepcopy(tokenizer)
        if self.tokenizer.add_tokens(names) != vectors:
            raise ValueError(f"Textual Inversion: the tokenizer knows {', '.join(names)} already; rename its tokens")
        self.word = " ".join(names)

    @contextmanager
    def known(self) -> Iterator[None]:
        """Inside, the text encoder embeds the word's tokens as ``vectors``, with gradients."""

        def look_up(layer: torch.nn.Embedding, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            self._ids = arguments[0]
            return (arguments[0].masked_fill(arguments[0] >= self._first, 0), *arguments[1:])

        def put_in(layer: torch.nn.Embedding, arguments: tuple[torch.Tensor, ...], found: torch.Tensor) -> torch.Tensor:
            new = self._ids >= self._first
            rows = self.vectors.to(found.dtype)[(self._ids - self._first).clamp(0)]
            return torch.where(new[..., None], rows, found)

        handles = [layer.register_forward_pre_hook(look_up) for layer in self._layers]
        handles += [layer.register_forward_hook(put_in) for layer in self._layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def with_word(prompt: str, class_name: str, word: str) -> str:
    """The prompt with the new word in the class word's place; before all else if the class word is not there."""
    pattern = re.compile(rf"\b{re.escape(class_name)}\b", re.IGNORECASE)
    changed, count = pattern.subn(lambda _: word, prompt, count=1)
    return changed if count else f"{word} {prompt}"


def train_word(
    base: BaseModel, subject: BenchmarkSubject, settings: TextualInversion, compute: Compute, key: tuple[Key, ...]
) -> NewWord:
    """The subject's word: Eq. 2 of the paper, the base's loss minimised over the embedding alone.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    new = NewWord(base.text_encoder, base.tokenizer, settings.vectors, subject.class_name)
    pictures = [picture for picture, _ in subject.demonstrations]
    x_start = training_set(base, pictures, [""] * len(pictures)).x_start
    new.vectors.requires_grad_(True)
    optimizer = torch.optim.AdamW([new.vectors], lr=settings.learning_rate)
    rng, taught = torch_generator(*key), replace(base, tokenizer=new.tokenizer)
    for step in range(settings.steps):
        pick = torch.randint(len(x_start), (settings.batch_size,), generator=rng)
        texts = [TEMPLATES[i].format(new.word) for i in torch.randint(len(TEMPLATES), (len(pick),), generator=rng)]
        noise = torch.randn(x_start[pick].shape, generator=rng).to(base.device)
        timesteps = base.schedule.random_times(len(pick), rng).to(base.device)
        with autocast(compute, base.device):
            with new.known():
                conditions = taught.encode_with_gradients(texts).to(base.dtype)
            loss = denoising_loss(
                partial(base.predict, conditions=conditions), base.schedule, x_start[pick], noise, timesteps
            ).mean()  # fmt: skip
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"Textual Inversion of {subject.subject_id}: loss {loss.item()} at step {step}; lower "
                f"baselines.textual_inversion.learning_rate ({settings.learning_rate})"
            )
        optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - step / settings.steps)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    new.vectors = new.vectors.detach()
    return new


def draw_textual_inversion(
    base: BaseModel, subject: BenchmarkSubject, settings: TextualInversion, sampling: Sampling, compute: Compute,
    seed: int,
) -> Drawn:  # fmt: skip
    """Train the subject's word and draw with it in the class word's place.

    Our choices: the word starts as the class word (the mean of its tokens), which the paper leaves to the user; the
    prompt then lacks the class word, as in the paper; the rate falls linearly to 0, for few steps at a high rate end in
    noise otherwise; weight decay is AdamW's own.
    """
    start = clocks()
    new = train_word(base, subject, settings, compute, (seed, "textual-inversion", subject.subject_id))
    seconds = clocks() - start
    prompts = [with_word(p, subject.class_name, new.word) for _, p in subject.prompts]
    with new.known():
        taught = replace(base, tokenizer=new.tokenizer)
        drawn = draw_subject(taught, subject, None, prompts, sampling, compute, seed)
    return prepared(replace(drawn, stored_bytes=kept_bytes([new.vectors])), "optimisation_seconds", seconds)


METHODS = {"textual-inversion": Method(TextualInversion, draw_textual_inversion)}
