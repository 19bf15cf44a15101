"""Question 4: what is masked self-attention, and why is the mask applied before the softmax?"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from core.course import Concept, Evidence, Option, Source
from core.ops import masks, positions
from core.ops.attention import attention, logits, masked, softmax
from core.ops.words import embed, tokens
from core.sources import VASWANI_2017
from core.training import leak

concept = Concept(__name__)

SENTENCE = "the cat sat on the mat"
D_MODEL, D_K = 16, 8
Kind = Literal["causal", "none", "ahead", "strict", "prefix", "own"]
Where = Literal["before", "after", "multiply"]
LIBRARIES = ("softmax as written", "torch's own attention", "lowest number added")

# ---------------------------------------------------------------------------------------------- experiments


def parse(rows: str, n: int) -> Bool[Tensor, "n n"]:
    """A mask written row by row, 1 = may look: `"100/110/111"`. Raises ValueError, in words.

    >>> parse("10/11", 2).int().tolist()
    [[1, 0], [1, 1]]
    >>> parse("10/1x", 2)
    Traceback (most recent call last):
    ...
    ValueError: A mask is written in 0, 1 and /, and here is “x”.
    >>> parse("10", 2)
    Traceback (most recent call last):
    ...
    ValueError: For 2 words the mask needs 2 rows with / between them, such as 10/11; here is 1.
    >>> parse("10/1", 2)
    Traceback (most recent call last):
    ...
    ValueError: Each row needs 2 digits, one for each word; row 1 has 1.
    """
    lines = rows.replace(" ", "").split("/")
    strange = [digit for digit in "".join(lines) if digit not in "01"]
    if strange:
        raise ValueError(f"A mask is written in 0, 1 and /, and here is “{strange[0]}”.")
    if len(lines) != n:
        raise ValueError(
            f"For {n} words the mask needs {n} rows with / between them, such as {written(masks.causal(n))}; "
            f"here {'is' if len(lines) == 1 else 'are'} {len(lines)}."
        )
    for i, line in enumerate(lines):
        if len(line) != n:
            raise ValueError(f"Each row needs {n} digits, one for each word; row {i} has {len(line)}.")
    return torch.tensor([[digit == "1" for digit in line] for line in lines])


def written(visible: Bool[Tensor, "n n"]) -> str:
    """The mask row by row, 1 = may look; `parse` reads it back.

    >>> written(masks.causal(3))
    '100/110/111'
    """
    return "/".join("".join("01"[seen] for seen in row) for row in visible.int().tolist())


def mask(kind: Kind, n: int, own: str = "", prefix: int = 3) -> Bool[Tensor, "n n"]:
    """Who may look at whom, by name."""
    match kind:
        case "causal":
            return masks.causal(n)
        case "none":
            return masks.full(n)
        case "ahead":
            return masks.causal(n, 1)
        case "strict":
            return masks.causal(n, -1)
        case "prefix":
            return masks.prefix_lm(n, prefix)
        case "own":
            return parse(own, n)


def weigh(
    scores: Float[Tensor, "*b q k"], visible: Bool[Tensor, "q k"], where: Where = "before"
) -> Float[Tensor, "*b q k"]:
    r"""The weights when the mask acts before the softmax (as −∞), after it (as 0), or multiplies the logits by 0.

    Only the first is masking. The other two are the mistakes that people make.
    """
    if where == "before":
        return softmax(masked(scores, visible))
    if where == "after":
        return softmax(scores) * visible
    return softmax(scores * visible)


@dataclass(frozen=True, eq=False)
class Head:
    """One head of random weights on the reader's words."""

    words: tuple[str, ...]
    visible: Bool[Tensor, "n n"]
    logits: Float[Tensor, "n n"]
    weights: Float[Tensor, "n n"]
    influence: Float[Tensor, "n n"]

    @property
    def pairs(self) -> int:
        """How many (output, input) pairs have any influence at all: a count of non-zeros, no threshold."""
        return int((self.influence != 0).sum())


def _projections(seed: int, d: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(d, D_K, generator=g, dtype=torch.float64) / math.sqrt(d) for _ in range(3)]


