"""Sharing things of a machine, such as GPUs, among processes: each takes the one that the fewest others hold."""

from __future__ import annotations

import fcntl
import itertools
import os
import stat
from collections.abc import Sequence
from pathlib import Path


def take_least_busy(names: Sequence[str], folder: Path) -> int:
    """Index of the thing that the fewest processes hold, the first of equals; held until this process ends.

    A hold is a locked file, ``NAME.0``, ``NAME.1`` and so on, one for each process. The system lets go of it however
    the process ends, so nothing has to be cleaned up after a kill.

    Args:
        names: of the things, as parts of file names.
        folder: for the files; made if it is not there. No other user may write to it.

    Raises:
        PermissionError: the folder is a link, or another user owns it or can write to it.
    """
    _own(folder)
    guard = _open(folder / "guard")
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)  # one process chooses at a time
        loads = [_load(folder, name) for name in names]
        index = loads.index(min(loads))
        _hold(folder, names[index])
        return index
    finally:
        os.close(guard)


def _own(folder: Path) -> None:
    """Make the folder; it lies where anyone may have put one of the same name before."""
    folder.mkdir(mode=0o700, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o022:
        raise PermissionError(
            f"{folder}: mode {stat.filemode(seen.st_mode)} of user {seen.st_uid}, expected a folder that user "
            f"{os.getuid()} alone can write to; remove it, or set TMPDIR to a folder of your own"
        )


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _load(folder: Path, name: str) -> int:
    """Number of processes that hold a thing."""
    held, number = 0, 0
    while (path := folder / f"{name}.{number}").exists():
        file = _open(path)
        held += not _lock(file)
        os.close(file)
        number += 1
    return held


def _hold(folder: Path, name: str) -> None:
    for number in itertools.count():
        file = _open(folder / f"{name}.{number}")
        if _lock(file):
            return  # the file stays open, and so locked, while the process lives
        os.close(file)
