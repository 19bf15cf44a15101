"""An encoder-decoder learns to write dates: “Sunday 3 May 1987” in, “1987-05-03” out, character by character.

The repository generates its own data: every day of a century, in sixteen styles. A tenth of the days is held out: in no style
are they ever trained. The model has no biases and no learned norms, so that its layers are matrices only: 4 d² of attention
and 8 d² of feed-forward in a layer of the encoder, and 4 d² of cross-attention more in one of the decoder.

In float64: rounding begins nine decades lower than in float32. Training amplifies it all the same, so that on another
processor only the first steps of a curve and the outcome of a run are compared.
"""

import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.memory import remember
from core.ops import masks
from core.ops.cross import cross_attention, cross_weights
from core.ops.dates import STYLES, days
from core.ops.feedforward import feed_forward
from core.ops.norms import Map, layer_norm, pre_norm
from core.ops.positions import sinusoidal
from core.training.shipped import shipped
from core.training.tensors import load, save

PAD, START, END = 0, 1, 2
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 ,'-"
VOCABULARY = 3 + len(ALPHABET)
WRITTEN = 11  # tokens of an answer: ten characters and END
WIDTH, HEADS, LAYERS, D_FF = 64, 2, 2, 256
BATCH, STEPS, RATE, WARMUP, BETAS = 64, 1200, 0.003, 50, (0.9, 0.98)
SEEDS = (0, 1, 2)
CHECKED, EVERY = 48, 100  # while training: so many held-out dates are written, once in so many steps
PROBE = "Sunday 3 May 1987"  # whose alignment is watched while training; it is held out
FILE = "cross_attention.safetensors"

Weights = dict[str, Tensor]
Memory = Tensor | tuple[Tensor, ...] | None


# ------------------------------------------------------------------------------------------------ the data


def code(text: str) -> list[int]:
    """A token for each character; capital letters are small ones."""
    return [3 + ALPHABET.index(c) for c in text.lower()]


def spell(tokens: Sequence[int]) -> str:
    """Tokens as text, up to END."""
    tokens = list(tokens)
    end = tokens.index(END) if END in tokens else len(tokens)
    return "".join(ALPHABET[t - 3] if t > END else "·" for t in tokens[:end])


def batch_of(texts: Sequence[str]) -> Int[Tensor, "b n"]:
    """Texts as rows of tokens, filled up with PAD to the longest."""
    rows = [code(text) for text in texts]
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def answers(of: Sequence[date]) -> Int[Tensor, "b t"]:
    return torch.tensor([[*code(day.isoformat()), END] for day in of])


@remember
def split() -> tuple[tuple[date, ...], tuple[date, ...]]:
    """The days to train on, and the tenth that is held out; the same for every seed. The probe's day is held out."""
    shuffled = days()
    random.Random(42).shuffle(shuffled)
    held = len(shuffled) // 10
    return tuple(shuffled[held:]), tuple(shuffled[:held])


def test_set() -> tuple[list[str], Int[Tensor, "b t"]]:
    """Each held-out day in one of the styles, in turn; and what should be written."""
    held = split()[1]
    return [STYLES[i % len(STYLES)](day) for i, day in enumerate(held)], answers(held)


# ------------------------------------------------------------------------------------------------ the model


def first_weights(seed: int) -> Weights:
    """Uniform within ±1/√(inputs); embeddings within ±1. The matrices of a kind are stacked, a layer above the other; those
    of attention are W_Q, W_K, W_V and W_O."""
    g = torch.Generator().manual_seed(seed)

    def uniform(inputs: int, *shape: int) -> Tensor:
        drawn = torch.rand(*shape, generator=g, dtype=torch.float64) * 2 - 1
        return (drawn / math.sqrt(inputs)).requires_grad_()

    d, f, layers = WIDTH, D_FF, LAYERS
    return {
        "embed": uniform(1, VOCABULARY, d),
        "encoder.self": uniform(d, layers, 4, d, d),
        "encoder.up": uniform(d, layers, d, f),
        "encoder.down": uniform(f, layers, f, d),
        "decoder.self": uniform(d, layers, 4, d, d),
        "decoder.cross": uniform(d, layers, 4, d, d),
        "decoder.up": uniform(d, layers, d, f),
        "decoder.down": uniform(f, layers, f, d),
        "head": uniform(d, d, VOCABULARY),
    }


