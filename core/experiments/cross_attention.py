"""What a decoder asks of its encoder: the reader's own date in a trained model, and what happens when the link is changed."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.memory import remember
from core.ops.attention import attention
from core.ops.dates import MOST, read
from core.ops.heads import merge_heads, split_heads
from core.ops.norms import layer_norm, pre_norm
from core.training import cross_attention as model
from core.training.cross_attention import HEADS, LAYERS, PAD, SEEDS, WIDTH, WRITTEN

EXAMPLE, OTHER = "Sunday 3 May 1987", "21st of June 2005"
TORCH = torch.__version__.partition("+")[0]
ALIKE = str.maketrans("’‘‐‑–−", "''----")  # what a keyboard or a word processor makes of an apostrophe and a hyphen


def source_of(text: str, instead: str = EXAMPLE) -> tuple[str, str]:
    """The reader's text as the model can read it, and no complaint; or `instead`, and the reason in words.

    >>> source_of("3 May ’87"), source_of("")[1]
    (("3 May '87", ''), 'Write a date, such as 3rd of May 1987.')
    >>> source_of("3. Mai")[1]
    'The model has never seen “.”: it knows a to z, digits, spaces, commas, apostrophes and hyphens.'
    """
    text = text.translate(ALIKE).strip()
    strange = next((c for c in text if len(c.lower()) != 1 or c.lower() not in model.ALPHABET), "")
    if not text:
        return instead, "Write a date, such as 3rd of May 1987."
    if strange:
        known = "a to z, digits, spaces, commas, apostrophes and hyphens"
        return instead, f"The model has never seen “{strange}”: it knows {known}."
    if len(text) > MOST:
        return instead, f"That is {len(text)} characters; the model was trained on at most {MOST}. Leave some out."
    return text, ""


# ------------------------------------------------------------------------------------------------ one date, step by step


@dataclass(frozen=True, eq=False)
class Translation:
    """What the model makes of one source, character by character."""

    source: str
    written: str  # without END
    means: str  # the date that the text means, in ISO form; nothing if it means none
    certainty: Float[Tensor, " t"]  # the probability of each token that was written
    weights: Float[Tensor, "l h t n"]  # of the cross-attention: row = written, column = source

    @property
    def right(self) -> bool:
        return self.written == self.means

    def looked(self, layer: int, head: int) -> Float[Tensor, "t n"]:
        """The weights of a layer's head, counted from 1; head 0 is the mean of its heads."""
        return self.weights[layer - 1].mean(0) if head == 0 else self.weights[layer - 1, head - 1]


def _read(source: str) -> tuple[Int[Tensor, "b n"], Float[Tensor, "b n c"]]:
    """The tokens of a text and its memory."""
    tokens = model.batch_of([source])
    return tokens, model.encode(model.trained(), tokens)


@remember
def translate(source: str = EXAMPLE) -> Translation:
    """Greedy decoding, then all its steps at once: what was written is read again, each token after those before it."""
    weights, (tokens, memory) = model.trained(), _read(source)
    seen = tokens != PAD
    written = model.write(weights, memory, seen)
    end = written[0].tolist().index(model.END) + 1 if model.END in written[0] else WRITTEN
    written = written[:, :end]
    scores, askers, _ = model.decode(weights, written, memory, seen)
    certainty = scores.softmax(-1).gather(-1, written[..., None])[0, :, 0]
    meant = read(source)
    return Translation(
        source,
        model.spell(written[0].tolist()),
        meant.isoformat() if meant else "",
        certainty,
        model.alignments(weights, askers, memory, seen)[:, 0],
    )


# ------------------------------------------------------------------------------------------------ the link


LIVE = ("whole", "reordered", "shuffled", "cut")  # what the page does to the reader's own date, of model.CONDITIONS


@dataclass(frozen=True, eq=False)
class Link:
    """One source under what is done to the link, and handed over to another memory after each number of characters."""

    source: str
    other: str
    under: dict[str, str]  # of LIVE → what is written
    handed: tuple[str, ...]  # after 0, 1, … 10 characters


