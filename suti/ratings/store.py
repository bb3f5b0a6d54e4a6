"""Answers on disk: every one is durable before it is confirmed, none is counted twice, and none is ever removed.

SQLite with a write-ahead log that is synchronised at every commit (``synchronous=FULL``), so a confirmed answer
survives a killed process and a power failure. Table ``history`` only grows (triggers refuse changes): answers and
undos with their times. Table ``answers`` is what holds now, at most one answer to a question of an item by a rater.

A request carries a token of the page's own making. A repeated token changes nothing, so a page that got no reply
sends the same request again without harm.
"""

from __future__ import annotations

import sqlite3
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

VERSION = 1
LONGEST_NAME = 40
SCHEMA = (
    "CREATE TABLE study (id TEXT PRIMARY KEY)",
    """CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('answer', 'undo')),
        rater TEXT NOT NULL,
        item TEXT NOT NULL,
        question TEXT NOT NULL,
        value TEXT NOT NULL,
        swapped INTEGER NOT NULL,
        token TEXT NOT NULL,
        UNIQUE (rater, token)
    )""",
    """CREATE TABLE answers (
        rater TEXT NOT NULL,
        item TEXT NOT NULL,
        question TEXT NOT NULL,
        value TEXT NOT NULL,
        swapped INTEGER NOT NULL,
        id INTEGER NOT NULL UNIQUE REFERENCES history (id),
        PRIMARY KEY (rater, item, question)
    )""",
    "CREATE TRIGGER history_is_kept BEFORE DELETE ON history BEGIN SELECT RAISE(ABORT, 'history is kept'); END",
    "CREATE TRIGGER history_is_fixed BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'history is fixed'); END",
)


class Conflict(ValueError):
    """A request that contradicts what is stored; nothing was changed."""


@dataclass(frozen=True)
class Answer:
    """An answer that holds. ``swapped``: the second method's picture stood on the left (comparisons)."""

    id: int
    rater: str
    item: str
    question: str
    value: str
    swapped: bool


def rater_name(text: object) -> str:
    """A rater's name in the form that is stored: NFC, single spaces, 1 to 40 printable characters.

    It starts with a letter or a digit, so that no spreadsheet takes it for a formula.

    Raises:
        ValueError: it is none; the message is for the rater.
    """
    if not isinstance(text, str):
        raise ValueError("Please type a name.")
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError(f"Please type a name of 1 to {LONGEST_NAME} characters.")
    if not name[0].isalnum() or not name.isprintable():
        raise ValueError("Please start the name with a letter or a digit, and use printable characters only.")
    return name


class Store:
    """The answers of one study. Threads may share a store; several processes may open one file.

    Raises:
        ValueError: the file is no database of this study.
    """

    def __init__(self, path: Path, study_id: str) -> None:
        self.path, self._lock = path, threading.Lock()
        problem = "restore it from a copy, or move it away to begin with none"
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise ValueError(f"{path}: not a usable database of ratings ({error}); {problem}") from error
        try:
            seen = self._prepare(study_id)
            if seen != study_id:
                raise ValueError(
                    f"{path}: its answers belong to study {seen}, not to {study_id}; put back the study.json "
                    "with which they were given, or move the answers away"
                )
        except sqlite3.Error as error:
            self.close()
            raise ValueError(f"{path}: not a usable database of ratings ({error}); {problem}") from error
        except ValueError:
            self.close()
            raise

    def _prepare(self, study_id: str) -> str:
        """Make the log durable, and the tables if there are none; returns the study to which the answers belong."""
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        with self._transaction() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in SCHEMA:
                    db.execute(statement)
                db.execute("INSERT INTO study VALUES (?)", (study_id,))
                db.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise ValueError(
                    f"{self.path}: version {version}, this suti reads {VERSION}; use the suti that made it"
                )
            return db.execute("SELECT id FROM study").fetchone()[0]

    def close(self) -> None:
        """Close the file; answers need no closing to be safe."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")  # returns when the log is on the disk
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def answer(self, rater: str, item: str, question: str, value: str, swapped: bool, token: str) -> bool:
        """Keep an answer; on return it is on the disk. False if it was there already: a retry or a double click.

        Raises:
            Conflict: another answer to this question holds, or the token was used for something else.
        """
        wanted = ("answer", item, question, value)
        with self._transaction() as db:
            if self._repeated(db, rater, token, wanted):
                return False
            row = db.execute(
                "SELECT value FROM answers WHERE rater = ? AND item = ? AND question = ?", (rater, item, question)
            ).fetchone()
            if row:
                if row[0] == value:
                    return False
                raise Conflict("this question was answered otherwise before; undo that answer to change it")
            number = self._record(db, rater, token, wanted, swapped)
            db.execute(
                "INSERT INTO answers (rater, item, question, value, swapped, id) VALUES (?, ?, ?, ?, ?, ?)",
                (rater, item, question, value, int(swapped), number),
            )
        return True

    def undo(self, rater: str, answer_id: int, token: str) -> bool:
        """Take back a rater's last answer, which must be ``answer_id``; the history keeps both. False if repeated.

        Naming the answer keeps a double click from taking back two.

        Raises:
            Conflict: it is not the last answer that holds.
        """
        with self._transaction() as db:
            row = db.execute(
                "SELECT id, item, question, value, swapped FROM answers WHERE rater = ? ORDER BY id DESC LIMIT 1",
                (rater,),
            ).fetchone()
            done = db.execute("SELECT kind FROM history WHERE rater = ? AND token = ?", (rater, token)).fetchone()
            if done:
                if done[0] != "undo":
                    raise Conflict("the token was used for something else; reload the page")
                return False
            if row is None or row[0] != answer_id:
                raise Conflict("this is not your last answer any more")
            number, item, question, value, swapped = row
            self._record(db, rater, token, ("undo", item, question, value), bool(swapped))
            db.execute("DELETE FROM answers WHERE id = ?", (number,))
        return True

    def of_rater(self, rater: str) -> list[Answer]:
        """The rater's answers that hold, in the order given."""
        return self._answers("WHERE rater = ?", (rater,))

    def all(self) -> list[Answer]:
        """All answers that hold, in the order given."""
        return self._answers("", ())

    def history(self) -> list[tuple]:
        """Rows (id, time, kind, rater, item, question, value, swapped, token) of all that was ever sent."""
        with self._lock:
            return self._db.execute("SELECT * FROM history ORDER BY id").fetchall()

    def _answers(self, where: str, values: tuple) -> list[Answer]:
        query = f"SELECT id, rater, item, question, value, swapped FROM answers {where} ORDER BY id"
        with self._lock:
            rows = self._db.execute(query, values).fetchall()
        return [
            Answer(id=row[0], rater=row[1], item=row[2], question=row[3], value=row[4], swapped=bool(row[5]))
            for row in rows
        ]

    @staticmethod
    def _repeated(db: sqlite3.Connection, rater: str, token: str, wanted: tuple[str, str, str, str]) -> bool:
        query = "SELECT kind, item, question, value FROM history WHERE rater = ? AND token = ?"
        row = db.execute(query, (rater, token)).fetchone()
        if row is not None and tuple(row) != wanted:
            raise Conflict("the token was used for something else; reload the page")
        return row is not None

    @staticmethod
    def _record(
        db: sqlite3.Connection, rater: str, token: str, what: tuple[str, str, str, str], swapped: bool
    ) -> int | None:
        kind, item, question, value = what
        return db.execute(
            "INSERT INTO history (time, kind, rater, item, question, value, swapped, token) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (datetime.now(UTC).isoformat(), kind, rater, item, question, value, int(swapped), token),
        ).lastrowid
