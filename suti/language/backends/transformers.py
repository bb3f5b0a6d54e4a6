"""Backend ``transformers``: a local instruct model, through its chat template.

One question a forward pass: rows then do not depend on their neighbours. The answer's opening, e.g.
``{"class_name": "``, is put into the model's mouth (it follows from the schema), and decoding stops when the
object closes; a model of 135M parameters needs the first, and every model is faster for the second. The keys
and values of the worked examples, which are the same in every question of a kind, are computed once.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    StoppingCriteria,
    StoppingCriteriaList,
)

from suti import seeds
from suti.compute import to_device
from suti.config.schema import Compute, Language
from suti.devices import pick_device
from suti.language.backends.base import BackendError, Message, Unusable, object_of, temperature_of
from suti.language.parsing import closes

PREFIXES = 16  # kinds of question whose examples are remembered


class TransformersBackend:
    """A causal language model with a chat template, from a folder or a hub id."""

    name = "transformers"
    concurrency = 1

    def __init__(self, language: Language, compute: Compute) -> None:
        """Load tokenizer and model.

        Raises:
            BackendError: no such folder, or not a causal language model (names ``language.model`` and the
                remedy).
        """
        self.model = language.model
        self.language = language
        torch.set_num_threads(compute.threads)
        self.device = pick_device(compute)
        local = language.model.startswith((".", "/", "~", "resources/")) or language.model.count("/") > 1
        if local and not Path(language.model).expanduser().is_dir():
            raise BackendError(f"language.model: no folder {language.model!r}; name an existing folder or a hub id")
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(language.model)
            network = AutoModelForCausalLM.from_pretrained(language.model, dtype=torch.float32)
        except (OSError, ValueError) as error:
            raise BackendError(
                f"language.model: {language.model!r} cannot be loaded ({error}); name a folder or hub id of "
                "a transformers causal language model with its tokenizer"
            ) from error
        dtype = torch.bfloat16 if compute.precision == "bf16" and self.device.type == "cuda" else torch.float32
        self.network = to_device(network, self.device, dtype).eval()
        self.prefixes: OrderedDict[str, Any] = OrderedDict()
        # The model's own sampling defaults (top_k, repetition penalty) would be a hidden setting.
        self.network.generation_config = type(self.network.generation_config)(
            eos_token_id=self.network.generation_config.eos_token_id or self.tokenizer.eos_token_id,
            pad_token_id=_first(self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, 0),
        )

    def complete(
        self, messages: Sequence[Message], json_schema: dict[str, Any], key: tuple[seeds.Key, ...] = ()
    ) -> dict[str, Any]:
        """See ``Backend.complete``. Greedy at temperature 0, else sampled with a seed made of ``key``."""
        opening = opening_of(json_schema)
        text = self._conversation(messages, True) + opening
        shared = self._conversation(messages[:-1], False) if len(messages) > 1 else ""
        if not text.startswith(shared):  # a template that writes old turns in another way
            shared = ""
        # Tokens of the two halves are made apart, with or without a remembered cache, so answers cannot
        # depend on it.
        ids = torch.cat([self._tokens(shared), self._tokens(text[len(shared) :])], dim=1)
        room = getattr(self.network.config, "max_position_embeddings", None)
        if room is not None and ids.shape[1] + self.language.max_new_tokens > room:
            raise Unusable("too_long", f"the question has {ids.shape[1]} tokens, the model's context is {room}")
        sampling: dict[str, Any] = {"do_sample": False}
        temperature = temperature_of(self.language, key)
        if temperature > 0:
            sampling = {
                "do_sample": True,
                "temperature": temperature,
                "top_p": 0.95,
                "top_k": 0,
            }
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(seeds.stable_hash(*key, bits=56))
            output = self.network.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                past_key_values=self._cache(shared),
                max_new_tokens=self.language.max_new_tokens,
                stopping_criteria=StoppingCriteriaList([_ObjectCloses(self.tokenizer, ids.shape[1], opening)]),
                **sampling,
            )
        return object_of(opening + str(self.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)))

    def _conversation(self, messages: Sequence[Message], answer_follows: bool) -> str:
        if self.tokenizer.chat_template:
            text = self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=answer_follows
            )
            return str(text)
        return "".join(f"{m['role']}: {m['content']}\n" for m in messages) + "assistant: " * answer_follows

    def _tokens(self, text: str) -> torch.Tensor:
        if not text:
            return torch.zeros((1, 0), dtype=torch.long, device=self.device)
        return self.tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"].to(self.device)

    def _cache(self, shared: str) -> Any:
        """A copy of the keys and values of the examples; None for models that have no such cache."""
        if not shared:
            return None
        if shared not in self.prefixes:
            with torch.inference_mode():
                cache = self.network(input_ids=self._tokens(shared), use_cache=True).get("past_key_values")
            self.prefixes[shared] = cache if type(cache) is DynamicCache else None
            while len(self.prefixes) > PREFIXES:
                self.prefixes.popitem(last=False)
        self.prefixes.move_to_end(shared)
        return copy.deepcopy(self.prefixes[shared])


class _ObjectCloses(StoppingCriteria):
    """Stop as soon as the answer's object is complete."""

    def __init__(self, tokenizer: Any, start: int, opening: str) -> None:
        self.tokenizer, self.start, self.opening = tokenizer, start, opening

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        text = self.opening + self.tokenizer.decode(input_ids[0, self.start :], skip_special_tokens=True)
        return torch.full((input_ids.shape[0],), closes(text), dtype=torch.bool, device=input_ids.device)


def opening_of(json_schema: dict[str, Any]) -> str:
    """First characters of any object of the schema: brace, first key, quote or bracket of its value."""
    properties = json_schema.get("properties") or {}
    if not properties:
        return "{"
    name, kind = next(iter(properties.items()))
    if kind.get("type") == "string":
        return f'{{"{name}": "'
    if kind.get("type") == "array" and kind.get("items", {}).get("type") == "string":
        return f'{{"{name}": ["'
    return f'{{"{name}": '


def _first(*values: int | None) -> int:
    return next(int(v) for v in values if v is not None)
