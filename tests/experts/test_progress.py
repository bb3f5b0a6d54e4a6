"""The progress bar: speed without the first group's warm-up, and the time left."""

from __future__ import annotations

import io

import pytest

from suti.experts.progress import GroupBar, things_an_hour


def test_the_first_group_counts_only_while_it_is_alone():
    assert things_an_hour([]) == 0
    assert things_an_hour([(16, 60.0)]) == pytest.approx(960)
    assert things_an_hour([(16, 60.0), (16, 40.0), (8, 20.0)]) == pytest.approx(1440)
    assert things_an_hour([(3, 0.0)]) == 0  # a clock that has not moved


def test_the_bar_shows_speed_and_time_left():
    clock, shown = iter([0.0, 100.0, 140.0, 160.0]), io.StringIO()
    bar = GroupBar("experts", 50, 2, lambda: next(clock), desc="experts, 16 at once", file=shown, ascii=True, ncols=99)
    seen = []
    for things in (16, 16, 16):
        bar.update(things)
        bar._bar.refresh()
        seen.append(shown.getvalue().rpartition("\r")[2])
    bar.close()
    assert "18/50" in seen[0] and "576 experts/h, 03:20 left" in seen[0]  # 32 left at 16 in 100 s
    assert "34/50" in seen[1] and "1440 experts/h, 00:40 left" in seen[1]  # 16 left at 16 in 40 s
    assert "50/50" in seen[2] and "1920 experts/h, 00:00 left" in seen[2] and "experts, 16 at once: 100%" in seen[2]
