"""Which words of a target prompt are which words of a source prompt (Prompt-to-Prompt, arXiv 2208.01626, section 3.2).

Words and not tokens are aligned, so that a name of several tokens is moved as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from suti.models.base import text_length

MATCH, OTHER, GAP = 1, -1, -1  # scores of a global alignment


@dataclass(frozen=True)
class Alignment:
    """How a target's cross-attention map is made of its source's: ``source @ mapping``, where ``shared`` is 1.

    Attributes:
        mapping: float ``(L, L)``, from source tokens to target tokens.
        shared: float ``(L,)``, 1 for target tokens that have a counterpart, 0 for those that keep their own map.
    """

    mapping: torch.Tensor
    shared: torch.Tensor


def align(tokenizer: PreTrainedTokenizerBase, source: str, target: str) -> Alignment:
    """Alignment of two prompts: 'replace' if they have as many words, else 'refine'.

    Replace (section 3.2, word swap): the map of a replaced word goes to the word in its place; one of several tokens
    spreads evenly. Refine (adding a phrase): words that only the target has keep their own maps. The original asks the
    user which of the two is meant, and swaps words only between prompts of equal length; here the length decides.

    Padding has a map too, which text encoders without a mask use. The n-th pad from the end goes to the n-th from the
    end; the original goes by position, which lets pads of a shorter target have maps of words.
    """
    length = text_length(tokenizer)
    (words, pads), (target_words, target_pads) = (_words(tokenizer, text, length) for text in (source, target))
    mapping, shared = torch.zeros(length, length), torch.zeros(length)
    swap = len(words) == len(target_words)
    for old, new in _aligned([w for w, _ in words], [w for w, _ in target_words]):
        if words[old][0] != target_words[new][0] and not swap:
            continue
        here, there = words[old][1], target_words[new][1]
        for place, token in enumerate(there):
            if len(here) == len(there):
                mapping[here[place], token] = 1
            else:
                mapping[here, token] = 1 / len(there)
        shared[there] = 1
    for old, new in zip(reversed(pads), reversed(target_pads), strict=False):
        mapping[old, new] = shared[new] = 1
    return Alignment(mapping, shared)


def _words(
    tokenizer: PreTrainedTokenizerBase, text: str, length: int
) -> tuple[list[tuple[tuple[int, ...], list[int]]], list[int]]:
    """Words of a text as (token ids, places), marks such as the end of the text among them, and places of padding."""
    encoded = tokenizer(text, padding="max_length", max_length=length, truncation=True, return_attention_mask=True)
    ids, groups = encoded["input_ids"], encoded.word_ids(0)
    words: list[tuple[tuple[int, ...], list[int]]] = []
    before = None
    for place in range(sum(encoded["attention_mask"])):
        if groups[place] is not None and groups[place] == before:
            known, places = words[-1]
            words[-1] = ((*known, ids[place]), [*places, place])
        else:
            words.append(((ids[place],), [place]))
        before = groups[place]
    return words, list(range(sum(encoded["attention_mask"]), length))


def _aligned(source: list[tuple[int, ...]], target: list[tuple[int, ...]]) -> list[tuple[int, int]]:
    """Pairs of places of a best global alignment (Needleman and Wunsch 1970); a pair may be of different words."""
    rows, columns = len(source), len(target)
    score = [[GAP * (i + j) if i == 0 or j == 0 else 0 for j in range(columns + 1)] for i in range(rows + 1)]
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            same = MATCH if source[i - 1] == target[j - 1] else OTHER
            score[i][j] = max(score[i - 1][j - 1] + same, score[i - 1][j] + GAP, score[i][j - 1] + GAP)
    pairs: list[tuple[int, int]] = []
    i, j = rows, columns
    while i and j:
        same = MATCH if source[i - 1] == target[j - 1] else OTHER
        if score[i][j] == score[i - 1][j - 1] + same:
            pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif score[i][j] == score[i - 1][j] + GAP:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]
