"""What a mask does to logits, weights and influence; what it costs if it acts elsewhere; and what libraries make of it."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.attention.bias import causal_lower_right

from core.memory import remember
from core.ops import masks, positions
from core.ops.attention import attention, logits, masked, softmax
from core.ops.words import embed, tokens

SENTENCE = "the cat sat on the mat"
D_MODEL, D_K = 16, 8
Kind = Literal["causal", "none", "ahead", "strict", "prefix", "nobody"]
Where = Literal["before", "after", "multiply"]
TORCH = torch.__version__.partition("+")[0]

# ---------------------------------------------------------------------------------------------- the reader's words


def sentence_of(text: str) -> tuple[str, str]:
    """The reader's sentence; or the default, and the reason in words.

    >>> sentence_of("dog bites man"), sentence_of("dog")
    (('dog bites man', ''), ('the cat sat on the mat', 'Write at least two words.'))
    """
    try:
        tokens(text)
    except ValueError as reason:
        return SENTENCE, str(reason)
    return text, ""


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


def mask(rows: Kind | str, n: int, prefix: int = 3) -> Bool[Tensor, "n n"]:
    """Who may look at whom: by name, or as `written`. Raises ValueError, in words.

    >>> written(mask("strict", 3)), written(mask("nobody", 2)), written(mask("01/10", 2))
    ('000/100/110', '00/00', '01/10')
    """
    match rows:
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
        case "nobody":
            return ~masks.full(n)
    return parse(rows, n)


def rows_of(kind: Kind | Literal["own"], n: int, prefix: int = 3, own: str = "") -> tuple[str, str]:
    """The mask as `written`, or the reader's own; the causal one, and the reason in words, if that cannot be used.

    >>> rows_of("strict", 2), rows_of("own", 2, own="01/10"), rows_of("own", 2, own="1/1")[0]
    (('00/10', ''), ('01/10', ''), '10/11')
    """
    try:
        return written(parse(own, n) if kind == "own" else mask(kind, n, prefix)), ""
    except ValueError as reason:
        return written(masks.causal(n)), str(reason)


def toggled(rows: str, row: int, column: int) -> str:
    """The mask with one cell changed, as it was if there is no such cell.

    >>> toggled("10/11", 0, 1), toggled("10/11", 1, 0), toggled("10/11", 2, 0)
    ('11/11', '10/01', '10/11')
    """
    lines = [list(line) for line in rows.split("/")]
    if 0 <= row < len(lines) and 0 <= column < len(lines[row]):
        lines[row][column] = "0" if lines[row][column] == "1" else "1"
    return "/".join(map("".join, lines))


def seen_by(rows: str, row: int) -> list[int]:
    """At whom one row of a `written` mask may look.

    >>> seen_by("10/11", 0), seen_by("10/11", 1)
    ([0], [0, 1])
    """
    return [k for k, digit in enumerate(rows.split("/")[row]) if digit == "1"]


def seeing(rows: str, row: int, seen: list[int]) -> str:
    """The mask with one row that may look at these.

    >>> seeing("10/11", 0, [1]), seeing("10/11", 1, [])
    ('01/11', '10/00')
    """
    lines = rows.split("/")
    lines[row] = "".join("01"[k in seen] for k in range(len(lines[row])))
    return "/".join(lines)


# ---------------------------------------------------------------------------------------------- one head


def inputs(words: list[str]) -> Float[Tensor, "n d"]:
    """Word vectors plus sinusoidal positions, so that a repeated word is not the same input."""
    return embed(words, D_MODEL) + positions.sinusoidal(len(words), D_MODEL)


def projections(seed: int) -> list[Tensor]:
    r"""$W_Q, W_K, W_V \sim N(0, 1/d)$, each `[d, d_k]`."""
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(D_MODEL, D_K, generator=g, dtype=torch.float64) / math.sqrt(D_MODEL) for _ in range(3)]


def project(x: Float[Tensor, "n d"], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of a head with random weights."""
    query, key, value = (x @ w for w in projections(seed))
    return query, key, value