def inputs(words: list[str]) -> Float[Tensor, "n d"]:
    """Word vectors plus sinusoidal positions, so that a repeated word is not the same input."""
    return embed(words, D_MODEL) + positions.sinusoidal(len(words), D_MODEL)


@lru_cache(maxsize=32)
def head(sentence: str = SENTENCE, rows: str = "", where: Where = "before", seed: int = 0) -> Head:
    r"""Logits, weights, and $\lVert \partial o_i / \partial x_j \rVert_F$ by automatic differentiation.

    `rows` is the mask as `written`; the causal one if empty. A mask hides keys and never the query: where word i is
    hidden from itself, x_i still acts on output i.
    Raises ValueError, in words, for a sentence or a mask that cannot be used.
    """
    words = tokens(sentence)
    x, (w_q, w_k, w_v) = inputs(words), _projections(seed, D_MODEL)
    visible = parse(rows, len(words)) if rows else masks.causal(len(words))
    scores = logits(x @ w_q, x @ w_k)

    def output(x: Tensor) -> Tensor:
        weights = weigh(logits(x @ w_q, x @ w_k), visible, where)
        if where == "before":
            # A row that sees nothing is NaN; it is taken as 0, as scaled_dot_product_attention does.
            weights = torch.where(visible.any(-1, keepdim=True), weights, 0.0)
        return weights @ (x @ w_v)

    jacobian = torch.autograd.functional.jacobian(output, x)  # [n, v, n, d]
    norm = jacobian.square().sum((1, 3)).sqrt()
    return Head(tuple(words), visible, scores, weigh(scores, visible, where), norm)


@dataclass(frozen=True, eq=False)
class Appended:
    """What one more word changes in the outputs of the words before it."""

    change: Float[Tensor, " n"]
    cache: float


@lru_cache(maxsize=32)
def append(sentence: str, word: str, causal: bool, seed: int = 0) -> Appended:
    """The change of each earlier output; and how far decoding with a KV cache, word by word, is from one full pass.

    Both passes have room for one more word than the sentence, as in a preallocated cache: before the word comes,
    its slot holds zeros and nobody sees it. So both add the same numbers in the same order, and a difference is the
    word's doing. (Passes of different lengths may differ in the last bit, since longer sums are added in another order.)
    """
    words = tokens(sentence)
    n = len(words)
    w_q, w_k, w_v = _projections(seed, D_MODEL)
    after = inputs([*words, word])
    before = after.clone()
    before[n] = 0
    visible = masks.causal(n + 1) if causal else masks.full(n + 1)
    unused = visible.clone()
    unused[:, n] = False
    earlier, later = (attention(x @ w_q, x @ w_k, x @ w_v, seen) for x, seen in ((before, unused), (after, visible)))
    # One query, and all keys and values so far: a step of decoding needs no mask.
    key, value = after @ w_k, after @ w_v
    steps = [attention(after[i : i + 1] @ w_q, key[: i + 1], value[: i + 1]) for i in range(n + 1)]
    return Appended((later - earlier)[:n].abs().amax(-1), float((torch.cat(steps) - later).abs().max()))


@dataclass(frozen=True, eq=False)
class Libraries:
    """The weights of row 0 by three conventions (as in LIBRARIES), and how far the three are apart in the other rows."""

    row: Float[Tensor, "3 n"]
    others: float


@lru_cache(maxsize=32)
def libraries(sentence: str = SENTENCE, offset: int = -1, seed: int = 0) -> Libraries:
    """The same logits under the same mask j ≤ i + offset. With −1, row 0 sees nothing, and it depends on the code."""
    x, (w_q, w_k, _) = inputs(tokens(sentence)), _projections(seed, D_MODEL)
    query, key = x @ w_q, x @ w_k
    n = len(x)
    visible, scores = masks.causal(n, offset), logits(query, key)
    added = torch.zeros_like(scores).masked_fill(~visible, torch.finfo(scores.dtype).min)
    weights = torch.stack(
        [
            softmax(masked(scores, visible)),
            # Values that are the unit vectors make the outputs the weights.
            F.scaled_dot_product_attention(
                query[None, None], key[None, None], torch.eye(n, dtype=scores.dtype)[None, None], attn_mask=visible
            )[0, 0],
            # Beside the lowest finite number the logits are lost to rounding, so all hidden keys tie.
            softmax(scores + added),
        ]
    )
    return Libraries(weights[:, 0], float((weights[:, 1:] - weights[:1, 1:]).abs().max()))


