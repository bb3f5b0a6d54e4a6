"""Identities: deterministic, distinct, and named by their true colours."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from suti.benchmark.world import benchmark_subjects
from suti.world.render import render
from suti.world.scenes import Scene
from suti.world.subjects import colour_name, keyed_rng, sample_colour, sample_subject
from suti.world.vocabulary import CLASSES, COLOURS


def test_a_subject_depends_on_its_key_alone() -> None:
    later = sample_subject(3, 7)
    assert sample_subject(3, 7) == later
    assert sample_subject(3, 8) != later
    assert sample_subject(4, 7).proportions != later.proportions


def test_a_subject_is_the_same_in_another_process() -> None:
    code = "from suti.world.subjects import sample_subject; print(sample_subject(5, 11))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(sample_subject(5, 11))


def test_a_given_class_changes_the_class_alone() -> None:
    drawn, given = sample_subject(0, 0), sample_subject(0, 0, "fish")
    assert given.class_name == "fish" and given.subject_id.startswith("fish-")
    assert (given.primary, given.pattern, given.proportions) == (
        drawn.primary,
        drawn.pattern,
        drawn.proportions,
    )


def test_an_unknown_class_is_an_error_that_names_the_classes() -> None:
    with pytest.raises(ValueError, match=r"'zebra' is unknown; choose one of backpack"):
        sample_subject(0, 0, "zebra")


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_called_what_they_are(name: str) -> None:
    rng = keyed_rng("colours", name)
    assert {colour_name(sample_colour(rng, name)) for _ in range(200)} == {name}


def test_a_subject_has_three_colours() -> None:
    for i in range(100):
        subject = sample_subject(0, i)
        assert len({colour_name(c) for c in (subject.primary, subject.secondary, subject.accent)}) == 3


@pytest.mark.parametrize("name", CLASSES)
def test_two_subjects_of_a_class_look_different(name: str) -> None:
    subjects = [sample_subject("look", i, name) for i in range(8)]
    images, _ = render(subjects, [Scene("snow")] * 8)
    for i in range(8):
        for j in range(i):
            # Averaged over the frame, two thirds of which show the same background.
            assert np.abs(images[i].astype(float) - images[j]).mean() > 6


def test_seed_spaces_are_disjoint() -> None:
    spaces = [benchmark_subjects(0)] + [
        [sample_subject(space, i) for i in range(200)] for space in ("pages-0", "pages-0-mixed", "corpus-0")
    ]
    identities = [{s.proportions for s in space} for space in spaces]
    ids = [{s.subject_id for s in space} for space in spaces]
    assert len(set.union(*identities)) == sum(map(len, identities))
    assert len(set.union(*ids)) == sum(map(len, ids))
