"""Sequences of several lengths in one batch: what is stored and computed, padded, bucketed or packed.

A batch is a list of rows, a row the lengths of the sequences that lie in it, one after the other. All rows of one batch are
as wide as its widest: what is left over are pads.
"""

from collections.abc import Sequence

Rows = list[list[int]]


def padded(lengths: Sequence[int]) -> list[Rows]:
    """One batch, a sequence a row: every row is as wide as the longest of all.

    >>> padded([4, 1, 2])
    [[[4], [1], [2]]]
    """
    return [[[length] for length in lengths]]


def bucketed(lengths: Sequence[int], size: int) -> list[Rows]:
    """Sorted by length and cut into batches of `size`: every row is as wide as the longest of its own batch.

    Raises ValueError if `size` is less than 1.

    Vaswani et al. 2017, §5.1 (“batched together by approximate sequence length”), arXiv 1706.03762

    >>> bucketed([4, 1, 2], 2)
    [[[4], [2]], [[1]]]
    """
    if size < 1:
        raise ValueError(f"A batch holds at least one sequence, not {size}.")
    ordered = [[length] for length in sorted(lengths, reverse=True)]
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def packed(lengths: Sequence[int]) -> list[Rows]:
    """One batch of rows as wide as the longest sequence; each sequence, the longest first, goes into the first row with room.

    First-fit decreasing, which need not find the fewest rows. Krell et al. 2021, arXiv 2107.02027

    >>> packed([4, 1, 2])
    [[[4], [2, 1]]]
    """
    rows: Rows = []
    for length in sorted(lengths, reverse=True):
        room = next((row for row in rows if sum(row) + length <= max(lengths)), None)
        if room is None:
            rows.append([length])
        else:
            room.append(length)
    return [rows]


def slots(batches: Sequence[Rows]) -> int:
    r"""$\sum_{\mathrm{batches}} B\,\ell_{\max}$: the places for tokens, pads included.

    >>> slots(padded([4, 1, 2])), slots(bucketed([4, 1, 2], 2)), slots(packed([4, 1, 2]))
    (12, 9, 8)
    """
    return sum(len(rows) * max(map(sum, rows)) for rows in batches)


def scores(batches: Sequence[Rows]) -> int:
    r"""$\sum_{\mathrm{batches}} B\,\ell_{\max}^2$: the scores of one head, if every row is multiplied out in full.

    A mask hides pads and other sequences and saves none of them; a kernel that skips what is hidden computes `pairs`.

    >>> scores(padded([4, 1, 2])), scores(bucketed([4, 1, 2], 2)), scores(packed([4, 1, 2]))
    (48, 33, 32)
    """
    return sum(len(rows) * max(map(sum, rows)) ** 2 for rows in batches)


def pairs(lengths: Sequence[int]) -> int:
    r"""$\sum \ell^2$: the pairs of two tokens of one sequence.

    >>> pairs([4, 1, 2])
    21
    """
    return sum(length**2 for length in lengths)