def entered(
    scores: Float[Tensor, "*b q k"], visible: Bool[Tensor, "q k"], where: Where = "before"
) -> Float[Tensor, "*b q k"]:
    """What goes into the softmax: the logits with −∞ or 0 where a key is hidden, or as they are."""
    if where == "before":
        return masked(scores, visible)
    return torch.where(visible, scores, 0.0) if where == "multiply" else scores


def weigh(
    scores: Float[Tensor, "*b q k"], visible: Bool[Tensor, "q k"], where: Where = "before"
) -> Float[Tensor, "*b q k"]:
    r"""The weights when the mask acts before the softmax (as −∞), after it (as 0), or multiplies the logits by 0.

    Only the first is masking. The other two are the mistakes that people make.
    """
    weights = softmax(entered(scores, visible, where))
    return weights * visible if where == "after" else weights


@dataclass(frozen=True, eq=False)
class Head:
    """One head of random weights on the reader's words."""

    words: tuple[str, ...]
    visible: Bool[Tensor, "n n"]
    logits: Float[Tensor, "n n"]
    weights: Float[Tensor, "n n"]  # NaN in a row that sees nothing, if the mask acts before the softmax
    unmasked: Float[Tensor, "n n"]  # the weights without a mask
    influence: Float[Tensor, "n n"]

    @property
    def pairs(self) -> int:
        """How many (output, input) pairs have any influence at all: a count of non-zeros, no threshold."""
        return int((self.influence != 0).sum())

    def flow(self, row: int) -> Float[Tensor, "n n"]:
        r"""How much of the weight that key j loses by the mask arrives at key k: what is lost is shared as it is gained.

        With $p$ without and $p'$ with the mask, and $x^+ = \max(x, 0)$:
        $F_{jk} = (p_j - p'_j)^+ (p'_k - p_k)^+ / \sum_l (p_l - p'_l)^+$. Under −∞ this is $p_j p_k / \sum_{visible} p$, the
        share of the hidden j that the visible k takes over. All 0 where nothing is lost, and in a row that is not a number.
        """
        before, after = self.unmasked[row], self.weights[row].nan_to_num(0.0)
        lost, gained = (before - after).clamp(min=0), (after - before).clamp(min=0)
        return torch.outer(lost, gained) / lost.sum().clamp(min=torch.finfo(lost.dtype).tiny)


@remember
def head(sentence: str = SENTENCE, rows: Kind | str = "causal", where: Where = "before", seed: int = 0) -> Head:
    r"""Logits, weights, and $\lVert \partial o_i / \partial x_j \rVert_F$ by automatic differentiation.

    A mask hides keys and never the query: where word i is hidden from itself, x_i still acts on output i.
    The derivative is exactly 0 where a key is hidden, on every machine: it is a sum of products with a weight of 0.
    Raises ValueError, in words, for a sentence or a mask that cannot be used.
    """
    words = tokens(sentence)
    x, visible = inputs(words), mask(rows, len(words))

    def output(x: Tensor) -> Tensor:
        query, key, value = project(x, seed)
        weights = weigh(logits(query, key), visible, where)
        if where == "before":  # a row that sees nothing is NaN; here it is taken as 0
            weights = torch.where(visible.any(-1, keepdim=True), weights, 0.0)
        return weights @ value

    query, key, _ = project(x, seed)
    scores = logits(query, key)
    jacobian = torch.autograd.functional.jacobian(output, x)  # [n, v, n, d]
    return Head(
        tuple(words),
        visible,
        scores,
        weigh(scores, visible, where),
        softmax(scores),
        jacobian.square().sum((1, 3)).sqrt(),
    )