@remember
def link(source: str = EXAMPLE, other: str = OTHER) -> Link:
    """What the model writes when its memory is cut, shuffled, or that of another text; from the start or later."""
    weights, alone = model.trained(), model.batch_of([source])
    under = {name: model.spell(model.under(name, weights, alone)[0].tolist()) for name in LIVE}
    # A row for each number of characters: it copies the own text so far, and from then on writes from the other memory.
    own = model.batch_of([under["whole"]])
    own = F.pad(own, (0, WRITTEN - own.shape[-1]), value=model.END)
    memory = _read(other)[1]
    written = torch.empty(WRITTEN, 0, dtype=torch.long)
    for t in range(WRITTEN):
        blank = F.pad(written, (0, 1), value=PAD)
        scores = model.decode(weights, blank, memory.expand(WRITTEN, -1, -1), None).logits[:, -1]
        copied = torch.arange(WRITTEN) > t
        written = torch.cat([written, torch.where(copied, own[0, t], scores.argmax(-1))[:, None]], -1)
    return Link(source, other, under, tuple(model.spell(row) for row in written.tolist()))


def shipped(what: str, condition: str) -> Float[Tensor, " r"]:
    """Over the held-out dates, of every shipped run: the share `exact` or of the `other` date, or how many `different`."""
    return torch.tensor([model.shipped_outcomes(seed)[what][condition] for seed in SEEDS], dtype=torch.float64)


def shipped_padded(masked: bool) -> Float[Tensor, "r p"]:
    """The share that is right with 0 … 16 padding tokens, of every shipped run."""
    name = "masked" if masked else "forgotten"
    return torch.tensor([model.shipped_outcomes(seed)[name] for seed in SEEDS], dtype=torch.float64)


def shipped_hiding(which: str) -> Float[Tensor, " r"]:
    """How often a character changes when its `favourite` in the source is hidden, or one of the `others`."""
    return torch.tensor([model.shipped_outcomes(seed)[which] for seed in SEEDS], dtype=torch.float64)


def held_out() -> int:
    return len(model.split()[1])


def some_held_out(most: int) -> list[tuple[Int[Tensor, "b n"], Int[Tensor, "b t"]]]:
    """At most so many held-out dates of each length, and what should be written for them."""
    return [(source[:most], right[:most]) for source, right in model.groups()]


@dataclass(frozen=True)
class Hidden:
    """What hiding a character of the source from all cross-attention changes, each character written after the right ones."""

    dates: int
    needing: float  # the share of the written characters that change when the whole link is cut
    favourite: float  # of these, the share that changes when the character with the largest mean weight is hidden
    others: float  # when another one is, on average
    unneeding: float  # of the rest, the share that changes with its favourite: what needs no source can hardly change


@remember
def hidden(most: int = 2) -> Hidden:
    """In the shipped weights. A hyphen, and the first digits of a year, come out right without any source, so only the
    characters that need it can say what hiding a part of it does."""
    weights, parts = model.trained(), []
    for source, right in some_held_out(most):
        n, seen = source.shape[-1], source != PAD
        memory = model.encode(weights, source)
        scores, askers, _ = model.decode(weights, right, memory, seen)
        whole = scores.argmax(-1)[:, :-1]  # END is no character
        first = model.alignments(weights, askers, memory, seen).mean((0, 2))[:, :-1].argmax(-1, keepdim=True)
        rows, memories = (one.repeat_interleave(n, 0) for one in (right, memory))
        without = (~torch.eye(n, dtype=torch.bool)).repeat(len(source), 1)
        each = model.decode(weights, rows, memories, without).logits.argmax(-1)[:, :-1].unflatten(0, (-1, n))
        changed = (each != whole[:, None]).movedim(1, -1)  # [b, written, hidden]
        by_favourite = changed.gather(-1, first)[..., 0]
        by_others = (changed.sum(-1) - by_favourite.long()).double() / (n - 1)
        cut = model.decode(weights, right, None, seen).logits.argmax(-1)[:, :-1] != whole
        parts.append(torch.stack([cut.double(), by_favourite.double(), by_others], -1).flatten(0, 1))
    cut, by_favourite, by_others = torch.cat(parts).unbind(-1)
    needs = cut.bool()
    return Hidden(
        len(cut) // (WRITTEN - 1),
        float(cut.mean()),
        float(by_favourite[needs].mean()),
        float(by_others[needs].mean()),
        float(by_favourite[~needs].mean()),
    )