def embed(weights: Weights, tokens: Int[Tensor, "b n"]) -> Float[Tensor, "b n c"]:
    return weights["embed"][tokens] + sinusoidal(tokens.shape[-1], WIDTH)


def look(own: Float[Tensor, "4 c c"], visible: Bool[Tensor, "*b n n"] | None) -> Map:
    """Self-attention: the sequence asks itself."""
    w_q, w_k, w_v, w_o = own
    return lambda x: cross_attention(x, x, w_q, w_k, w_v, w_o, HEADS, visible)


def think(up: Float[Tensor, "c f"], down: Float[Tensor, "f c"]) -> Map:
    return lambda x: feed_forward(x, up, down)


def encode_embedded(
    weights: Weights, x: Float[Tensor, "b n c"], seen: Bool[Tensor, "b n"] | None
) -> tuple[Float[Tensor, "b n c"], ...]:
    """What each layer of the encoder gives, normalised; the last one is the memory. `seen` is False for padding, which
    nobody may look at; None: everything is seen."""
    visible = None if seen is None else seen[:, None].expand(-1, seen.shape[-1], -1)
    outputs = []
    for own, up, down in zip(*(weights[f"encoder.{part}"].unbind() for part in ("self", "up", "down")), strict=True):
        x = pre_norm(pre_norm(x, look(own, visible)), think(up, down))
        outputs.append(layer_norm(x))
    return tuple(outputs)


def encode(weights: Weights, source: Int[Tensor, "b n"]) -> Float[Tensor, "b n c"]:
    """The memory: a vector for each character of the source."""
    return encode_embedded(weights, embed(weights, source), source != PAD)[-1]


class Decoded(NamedTuple):
    """The logits of a decoder; and what entered the cross-attention of each layer: its askers, and what they were to read."""

    logits: Float[Tensor, "b t v"]
    askers: tuple[Float[Tensor, "b t c"], ...]
    reads: tuple[Float[Tensor, "b n c"], ...] = ()  # none without cross-attention


def decode_embedded(
    weights: Weights, x: Float[Tensor, "b t c"], memory: Memory, seen: Bool[Tensor, "b n"] | None, causal: bool = False
) -> Decoded:
    """The decoder on embedded tokens. Every layer reads the one memory, or each its own of several; None cuts the link.

    `seen` is False for padding of the source. `causal` puts the triangle on the cross-attention too, where it does not belong.
    """
    t = x.shape[-2]
    memories = memory if isinstance(memory, tuple) else (memory,) * LAYERS
    visible = None if seen is None else seen[:, None].expand(-1, t, -1)
    if causal and isinstance(visible, Tensor):
        visible = visible & masks.causal(max(visible.shape[-2:]))[:t, : visible.shape[-1]]
    triangle, askers, reads = masks.causal(t), [], []
    parts = zip(
        *(weights[f"decoder.{part}"].unbind() for part in ("self", "cross", "up", "down")), memories, strict=True
    )
    for own, cross, up, down, read in parts:
        x = pre_norm(x, look(own, triangle))
        askers.append(layer_norm(x))
        if read is not None:
            reads.append(read)
            w_q, w_k, w_v, w_o = cross
            x = x + cross_attention(askers[-1], reads[-1], w_q, w_k, w_v, w_o, HEADS, visible)  # pre_norm, written out
        x = pre_norm(x, think(up, down))
    return Decoded(layer_norm(x) @ weights["head"], tuple(askers), tuple(reads))


def shifted(written: Int[Tensor, "b t"]) -> Int[Tensor, "b t"]:
    """What the decoder reads while it writes: START, then all but the last."""
    return torch.cat([torch.full_like(written[:, :1], START), written[:, :-1]], -1)


def decode(
    weights: Weights,
    written: Int[Tensor, "b t"],
    memory: Memory,
    seen: Bool[Tensor, "b n"] | None,
    causal: bool = False,
) -> Decoded:
    """The logits of each token of `written`, from those before it and the memory."""
    return decode_embedded(weights, embed(weights, shifted(written)), memory, seen, causal)