def changed(where: Where, word: str = "dog", rows: Kind | str = "causal", seed: int = 0) -> Bool[Tensor, "n n"]:
    """Which output changes when which input becomes another word: no derivative and no threshold.

    Exactly unchanged where a key is hidden by −∞: a weight of 0 times another value is still 0.
    """
    words = tokens(SENTENCE)
    visible = mask(rows, len(words))

    def output(words: list[str]) -> Tensor:
        query, key, value = project(inputs(words), seed)
        return weigh(logits(query, key), visible, where) @ value

    usual = output(words)
    return torch.stack([(output([*words[:j], word, *words[j + 1 :]]) != usual).any(-1) for j in range(len(words))], -1)


def taught(rows: Kind | str = "causal", seed: int = 0) -> Bool[Tensor, " n"]:
    """Which positions teach W_Q, W_K or W_V something: whose own loss, in one pass over all words, has a finite gradient
    that is not 0. Each predicts the next word (the last one the first), read out by random weights."""
    words = tokens(SENTENCE)
    x, visible = inputs(words), mask(rows, len(words))
    weights = [each.requires_grad_() for each in projections(seed)]
    read = torch.randn(D_K, len(words), generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    query, key, value = (x @ each for each in weights)
    targets = torch.tensor([words.index(word) for word in [*words[1:], words[0]]])
    losses = F.cross_entropy(attention(query, key, value, visible) @ read, targets, reduction="none")
    gradients = [torch.autograd.grad(loss, weights, retain_graph=True) for loss in losses]
    flat = torch.stack([torch.cat([one.flatten() for one in each]) for each in gradients])
    return flat.isfinite().all(-1) & (flat != 0).any(-1)


# ---------------------------------------------------------------------------------------------- a decoder layer


def decoder_influence(masked: bool = True) -> tuple[Bool[Tensor, "t t"], Bool[Tensor, "t s"]]:
    """Which words of the target, and which of the source, act on which output of PyTorch's decoder layer.

    Random weights; the causal mask only if it is passed as `tgt_mask`. By automatic differentiation, without a threshold.
    """
    layer = nn.utils.skip_init(
        nn.TransformerDecoderLayer, D_MODEL, 2, 2 * D_MODEL, dropout=0.0, batch_first=True, dtype=torch.float64
    )
    g = torch.Generator().manual_seed(0)
    for name, parameter in layer.named_parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=D_MODEL**-0.5, generator=g)
        else:
            nn.init.constant_(parameter, float("norm" in name and name.endswith("weight")))
    target, source = inputs(tokens(SENTENCE)), inputs(tokens("le chat noir"))
    hidden = ~masks.causal(len(target)) if masked else None
    wanted = target.requires_grad_(), source.requires_grad_()
    output = layer(target[None], source[None], tgt_mask=hidden)[0]
    mixed = output @ torch.randn(D_MODEL, generator=g, dtype=torch.float64)  # one number for each output
    gradients = [torch.autograd.grad(one, wanted, retain_graph=True) for one in mixed]
    ours, theirs = ((torch.stack(of_one) != 0).any(-1) for of_one in zip(*gradients, strict=True))
    return ours, theirs


# ---------------------------------------------------------------------------------------------- one more word


def rounding(x: Float[Tensor, "n d"], seed: int, unit_values: bool = False) -> float:
    r"""How far two ways to compute the same outputs may be apart by rounding alone, to first order.

    With unit vectors as values the outputs are the weights.
    A logit is three products in a row: off by at most $(2d + d_k + 5)\,u$ times $|x||W_Q||W_K|^\top|x|^\top / \sqrt{d_k}$,
    u being half of eps. Logits that are off by δ move an output by at most $2δ \max|v|$, since
    $do_i = \sum_j p_j (ds_j - \sum_k p_k ds_k) v_j$. The values are off by $d\,u\,|x||W_V|$; differences, exponentials,
    sums and quotients of the softmax and the sum over the values by $(2n + 8)\,u$ of it. Two ways: eps instead of u.

    Higham 2002, §3.1 and §3.5
    """
    n, d = x.shape
    query, key, value = (x.abs() @ w.abs() for w in projections(seed))
    logit = (2 * d + D_K + 5) * float(logits(query, key).max())
    return torch.finfo(x.dtype).eps * (2 * logit + d + 2 * n + 8) * (1.0 if unit_values else float(value.max()))


