"""The interface of the language stage and its writers: the grammar, or a model with the grammar behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from suti.config.schema import Compute, Language
from suti.config.values import SKILLS, Skill
from suti.language import grammar, unseen
from suti.language import lexicon as lexicons
from suti.language.answers import KeptAnswers
from suti.language.backends.base import Backend, BackendError, Unusable, ask
from suti.language.checks import check_prompt, description_of
from suti.language.lexicon import Lexicon
from suti.language.prompts import prompts_messages, subject_messages
from suti.language.schema import Description, Evidence, Log, Prompt, PromptsAnswer, SubjectAnswer
from suti.language.text import unseen_form


class Writer(Protocol):
    """Writes descriptions and unseen prompts; counts what it does in the log that it is given."""

    name: str
    model: str
    lexicon: Lexicon
    concurrency: int
    """Rows that may be written at a time."""
    most_fallbacks: float
    """Share of the model's questions that the grammar may answer in its place."""

    def describe(self, evidence: Evidence, log: Log) -> Description:
        """Description and class noun of a cluster."""
        ...

    def prompts(
        self,
        subject: Description,
        evidence: Evidence,
        refined: Sequence[str],
        skills: Sequence[Skill],
        log: Log,
    ) -> list[Prompt]:
        """An unseen prompt for each skill; fewer where the phrases ran out (counted as shortfalls)."""
        ...


class GrammarWriter:
    """Deterministic, no model."""

    name, model = "grammar", ""
    concurrency, most_fallbacks = 1, 1.0

    def __init__(self, seed: int, lexicon: Lexicon) -> None:
        self.seed, self.lexicon = seed, lexicon

    def describe(self, evidence: Evidence, log: Log) -> Description:
        """See ``grammar.describe``."""
        return grammar.describe(evidence, self.lexicon)

    def prompts(
        self,
        subject: Description,
        evidence: Evidence,
        refined: Sequence[str],
        skills: Sequence[Skill],
        log: Log,
        taken: Sequence[str] = (),
    ) -> list[Prompt]:
        """See ``unseen.unseen_prompts``; ``taken`` are prompts that a model has written already."""
        key = (self.seed, "prompts", evidence.subject_id)
        written, missing = unseen.unseen_prompts(subject, evidence, refined, skills, self.lexicon, *key, taken=taken)
        for skill in missing:
            log.shortfalls[f"no_phrase_left:{skill}"] += 1
        return written


class ModelWriter:
    """A language model; where its answers are unusable, the grammar writes (``fallback`` in row and log)."""

    def __init__(self, backend: Backend, seed: int, language: Language, lexicon: Lexicon) -> None:
        self.backend, self.seed, self.language, self.lexicon = backend, seed, language, lexicon
        self.name, self.model, self.concurrency = backend.name, backend.model, backend.concurrency
        self.most_fallbacks = language.max_fallback_share
        self.grammar = GrammarWriter(seed, lexicon)

    def describe(self, evidence: Evidence, log: Log) -> Description:
        """One question a cluster."""
        found: list[Description] = []

        def check(answer: SubjectAnswer) -> None:
            try:
                found.append(description_of(answer, evidence, self.lexicon))
            except Unusable as error:
                raise Unusable(error.reason, error.detail, answer.model_dump_json()) from None

        key = (self.seed, "subjects", evidence.subject_id)
        retries = self.language.max_retries
        if ask(self.backend, subject_messages(evidence), SubjectAnswer, check, retries, log, *key) is None:
            stand_in = self.grammar.describe(evidence, log)
            return Description(stand_in.description, stand_in.class_name, fallback=True)
        return found[-1]

    def prompts(
        self,
        subject: Description,
        evidence: Evidence,
        refined: Sequence[str],
        skills: Sequence[Skill],
        log: Log,
    ) -> list[Prompt]:
        """One question a skill. The usable prompts of an answer are kept; the grammar fills the gaps."""
        seen = unseen.seen_forms(evidence, refined)
        written: dict[Skill, list[Prompt]] = {skill: [] for skill in SKILLS}
        forms: set[str] = set()
        for skill in SKILLS:
            wanted = sum(s == skill for s in skills)
            if wanted:
                self._ask_prompts(subject, evidence, skill, wanted, seen, forms, written[skill], log)
        result: list[Prompt] = []
        gaps: list[Skill] = []
        for skill in skills:
            if written[skill]:
                result.append(written[skill].pop(0))
            else:
                gaps.append(skill)
        texts = [p.prompt for p in result]
        filled = self.grammar.prompts(subject, evidence, refined, gaps, log, taken=texts)
        return result + [Prompt(p.prompt, p.skill, fallback=True) for p in filled]

    def _ask_prompts(
        self,
        subject: Description,
        evidence: Evidence,
        skill: Skill,
        wanted: int,
        seen: set[str],
        forms: set[str],
        kept: list[Prompt],
        log: Log,
    ) -> None:
        def check(answer: PromptsAnswer) -> None:
            reasons: Counter[str] = Counter()
            details: dict[str, str] = {}
            for text in answer.prompts:
                if len(kept) == wanted:
                    break
                try:
                    prompt = check_prompt(text, skill, subject, seen, forms, self.lexicon)
                except Unusable as error:
                    reasons[error.reason] += 1
                    details.setdefault(error.reason, error.detail)
                    continue
                forms.add(unseen_form(prompt))
                kept.append(Prompt(prompt, skill))
            if len(kept) < wanted:
                reason = reasons.most_common(1)[0][0] if reasons else "too_few"
                detail = details.get(reason, "") or f"{wanted} captions are wanted, all different"
                raise Unusable(reason, detail, answer.model_dump_json())

        messages = prompts_messages(subject, skill, wanted)
        key = (self.seed, "prompts", evidence.subject_id, skill)
        ask(self.backend, messages, PromptsAnswer, check, self.language.max_retries, log, *key)


def make_backend(language: Language, compute: Compute) -> Backend | None:
    """The configured model; None for ``grammar``, which needs none.

    Raises:
        BackendError: no model or server is configured, or it cannot be loaded.
    """
    if language.backend == "grammar":
        return None
    if not language.model:
        raise BackendError(
            f"language.model: empty, but language.backend is {language.backend!r}; "
            "name a model folder or hub id (transformers) or the server's model (openai)"
        )
    if language.backend == "transformers":
        from suti.language.backends.transformers import TransformersBackend

        return TransformersBackend(language, compute)
    from suti.language.backends.openai import OpenAIBackend

    return OpenAIBackend(language)


def make_writer(
    seed: int, language: Language, compute: Compute, vocabulary: str | None = None, answers: str | None = None
) -> Writer:
    """The configured writer; loads the model, if there is one.

    Args:
        vocabulary: YAML file of the grammar's words; the repository's own by default.
        answers: file that keeps the model's answers, made if it is not there; None keeps none.

    Raises:
        BackendError: the model cannot be loaded or no server is named.
    """
    lexicon = lexicons.load(vocabulary or lexicons.DEFAULT)
    backend = make_backend(language, compute)
    if backend is None:
        return GrammarWriter(seed, lexicon)
    if answers is not None:
        backend = KeptAnswers(backend, language, Path(answers))
    return ModelWriter(backend, seed, language, lexicon)