# ------------------------------------------------------------------------------------------------ whose gradients


@dataclass(frozen=True, eq=False)
class Influence:
    """Who acts on what: sizes of derivatives by the embedding of each character, 0 only where there is no way at all."""

    source: Float[Tensor, "t n"]  # on the logit of each written token, by characters of the source
    target: Float[Tensor, "t t"]  # by START and the tokens written before
    queries_source: Float[Tensor, "l t n"]  # on the queries of each layer's cross-attention
    queries_target: Float[Tensor, "l t t"]
    memory_source: Float[Tensor, "l n n"]  # on its keys and values
    memory_target: Float[Tensor, "l n t"]


@remember
def influence(source: str = EXAMPLE, linked: bool = True) -> Influence:
    """By autograd through the whole trained model: each output is a logit, or a random mixture of a query's (a key's and a
    value's) numbers. Without the link no layer has cross-attention; its queries are what would have entered it.

    The inputs are repeated, a row for each output: so one backward pass gives the derivatives of all outputs of a kind.
    """
    weights = model.trained()
    tokens = model.batch_of([source])
    written = model.write(weights, model.encode(weights, tokens), tokens != PAD)
    n, t = tokens.shape[-1], written.shape[-1]
    rows = max(n, t)
    g = torch.Generator().manual_seed(0)
    mixing = torch.randn(3, WIDTH, generator=g, dtype=torch.float64)
    with torch.enable_grad():
        x = model.embed(weights, tokens).repeat(rows, 1, 1).requires_grad_()
        y = model.embed(weights, model.shifted(written)).repeat(rows, 1, 1).requires_grad_()
        memory = model.encode_embedded(weights, x, None)[-1]
        scores, askers, reads = model.decode_embedded(weights, y, memory if linked else None, None)

        def acts(outputs: Float[Tensor, "r m"]) -> list[Float[Tensor, "m i"]]:
            """‖∂ output / ∂ input‖ for each output and each character, of the source and of the target."""
            own = outputs.diagonal().sum()  # output i from row i
            found = torch.autograd.grad(own, (x, y), retain_graph=True, allow_unused=True, materialize_grads=True)
            return [one.norm(dim=-1)[: outputs.shape[-1]] for one in found]

        by_source, by_target = acts(scores.gather(-1, written.expand(rows, -1)[..., None])[..., 0])
        queries, keys = [], []
        reads = reads or (memory,) * LAYERS  # without the link: what would have been read
        for asking, read, (w_q, w_k, w_v, _) in zip(askers, reads, weights["decoder.cross"], strict=True):
            queries.append(acts(asking @ w_q @ mixing[0]))
            keys.append(acts(read @ w_k @ mixing[1] + read @ w_v @ mixing[2]))
    return Influence(
        by_source,
        by_target,
        *(torch.stack([layer[which] for layer in layers]) for layers in (queries, keys) for which in (0, 1)),
    )


# ------------------------------------------------------------------------------------------------ masks


@dataclass(frozen=True, eq=False)
class Padded:
    """One source with padding behind it: the last layer's weights, the mean of its heads, and what is written."""

    masked: Float[Tensor, "t m"]
    forgotten: Float[Tensor, "t m"]
    written: tuple[str, str]  # masked, forgotten


@remember
def padded(source: str = EXAMPLE, pads: int = 8) -> Padded:
    """With the source's padding hidden from the cross-attention, and with that mask forgotten; the encoder hides it."""
    weights = model.trained()
    tokens = F.pad(model.batch_of([source]), (0, pads), value=PAD)
    memory, seen = model.encode(weights, tokens), tokens != PAD
    maps, texts = [], []
    for visible in (seen, torch.ones_like(seen)):
        written = model.write(weights, memory, visible)
        askers = model.decode(weights, written, memory, visible).askers
        maps.append(model.alignments(weights, askers, memory, visible)[-1, 0].mean(0))
        texts.append(model.spell(written[0].tolist()))
    return Padded(maps[0], maps[1], (texts[0], texts[1]))