@dataclass(frozen=True, eq=False)
class Appended:
    """What one more word changes in the outputs of the words before it."""

    change: Float[Tensor, " n"]
    cache: float  # under the mask that is asked for: how far decoding with a cache, word by word, is from one full pass
    rounding: float  # how far rounding alone may take it


@remember
def append(sentence: str = SENTENCE, word: str = "today", causal: bool = True, seed: int = 0) -> Appended:
    """The change of each earlier output; and how far decoding with a KV cache, word by word, is from one full pass.

    Both passes have room for one more word than the sentence, as in a preallocated cache: before the word comes,
    its slot holds zeros and nobody sees it. So both add the same numbers in the same order, the weight of the slot is
    0 and 0 times its value adds nothing: what differs is the word's doing. (Passes of different lengths may differ in
    the last bit, since longer sums are added in another order.)
    """
    words = tokens(sentence)
    n = len(words)
    after = inputs([*words, word])
    before = after.clone()
    before[n] = 0
    visible = mask("causal" if causal else "none", n + 1)
    unused = visible.clone()
    unused[:, n] = False
    earlier, later = (attention(*project(x, seed), seen) for x, seen in ((before, unused), (after, visible)))
    # One query, and all keys and values so far: a step of decoding needs no mask.
    each = [project(x[None], seed) for x in after]
    key, value = (torch.cat([step[which] for step in each]) for which in (1, 2))
    steps = [attention(query, key[: i + 1], value[: i + 1]) for i, (query, _, _) in enumerate(each)]
    apart = float((torch.cat(steps) - later).abs().max())
    return Appended((later - earlier)[:n].abs().amax(-1), apart, rounding(after, seed))


# ---------------------------------------------------------------------------------------------- several new words

How = Literal["is_causal", "bottom right", "lower_right", "no mask", "full pass"]


@remember
def late(how: How, new: int = 2, sentence: str = SENTENCE, seed: int = 0) -> Float[Tensor, "q k"]:
    """The weights of the last `new` words, which ask at once, while the keys of all words are there (a cache).

    By torch's scaled_dot_product_attention with `is_causal=True`, with the triangle written at the bottom right, with
    torch's own `causal_lower_right`, or without a mask; and the last rows of a full causal pass, which are wanted.
    """
    query, key, _ = project(inputs(tokens(sentence)), seed)
    n = len(key)
    identity = torch.eye(n, dtype=key.dtype)[None, None]  # with unit vectors as values the outputs are the weights
    late, key = query[None, None, -new:], key[None, None]
    if how == "full pass":
        everyone = query[None, None]
        return F.scaled_dot_product_attention(everyone, key, identity, attn_mask=masks.causal(n))[0, 0, -new:]
    if how == "is_causal":
        return F.scaled_dot_product_attention(late, key, identity, is_causal=True)[0, 0]
    triangle = {
        "bottom right": torch.ones(new, n, dtype=torch.bool).tril(n - new),
        "lower_right": causal_lower_right(new, n),
        "no mask": None,
    }[how]
    return F.scaled_dot_product_attention(late, key, identity, attn_mask=triangle)[0, 0]


# ---------------------------------------------------------------------------------------------- a row that sees nobody


