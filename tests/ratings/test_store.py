"""Answers: once whatever is repeated, taken back with their history kept, and of one study only."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from suti.ratings.store import Conflict, Store, rater_name


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "ratings.sqlite", "study-1")


def held(store: Store, rater: str = "ann") -> list[tuple[str, str, str]]:
    return [(a.item, a.question, a.value) for a in store.of_rater(rater)]


def test_retries_and_double_clicks_count_once(store: Store) -> None:
    assert store.answer("ann", "i1", "text", "1", False, "t1")
    assert not store.answer("ann", "i1", "text", "1", False, "t1"), "a retry after a lost reply"
    assert not store.answer("ann", "i1", "text", "1", False, "t2"), "a second click"
    with pytest.raises(Conflict, match="undo that answer"):
        store.answer("ann", "i1", "text", "0", False, "t3")
    with pytest.raises(Conflict, match="token"):
        store.answer("ann", "i2", "text", "1", False, "t1")
    assert store.answer("bob", "i1", "text", "0", False, "t1"), "another rater's tokens are another's"
    assert held(store) == [("i1", "text", "1")] and len(store.history()) == 2


def test_undo_keeps_the_history_and_takes_back_one(store: Store) -> None:
    store.answer("ann", "i1", "subject", "1", False, "t1")
    store.answer("ann", "i1", "text", "1", False, "t2")
    last = store.of_rater("ann")[-1].id
    assert store.undo("ann", last, "u1")
    assert not store.undo("ann", last, "u1"), "a retry"
    with pytest.raises(Conflict, match="not your last answer"):
        store.undo("ann", last, "u2")
    assert held(store) == [("i1", "subject", "1")]
    assert not store.answer("ann", "i1", "text", "1", False, "t2"), "a late copy of the request does not bring it back"
    assert store.answer("ann", "i1", "text", "0", False, "t3")
    assert [(row[2], row[6]) for row in store.history()] == [
        ("answer", "1"),
        ("answer", "1"),
        ("undo", "1"),
        ("answer", "0"),
    ]
    with pytest.raises(Conflict, match="not your last"):
        store.undo("bob", store.of_rater("ann")[-1].id, "u3")


def test_the_history_cannot_be_changed_and_the_log_is_synchronised(store: Store) -> None:
    store.answer("ann", "i1", "text", "1", False, "t1")
    for statement in ("DELETE FROM history", "UPDATE history SET value = '0'"):
        with pytest.raises(sqlite3.IntegrityError, match="history is"):
            store._db.execute(statement)
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL: fsync at every commit"
    assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_another_process_sees_an_answer_at_once_and_threads_do_not_double(tmp_path: Path) -> None:
    stores = [Store(tmp_path / "r.sqlite", "s") for _ in range(2)]

    def work(mine: Store) -> None:
        for n in range(30):
            mine.answer("ann", f"i{n}", "text", "1", False, f"t{n}")

    threads = [threading.Thread(target=work, args=(store,)) for store in stores * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores[0].all()) == len(stores[1].history()) == 30


def test_databases_of_other_studies_and_other_files_are_refused(tmp_path: Path) -> None:
    Store(tmp_path / "ratings.sqlite", "study-1").close()
    with pytest.raises(ValueError, match="belong to study study-1, not to study-2"):
        Store(tmp_path / "ratings.sqlite", "study-2")
    (tmp_path / "text").write_text("I am no database, however long I may be. " * 40)
    with pytest.raises(ValueError, match="not a usable database"):
        Store(tmp_path / "text", "s")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere/ratings\.sqlite: not a usable database"):
        Store(tmp_path / "nowhere" / "ratings.sqlite", "s")


def test_names_of_raters() -> None:
    assert rater_name("  Ann   B. ") == "Ann B."
    assert rater_name("Jo\u0308rg <script>alert(1)</script>") == "J\u00f6rg <script>alert(1)</script>"
    for wrong in ("", "   ", "=cmd()", "-1", "a\u202eb", "a\x00b", "x" * 41, None, 3, "<b>"):
        with pytest.raises(ValueError, match="Please"):
            rater_name(wrong)