def spoiled_gradients(offset: int) -> int:
    """How many entries of ∂loss/∂x are not a number, for a loss that ignores row 0, under the mask j ≤ i + offset."""
    x = inputs(tokens(SENTENCE)).requires_grad_()
    w_q, w_k, w_v = _projections(0, D_MODEL)
    output = attention(x @ w_q, x @ w_k, x @ w_v, masks.causal(len(x), offset))
    (gradient,) = torch.autograd.grad(output[1:].square().sum(), x)
    return int(gradient.isnan().sum())


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "A language model is trained on tokens that are drawn independently and uniformly from 16. Its mask is one step "
    "too far: every position also sees the next token, which it must predict. Where does the mean loss over 16 "
    "positions end? (Guessing costs ln 16 = 2.77.)",
    Option(
        "at 2.77: random tokens cannot be predicted",
        2.0,
        9.0,
        "That is the honest floor. But this model does not predict, it reads the answer.",
    ),
    Option("near 1.4, about half", 0.8, 2.0, "Nothing is halved: 15 of the 16 positions see their answer completely."),
    Option(
        "near 0.17",
        0.05,
        0.8,
        "15 positions copy their answer and lose almost nothing. The last one has no next token in its input and still pays ln 16: ln 16 / 16 = 0.173.",
    ),
    Option(
        "at 0", 0.0, 0.05, "The last position cannot see its answer: it lies outside the input. It keeps paying ln 16."
    ),
    shows="The shipped training of this lesson (three seeds, `python -m core.training leak`) ended at a mean loss of {0} nats.",
)
def loss_of_a_leaking_mask() -> float:
    return float(leak.final_losses("ahead").mean())


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "In masked self-attention each position attends to itself and to what comes before it: output i depends on the "
    "inputs 0 to i, and on no later one.",
    fails_if={"polarity": "True hides"},
)
def output_depends_on_the_past(polarity: Literal["True may look", "True hides"] = "True may look") -> Evidence:
    causal = masks.causal(6)
    found = head(rows=written(causal if polarity == "True may look" else ~causal)).influence != 0
    return Evidence.exactly(
        "of 36 derivatives ∂output_i / ∂input_j, how many break the rule “zero exactly if j > i”",
        float((found != causal).sum()),
        0,
    )


@concept.says(
    "The logits of the later positions are set to −∞ before the softmax: their weights become exactly 0, and the "
    "visible weights still sum to 1.",
    fails_if={"where": "after"},
)
def weights_are_redistributed(where: Where = "before") -> Evidence:
    weights = head(where=where).weights
    # n rounded quotients, each off by at most the spacing of floats at 1, and n − 1 rounded additions.
    rounding = 2 * len(weights) * torch.finfo(weights.dtype).eps
    hidden, off = weights.triu(1).max(), (weights.sum(-1) - 1).abs().max()
    return Evidence.near(
        "largest hidden weight, or distance of a row's sum from 1", float(max(hidden, off)), 0, within=rounding
    )


@concept.says(
    "The output at position i predicts token i + 1, so one pass trains a prediction at every position, and none of "
    "them has seen its answer.",
    fails_if={"shift": 0},
)
def no_position_sees_its_answer(shift: int = 1) -> Evidence:
    # The answer of the last position is not among the inputs at all.
    return Evidence.exactly(
        "outputs that depend on the token they predict", float((head().influence.diagonal(shift) != 0).sum()), 0
    )


@concept.says(
    "With a mask one step too far a model copies instead: even on random tokens its training loss falls to less than "
    "a tenth of their entropy.",
    fails_if={"mask": "causal"},
)
def a_leak_beats_the_entropy(mask: leak.Mask = "ahead") -> Evidence:
    return Evidence.below(
        "loss ÷ entropy, the worst of 3 shipped runs on 16 positions (`python -m core.training leak`)",
        float(leak.final_losses(mask).max()) / leak.HONEST,
        0.1,
    )