def nothing_seen(visible: int, weights: bool = True) -> Float[Tensor, " d"]:
    """One target token asks five tokens of padding of which it may see so many: nn.MultiheadAttention's output less its bias,
    called for its weights as well, as is its default, or not, as nn.TransformerDecoder calls it."""
    g = torch.Generator().manual_seed(0)
    module = nn.utils.skip_init(nn.MultiheadAttention, 8, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=g, dtype=torch.float64))
        x, memory = (torch.randn(1, n, 8, generator=g, dtype=torch.float64) for n in (1, 5))
        ignored = torch.arange(5)[None] >= visible  # this module's mask is True where a key is to be ignored
        output = module(x, memory, memory, key_padding_mask=ignored, need_weights=weights)[0][0, 0]
        return output - module.out_proj.bias


# ------------------------------------------------------------------------------------------------ what is kept


def layer_parameters(stack: str) -> int:
    """The numbers in one layer of the shipped model: of its `encoder` or its `decoder`."""
    return sum(w[0].numel() for name, w in model.trained().items() if name.startswith(f"{stack}."))


@dataclass(frozen=True, eq=False)
class Caches:
    """Decoding with caches: how many numbers they hold after each token, and how far the logits are from the full pass."""

    own: Int[Tensor, " t"]  # keys and values of what was written
    source: Int[Tensor, " t"]  # keys and values of the source
    multiplied: Int[Tensor, " t"]  # matrix products that made keys and values of the source, so far
    apart: float


@remember
def caches(source: str = EXAMPLE, recompute: bool = False, append: bool = True) -> Caches:
    """One token at a time: each layer appends the token's key and value to its own cache, and reads those of the source,
    which were made once; or, with `recompute`, are made again for every token. Without `append` it keeps the newest only."""
    weights, (tokens, memory) = model.trained(), _read(source)
    written = model.write(weights, memory, tokens != PAD)
    full = model.decode(weights, written, memory, tokens != PAD).logits[0]
    embedded = model.embed(weights, model.shifted(written))
    own: list[list[Tensor]] = [[memory.new_empty(1, 0, WIDTH)] * 2 for _ in range(LAYERS)]
    cross: list[list[Tensor]] = []
    sizes, products, scores = [], 0, []
    for t in range(written.shape[-1]):
        if not append:
            own = [[kept[:, :0] for kept in layer] for layer in own]
        if recompute or not cross:
            cross = _source_cache(weights, memory)
            products += 2 * LAYERS
        scores.append(_one_token(weights, embedded[:, t : t + 1], own, cross)[0])
        sizes.append([sum(kept.numel() for layer in one for kept in layer) for one in (own, cross)] + [products])
    grown = torch.tensor(sizes)
    return Caches(grown[:, 0], grown[:, 1], grown[:, 2], float((torch.stack(scores) - full).abs().max()))


def _source_cache(weights: model.Weights, memory: Tensor) -> list[list[Tensor]]:
    """Keys and values of the source, for each layer."""
    return [[memory @ w_k, memory @ w_v] for _, w_k, w_v, _ in weights["decoder.cross"]]


def _one_token(weights: model.Weights, x: Tensor, own: list[list[Tensor]], cross: list[list[Tensor]]) -> Tensor:
    """The logits after one embedded token; its keys and values are appended to `own`."""
    for layer in range(LAYERS):
        parts = (weights[f"decoder.{part}"][layer] for part in ("self", "cross", "up", "down"))
        (q, k, v, o), (cq, _, _, co), up, down = parts
        y = layer_norm(x)
        own[layer] = [torch.cat([kept, y @ w], 1) for kept, w in zip(own[layer], (k, v), strict=True)]
        x = x + _attend(y @ q, *own[layer]) @ o
        x = x + _attend(layer_norm(x) @ cq, *cross[layer]) @ co
        x = pre_norm(x, model.think(up, down))
    return (layer_norm(x) @ weights["head"])[:, 0]