def write(
    weights: Weights,
    memory: Memory,
    seen: Bool[Tensor, "b n"],
    begun: Int[Tensor, "b t"] | None = None,
    causal: bool = False,
) -> Int[Tensor, "b u"]:
    """Greedy decoding: the likeliest token, again and again; `begun` is written already."""
    written = torch.empty(len(seen), 0, dtype=torch.long) if begun is None else begun
    while written.shape[-1] < WRITTEN:
        blank = torch.cat([written, torch.full((len(seen), 1), END)], -1)
        scores = decode(weights, blank, memory, seen, causal).logits[:, -1]
        blank[:, -1] = scores.argmax(-1)
        written = blank
    return written


def alignments(
    weights: Weights,
    askers: Sequence[Float[Tensor, "b t c"]],
    memory: Float[Tensor, "b n c"],
    seen: Bool[Tensor, "b n"],
) -> Float[Tensor, "l b h t n"]:
    """The weights of every head of every layer's cross-attention: row = written, column = source."""
    visible = seen[:, None].expand(-1, askers[0].shape[-2], -1)
    return torch.stack(
        [
            cross_weights(x, memory, w_q, w_k, HEADS, visible)
            for x, (w_q, w_k, _, _) in zip(askers, weights["decoder.cross"].unbind(), strict=True)
        ]
    )


# ------------------------------------------------------------------------------------------------ training


@dataclass(frozen=True, eq=False)
class Progress:
    """One run so far. The axes: step, check, written character, source character."""

    steps: int
    losses: Float[Tensor, " t"]  # nats a token, of each step
    checked_at: Int[Tensor, " s"]  # steps
    exact: Float[Tensor, " s"]  # the share of CHECKED held-out dates that were written without any mistake
    alignment: Float[Tensor, "11 17"]  # of the probe, last layer, mean of its heads: now

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return len(self.losses) / self.steps


def learning_rate(step: int, steps: int) -> float:
    """Up in WARMUP equal steps, then down to a fiftieth of the rate along half a cosine; step = 1, 2, …"""
    if step <= WARMUP:
        return RATE * step / WARMUP
    share = (step - WARMUP) / (steps - WARMUP) if steps > WARMUP else 1.0
    return RATE * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def batches(seed: int) -> Iterator[tuple[Int[Tensor, "b n"], Int[Tensor, "b t"]]]:
    """Dates to train on, without end, each in a random style."""
    draw, train_on = random.Random(10_000 + seed), split()[0]
    while True:
        chosen = [draw.choice(train_on) for _ in range(BATCH)]
        yield batch_of([draw.choice(STYLES)(day) for day in chosen]), answers(chosen)


def loss_of(weights: Weights, source: Int[Tensor, "b n"], answer: Int[Tensor, "b t"]) -> Float[Tensor, ""]:
    """Cross-entropy in nats a token, each token predicted from the right ones before it."""
    scores = decode(weights, answer, encode(weights, source), source != PAD).logits
    return F.cross_entropy(scores.flatten(0, 1), answer.flatten())


