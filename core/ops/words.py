"""The reader's own sentence as vectors: the same word always gets the same vector, on every machine."""

import zlib

import torch
from jaxtyping import Float
from torch import Tensor

MOST = 12  # words; more would not fit the figures
# The zero-width non-joiner and joiner stand inside words (a family emoji, many Persian words); alone they are nothing.
JOINERS = "\u200c\u200d"


def tokens(text: str) -> list[str]:
    """The words of a sentence. Raises ValueError, in words, for an empty or too long one.

    Words end at white space. Zero-width joiners inside a word belong to it; at its ends they join nothing, cannot be
    seen and are left out, so that words which look the same are the same.

    >>> tokens("dog  bites man")
    ['dog', 'bites', 'man']
    >>> tokens("dog\u200d bites")
    ['dog', 'bites']
    >>> tokens(" ")
    Traceback (most recent call last):
    ...
    ValueError: Write at least two words.
    """
    found = [word for part in text.split() if (word := part.strip(JOINERS))]
    if len(found) < 2:
        raise ValueError("Write at least two words.")
    if len(found) > MOST:
        raise ValueError(f"That is {len(found)} words; the figures have room for {MOST}. Leave some out.")
    return found


def embed(words: list[str], d: int) -> Float[Tensor, "n d"]:
    r"""$x_i \sim N(0, I_d)$, drawn from a seed that is the CRC-32 of the word

    Shapes: n words → `[n, d]`, float64. These are random vectors: they know which word it is and nothing else.
    """
    return torch.stack(
        [
            torch.randn(d, generator=torch.Generator().manual_seed(zlib.crc32(word.encode())), dtype=torch.float64)
            for word in words
        ]
    )
