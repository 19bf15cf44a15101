"""Question 1: a layer's FLOPs to scale; attention block by block; seconds; bytes of published models; writing."""

import math

import torch

from core.experiments import quadratic_cost as cost
from core.experiments.quadratic_cost import BLOCKS, GROWTH, HEADS, LENGTHS, MODELS, SAVED, TOKENS, WIDTHS, Timings
from core.ops.counting import Flops, score_bytes, written_scores
from core.presets import CONTEXTS, preset
from core.say import NO_BREAK, count, number, percent
from ui import figures
from ui.drawings import corners
from ui.drawings.parameters import COLOURS, amount, size_of
from ui.figures import Figure, Frame, Rectangle, Series
from ui.palette import INK, OCHRE, ROSE, WITH, WITHOUT

SEEDS = (0, 9999)
HERO = 290  # pixels: question, prediction and hero fit one screen
GAP = 0.4  # between weights and scores, in units of d
MATRICES = (
    *((name, 1.0, (float(i), 2.0)) for i, name in enumerate(("W_Q", "W_K", "W_V", "W_O"))),
    ("W_up", 4.0, (0.0, 1.0)),
    ("W_down", 4.0, (0.0, 0.0)),
)


# ------------------------------------------------------------------------------------------------ one layer, to scale


@corners(d_model=WIDTHS, n_heads=HEADS)
def layer_frames(d_model: int, n_heads: int) -> list[Frame]:
    """One frame for each length: one token's FLOPs as areas, and the layer's on the way to all other lengths."""
    made = [cost.work(n, d_model) for n in LENGTHS]
    return [
        Frame((areas(n, d_model, n_heads, one), growth(n, d_model, made)), layer_reading(n, d_model, n_heads, one))
        for n, one in zip(LENGTHS, made, strict=True)
    ]