def learn(weights: Weights, seed: int, steps: int = STEPS) -> Iterator[Progress]:
    """Adam (β = 0.9, 0.98) on fresh batches of 64 dates; changes the weights and yields after every step."""
    optimiser = torch.optim.Adam(weights.values(), betas=BETAS, fused=True)
    texts, right = test_set()
    check, right = batch_of(texts[:CHECKED]), right[:CHECKED]
    probe, day = batch_of([PROBE]), answers([date(1987, 5, 3)])
    losses, checked_at, exact = [], [], []
    for step, batch in zip(range(1, steps + 1), batches(seed), strict=False):
        loss = loss_of(weights, *batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = learning_rate(step, steps)
        optimiser.step()
        losses.append(loss.item())
        with torch.no_grad():
            if step in (1, steps) or step % EVERY == 0:
                written = write(weights, encode(weights, check), check != PAD)
                checked_at.append(step)
                exact.append(float((written == right).all(-1).double().mean()))
            if step in (1, steps) or step % 10 == 0:
                memory = encode(weights, probe)
                askers = decode(weights, day, memory, probe != PAD).askers
                alignment = alignments(weights, askers, memory, probe != PAD)[-1, 0].mean(0)
        yield Progress(
            steps,
            torch.tensor(losses, dtype=torch.float64),
            torch.tensor(checked_at),
            torch.tensor(exact, dtype=torch.float64),
            alignment,
        )


def train(seed: int, steps: int = STEPS) -> Iterator[Progress]:
    """One run from its first weights."""
    return learn(first_weights(seed), seed, steps)


# ------------------------------------------------------------------------------------------------ over the test set

CONDITIONS = ("whole", "cut", "shuffled", "swapped", "handed over", "reordered", "beside", "causal")
"""What is done to the link, see `under`."""
PADS = (0, 1, 2, 4, 8, 16)


def under(condition: str, weights: Weights, source: Int[Tensor, "b n"]) -> Int[Tensor, "b t"]:
    """What is written for each source, when

    - `whole`: nothing is done to the link;
    - `cut`: there is no cross-attention;
    - `shuffled`: the characters of each source stand in another order before they are encoded;
    - `swapped`: each date gets the memory of the next one in the batch;
    - `handed over`: the same, but after its own year has been written;
    - `reordered`: the rows of each memory stand in another order, keys and values alike;
    - `beside`: each layer of the decoder reads the layer of the encoder beside it, instead of the last;
    - `causal`: the t-th token sees only the first t characters of the source.
    """
    seen = source != PAD
    order = shuffles(seen)
    if condition == "shuffled":
        source = source.gather(1, order)
    layers = encode_embedded(weights, embed(weights, source), seen)
    memory = layers[-1]
    match condition:
        case "cut":
            return write(weights, None, seen)
        case "swapped":
            return write(weights, memory.roll(-1, 0), seen.roll(-1, 0))
        case "handed over":
            year = write(weights, memory, seen)[:, :4]
            return write(weights, memory.roll(-1, 0), seen.roll(-1, 0), begun=year)
        case "reordered":
            return write(weights, memory.gather(1, order[..., None].expand_as(memory)), seen)
        case "beside":
            return write(weights, layers, seen)
        case "causal":
            return write(weights, memory, seen, causal=True)
    return write(weights, memory, seen)


def shuffles(seen: Bool[Tensor, "b n"]) -> Int[Tensor, "b n"]:
    """A random order of the characters of each row, the same for the same shapes; padding stays where it is."""
    keys = torch.rand(seen.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.where(seen, keys, 2 + torch.arange(seen.shape[-1])).argsort(-1)


def padded(weights: Weights, pads: int, masked: bool, source: Int[Tensor, "b n"]) -> Int[Tensor, "b t"]:
    """What is written when `pads` padding tokens follow every source. The encoder hides them from itself as it should;
    the cross-attention does so too if `masked`, otherwise it sees what the encoder has made of them."""
    source = F.pad(source, (0, pads), value=PAD)
    return write(weights, encode(weights, source), (source != PAD) | (not masked))


def exact_match(written: Int[Tensor, "b t"], right: Int[Tensor, "b t"]) -> float:
    """The share of dates of which every character is right."""
    return float((written == right).all(-1).double().mean())


def groups() -> Iterator[tuple[Int[Tensor, "b n"], Int[Tensor, "b t"]]]:
    """The test set, texts of equal length together: so there is padding only where it is asked for."""
    texts, right = test_set()
    for length in sorted({len(text) for text in texts}):
        which = [i for i, text in enumerate(texts) if len(text) == length]
        yield batch_of([texts[i] for i in which]), right[which]


def outcomes(weights: Weights) -> dict[str, Any]:
    """Over the whole test set: the share of dates that are written right under each condition; the share that is the next
    date of the batch instead (of what is written after the year, where it was handed over then); how many different texts
    are written; the same with padding; and how often a character changes when its favourite in the source is hidden."""
    found: dict[str, Any] = {"exact": {}, "other": {}, "different": {}, "masked": [], "forgotten": []}

    def over_all(written_for: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """What is written, what is right, and what is right for the next one."""
        pieces = [(written_for(source), right, right.roll(-1, 0)) for source, right in groups()]
        written, right, next_one = (torch.cat(piece) for piece in zip(*pieces, strict=True))
        return written, right, next_one

    for condition in CONDITIONS:
        written, right, next_one = over_all(partial(under, condition, weights))
        after = 4 if condition == "handed over" else 0
        found["exact"][condition] = exact_match(written, right)
        found["other"][condition] = exact_match(written[:, after:], next_one[:, after:])
        found["different"][condition] = len(written.unique(dim=0))
    for name, masked in (("masked", True), ("forgotten", False)):
        for pads in PADS:
            written, right, _ = over_all(partial(padded, weights, pads, masked))
            found[name].append(exact_match(written, right))
    return found | hiding(weights)


def hiding(weights: Weights, most: int = 40) -> dict[str, float]:
    """The share of characters that change when one character of the source is hidden from all cross-attention (the encoder
    has seen it): the one with the largest weight, the mean of all heads and layers; or one of the others, on average.

    Over at most `most` dates of each length, each character written after the right ones.
    """
    favourite, others = [], []
    for sources, answered in groups():
        source, right = sources[:most], answered[:most]
        n, seen = source.shape[-1], source != PAD
        memory = encode(weights, source)
        scores, askers, _ = decode(weights, right, memory, seen)
        whole = scores.argmax(-1)[:, :-1]  # END is no character
        looked = alignments(weights, askers, memory, seen).mean((0, 2))[:, :-1]
        without = ~torch.eye(n, dtype=torch.bool)
        each = torch.stack(
            [decode(weights, right, memory, seen & one).logits.argmax(-1)[:, :-1] != whole for one in without], -1
        )  # [b, written, hidden]
        first = looked.argmax(-1, keepdim=True)
        changed = each.gather(-1, first)[..., 0]
        favourite.append(changed.double().flatten())
        others.append(((each.sum(-1) - changed.long()).double() / (n - 1)).flatten())
    return {"favourite": float(torch.cat(favourite).mean()), "others": float(torch.cat(others).mean())}


# ------------------------------------------------------------------------------------------------ what is shipped


def rounded(weights: Weights) -> Weights:
    """As the file keeps them, in float32; and back in float64."""
    return {name: weight.detach().float().double() for name, weight in weights.items()}


def _run(seed: int) -> dict[str, Any]:
    """One run, and what its weights do as the file would keep them; the first seed's file is written."""
    torch.set_num_threads(1)
    weights = first_weights(seed)
    for last in learn(weights, seed):
        if seed == SEEDS[0] and len(last.losses) % EVERY == 0:
            print(f"seed {seed}: {last.done:.0%}, {float(last.losses[-EVERY:].mean()):.4f} nats", file=sys.stderr)
    kept = rounded(weights)
    if seed == SEEDS[0]:
        save(FILE, kept)
    with torch.no_grad():
        return {
            "losses": [float(f"{loss:.3g}") for loss in last.losses.tolist()],
            "checked_at": last.checked_at.tolist(),
            "exact": last.exact.tolist(),
            "alignment": [[round(w, 4) for w in row] for row in last.alignment.tolist()],
            "outcomes": outcomes(kept),
        }


def result() -> dict[str, Any]:
    """What `python -m core.training cross_attention` ships: every seed's curve and what it writes over the test set. The
    weights of the first seed go to a file of their own, in float32."""
    with ProcessPoolExecutor(2) as pool:
        return {str(seed): run for seed, run in zip(SEEDS, pool.map(_run, SEEDS), strict=True)}


@remember
def trained() -> Weights:
    """The shipped weights of the first seed. Do not change them."""
    return {name: weight.double() for name, weight in load(FILE).items()}


@remember
def trained_run(seed: int) -> Progress:
    """The shipped run of one seed, as `train` would end with it."""
    run = shipped("cross_attention")["result"][str(seed)]
    losses, exact, alignment = (torch.tensor(run[k], dtype=torch.float64) for k in ("losses", "exact", "alignment"))
    return Progress(STEPS, losses, torch.tensor(run["checked_at"]), exact, alignment)


def shipped_outcomes(seed: int) -> dict[str, Any]:
    """What `outcomes` found for the weights of one seed."""
    return shipped("cross_attention")["result"][str(seed)]["outcomes"]
