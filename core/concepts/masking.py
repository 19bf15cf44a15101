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
from core.ops.words import MOST, embed, tokens
from core.sources import VASWANI_2017
from core.training import leak

concept = Concept(__name__)

SENTENCE = "the cat sat on the mat"
D_MODEL, D_K = 16, 8
Kind = Literal["causal", "none", "ahead", "strict", "prefix", "own"]
Where = Literal["before", "after", "multiply"]

# ---------------------------------------------------------------------------------------------- experiments


def parse(rows: str, n: int) -> Bool[Tensor, "n n"]:
    """A mask written row by row, 1 = may look: `"100/110/111"`. Raises ValueError, in words.

    >>> parse("10/11", 2).int().tolist()
    [[1, 0], [1, 1]]
    >>> parse("1/11", 2)
    Traceback (most recent call last):
    ...
    ValueError: Write 2 rows of 2 digits, 0 or 1, with / between them, such as 10/11.
    """
    lines = rows.replace(" ", "").split("/")
    if len(lines) != n or any(len(line) != n or set(line) - {"0", "1"} for line in lines):
        example = "/".join("1" * (i + 1) + "0" * (n - i - 1) for i in range(n))
        raise ValueError(
            f"Write {n} rows of {n} digits, 0 or 1, with / between them, such as {example}."
        )
    return torch.tensor([[digit == "1" for digit in line] for line in lines])


def mask(kind: Kind, n: int, own: str = "") -> Bool[Tensor, "n n"]:
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
            return masks.prefix_lm(n, (n + 1) // 2)
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
def head(
    sentence: str = SENTENCE,
    kind: Kind = "causal",
    where: Where = "before",
    own: str = "",
    seed: int = 0,
) -> Head:
    r"""Logits, weights, and $\lVert \partial o_i / \partial x_j \rVert_F$ by automatic differentiation.

    A mask hides keys and never the query: where word i is hidden from itself, x_i still acts on output i.
    Raises ValueError, in words, for a sentence or a mask of one's own that cannot be used.
    """
    words = tokens(sentence)
    x, (w_q, w_k, w_v) = inputs(words), _projections(seed, D_MODEL)
    visible = mask(kind, len(words), own)
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

    words: tuple[str, ...]
    change: Float[Tensor, " n"]
    cache: float


@lru_cache(maxsize=32)
def append(sentence: str, word: str, causal: bool, seed: int = 0) -> Appended:
    """The change of each earlier output, and the largest difference of the last one to a step with a KV cache.

    Both passes run in the same 12 slots, as with a preallocated cache: unused slots hold zeros and nobody sees
    them. So both add the same numbers in the same order, and a difference is the word's doing, not rounding.
    Of 12 words the last gives up its slot.
    """
    words = tokens(sentence)[: MOST - 1]
    n = len(words)
    w_q, w_k, w_v = _projections(seed, D_MODEL)
    outs = []
    for row in (words, [*words, word]):
        x = torch.zeros(MOST, D_MODEL, dtype=torch.float64)
        x[: len(row)] = inputs(row)
        visible = masks.causal(MOST) if causal else masks.full(MOST)
        visible[:, len(row) :] = False
        outs.append(attention(x @ w_q, x @ w_k, x @ w_v, visible))
    x = x[: n + 1]
    cached = attention(x[-1:] @ w_q, x @ w_k, x @ w_v)  # one query, all keys so far: no mask needed
    return Appended(
        tuple(words),
        (outs[1][:n] - outs[0][:n]).abs().amax(-1),
        float((outs[1][n] - cached[0]).abs().max()),
    )


def empty_row(library: Literal["textbook", "sdpa", "additive"]) -> Float[Tensor, " v"]:
    """The output of a query that may see no key, by three conventions; its values are 0, 1, 2, 3."""
    value = torch.arange(4.0)[:, None]
    scores, visible = torch.tensor([[0.0, 1.0, -2.0, 3.0]]), torch.zeros(1, 4, dtype=torch.bool)
    if library == "textbook":
        return (softmax(masked(scores, visible)) @ value)[0]
    if library == "sdpa":
        return F.scaled_dot_product_attention(
            torch.ones(1, 1), scores.mT, value, attn_mask=visible
        )[0]
    # Beside −3.4e38 the logits are lost to rounding, so all keys tie.
    return (softmax(scores + torch.finfo(scores.dtype).min) @ value)[0]


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "A language model is trained on tokens that are drawn independently and uniformly from 16. Its mask is one step "
    "too far: every position also sees the next token, which it must predict. Where does the mean loss over 16 "
    "positions end? (Guessing costs ln 16 = 2.77.)",
    Option("at 2.77: random tokens cannot be predicted", 2.0, 9.0, "That is the honest floor. But this model does not predict, it reads the answer."),
    Option("near 1.4, about half", 0.8, 2.0, "Nothing is halved: 15 of the 16 positions see their answer completely."),
    Option("near 0.17", 0.05, 0.8, "15 positions copy their answer and lose almost nothing. The last one has no next token in its input and still pays ln 16: ln 16 / 16 = 0.173."),
    Option("at 0", 0.0, 0.05, "The last position cannot see its answer: it lies outside the input. It keeps paying ln 16."),
    shows="The shipped training of this lesson (three seeds, `python -m core.training leak`) ended at a mean loss of {0} nats.",
)  # fmt: skip
def loss_of_a_leaking_mask() -> float:
    return float(leak.final_losses("ahead").mean())


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "Masked self-attention lets position i attend to the positions up to and including i, so no output depends on a "
    "later token: its derivative with respect to every later input is exactly 0.",
    fails_if={"kind": "ahead"},
)
def no_influence_from_later(kind: Kind = "causal") -> Evidence:
    return Evidence.exactly(
        "sum of |∂output_i / ∂input_j| over all j > i",
        float(head(kind=kind).influence.triu(1).sum()),
        0,
    )


