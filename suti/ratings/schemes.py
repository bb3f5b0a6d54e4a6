"""What raters are asked: the questions of each scheme, their answers as numbers, and what an attention check expects.

``binary`` are the paper's three questions (section 5.1: subject, text, photorealism; overall is their AND). ``sc-pq``
is the scheme of ImagenHub (arXiv 2310.01596): semantic consistency and perceptual quality in {0, .5, 1}, overall the
root of their product. ``pairwise`` shows two pictures of one prompt and allows ties.
"""

from __future__ import annotations

from dataclasses import dataclass

REAL, OTHER = "real", "other"
"""Kinds of attention checks: a real picture of the subject, and one of another subject."""
FIRST, TIE, SECOND = "a", "tie", "b"
"""Answers of a comparison: the first method's picture is better, neither, the second's."""


@dataclass(frozen=True)
class Choice:
    """One answer: ``value`` as stored and in CSV files, the button's ``label``, its keys, and its ``score``."""

    value: str
    label: str
    keys: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class Question:
    """``text`` may hold ``{subject}``, the class word of the subject; ``help`` says how to decide.

    ``name`` is that of the column in tables, ``label`` a word or two for raters.
    """

    name: str
    label: str
    text: str
    help: str
    choices: tuple[Choice, ...]

    def score(self, value: str) -> float:
        """Number of an answer. KeyError if the question has no such answer."""
        return {choice.value: choice.score for choice in self.choices}[value]


@dataclass(frozen=True)
class Scheme:
    """A set of questions on ``candidates`` pictures; ``expected`` holds the answers that pass an attention check."""

    name: str
    title: str
    instructions: str
    candidates: int
    questions: tuple[Question, ...]
    expected: dict[str, dict[str, tuple[str, ...]]]

    def question(self, name: str) -> Question:
        """The question of a name. KeyError names the known ones."""
        for question in self.questions:
            if question.name == name:
                return question
        raise KeyError(f"no question {name!r} in scheme {self.name!r}; it has {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the questions, in the order in which they are asked."""
        return tuple(question.name for question in self.questions)


YES_NO = (Choice("1", "Yes", ("y", "1"), 1.0), Choice("0", "No", ("n", "2"), 0.0))
BETTER = (
    Choice(FIRST, "Left", ("1", "ArrowLeft"), 1.0),
    Choice(TIE, "Equal", ("2", "ArrowDown"), 0.5),
    Choice(SECOND, "Right", ("3", "ArrowRight"), 0.0),
)


def _halves(none: str, half: str, full: str) -> tuple[Choice, ...]:
    return (Choice("0", none, ("1",), 0.0), Choice("0.5", half, ("2",), 0.5), Choice("1", full, ("3",), 1.0))


BINARY = Scheme(
    "binary",
    "Judge one picture at a time",
    "You see pictures of a subject, a text, and one picture to judge. Three questions, yes or no, each on its own: "
    "a picture may show the right subject and miss the text.",
    1,
    (
        Question(
            "subject",
            "subject",
            "Does it show this very {subject}?",
            "Yes if you would take it for the same one, whatever the scene. Another {subject} is a No.",
            YES_NO,
        ),
        Question(
            "text",
            "text",
            "Does it show what the text says?",
            "Yes if everything that the text names is there. Whether it is the same {subject} does not matter here.",
            YES_NO,
        ),
        Question(
            "realism",
            "quality",
            "Is the picture well made?",
            "Yes if it could be a real picture: no smears, no broken or missing parts. If the text asks for a "
            "painting or a drawing, judge it as one.",
            YES_NO,
        ),
    ),
    {REAL: {"subject": ("1",)}, OTHER: {"subject": ("0",)}},
)
SC_PQ = Scheme(
    "sc-pq",
    "Judge one picture at a time",
    "You see pictures of a subject, a text, and one picture to judge. Two questions with three answers each.",
    1,
    (
        Question(
            "sc",
            "fit",
            "Does it fit this {subject} and the text?",
            "No: another subject, or not what the text says. Partly: one of them is only roughly right. Yes: both are.",
            _halves("No", "Partly", "Yes"),
        ),
        Question(
            "pq",
            "quality",
            "Is the picture well made?",
            "No: smears or broken parts at once. Partly: flaws at a second look. Yes: it could be a real picture.",
            _halves("No", "Partly", "Yes"),
        ),
    ),
    {REAL: {"pq": ("0.5", "1")}, OTHER: {"sc": ("0", "0.5")}},
)
PAIRWISE = Scheme(
    "pairwise",
    "Compare two pictures",
    "You see pictures of a subject, a text, and two pictures that were made for them. Say which is better; "
    "if you cannot tell, say that they are equal.",
    2,
    (
        Question(
            "subject",
            "subject",
            "Which is more like this {subject}?",
            "Look at the subject alone: colours, shape, details.",
            BETTER,
        ),
        Question("text", "text", "Which fits the text better?", "Look at what the text names.", BETTER),
        Question(
            "overall",
            "choice",
            "Which would you choose?",
            "As a picture of this {subject} with this text, with all flaws.",
            BETTER,
        ),
    ),
    {REAL: {"subject": (FIRST,)}},
)
SCHEMES = {scheme.name: scheme for scheme in (BINARY, SC_PQ, PAIRWISE)}
