"""Order and grouping: the workflow tests share one finished run, so they go to one worker, and first, being longest.

Property tests draw the same examples everywhere and judge no time, so a busy machine fails none.
"""

from __future__ import annotations

import hypothesis
import pytest

hypothesis.settings.register_profile("suti", deadline=None, derandomize=True, max_examples=40, database=None)
hypothesis.settings.load_profile("suti")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the workflow tests for ``pytest -n 2 --dist loadgroup`` and put them first."""
    for item in items:
        if item.get_closest_marker("workflow"):
            item.add_marker(pytest.mark.xdist_group("workflow"))
    items.sort(key=lambda item: item.get_closest_marker("workflow") is None)