@concept.says(
    "The forbidden logits are set to −∞ before the softmax, so that each row of weights still sums to 1 over what is "
    "allowed.",
    fails_if={"where": "after"},
)
def rows_still_sum_to_one(where: Where = "before") -> Evidence:
    sums = head(where=where).weights.sum(-1)
    worst = sums[(sums - 1).abs().argmax()]
    return Evidence.near("row sum furthest from 1", float(worst), 1, within=1e-12)


@concept.says(
    "Zeroing weights after the softmax would leak: the forbidden keys still act through the sum that they were "
    "divided by.",
    fails_if={"where": "before"},
)
def zeroing_afterwards_leaks(where: Where = "after") -> Evidence:
    return Evidence.above(
        "sum of |∂output_i / ∂input_j| over all j > i",
        float(head(where=where).influence.triu(1).sum()),
        0,
    )


@concept.says(
    "With the targets shifted by one, a single pass trains a prediction at every position at once.",
    fails_if={"shift": 0},
)
def one_pass_trains_every_position(shift: int = 1) -> Evidence:
    """How many of 6 positions have their own target among the inputs that they see: it must be none."""
    n = 6
    target = torch.arange(n) + shift  # the token whose identity position i must tell
    seen = masks.causal(n + 2)[:n]
    return Evidence.exactly(
        "positions that see their own answer, of 6", float(seen[torch.arange(n), target].sum()), 0
    )


@concept.says(
    "And appending a token leaves every earlier output exactly as it was: keys and values can be cached while a "
    "text is generated.",
    fails_if={"causal": False},
)
def appending_changes_nothing_before(causal: bool = True) -> Evidence:
    return Evidence.exactly(
        "largest change of an earlier output, both passes in the same 12 slots",
        float(append(SENTENCE, "today", causal).change.max()),
        0,
    )


concept.cites(
    "The original paper combines both: the mask, and the outputs offset by one position.",
    source=VASWANI_2017.at("§3.1"),
)

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Position i attends only to the positions 0 … i−1.",
    better="Row i sees 0 … i, itself included. It is the *prediction* that knows only what comes before: the output at "
    "i predicts token i+1. A mask that also hides the diagonal leaves row 0 with nothing to look at.",
    fails_if={"kind": "strict"},
)
def the_row_sees_itself(kind: Kind = "causal") -> Evidence:
    return Evidence.exactly("keys that row 0 may see", float(mask(kind, 6)[0].sum()), 1)


@concept.corrects(
    "Multiplying the forbidden logits by 0 masks them.",
    better="A logit of 0 is not “no weight” but e⁰ = 1 before normalising: every forbidden key keeps a share. Only −∞ "
    "gives weight 0.",
    fails_if={"where": "before"},
)
def a_zero_logit_is_not_a_zero_weight(where: Where = "multiply") -> Evidence:
    weights = head(where=where).weights.triu(1)
    return Evidence.above(
        "weight that forbidden keys get, summed over the sentence", float(weights.sum()), 0
    )


@concept.corrects(
    "A row in which everything is masked gives 0.",
    better="It depends on the library: the textbook softmax gives NaN, torch's scaled_dot_product_attention 0, and an "
    "additive mask with the most negative finite number the plain mean of all values, hidden or not.",
    fails_if={"library": "sdpa"},
)
def three_libraries_three_answers(
    library: Literal["textbook", "sdpa", "additive"] = "additive",
) -> Evidence:
    return Evidence.exactly(
        "output over the values 0, 1, 2, 3 with everything masked (additive)",
        float(empty_row(library)[0]),
        1.5,
    )


# ---------------------------------------------------------------------------------------------- push-back

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
    "Is the mask needed while generating?",
    "With a cache there is one query, and every key is its own or an earlier one: no mask. Careful with is_causal=True and one query against "
    "four keys: torch aligns its triangle top-left, so that query sees the first key only.",
    Source("PyTorch", "scaled_dot_product_attention", "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html"),
)  # fmt: skip
concept.pushes_back(
    "Does the mask halve the cost?",
    "Only if the kernel skips the hidden blocks. Computing all logits and masking half of them costs the same as an encoder.",
)
concept.pushes_back(
    "What is a prefix language model?",
    "The tokens of the prompt see each other in both directions; the rest is causal.",
    Source("Raffel et al. 2020", "Exploring the Limits of Transfer Learning", "arXiv 1910.10683"),
)
concept.reads(VASWANI_2017.at("§3.1 and §3.2.3"), Source("Raffel et al. 2020", "Exploring the Limits of Transfer Learning", "arXiv 1910.10683", "§3.2.1"))  # fmt: skip

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
    {
        "sentence": SENTENCE,
        "rows": "100000/110000/111000/111100/111110/111111",
        "where": "before",
        "seed": 0,
    },
    {"sentence": "a b c", "rows": "000/100/110", "where": "before", "seed": 3},
    {"sentence": 'it\'s a "b"', "rows": "100/110/111", "where": "after", "seed": 1},
)
def influencing_pairs(sentence: str, rows: str, where: Where, seed: int) -> float:
    return float(head(sentence, "own", where, rows, seed).pairs)