def areas(n: int, d_model: int, n_heads: int, made: Flops) -> Figure:
    """The numbers that one token is multiplied by: 12 d² weights, and the 2 N d of all keys and values, a square for a head.

    Two operations for each of them, so areas are FLOPs, on one scale for all lengths.
    """
    each = made.weights / 12 / n  # of one d × d area, for one token
    shapes = [
        Rectangle(name, wide, 1.0, COLOURS[name], f"{amount(wide * each)}FLOPs a token", at)
        for name, wide, at in MATRICES
    ]
    side = math.sqrt(made.attention / n / n_heads / each)  # of one head's square, in units of d
    across = math.isqrt(n_heads)
    note = f"of {count(n, 'token')} in one head, {amount(made.attention / n / n_heads)}FLOPs a token"
    shapes += [
        Rectangle("K, V", side, side, WITH, note, (4 + GAP + column * side, row * side))
        for row in range(across)
        for column in range(across)
    ]
    even = math.sqrt(12)  # the side of a square as large as the weights
    shapes.append(Rectangle("N = 6 d", even, even, INK, "as large as the weights", (4 + GAP, 0.0), outline=True))
    title = "One token’s work to scale: area = FLOPs"
    drawn = figures.rectangles(shapes, title=title, named=True, x_title="", y_title="", height=HERO)
    whole = across * side
    drawn.lay_out(
        showlegend=False,
        xaxis={"range": [-0.05, max(8.0, 4 + GAP + 1.02 * whole)], "constraintoward": "left", "visible": False},
        yaxis={"range": [-0.05, max(3.9, 1.02 * whole)], "constraintoward": "bottom", "visible": False},
        margin={"l": 14, "r": 14, "t": 34, "b": 64},
    )
    near = whole <= even
    above = {"xanchor": "left", "yanchor": "bottom", "font": {"color": INK}}
    drawn.note("12 d² weights" if near else "weights", x=0, y=3, **above)
    if near:
        drawn.note("N = 6 d: half the work", x=4 + GAP, y=even, **above)
    words = (
        (f"weights {amount(made.weights / n)}FLOPs × N = {amount(made.weights)}FLOPs", INK),
        (f"K and V {amount(made.attention / n)}FLOPs × N = {amount(made.attention)}FLOPs", WITH),
        (f"h N² scores in 16 bits, if stored: {size_of(score_bytes(n, n_heads))}", WITH),
    )
    for i, (text, colour) in enumerate(words):
        place = {"xref": "paper", "yref": "paper", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top"}
        drawn.note(text, **place, yshift=-4 - 19 * i, font={"color": colour})
    rows: list[list[str | float | None]] = [[name, 2.0 * n * wide * d_model**2] for name, wide, _ in MATRICES]
    drawn.tabulate(["part", "FLOPs of N tokens"], [*rows, ["scores and weighted sums, all heads", made.attention]])
    return drawn


def growth(n: int, d_model: int, made: list[Flops]) -> Figure:
    """The same on logarithmic axes, over all lengths."""
    totals = torch.tensor([[float(one.weights), float(one.attention)] for one in made], dtype=torch.float64)
    return figures.lines(
        [Series("weights: 24 N d²", totals[:, 0], OCHRE), Series("scores and sums: 4 N² d", totals[:, 1], WITH)],
        x=torch.tensor(LENGTHS),
        title=f"The same for every length, d = {d_model:,}",
        x_title="N, tokens",
        y_title="FLOPs of a layer",
        log_x=True,
        log_y=True,
        x_range=(LENGTHS[0], LENGTHS[-1]),
        x_ticks=(32, 256, 2048, 16384, 131072),
        y_range=(float(totals.min()) / 2, float(totals.max()) * 50),
        marks={"N": (n, INK), f"6 d = {6 * d_model:,}": (6 * d_model, WITHOUT)},
        height=HERO,
    )


def layer_reading(n: int, d_model: int, n_heads: int, made: Flops) -> str:
    share = made.attention / made.total
    twice = cost.work(2 * n, d_model)
    half = "Exactly half, 50" + NO_BREAK + "%" if made.attention == made.weights else percent(share)
    heads = "" if n_heads == 1 else f", in {n_heads} heads as in one"
    where = f"At N = {n:,}" + (f" = 6{NO_BREAK}d" if n == 6 * d_model else "")
    return (
        f"{where} and d = {d_model:,}, {half[0].lower()}{half[1:]} of the layer’s FLOPs are quadratic in N{heads}: N tokens "
        f"meet N keys and values. Doubling N multiplies them by {number(twice.attention / made.attention)}, the rest by {number(twice.weights / made.weights)}, and the layer by "
        f"{number(twice.total / made.total)}."
    )


# ------------------------------------------------------------------------------------------------ block by block


@corners(rescale=(True, False), seed=SEEDS)
def block_frames(rescale: bool, seed: int) -> list[Frame]:
    """One frame for each size of a block: what of the square exists at once, and how far the outputs are off."""
    colour = WITH if rescale else WITHOUT
    off = {p: cost.blockwise_errors(seed, rescale, p) for p in ("float64", "float32")}
    curves = [
        Series("float64", off["float64"], colour, markers=True),
        Series("float32", off["float32"], colour, "dash", markers=True),
    ]
    frames = []
    for i, block in enumerate(BLOCKS):
        square = figures.rectangles(
            [
                Rectangle(f"{block} of {TOKENS} keys", block, TOKENS, colour, "", (TOKENS // block // 2 * block, 0)),
                Rectangle(
                    "never stored as a whole" if block < TOKENS else "all", TOKENS, TOKENS, INK, "", (0, 0), True
                ),
            ],
            title="Scores that exist at once",
            x_title=f"{figures.COLUMNS_ARE_ASKED}, of {TOKENS}",
            y_title=figures.ROWS_ASK,
            height=330,
        )
        errors = figures.lines(
            curves,
            x=torch.tensor(BLOCKS),
            title="Largest difference from plain attention",
            x_title="keys in a block",
            y_title="difference of an output",
            log_x=True,
            log_y=True,
            x_range=(0.8, 1.25 * TOKENS),
            x_ticks=BLOCKS,
            y_range=(1e-17, 1e2),
            marks={count(block, "key"): (block, INK)},
            height=330,
        )
        frames.append(Frame((square, errors), block_reading(i, rescale, off)))
    return frames


def block_reading(i: int, rescale: bool, off: dict[str, torch.Tensor]) -> str:
    block = BLOCKS[i]
    double, single = (number(float(off[p][i]), 2) for p in ("float64", "float32"))
    if block == TOKENS:
        forgot = "" if rescale else ", so that forgetting it does no harm"
        return (
            f"With all {TOKENS} keys in one block the whole square exists and nothing is rescaled{forgot}. The outputs differ "
            f"from plain attention’s by at most {double} in float64 and {single} in float32."
        )
    some = f"In blocks of {count(block, 'key')} {block * TOKENS:,} scores exist at once, of {TOKENS**2:,}."
    if not rescale:
        return f"{some} Without the factor the outputs are off by up to {double} in float64 and {single} in float32: a bug, not rounding."
    return f"{some} The outputs differ from plain attention’s by at most {double} in float64 and {single} in float32: rounding."


@corners()
def saved_frames() -> list[Frame]:
    """What autograd keeps after the forward pass, against the number of tokens."""
    kept = {way: torch.tensor([cost.saved_for_backward(way, n) for n in SAVED]).double() for way in ("plain", "fused")}
    drawn = figures.lines(
        [
            Series("plain: product, softmax, product", kept["plain"], WITHOUT, markers=True),
            Series("fused: scaled_dot_product_attention", kept["fused"], WITH, markers=True),
        ],
        x=torch.tensor(SAVED),
        title="Kept for the backward pass, one head of width 64 in float32",
        x_title="N, tokens",
        y_title="bytes",
        log_x=True,
        log_y=True,
        x_range=(0.9 * SAVED[0], 1.1 * SAVED[-1]),
        x_ticks=SAVED,
        y_range=(1e5, 5e7),
        height=300,
    )
    (plain, fused), (by, twice) = (
        [float(f(kept[w])) for w in kept] for f in (lambda k: k[-1], lambda k: k[-1] / k[-2])
    )
    said = (
        f"For {SAVED[-1]:,} tokens autograd keeps {size_of(plain)} of plain attention and {size_of(fused)} of the fused. The last "
        f"doubling of N multiplied the first by {number(by)}, the second by {number(twice)}."
    )
    return [Frame((drawn,), said)]


# ------------------------------------------------------------------------------------------------ on the clock

TIMED = {
    "plain": ("plain attention", WITHOUT),
    "fused": ("fused attention", WITH),
    "feed-forward": ("feed-forward layer", OCHRE),
}


UNSURE = 0.2  # standard error of a slope: beyond it 1 and 2 are hardly told apart


def clock_frame(t: Timings) -> Frame:
    """The shortest run of every layer and length so far, and the slopes."""
    fits = {name: t.slope(name) for name in cost.LAYERS}
    words = {name: f"{number(round(slope, 2))} ± {hundredths(error)}" for name, (slope, error) in fits.items()}
    drawn = figures.lines(
        [
            Series(f"{TIMED[name][0]}: slope {words[name]}", 1000 * best, TIMED[name][1], markers=True)
            for name, best in zip(cost.LAYERS, t.best, strict=True)
        ],
        x=torch.tensor(t.lengths),
        title=f"Processor time on this machine, the shortest of {count(t.seconds.shape[-1], 'run')}",
        x_title="N, tokens",
        y_title="milliseconds",
        log_x=True,
        log_y=True,
        x_range=(0.9 * t.lengths[0], 1.1 * t.lengths[-1]),
        x_ticks=[n for n in t.lengths if n & (n - 1) == 0],
        height=360,
    )
    said = (
        f"Time grew like N to the power {words['plain']} in plain attention, {words['fused']} in fused attention and "
        f"{words['feed-forward']} in the feed-forward layer (± the standard error of the fit). "
    )
    if max(error for _, error in fits.values()) > UNSURE:
        return Frame((drawn,), f"{said}That is too noisy to tell: measure again.")
    said += "The work’s powers are 2, 2 and 1: costs that grow more slowly than the work make a slope smaller, and noise moves it either way."
    return Frame((drawn,), said)


def hundredths(error: float) -> str:
    """
    >>> hundredths(0.1173), hundredths(0.002), hundredths(0)
    ('0.12', 'under 0.01', '0')
    """
    return "under 0.01" if 0 < error < 0.005 else number(round(error, 2))


# ------------------------------------------------------------------------------------------------ published models


@corners()
def length_frames() -> list[Frame]:
    """One frame for each model: its bytes against the length of a text, and for how long a text it was published."""
    return [Frame((bytes_of(name), published(name)), length_reading(name)) for name in MODELS]


def bytes_of(name: str) -> Figure:
    s = cost.sizes(name)
    tokens = CONTEXTS[name].tokens
    return figures.lines(
        [
            Series("weights", torch.full_like(s.cache, s.weights), OCHRE, "dash"),
            Series("keys and values", s.cache, ROSE),
            Series("one layer’s scores, if stored", s.scores, WITHOUT, "dot"),
        ],
        x=s.tokens,
        title=f"{name}: bytes, in 16 bits",
        x_title="N, tokens of one text",
        y_title="bytes",
        log_x=True,
        log_y=True,
        x_range=(GROWTH[0], GROWTH[-1]),
        x_ticks=(128, 1024, 8192, 65536, 524288),
        y_range=(1e5, 1e16),
        marks={f"published: {tokens:,}": (tokens, INK)},
        height=340,
    )


def published(name: str) -> Figure:
    """All the models' lengths, this one's in colour."""
    lengths = [CONTEXTS[model].tokens for model in MODELS]
    nothing = math.nan
    drawn = figures.bars(
        [
            Series("this model", [n if m == name else nothing for m, n in zip(MODELS, lengths, strict=True)], WITH),
            Series("others", [nothing if m == name else n for m, n in zip(MODELS, lengths, strict=True)], WITHOUT),
        ],
        labels=[model.replace(" ", "<br>", 1) for model in MODELS],
        names=MODELS,
        title="Published for so many tokens",
        x_title="model, by length",
        y_title="tokens",
        log_y=True,
        stacked=True,
        y_range=(100, 1e6),
        height=340,
    )
    drawn.shape(
        type="line", x0=0, x1=1, xref="paper", y0=4096, y1=4096, line={"color": INK, "width": 1.5, "dash": "dash"}
    )
    drawn.note(
        "4,096", x=0, xref="paper", xanchor="left", y=math.log10(4096), yanchor="bottom", yshift=2, font={"color": INK}
    )
    return drawn


def length_reading(name: str) -> str:
    tokens, a = CONTEXTS[name].tokens, preset(name)
    s = cost.sizes(name, (tokens,))
    ends = "where its learned positions end" if a.positions else "though its rotated positions go on"
    return (
        f"{name} was published for {tokens:,} tokens, {ends}. Such a text takes {size_of(float(s.cache[0]))} of keys and values beside "
        f"{size_of(s.weights)} of weights; one layer’s scores, if stored, {size_of(float(s.scores[0]))}."
    )


# ------------------------------------------------------------------------------------------------ writing

WRITTEN = tuple(range(1, 13))
FAR = tuple(2**k for k in range(13))


@corners()
def writing_frames() -> list[Frame]:
    """One frame for each number of tokens: how often every score was computed, without a cache and with one."""
    most = WRITTEN[-1]
    labels = [str(i) for i in WRITTEN]
    hidden = torch.ones(most, most).triu(1).bool()
    frames = []
    for n in WRITTEN:
        runs = {cached: cost.write(n, cached) for cached in (False, True)}
        maps = []
        for cached, run in runs.items():
            z = torch.full((most, most), math.nan)
            z[:n, :n] = run.times
            z[hidden] = 0.0
            maps.append(
                figures.heatmap(
                    z,
                    title=f"Times computed {'with' if cached else 'without'} a cache",
                    rows=labels,
                    columns=labels,
                    limits=(0, most),
                    hatched=hidden,
                    text=".0f",
                    colour_bar=False,
                    height=330,
                )
            )
        totals = figures.lines(
            [
                Series("without", torch.tensor([float(written_scores(m, False)) for m in FAR]).double(), WITHOUT),
                Series("with a KV cache", torch.tensor([float(written_scores(m)) for m in FAR]).double(), WITH),
            ],
            x=torch.tensor(FAR),
            title="Scores for N written tokens",
            x_title="N, tokens",
            y_title="scores per head and layer",
            log_x=True,
            log_y=True,
            x_range=(1, FAR[-1]),
            x_ticks=(1, 8, 64, 512, 4096),
            y_range=(0.7, 1e11),
            marks={f"N = {n}": (n, INK)},
            height=330,
        )
        frames.append(Frame((*maps, totals), writing_reading(n, runs[False], runs[True])))
    return frames


def writing_reading(n: int, anew: cost.Written, kept: cost.Written) -> str:
    if n == 1:
        return "One token has one score, with a cache or without."
    off = number(float((anew.text - kept.text).abs().max()), 2)
    scores = [int(run.times.sum()) for run in (kept, anew)]
    same = "The texts are the same" + (f", to rounding ({off})" if off != "0" else "")
    return (
        f"Writing {n} tokens computes {scores[0]} scores per head and layer with a KV cache, each once, and {scores[1]} without. "
        f"{same}; {kept.through} tokens went through the weights, without a cache {anew.through}."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return layer_frames(WIDTHS[0], HEADS[0])[LENGTHS.index(1024)]