@concept.says(
    "And a token that is appended changes no earlier output: keys and values can be cached while a text is generated.",
    fails_if={"causal": False},
)
def appending_changes_nothing_before(causal: bool = True) -> Evidence:
    return Evidence.exactly(
        "largest change of an earlier output", float(append(SENTENCE, "today", causal).change.max()), 0
    )


concept.cites(
    "The original paper names both halves: the mask, “combined with” outputs “offset by one position”.",
    source=VASWANI_2017.at("§3.1"),
)

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "The prediction for position i depends only on positions 0 … i−1, so row i of the mask stops at i−1.",
    better="Row i sees 0 … i, itself included. It is the shift of the targets that turns this into i−1: the output at i "
    "predicts token i+1. A mask that hides the diagonal as well leaves row 0 with nothing to look at.",
    fails_if={"kind": "strict"},
    source=VASWANI_2017.at("§3.1 and §3.2.3"),
)
def the_row_sees_itself(kind: Kind = "causal") -> Evidence:
    weights = head(rows=written(mask(kind, 6))).weights
    return Evidence.exactly("keys with a weight in row 3", float((weights[3] != 0).sum()), 4)


@concept.corrects(
    "Multiplying the forbidden logits by 0 masks them.",
    better="A logit of 0 is not “no weight” but e⁰ = 1 before normalising: every forbidden key keeps a share. Only −∞ "
    "gives weight 0.",
    fails_if={"where": "before"},
)
def a_zero_logit_is_not_a_zero_weight(where: Where = "multiply") -> Evidence:
    weights = head(where=where).weights
    return Evidence.above("smallest weight of a forbidden key", float(weights[~masks.causal(6)].min()), 0)


@concept.corrects(
    "Setting the weights to 0 after the softmax is the same.",
    better="The forbidden keys still act, through the sum that all weights were divided by, and the rows no longer sum "
    "to 1. Dividing each row by its new sum would repair both: that is exactly the masked softmax.",
    fails_if={"where": "before"},
)
def zeroing_afterwards_leaks(where: Where = "after") -> Evidence:
    return Evidence.exactly(
        "of 15 pairs with j > i, how many derivatives ∂output_i / ∂input_j are not 0",
        float((head(where=where).influence.triu(1) != 0).sum()),
        15,
    )


@concept.corrects(
    "A row in which everything is masked gives 0.",
    better="It depends on the library: the softmax as written gives NaN, torch's scaled_dot_product_attention 0, and a "
    "mask that adds the lowest finite number gives every word the same weight, hidden or not.",
    fails_if={"offset": 0},
)
def three_libraries_three_answers(offset: int = -1) -> Evidence:
    answers = {str(row) for row in libraries(offset=offset).row.tolist()}
    return Evidence.exactly("different answers for row 0, of three", float(len(answers)), 3)


@concept.corrects(
    "A NaN in row 0 does no harm if the loss ignores that row.",
    better="It does: on the way back the NaN weights are multiplied by a gradient of 0, and 0 · NaN is NaN. Through the "
    "values that reaches the gradient of every word, and so of every layer below.",
    fails_if={"offset": 0},
)
def an_empty_row_spoils_all_gradients(offset: int = -1) -> Evidence:
    return Evidence.exactly(
        "entries of ∂loss/∂x, of 96, that are not a number though the loss ignores row 0",
        float(spoiled_gradients(offset)),
        96,
    )


@concept.corrects(
    "In a decoder, is_causal=True is always right.",
    better="Not with a cache. For one query against four keys torch aligns the triangle at the top left, and the newest "
    "token sees only the oldest key. One query needs no mask: every key is its own or an earlier one.",
    fails_if={"is_causal": False},
)
def one_query_sees_only_the_oldest_key(is_causal: bool = True) -> Evidence:
    x, (w_q, w_k, _) = inputs(tokens(SENTENCE)), _projections(0, D_MODEL)
    weights = F.scaled_dot_product_attention(
        (x[3:4] @ w_q)[None, None],
        (x[:4] @ w_k)[None, None],
        torch.eye(4, dtype=x.dtype)[None, None],
        is_causal=is_causal,
    )
    return Evidence.exactly("weight of the first of 4 keys", float(weights[0, 0, 0, 0]), 1)


