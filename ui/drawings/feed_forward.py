"""Question 10: the lines on which words act on words; XOR in training; a trained layer's neurons; its part; tokens that collapse."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from core.experiments import cross_attention as cross
from core.experiments import feed_forward as layers
from core.experiments import residuals
from core.experiments.feed_forward import PARTS, SHOWN, Part, Sees
from core.experiments.residuals import Norm
from core.presets import preset
from core.say import count, number, percent
from core.training import cross_attention as dates
from core.training import feed_forward as training
from core.training.feed_forward import BITS, FLOOR, VARIANTS, Progress, Variant
from core.training.residuals import Skips
from ui import figures
from ui.drawings import corners
from ui.drawings.masking import ROOMY, SENTENCES, columns, labelled, shortened
from ui.drawings.residuals import FLOOR as LEAST
from ui.drawings.residuals import distinctness
from ui.figures import Figure, Frame, Series
from ui.palette import INK, KEY, MASKED, OCHRE, SIGNED, VALUE, WITH, WITHOUT, faded

SEES: dict[Sees, str] = {"all": "all words", "causal": "itself and before", "near": "its neighbours"}
SEES_HELP = (
    "All words: no mask. Itself and before: the causal mask. Its neighbours: itself, and one word on either side."
)
NUMBER_HELP = (
    "An input acts on an output if the derivative is not 0. The step is in a random direction, the move its root mean square. Lines are "
    "as wide as they are strong beside the strongest of their own sublayer; numbers are comparable throughout. "
    "Attention and the feed-forward layer alone are measured behind their norm and without their skip; a block with both."
)
LABELS: dict[Part, str] = {part: part for part in PARTS}
PARTS_SHOWN: dict[Part, tuple[int, ...]] = {
    "attention": (0,), "feed-forward": (1,), "one block": (0, 1), "two blocks": (0, 1, 2, 3)
}  # fmt: skip
RANDOM = (0, 3, 9999)
HERO = 305  # pixels: question, prediction and hero fit one screen

# ------------------------------------------------------------------------------------------------ who acts on whom

ACROSS, NAMES_AT, WIDEST = (
    0.62,
    0.68,
    1.14,
)  # where the words end, the names of the sublayers begin, and the picture ends
WIDTHS = (0.7, 1.5, 2.6, 4.0)  # pixels of a line, from the weakest quarter to the strongest
BOX = 0.42  # half the height of a feed-forward layer's box, its sublayer being 2 high


@corners(sentence=SENTENCES, sees=tuple(SEES), seed=RANDOM)
def reach_frames(sentence: str, sees: Sees, seed: int) -> list[Frame]:
    """One frame for each part: the words with the lines on which they act on each other, and the same as a matrix."""
    found = layers.reach(sentence, sees, seed)
    high = max(float(found.strength[part].max()) for part in PARTS)
    return [Frame((wires(found, part), matrix(found, part, high)), reach_reading(found, part, sees)) for part in PARTS]


def gaps(starts: Tensor, ends: Tensor) -> np.ndarray:
    """Many lines as one: each from start to end, and then a gap.

    >>> gaps(torch.tensor([0.0]), torch.tensor([2.0])).tolist()
    [0.0, 2.0, nan]
    """
    return figures.numbers(torch.stack([starts, ends, torch.full_like(starts, torch.nan)], -1).flatten())


def wires(found: layers.Reach, part: Part) -> Figure:
    """From the words at the bottom upwards: a line where one acts on another, as wide as it acts strongly."""
    n, chosen, labels = len(found.words), PARTS_SHOWN[part], labelled(found.words)
    sublayers = found.sublayers[: 4 if part == "two blocks" else 2]
    figure = Figure("A line: the lower word acts on the upper", "", "", HERO)
    at = torch.linspace(0, ACROSS, n)
    for k, strength in enumerate(sublayers):
        colour = WITH if k in chosen else WITHOUT
        step = strength / max(float(strength.max()), 1e-300) * len(WIDTHS)
        for i, width in enumerate(WIDTHS):
            output, source = ((strength != 0) & (step.ceil().clamp(1, len(WIDTHS)) == i + 1)).nonzero(as_tuple=True)
            figure.trace(
                "scatter",
                x=gaps(at[source], at[output]),
                y=gaps(torch.full((len(source),), float(k)), torch.full((len(source),), k + 1.0)),
                mode="lines",
                line={"color": faded(colour, 0.9 if k in chosen else 0.45), "width": width},
                hoverinfo="skip",
            )
        acts = f"{int((strength != 0).sum())} of {n * n} pairs"
        name = ("<b>Attention</b><br>between words<br>", "<b>Feed-forward</b><br>inside each word<br>")[k % 2]
        if part == "two blocks":  # half as much room
            name = ("<b>Attention</b><br>", "<b>Feed-forward</b><br>")[k % 2]
        figure.note(
            name + acts, x=NAMES_AT, y=k + 0.5, xanchor="left", align="left", font={"color": colour, "size": 14}
        )
        if k % 2:
            boxes(figure, at, k + 0.5, colour, k in chosen)
    for level in range(len(sublayers) + 1):
        figure.trace(
            "scatter",
            x=figures.numbers(at),
            y=figures.numbers([level] * n),
            mode="markers",
            marker={"color": INK, "size": 8},
            text=[figures.escape(label) for label in labels],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.lay_out(
        showlegend=False,
        margin={"l": 8, "r": 4, "t": 34, "b": 30},
        xaxis={
            "range": [-0.05, WIDEST],
            "fixedrange": True,
            "showgrid": False,
            "showline": False,
            "ticks": "",
            "tickvals": figures.numbers(at).tolist(),
            "ticktext": [
                figures.escape(shortened(word)) if n <= ROOMY else str(i) for i, word in enumerate(found.words)
            ],
            "tickangle": 0,
        },
        yaxis={"range": [-0.12, len(sublayers) + 0.12], "visible": False, "fixedrange": True},
    )
    figure.tabulate(
        ["sublayer", "output of", "input of", "strength"],
        [
            [f"{('attention', 'feed-forward')[k % 2]} {k // 2 + 1}", labels[i], labels[j], value]
            for k, strength in enumerate(sublayers)
            for i, row in enumerate(strength.tolist())
            for j, value in enumerate(row)
        ],
    )
    return figure


def boxes(figure: Figure, at: Tensor, y: float, colour: str, chosen: bool) -> None:
    """A feed-forward layer for each word, all alike."""
    half = min(0.046, 0.4 * float(at[1] - at[0]))
    high = BOX / 2
    for x in at.tolist():
        figure.shape(
            type="rect",
            x0=x - half,
            x1=x + half,
            y0=y - high,
            y1=y + high,
            line={"color": colour, "width": 1.5},
            fillcolor=faded(colour, 0.45 if chosen else 0.2),
        )


def matrix(found: layers.Reach, part: Part, high: float) -> Figure:
    n, strength = len(found.words), found.strength[part]
    labels = labelled(found.words)
    grid = figures.heatmap(
        strength,
        title=f"{part.capitalize()}: {found.pairs(part)} of {n * n} pairs act",
        rows=labels,
        columns=columns(found.words),
        row_names=labels,
        column_names=labels,
        row_title="output of this word",
        column_title="moved by the input of this word",
        limits=(0, high),
        hatched=strength == 0,
        hatch_name="exactly 0",
        text=".2f" if n <= ROOMY else "",
        colour_bar=n > ROOMY,
        height=HERO,
    )
    cells, zeros = grid["data"]
    cells["hovertemplate"] = "input %{x} → output %{y}: %{z:.3f}<extra></extra>"
    zeros.update(mode="text", text="0", textfont={"color": WITHOUT, "size": 13})
    line = {"showgrid": True, "gridcolor": faded(MASKED, 0.6), "ticks": ""}
    for axis, ends in (("xaxis", [-0.5, n - 0.5]), ("yaxis", [n - 0.5, -0.5])):
        grid.lay_out(**{axis: {"minor": {**line, "tickvals": [i - 0.5 for i in range(n + 1)]}, "range": ends}})
    grid["layout"]["yaxis"].pop("autorange")
    if n <= ROOMY:
        grid.lay_out(xaxis={"tickangle": -50 if n > 4 else 0})
    return grid


WHOM: dict[Sees, str] = {
    "all": "to every word",
    "causal": "to itself and to what came before",
    "near": "to itself and to the words beside it",
}


def reach_reading(found: layers.Reach, part: Part, sees: Sees) -> str:
    n = len(found.words)
    pairs = {one: found.pairs(one) for one in PARTS}
    here, every = pairs[part], n * n
    of = f"all {every}" if here == every else f"{here} of {every}"
    whom = "to both words" if n == 2 and sees != "causal" else WHOM[sees]
    match part:
        case "attention":
            return (
                f"Through attention {of} pairs act: each word’s output answers {whom}. Through the feed-forward layer "
                f"{pairs['feed-forward']} do, each word on itself."
            )
        case "feed-forward":
            return (
                f"Through the feed-forward layer {of} pairs act: each word’s output answers to its own input and to nothing "
                f"else. Through attention {pairs['attention']} do."
            )
        case "one block":
            return (
                f"Through a block {of} pairs act, just those that act through its attention. Its feed-forward layer adds none: "
                f"it computes inside each word."
            )
    before = pairs["one block"]
    more = "as many as through one" if here == before else f"{before} through one: the second attention reaches further"
    return f"Through two blocks {of} pairs act, {more}. Their feed-forward layers by themselves would leave it at {pairs['feed-forward']}."


# ------------------------------------------------------------------------------------------------ XOR

TOKEN_SEES: dict[training.Sees, str] = {
    "itself": "itself only",
    "all": "all four cases",
    "itself, normed": "itself, normed",
}
RUNS: dict[Variant, tuple[str, str]] = {
    "attention": ("attention alone", WITHOUT),
    "linear": ("+ linear layer", OCHRE),
    "relu": ("+ ReLU layer", WITH),
}
LEARNED = 0.01  # nats


def training_frame(sees: training.Sees, progress: Progress) -> Frame:
    """The loss of every run, how many cases are right, and what is answered now."""
    axis: dict[str, Any] = {"x": progress.at, "x_title": "training step", "x_range": (0, progress.steps), "height": 330}

    def runs(values: Tensor, which: Sequence[Variant], most: int) -> list[Series]:
        """The first so many runs of some variants; the legend names each variant once."""
        return [
            Series(
                RUNS[v][0] if not r else f"{RUNS[v][0]}, run {r + 1}",
                values[VARIANTS.index(v), r],
                RUNS[v][1],
                "dash" if v == "linear" else "solid",
                width=2,
                legend=not r,
            )
            for v in which
            for r in range(most)
        ]

    many = progress.losses.shape[1]
    loss = figures.lines(
        runs(progress.losses, VARIANTS, many),
        title=f"Loss, {count(many, 'run')} each",
        y_title="loss, nats",
        y_range=(0, 1.5),
        levels={"always ½: ln 2": (FLOOR, INK)},
        **axis,
    )
    right = figures.lines(
        runs(100 * progress.right, ("attention", "relu"), 1),
        title="Cases right, run 1: attention, ReLU",
        y_title="of the four, %",
        y_range=(0, 105),
        y_ticks=(0, 25, 50, 75, 100),
        **axis,
    )
    loss.lay_out(  # in the corner that the curves leave at once, so that the three panels stand alike
        legend={"orientation": "v", "x": 1, "xanchor": "right", "y": 1, "yanchor": "top"}, margin={"t": 34}
    )
    for trace in right["data"]:
        trace["line"] |= {"shape": "hv", "width": 1 if trace["line"]["color"] == WITHOUT else 2}
    answers = figures.bars(
        [Series(RUNS[v][0], progress.answers[i].mean(0), RUNS[v][1]) for i, v in enumerate(VARIANTS)],
        labels=[f"{a} and {b}" for a, b in BITS],
        title="Answer now, mean of the runs",
        x_title="the token’s two bits",
        y_title="probability given to 1",
        y_range=(0, 1.05),
        height=330,
    )
    for trace in answers["data"]:
        trace["marker"]["line"] = {"color": trace["marker"]["color"], "width": 2}  # an answer of 0 is a line
    for one in (right, answers):
        one.lay_out(showlegend=False)
    return Frame((loss, right, answers), training_reading(sees, progress))


def training_reading(sees: training.Sees, progress: Progress) -> str:
    runs = progress.losses.shape[1]
    learned = dict(zip(VARIANTS, (progress.losses[..., -1] < LEARNED).sum(-1).tolist(), strict=True))
    lowest = number(float(progress.losses[0, :, -1].min()))
    most = round(4 * float(progress.right[0].max()))
    said = (
        f"After {count(int(progress.at[-1]), 'step')} so many of {runs} runs have learned XOR (loss below {LEARNED} nats): attention "
        f"alone {learned['attention']}, with a linear layer {learned['linear']}, with ReLU {learned['relu']}."
    )
    if learned["attention"]:
        if sees == "itself, normed":
            return f"{said} Attention can here, for the norm before it is not linear."
        return f"{said} Attention can here, for a softmax over several tokens is not linear; one run more or less says little."
    return (
        f"{said} Attention alone had up to {most} of 4 cases right, and its best loss is {lowest}; always ½ costs "
        f"{number(FLOOR)}."
    )


# ------------------------------------------------------------------------------------------------ a trained layer's neurons

DATES = (cross.EXAMPLE, "3 May '87", "a", "the thirty-first of december 2", "2029 February 30")
DECODER_LAYERS = {2: "2 (last)", 1: "1"}


def said(token: int) -> str:
    """A token as a reader knows it."""
    return "end" if token == dates.END else dates.spell([token]) if token > dates.END else "·"


def steps(found: layers.Memories) -> list[str]:
    """What is written, as the stops of the control."""
    return [said(token) for token in found.written]


def left_out() -> str:
    """How many characters stay right without feed-forward layers in the decoder."""
    whole, last, first, both = (
        percent(layers.right_without(which)) for which in ((), (dates.LAYERS,), (1,), (1, dates.LAYERS))
    )
    return (
        f"On {len(layers.held_out()[0])} held-out dates, each character written after the right ones, the model has {whole} of the characters "
        f"(and ends) right; without the last feed-forward layer of the decoder {last}, without the first {first}, without both {both}"
    )


@corners(source=DATES, layer=tuple(DECODER_LAYERS))
def memory_frames(source: str, layer: int) -> list[Frame]:
    """One frame for each written token: which neurons add most, what their values speak for, when the first of them fires."""
    found, firing = layers.memories(source, layer), layers.firing(layer)
    return [memory_frame(found, firing, t) for t in range(len(found.written))]


def memory_frame(found: layers.Memories, firing: layers.Firing, t: int) -> Frame:
    strongest, tokens = found.strongest(t), list(layers.TOKENS)
    names = [said(token) for token in tokens]
    numbers_ = [str(m) for m in strongest.tolist()]
    written = found.written[t]
    sizes = figures.bars(
        [Series("adds", found.sizes[t][strongest], WITH)],
        labels=numbers_,
        title=f"The {len(numbers_)} neurons that add most",
        x_title="neuron, by number",
        y_title="length of what it adds",
        y_range=(0, 1.05 * float(found.sizes.max())),
        height=330,
    )
    raised = figures.heatmap(
        found.promotes[strongest][:, tokens],
        title="Values: orange for, blue against",
        rows=numbers_,
        columns=names,
        row_title="neuron",
        column_title="character that may be written",
        colours=SIGNED,
        colour_bar=False,
        height=330,
    )
    raised.lay_out(xaxis={"tickangle": 0})
    if written in tokens:
        k = tokens.index(written)
        raised.shape(
            type="rect", x0=k - 0.5, x1=k + 0.5, y0=-0.5, y1=len(numbers_) - 0.5, line={"color": VALUE, "width": 3}
        )
    by_token = firing.by_token[strongest[0]][tokens]
    mine = torch.tensor([float(token == written) for token in tokens], dtype=by_token.dtype)
    when = figures.bars(
        [Series("other", by_token * (1 - mine), WITHOUT), Series("written now", by_token * mine, KEY)],
        labels=names,
        title=f"When neuron {numbers_[0]} fires on held-out dates",
        x_title="character to be written",
        y_title="mean of φ(x·k)",
        stacked=True,
        height=330,
    )
    when.lay_out(xaxis={"tickangle": 0}, showlegend=False)
    return Frame((sizes, raised, when), memory_reading(found, firing, t))


def memory_reading(found: layers.Memories, firing: layers.Firing, t: int) -> str:
    first, written = int(found.strongest(t, 1)), said(found.written[t])
    fire, every = int((found.fires[t] > 0).sum()), found.fires.shape[-1]
    tokens = list(layers.TOKENS)
    key, value = (said(tokens[int(one[first][tokens].argmax())]) for one in (firing.by_token, found.promotes))

    def named(token: str) -> str:
        return "the end" if token == "end" else f"“{token}”"

    begun = f"When {named(written)} is written, {fire} of {every} neurons fire; the most comes from number {first}."
    if key == value == written:
        return f"{begun} Its key fires most strongly before that very character, and its value speaks for it most."
    before, speaks = ("that character" if one == written else named(one) for one in (key, value))
    return f"{begun} Its key fires most strongly before {before}, and its value speaks for {speaks} most."


# ------------------------------------------------------------------------------------------------ its part of the whole


@corners()
def share_frames() -> list[Frame]:
    """One frame for each published model: the layer's share of the weights beside all others', and of the FLOPs by length."""
    shares = {name: layers.share(preset(name)) for name in SHOWN}
    return [
        Frame((weights_figure(shares, name), flops_figure(shares[name], name)), share_reading(shares[name], name))
        for name in SHOWN
    ]


def weights_figure(shares: dict[str, layers.Share], chosen: str) -> Figure:
    of = torch.tensor([100 * share.weights for share in shares.values()])
    mine = torch.tensor([float(name == chosen) for name in shares])
    figure = figures.bars(
        [Series("other models", of * (1 - mine), WITHOUT), Series(chosen, of * mine, WITH)],
        labels=list(shares),
        title="The feed-forward layer’s share of a layer’s weights",
        x_title="",
        y_title="of the weight matrices, %",
        y_range=(0, 105),
        stacked=True,
        height=340,
    )
    figure.lay_out(showlegend=False, xaxis={"tickangle": -40})
    for name, share in zip(shares, of.tolist(), strict=True):
        figure.note(
            f"{share:.0f}",
            x=name,
            y=share,
            yanchor="bottom",
            font={"color": WITH if name == chosen else WITHOUT, "size": 13},
        )
    figure.tabulate(
        ["model", "feed-forward, numbers in its matrices", "attention", "share, %"],
        [[name, s.forward, s.attention, 100 * s.weights] for name, s in shares.items()],
    )
    return figure


def flops_figure(share: layers.Share, name: str) -> Figure:
    """Dotted where the model cannot see so far."""
    lengths, window = torch.tensor(layers.LENGTHS), layers.WINDOWS[name]
    within, beyond = lengths <= window, lengths >= window
    parts = (
        ("feed-forward", 100 * share.flops, WITH),
        ("attention, with its own matrices", 100 * (1 - share.flops), WITHOUT),
    )
    return figures.lines(
        [
            *(Series(one, of[within], colour, x=lengths[within]) for one, of, colour in parts),
            *(
                Series(
                    f"{one}, beyond the window", of[beyond], colour, "dot", x=lengths[beyond], width=1.5, legend=False
                )
                for one, of, colour in parts
            ),
        ],
        x=lengths,
        title=f"A token’s FLOPs in {name}, window {window:,}",
        x_title="tokens that it sees (dotted: beyond the window)",
        y_title="share, %",
        log_x=True,
        x_range=(layers.LENGTHS[0], layers.LENGTHS[-1]),
        x_ticks=(128, 1024, 8192, 65536),
        y_range=(0, 105),
        marks={f"equal at {share.even:,.0f}": (share.even, INK)},
        height=340,
    )


def share_reading(share: layers.Share, name: str) -> str:
    a = preset(name)
    of = f", its {a.experts} experts all counted," if a.experts > 1 else ""
    than = f" than the {count(a.experts_used, 'expert')} that it is sent to" if a.experts > 1 else " than it does"
    window = layers.WINDOWS[name]
    costs, sees = ("would cost", f"{name} sees at most") if share.even > window else ("costs", f"{name} sees up to")
    return (
        f"In {name} the feed-forward layer{of} holds {percent(share.weights)} of the weights of a layer. Beyond {number(share.even)} "
        f"visible tokens attention with its matrices {costs} a token more FLOPs{than}; {sees} {window:,}."
    )


# ------------------------------------------------------------------------------------------------ tokens that collapse

Dash = Literal["solid", "dash", "dot"]
PLACES: dict[Norm, str] = {"pre": "Pre-Norm", "none": "no norm", "post": "Post-Norm"}
BLOCKS, LATE = 16, 4
STACKS: tuple[tuple[Skips, bool, str, str, Dash], ...] = (
    ("both", True, "skips and feed-forward", WITH, "solid"),
    ("both", False, "skips only", WITH, "dash"),
    ("none", True, "feed-forward only", WITHOUT, "solid"),
    ("none", False, "neither", WITHOUT, "dash"),
)


@corners(norm=("pre", "none", "post"), seed=RANDOM)
def collapse_frame(norm: Norm, seed: int) -> list[Frame]:
    """How distinct the tokens are at every height, with and without skips and feed-forward layers; and those with skips enlarged."""
    found = [residuals.stack(norm, skips, BLOCKS, thinks, seed).distinct for skips, thinks, *_ in STACKS]
    series = [
        Series(name, one.clamp_min(LEAST), colour, dash, markers=True)
        for one, (_, _, name, colour, dash) in zip(found, STACKS, strict=True)
    ]
    axis: dict[str, Any] = {
        "x": torch.arange(BLOCKS + 1),
        "x_title": "blocks passed",
        "y_title": "‖X − mean token‖ ÷ ‖X‖",
        "x_range": (0, BLOCKS),
        "x_ticks": range(0, BLOCKS + 1, LATE),
        "height": 360,
    }
    every = figures.lines(
        series,
        title=f"How distinct tokens are: untrained, {PLACES[norm]}",
        log_y=True,
        y_range=(LEAST, 10),
        levels={"no more than rounding": (1e-13, WITHOUT)},
        **axis,
    )
    with_skips = figures.lines(series[:2], title="Only with skips, linear scale", y_range=(0, 1.05), **axis)
    return [Frame((every, with_skips), collapse_reading(norm, found))]


def collapse_reading(norm: Norm, found: Sequence[Tensor]) -> str:
    forward, neither = (distinctness(float(one[LATE])) for one in found[2:])
    where = {"none": "Without norms", "pre": "With Pre-Norm", "post": "With Post-Norm"}[norm]
    without = forward if forward == neither else f"{forward} with feed-forward layers and {neither} without"
    (both, skips), (both_late, skips_late) = ([number(float(one[k]), 2) for one in found[:2]] for k in (LATE, BLOCKS))
    return (
        f"{where}, after {LATE} blocks without skips what tells the tokens apart is {without}. With skips it is {both} of their length with "
        f"feed-forward layers and {skips} without; after {BLOCKS} blocks {both_late} and {skips_late}."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return reach_frames(layers.SENTENCE, "all", 0)[PARTS.index("feed-forward")]
