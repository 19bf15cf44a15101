"""Who may look at whom. Everywhere True = may look: row = query, column = key."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def causal(n: int, offset: int = 0) -> Bool[Tensor, "n n"]:
    r"""$M_{ij} = [\, j \le i + \mathrm{offset} \,]$

    offset 0: a token sees itself and what came before. +1: one step too far, the answer is visible.
    −1: strict, row 0 sees nothing. Raises RuntimeError if n is negative.

    Vaswani et al. 2017, §3.2.3, arXiv 1706.03762

    >>> causal(3).int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    return torch.ones(n, n, dtype=torch.bool).tril(offset)


def full(n: int) -> Bool[Tensor, "n n"]:
    r"""$M_{ij} = 1$: an encoder, every token sees every token."""
    return torch.ones(n, n, dtype=torch.bool)


def prefix_lm(n: int, prefix: int) -> Bool[Tensor, "n n"]:
    r"""$M_{ij} = [\, j \le i \;\lor\; j < \mathrm{prefix} \,]$

    The first `prefix` tokens see each other; the rest is causal.

    Raffel et al. 2020, §3.2.1 (“causal with prefix”), arXiv 1910.10683

    >>> prefix_lm(3, 2).int().tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    """
    visible = causal(n)
    visible[:, :prefix] = True
    return visible


def keep_mask(lengths: Sequence[int], n: int, side: Literal["right", "left"] = "right") -> Bool[Tensor, "b n"]:
    r"""$m_{bj} = [\, j < \ell_b \,]$ with the pads on the right, $[\, j \ge n - \ell_b \,]$ with the pads on the left

    True = a real token, False = a pad. Shapes: b lengths → `[b, n]`. Raises ValueError if a sequence is longer than n.

    “attention_mask” of Hugging Face's tokenizers, there as 1 and 0, https://huggingface.co/docs/transformers/glossary

    >>> keep_mask([3, 1], 3).int().tolist(), keep_mask([1], 3, "left").int().tolist()
    ([[1, 1, 1], [1, 0, 0]], [[0, 0, 1]])
    """
    if max(lengths) > n:
        raise ValueError(f"A sequence of {max(lengths)} tokens does not fit into {n} places.")
    place, length = torch.arange(n), torch.tensor(list(lengths))[:, None]
    return place < length if side == "right" else place >= n - length


def columns(keep: Bool[Tensor, "*b n"]) -> Bool[Tensor, "*b n n"]:
    r"""$M_{ij} = m_j$: nobody may look at a pad, whoever asks. The padding mask

    Shapes: `[..., n]` → `[..., n, n]`. A row is empty only if its whole sequence is.

    >>> columns(torch.tensor([True, False])).int().tolist()
    [[1, 0], [1, 0]]
    """
    return keep[..., None, :].expand(*keep.shape, keep.shape[-1])


def rows(keep: Bool[Tensor, "*b n"]) -> Bool[Tensor, "*b n n"]:
    r"""$M_{ij} = m_i$: a pad may look at nobody, and everybody may look at pads. Not a padding mask: what people mistake for it

    Shapes: `[..., n]` → `[..., n, n]`.

    >>> rows(torch.tensor([True, False])).int().tolist()
    [[1, 1], [0, 0]]
    """
    return columns(keep).mT


def additive(keep: Bool[Tensor, "*b"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "*b"]:
    r"""$a = (1 - m)\,\min$, to be added to the logits: 0 where $m = 1$, the lowest finite number of the dtype where $m = 0$

    Shapes: `[...]` → `[...]`. Beside ordinary logits the weight is exactly 0. A row of only pads keeps equal weights
    instead of NaN: next to the lowest number all logits are rounded away.

    `get_extended_attention_mask` of Hugging Face's transformers, https://github.com/huggingface/transformers

    >>> additive(torch.tensor([True, False]), torch.float16).tolist()
    [0.0, -65504.0]
    """
    return torch.zeros(keep.shape, dtype=dtype).masked_fill(~keep, torch.finfo(dtype).min)


def position_ids(keep: Bool[Tensor, "*b n"]) -> Int[Tensor, "*b n"]:
    r"""$p_j = \max\big(0, \sum_{i \le j} m_i - 1\big)$: real tokens are counted from 0, on whichever side the pads stand

    Shapes: `[..., n]` → `[..., n]`. Pads before the first real token get 0, pads after the last one its number: positions
    that exist, and nobody looks there.

    `prepare_inputs_for_generation` of Hugging Face's transformers, where pads get 1, https://github.com/huggingface/transformers

    >>> position_ids(torch.tensor([False, False, True, True, True])).tolist()
    [0, 0, 0, 1, 2]
    """
    return (keep.long().cumsum(-1) - 1).clamp_min(0)


def block_diagonal(lengths: Sequence[int]) -> Bool[Tensor, "n n"]:
    r"""$M_{ij} = [\, \mathrm{seq}(i) = \mathrm{seq}(j) \,]$: sequences that lie one after the other in one row do not see each other

    Shapes: lengths → `[n, n]` with n their sum.

    Krell et al. 2021, §3.2.2, arXiv 2107.02027

    >>> block_diagonal([1, 2]).int().tolist()
    [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    """
    of = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(list(lengths)))
    return of[:, None] == of


def sliding_window(n: int, window: int) -> Bool[Tensor, "n n"]:
    r"""$M_{ij} = [\, 0 \le i - j < w \,]$: causal, and only the last w tokens, oneself among them

    Through l layers the last token still hears of $l(w - 1)$ tokens before it. Raises ValueError if w is less than 1.

    Beltagy et al. 2020, §3.1 (there to both sides), arXiv 2004.05150; causal: Jiang et al. 2023, §2, arXiv 2310.06825

    >>> sliding_window(3, 2).int().tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    if window < 1:
        raise ValueError(f"A window holds at least the token itself: 1, not {window}.")
    return causal(n) & ~causal(n, -window)