# ---------------------------------------------------------------------------------------------- push-back

RAFFEL_2020 = Source("Raffel et al. 2020", "Exploring the Limits of Transfer Learning", "arXiv 1910.10683")
DAO_2023 = Source(
    "Dao 2023", "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning", "arXiv 2307.08691"
)
TORCH_SDPA = Source(
    "PyTorch",
    "scaled_dot_product_attention",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html",
)

concept.pushes_back(
    "Why not simply cut the sentence and train on each prefix?",
    "Each prefix would train one prediction, and its tokens would be computed again for every longer prefix. The mask "
    "gives the same N predictions in one pass.",
)
concept.pushes_back(
    "Minus infinity or −1e9?",
    "In float16 −1e9 already is −∞. Two added masks of the most negative finite number overflow to −∞ as well. A "
    "boolean mask avoids the question.",
)
concept.pushes_back(
    "Which way round is a boolean mask?",
    "In torch alone there are both: True means “may look” for scaled_dot_product_attention, and “may not look” for "
    "nn.MultiheadAttention. Test it: change a later token, and no earlier output may move.",
    TORCH_SDPA,
)
concept.pushes_back(
    "Does the mask halve the cost?",
    "Only if the kernel skips the hidden blocks, as FlashAttention-2 does: 1.7 to 1.8 times as fast as without a mask. "
    "Computing all logits and hiding half of them costs the same as an encoder.",
    DAO_2023,
)
concept.pushes_back(
    "What is a prefix language model?",
    "The tokens of the prompt see each other in both directions; the rest is causal.",
    RAFFEL_2020,
)
concept.reads(VASWANI_2017.at("§3.1 and §3.2.3"), RAFFEL_2020.at("§3.2.1"), DAO_2023.at("§3.1"), TORCH_SDPA)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import zlib
import torch

sentence, visible_rows, where, seed = $sentence, $rows, $where, $seed

words = sentence.split()
n, d, d_k = len(words), 16, 8
x = torch.stack([
    torch.randn(d, generator=torch.Generator().manual_seed(zlib.crc32(w.encode())), dtype=torch.float64)
    for w in words
])
angle = torch.arange(n)[:, None] * 10000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
x = x + torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)

g = torch.Generator().manual_seed(seed)
w_q, w_k, w_v = (torch.randn(d, d_k, generator=g, dtype=torch.float64) / math.sqrt(d) for _ in range(3))
visible = torch.tensor([[c == "1" for c in row] for row in visible_rows.split("/")])

def output(x):
    logits = (x @ w_q) @ (x @ w_k).T / math.sqrt(d_k)
    if where == "before":      # masking
        weights = logits.masked_fill(~visible, -torch.inf).softmax(-1)
        weights = torch.where(~visible.any(-1, keepdim=True), 0.0, weights)
    elif where == "after":     # a mistake: the denominator still knows the hidden keys
        weights = logits.softmax(-1) * visible
    else:                      # a mistake: a logit of 0 is a weight of e**0
        weights = (logits * visible).softmax(-1)
    return weights @ (x @ w_v)

jacobian = torch.autograd.functional.jacobian(output, x)
influence = jacobian.square().sum((1, 3)).sqrt()
print("pairs with any influence:", int((influence != 0).sum()))
""",
    {"sentence": SENTENCE, "rows": "100000/110000/111000/111100/111110/111111", "where": "before", "seed": 0},
    {"sentence": "a b c", "rows": "000/100/110", "where": "before", "seed": 3},
    {"sentence": 'it\'s a "b"', "rows": "100/110/111", "where": "after", "seed": 1},
)
def influencing_pairs(sentence: str, rows: str, where: Where, seed: int) -> float:
    return float(head(sentence, rows, where, seed).pairs)