@remember
def kept_cache(then: str = "other", after: int = 4, most: int = 2) -> float:
    """The share of held-out dates that go on as the next date after so many characters, where each token is read once and
    its keys and values are kept: those of the first ones come from layers that have read the date's own memory. What is
    read from then on is the memory of the `other` date, or still the `own`."""
    weights, hits = model.trained(), []
    for source, right in some_held_out(most):
        memory = model.encode(weights, source)
        first, later = (_source_cache(weights, m) for m in (memory, memory.roll(-1, 0) if then == "other" else memory))
        own = [[memory.new_empty(len(source), 0, WIDTH)] * 2 for _ in range(LAYERS)]
        written = right[:, :0]
        for t in range(WRITTEN):
            x = model.embed(weights, model.shifted(F.pad(written, (0, 1))))[:, t:]
            scores = _one_token(weights, x, own, first if t < after else later)
            written = torch.cat([written, scores.argmax(-1)[:, None]], -1)
        hits.append((written[:, after:] == right.roll(-1, 0)[:, after:]).all(-1))
    return float(torch.cat(hits).double().mean())


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return merge_heads(attention(split_heads(query, HEADS), split_heads(key, HEADS), split_heads(value, HEADS)))


# ------------------------------------------------------------------------------------------------ PyTorch's own modules


def torch_shapes(target: int = 5, source: int = 9) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of nn.MultiheadAttention's output and weights, where so many target tokens ask so many of a source."""
    module = nn.utils.skip_init(nn.MultiheadAttention, 8, 2, batch_first=True)
    x, memory = torch.zeros(1, target, 8), torch.zeros(1, source, 8)
    output, weights = module(x, memory, memory)
    return tuple(output.shape[1:]), tuple(weights.shape[1:])


def _torchs() -> tuple[nn.Transformer, Tensor, Tensor]:
    """nn.Transformer with three random layers in each stack, a source of 9 tokens and a target of 5."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole = nn.Transformer(16, 2, 3, 3, 32, dropout=0.0, batch_first=True, dtype=torch.float64).eval()
        whole.encoder.use_nested_tensor = False  # torch's prototype of ragged batches, which warns
        for parameter in whole.parameters():  # its layers are copies of one: draw each by itself
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        return whole, torch.randn(1, 9, 16, dtype=torch.float64), torch.randn(1, 5, 16, dtype=torch.float64)


@remember
def torch_reads(layers: int = 3) -> tuple[float, ...]:
    """How far the keys and values that enter each cross-attention of nn.Transformer's decoder are from the output of so many
    layers of its encoder (it has three), normed."""
    whole, source, target = _torchs()
    entered: list[tuple[Tensor, Tensor]] = []
    for decoder_layer in whole.decoder.layers:
        decoder_layer.multihead_attn.register_forward_pre_hook(lambda _, given: entered.append((given[1], given[2])))
    with torch.no_grad():
        whole(source, target)
        memory = source
        for layer in whole.encoder.layers[:layers]:
            memory = layer(memory)
        memory = whole.encoder.norm(memory) if whole.encoder.norm is not None else memory
    return tuple(max(float((one - memory).abs().max()) for one in pair) for pair in entered)


def torch_blind() -> Float[Tensor, "t d"]:
    """nn.Transformer's output where all of the memory is hidden from its decoder."""
    whole, source, target = _torchs()
    with torch.no_grad():
        return whole(source, target, memory_key_padding_mask=torch.ones(1, 9, dtype=torch.bool))[0]


@remember
def torch_padded(*masks: str) -> float:
    """How far padding behind the source moves nn.Transformer's output, with these of its two masks against it."""
    whole, source, target = _torchs()
    longer = torch.cat([source, torch.ones(1, 4, 16, dtype=torch.float64)], 1)
    ignored = torch.arange(13)[None] >= 9  # True = ignore
    with torch.no_grad():
        moved = whole(longer, target, **{f"{name}_key_padding_mask": ignored for name in masks})
        return float((moved - whole(source, target)).abs().max())