def _module(seed: int) -> nn.MultiheadAttention:
    """torch's module with our head in it, for inputs `[x, unit vectors]`: its outputs are the weights.

    Two heads of width 16, since its fast path wants an even number; the first has our W_Q, W_K (and √2, since torch
    divides by √16 and not by √8) and the unit vectors as values, the second only zeros.
    """
    module = nn.utils.skip_init(nn.MultiheadAttention, 2 * D_MODEL, 2, batch_first=True, dtype=torch.float64)
    w_q, w_k, _ = projections(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        query, key, value = module.in_proj_weight.chunk(3)
        query[:D_K, :D_MODEL] = w_q.T * math.sqrt(D_MODEL / D_K)
        key[:D_K, :D_MODEL] = w_k.T
        value[:D_MODEL, D_MODEL:] = torch.eye(D_MODEL)
        module.out_proj.weight.copy_(torch.eye(2 * D_MODEL))
    return module


@dataclass(frozen=True, eq=False)
class Libraries:
    """The weights of row 0 in six ways, and how far the six are apart in the other rows.

    The softmax as written, scaled_dot_product_attention, nn.MultiheadAttention as it comes, with need_weights=False in
    training, and on its fast path for inference; and the lowest finite number added to the hidden logits.
    """

    row: Float[Tensor, "6 n"]
    others: float


@remember
def libraries(sentence: str = SENTENCE, offset: int = -1, seed: int = 0) -> Libraries:
    """The same logits under the same mask j ≤ i + offset. With −1, row 0 sees nothing, and it depends on the code.

    nn.MultiheadAttention is measured as it comes (need_weights=True) and with need_weights=False: in training, where it
    calls scaled_dot_product_attention, and in evaluation mode without gradients, where it has a fast path of its own.
    """
    x = inputs(tokens(sentence))
    query, key, _ = project(x, seed)
    n = len(x)
    visible, scores = masks.causal(n, offset), logits(query, key)
    added = torch.zeros_like(scores).masked_fill(~visible, torch.finfo(scores.dtype).min)
    unit = torch.eye(n, dtype=x.dtype)
    module, y = _module(seed), torch.cat([x, F.pad(unit, (0, D_MODEL - n))], -1)[None]

    def by_module(training: bool, need_weights: bool) -> Tensor:
        with torch.set_grad_enabled(training):
            module.train(training)
            return module(y, y, y, attn_mask=~visible, need_weights=need_weights)[0][0, :, :n].detach()

    weights = torch.stack(
        [
            softmax(masked(scores, visible)),
            F.scaled_dot_product_attention(query[None, None], key[None, None], unit[None, None], visible)[0, 0],
            by_module(True, True),
            by_module(True, False),
            by_module(False, False),
            # Beside the lowest finite number the logits are lost to rounding, so all hidden keys tie.
            softmax(scores + added),
        ]
    )
    return Libraries(weights[:, 0], float((weights[:, 1:] - weights[:1, 1:]).abs().max()))


Code = Literal["written", "need_weights=True", "need_weights=False"]


def spoiled(code: Code, offset: int = -1) -> Bool[Tensor, " g"]:
    """Which entries of the gradient are not a number, for a loss that ignores row 0, under the mask j ≤ i + offset.

    As written: of ∂loss/∂x. In nn.MultiheadAttention, in training: of ∂loss/∂x and of its four matrices.
    """
    x = inputs(tokens(SENTENCE)).requires_grad_()
    visible = masks.causal(len(x), offset)
    if code == "written":
        wanted, output = [x], attention(*project(x, 0), visible)
    else:
        module = nn.utils.skip_init(nn.MultiheadAttention, D_MODEL, 2, batch_first=True, bias=False, dtype=x.dtype)
        g, wanted = torch.Generator().manual_seed(0), [x, *module.parameters()]
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=D_MODEL**-0.5, generator=g)
        y = x[None]
        output = module(y, y, y, attn_mask=~visible, need_weights=code == "need_weights=True")[0][0]
    gradients = torch.autograd.grad(output[1:].square().sum(), wanted)
    return torch.cat([gradient.flatten() for gradient in gradients]).isnan()
