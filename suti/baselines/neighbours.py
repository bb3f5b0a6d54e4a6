"""Retrieval for Re-Imagen (arXiv 2209.14491): to each picture, the nearest pictures of other pages.

Exact search over all pairs, a block of them at a time: time grows with the square of the pictures, memory does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ROWS, COLUMNS = 1024, 8192  # pictures of a block: cosines of 32 MiB


def nearest_of_other_pages(
    embeddings: np.ndarray, pages: np.ndarray, pictures: np.ndarray, k: int, block: tuple[int, int] = (ROWS, COLUMNS)
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The k nearest pictures of other pages, nearest first, picture by picture in the order given.

    A picture that another page repeats is left out as well: the target would be its own demonstration.

    Args:
        embeddings: float32 ``(N, D)``, rows of length 1.
        pages: ``(N,)``, the page of each picture.
        pictures: ``(N,)``, equal where two files are the same picture.
        k: most neighbours of a picture, at least 1.
        block: rows and columns of cosines in memory at a time; the result does not depend on it beyond their rounding.

    Yields:
        (places of the neighbours, their cosines), both ``(n,)`` with n <= k; of equal cosines the first place wins.
    """
    page, look = (np.unique(names, return_inverse=True)[1] for names in (pages, pictures))
    count, (rows, columns) = len(embeddings), block
    for first in range(0, count, rows):
        own = slice(first, min(first + rows, count))
        places: np.ndarray = np.zeros((own.stop - own.start, 0), np.int64)
        cosines: np.ndarray = np.zeros(places.shape, np.float32)
        for start in range(0, count, columns):
            other = slice(start, min(start + columns, count))
            found = embeddings[own] @ embeddings[other].T
            found[(page[own, None] == page[other]) | (look[own, None] == look[other])] = -np.inf
            numbers = np.broadcast_to(np.arange(other.start, other.stop), found.shape)
            places, cosines = np.hstack([places, numbers]), np.hstack([cosines, found])
            # Columns stand in the order of the pictures, and the sort is stable: of equals the first one stays.
            order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
            places, cosines = np.take_along_axis(places, order, 1), np.take_along_axis(cosines, order, 1)
        for near, similar in zip(places, cosines, strict=True):
            kept = np.isfinite(similar)
            yield near[kept], similar[kept]
