"""The members of a tar, to its very end: ``tarfile`` takes a damaged header for the end and says nothing."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

CHUNK = 1 << 20


def members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Members in order, and after the last one the proof that it was the last.

    Raises:
        tarfile.ReadError: no end mark, a block of zeros, stands where the members end, or something follows it. Says
            at which byte, and after how many members.
    """
    count = 0
    for info in tar:
        count += 1
        yield info
    stream, place = tar.fileobj, tar.offset
    assert stream is not None  # of a tar that is open
    stream.seek(place)
    rest = stream.read(tarfile.BLOCKSIZE)
    seen = f"after {count} members, at byte {place:,},"
    if not rest.strip(b"\0") and len(rest) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError(f"{seen} the file ends without its end mark; it was cut off")
    if rest.strip(b"\0"):
        raise tarfile.ReadError(f"{seen} stands a damaged header; the members behind it cannot be read")
    while chunk := stream.read(CHUNK):
        if chunk.strip(b"\0"):
            raise tarfile.ReadError(f"{seen} stands a block of zeros, but the file goes on; what follows was not read")
