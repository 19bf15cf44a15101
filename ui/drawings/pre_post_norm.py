"""Question 7: the block whose norm moves; the stream, the nudge, the first steps, and which models learn."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from core.experiments import pre_post_norm as norms
from core.experiments.pre_post_norm import Order
from core.say import number
from core.training import pre_post_norm as training
from ui import figures
from ui.drawings import corners
from ui.figures import Box, Figure, Frame, Label, Path, Series
from ui.palette import INK, MASKED, WITH, WITHOUT, faded

NAMES: dict[Order, str] = {"post": "Post-Norm", "pre": "Pre-Norm"}
COLOURS: dict[Order, str] = {"post": WITHOUT, "pre": WITH}
DEPTHS = {24: "24", 12: "12", 6: "6", 2: "2"}  # layers of an encoder that is not trained
WIDTHS = {64: "64", 32: "32", 128: "128"}
LAYERS = {12: "12", 8: "8", 4: "4", 2: "2"}  # of a trained one
RATES = {0.003: "0.003", 0.001: "0.001", 0.01: "0.01"}
WARMUPS = {0: "none", 100: "100 steps"}
SEEDS = (0, 3, 14, 9999)
HERO = 290  # pixels: question, prediction and hero fit one screen

DEPTH_AXIS: dict[str, Any] = {
    "x": torch.tensor(norms.DEPTHS, dtype=torch.float64),
    "x_title": "layers L",
    "log_x": True,
    "x_range": (1.8, 54),
    "x_ticks": (2, 4, 8, 16, 32, 48),
}
STEP_AXIS: dict[str, Any] = {
    "x_title": "training step",
    "log_x": True,
    "x_range": (0.9, 330),
    "x_ticks": (1, 3, 10, 30, 100, 300),
}


def layer_axis(depth: int, name: str = "layer, from the bottom") -> dict[str, Any]:
    step = max(1, depth // 6)
    ticks = range(step, depth + 1, step)
    return {"x": torch.arange(1, depth + 1), "x_title": name, "x_range": (0.5, depth + 0.5), "x_ticks": ticks}


def panel(
    title: str,
    y_title: str,
    curves: Mapping[Order, Tensor],
    axis: dict[str, Any],
    *,
    log_y: bool = True,
    within: Sequence[Tensor] = (),
    bold: Order | None = None,
    also: Sequence[Series] = (),
    **more: Any,
) -> Figure:
    """A line for each order, or a thinner one for each of its runs, `[runs, points]`, in one colour and under one name.

    The vertical axis holds all of `within`, or else the curves. `bold` is the order that the reader has chosen.
    """
    series = []
    for order, values in curves.items():
        runs = values if values.dim() > 1 else values[None]
        other = bold is not None and order != bold
        width = 2 if other else 1.6 if values.dim() > 1 else 3 if bold is None else 4
        colour = faded(COLOURS[order], 0.75) if other else COLOURS[order]
        dots = values.dim() == 1 and len(values) <= 12
        for run, line in enumerate(runs):
            series.append(Series(NAMES[order], line, colour, width=width, markers=dots, legend=not run))
    every = torch.cat([v.flatten() for v in within or tuple(curves.values())]).double()
    low, high = float(every.min()), float(every.max())
    return figures.lines(
        [*series, *also],
        title=title,
        y_title=y_title,
        log_y=log_y,
        **{"y_range": (low / 1.3, high * 1.3) if log_y else (0, 1.05 * high), "height": 320, **axis, **more},
    )


# ------------------------------------------------------------------------------------------------ the block

PATH, BRANCH = 42, 72  # where they stand, of 100 across
SUBLAYERS = {"attention": 4, "feed-forward": 52}  # and where a branch leaves the path
FREE, JOIN, ON_PATH = 9, 34, 41.5  # above that: the norm of a branch, the branch's end, the norm of the path
LAST, OUT_OF_SIGHT = 107, 140  # the norm at the end, where there is one, and where there is none
HALF = 4  # of a norm's height


def block_figure(order: Order, depth: int, size: float) -> Figure:
    """The last block: filled the norms, dashed where the other order has them; `size` is ‖x‖² ÷ d of what leaves it."""
    pre, colour = order == "pre", COLOURS[order]
    other: Order = "post" if pre else "pre"
    last = LAST if pre else OUT_OF_SIGHT
    parts: list[Box | Path | Label] = [
        Path(((6, 2), (4, 2), (4, 98), (6, 98)), MASKED, 1.5),
        Label(3, 50, f"{depth} ×", side="middle left"),
        Label(PATH + 3, -3, "x", side="middle right"),
    ]
    # Lines end where a norm stands. Where none stands, one piece ends where the next begins.
    bottom = -3.0
    for middle, there in (
        (SUBLAYERS["attention"] + ON_PATH, not pre),
        (SUBLAYERS["feed-forward"] + ON_PATH, not pre),
        (LAST, pre),
    ):
        half = HALF if there else 0
        parts.append(Path(((PATH, bottom), (PATH, middle - half)), INK, 3, note=STREAM))
        bottom = middle + half
    parts.append(Path(((PATH, bottom), (PATH, 119)), INK, 3, arrow=True, note=STREAM))
    for name, y in SUBLAYERS.items():
        half = HALF if pre else 0
        parts += [
            Path(((PATH, y), (BRANCH, y), (BRANCH, y + FREE - half)), INK, 1.8),
            Path(((BRANCH, y + FREE + half), (BRANCH, y + 18)), INK, 1.8),
            Path(((BRANCH, y + 30), (BRANCH, y + JOIN), (PATH + 3, y + JOIN)), INK, 1.8, arrow=True),
            Box(BRANCH - 18, y + 18, 36, 12, name, INK, 0.08, note=f"the branch F: {name}"),
            Label(PATH, y + JOIN, "⊕", size=20),
        ]
    for y in SUBLAYERS.values():
        places = {"post": (PATH, y + ON_PATH), "pre": (BRANCH, y + FREE)}
        (x, then), left = places[other], pre
        parts += [
            norm_box(x, then, "", MASKED, 0, "dot", f"{NAMES[other]}: the norm stands here"),
            Label(x + (-11 if left else 11), then, NAMES[other], COLOURS[other],
                  side="middle left" if left else "middle right", size=12),
            norm_box(*places[order], "norm", colour, 0.3, "solid", f"{NAMES[order]}: the norm stands here"),
        ]  # fmt: skip
    parts += [
        norm_box(PATH, last, "norm", colour, 0.3, "solid", "Pre-Norm: one more norm, after the last layer"),
        Label(PATH + 11, last, "once, at the end", colour, side="middle right", size=12),
        Label(PATH + 11, 98, f"‖x‖² = {number(size, 2)} d", side="middle right", size=15),
    ]
    return figures.diagram(
        parts,
        title=f"{NAMES[order]}: norm on the {'branch' if pre else 'path'}",
        x_range=(-8, 104),
        y_range=(-7, 121),
        height=HERO,
        moves=True,
    )


STREAM = "the stream x, from the bottom to the top"


def norm_box(x: float, y: float, label: str, colour: str, fill: float, dash: str, note: str) -> Box:
    """Around its middle."""
    return Box(x - 9, y - HALF, 18, 2 * HALF, label, colour, fill, dash, note)


@corners(depth=tuple(DEPTHS), width=tuple(WIDTHS), seed=SEEDS)
def block_frames(depth: int, width: int, seed: int) -> list[Frame]:
    """One frame for each order: the block, the gradient of every layer, and how far a nudge to all weights moves the output."""
    begin = norms.start(depth, width, seed)
    return [
        Frame(
            (
                block_figure(order, depth, float(begin[order].size[-1])),
                gradient_figure(order, begin),
                moved_figure(order, depth),
            ),
            block_reading(order, begin),
        )
        for order in norms.ORDERS
    ]


def gradient_figure(order: Order, begin: dict[Order, norms.Start]) -> Figure:
    """Every layer's gradient in both orders, with the numbers of the chosen one's first and last layer."""
    depth = len(begin[order].gradient)
    figure = panel(
        f"Gradient of every layer, {depth} layers",
        "size of the gradient of W₂",
        {each: begin[each].gradient for each in norms.ORDERS},
        layer_axis(depth),
        log_y=False,
        bold=order,
        height=HERO,
    )
    for layer in (1, depth):
        value = float(begin[order].gradient[layer - 1])
        figure.note(
            number(value, 2), x=layer, y=value, xanchor="left" if layer == 1 else "right",
            yanchor="bottom" if order == "pre" else "top",
            yshift=6 if order == "pre" else -6, font={"color": COLOURS[order], "size": 15},
        )  # fmt: skip
    return figure


def moved_figure(order: Order, depth: int) -> Figure:
    """How far the output moves when all weights are changed a little, against the depth: on this learning depends."""
    moved = {each: norms.typical(norms.amplification(each)) for each in norms.ORDERS}
    depths = torch.tensor(norms.POOLED_DEPTHS, dtype=torch.float64)
    return panel(
        "All weights nudged: the output moves",
        "(output’s move ÷ nudge)²",
        moved,
        {
            "x": depths,
            "x_title": f"layers L, {norms.POOLED_DRAWS} encoders of width {norms.POOLED_WIDTH}",
            "x_range": (0, 25),
            "x_ticks": (2, 6, 12, 24),
            "y_range": (0, 1.2 * float(torch.stack([*moved.values()]).max())),  # the mark's name stands above the lines
        },
        log_y=False,
        bold=order,
        marks={f"{depth} layers": (float(depth), INK)},
        height=HERO,
    )


def block_reading(order: Order, begin: dict[Order, norms.Start]) -> str:
    """What the place of the norm does to the stream and to the last gradient; and to the output, on which training depends."""
    depth = len(begin[order].gradient)
    rival: Order = "pre" if order == "post" else "post"
    size = number(float(begin[order].size[-1]), 2)
    last = {each: number(float(begin[each].gradient[-1]), 2) for each in norms.ORDERS}
    begins = (
        f"On the path, the norm sets the stream back to ‖x‖² = {size} d after every addition, and"
        if order == "post"
        else f"On the branch, the norm lets the stream grow to ‖x‖² = {size} d; the last norm divides by its length, on the "
        "way back too, and"
    )
    moved = {
        each: float(norms.typical(norms.amplification(each))[norms.POOLED_DEPTHS.index(depth)]) for each in norms.ORDERS
    }
    return (
        f"{begins} the last layer’s gradient is {last[order]} ({NAMES[rival]}: {last[rival]}). But nudge all weights: in "
        f"{norms.POOLED_DRAWS} encoders of width {norms.POOLED_WIDTH} Post-Norm’s output moves "
        f"{number(moved['post'] / moved['pre'], 2)} times as far, squared."
    )


# ------------------------------------------------------------------------------------------------ the stream


def follows(first: Tensor, power: float, name: str, depths: Tensor = DEPTH_AXIS["x"]) -> Series:
    """The dotted line of a power of the depth through the first point."""
    return Series(name, first * (depths / depths[0]) ** power, MASKED, "dot", width=1.5)


def power(values: Tensor) -> str:
    """The power of the depth that they follow, as it is said: two digits and its sign.

    >>> power(3 * DEPTH_AXIS["x"] ** -0.4932), power(DEPTH_AXIS["x"] ** 1.04)
    ('−0.49', '+1.0')
    """
    slope = float(norms.slope(norms.DEPTHS, values))
    return ("+" if slope > 0 else "") + number(slope, 2)


@corners(width=tuple(WIDTHS), seed=SEEDS)
def stream_frames(width: int, seed: int) -> list[Frame]:
    """How large the stream is after each layer; and the gradient of the last layer, against the depth."""
    grown = {order: norms.growth(order, width, seed).size for order in norms.ORDERS}
    last = {
        order: norms.last_gradients(order, width, seed, norms.draws(width), norms.DEPTHS).mean(-1)
        for order in norms.ORDERS
    }
    deepest = norms.DEPTHS[-1]
    return [
        Frame(
            (
                panel(
                    "Size of the stream after each layer",
                    "‖x‖² ÷ d",
                    {o: size[1:] for o, size in grown.items()},
                    layer_axis(deepest, "layer, from the bottom"),
                    log_y=False,
                ),
                panel(
                    "Gradient of the last layer, against the depth",
                    "size of the gradient of W₂",
                    last,
                    DEPTH_AXIS,
                    also=[follows(last["pre"][0], -0.5, "falling like 1/√L")],
                ),
            ),
            stream_reading(deepest, grown, last),
        )
    ]


def stream_reading(deepest: int, grown: dict[Order, Tensor], last: dict[Order, Tensor]) -> str:
    sizes = [number(float(grown[order][-1]), 2) for order in ("pre", "post")]
    return (
        f"After {deepest} layers Pre-Norm’s stream has ‖x‖² = {sizes[0]} d, Post-Norm’s {sizes[1]} d. From "
        f"{norms.DEPTHS[0]} to {deepest} layers the last layer’s gradient follows the depth to the power {power(last['pre'])} "
        f"in Pre-Norm and {power(last['post'])} in Post-Norm."
    )


# ------------------------------------------------------------------------------------------------ a nudge to all weights


@corners(seed=SEEDS)
def nudge_frames(seed: int) -> list[Frame]:
    """How far the output moves when all weights are changed a little, against the depth; over the many networks of the proof."""
    moved = {order: norms.typical(norms.amplification(order, seed=seed)) for order in norms.ORDERS}
    depths = torch.tensor(norms.POOLED_DEPTHS, dtype=torch.float64)
    likely = follows(moved["post"][0], 1.0, "growing like L", depths)
    first, last = moved["pre"][0], moved["pre"][-1]
    share = (depths / depths[0]).log() / (depths[-1] / depths[0]).log()
    slow = Series("growing like log L", first + (last - first) * share, MASKED, "dash", width=1.5)
    return [
        Frame(
            (
                panel(
                    f"All Xavier weights change by 2 %: how far the output moves, {norms.POOLED_DRAWS} models",
                    "squared movement ÷ 0.02²",
                    moved,
                    {"x": depths, "x_title": "layers L", "x_range": (0, 25), "x_ticks": (2, 4, 8, 12, 16, 24)},
                    log_y=False,
                    within=[*moved.values(), likely.y],
                    also=[likely, slow],
                    height=340,
                ),
            ),
            nudge_reading(moved),
        )
    ]


def nudge_reading(moved: dict[Order, Tensor]) -> str:
    first, last = norms.POOLED_DEPTHS[0], norms.POOLED_DEPTHS[-1]
    times = [number(float(moved[order][-1] / moved[order][0]), 2) for order in norms.ORDERS]
    ratio = number(float(moved["post"][-1] / moved["pre"][-1]), 2)
    return (
        f"From {first} to {last} layers the squared movement grows {times[0]}-fold in Post-Norm and {times[1]}-fold in "
        f"Pre-Norm. At {last} layers Post-Norm’s is {ratio} times Pre-Norm’s."
    )


# ------------------------------------------------------------------------------------------------ step by step

Runs = dict[Order, tuple[training.Progress, ...]]


def of_all(runs: Sequence[training.Progress], name: str) -> Tensor:
    return torch.stack([getattr(run, name) for run in runs])


@corners(depth=tuple(LAYERS), rate=tuple(RATES), warmup=tuple(WARMUPS))
def step_frames(depth: int, rate: float, warmup: int) -> list[Frame]:
    """One frame for each snapshot: the gradient of every layer at that step, and the loss of all seeds of both orders."""
    runs: Runs = {order: training.trained(order, depth, rate, warmup) for order in norms.ORDERS}
    losses = {order: of_all(seeds, "loss") for order, seeds in runs.items()}
    layers = {order: of_all(seeds, "by_layer") for order, seeds in runs.items()}
    top = max(3.5, *(1.05 * float(loss.max()) for loss in losses.values()))
    return [
        Frame(
            (
                panel(
                    f"Gradient of every layer at step {step}, every seed",
                    "size of the gradient",
                    {order: values[:, i] for order, values in layers.items()},
                    layer_axis(depth),
                    within=tuple(layers.values()),
                ),
                panel(
                    "Mean loss since the point before, every seed",
                    "nats",
                    losses,
                    STEP_AXIS | {"x": runs["pre"][0].at},
                    log_y=False,
                    y_range=(0, top),
                    marks={f"step {step}": (float(step), INK)},
                    levels={
                        f"ln {training.VOCABULARY}: guessing": (training.NOTHING, INK),
                        "below: learned": (training.LEARNED, INK),
                    },
                    level_at="bottom left",
                ),
            ),
            step_reading(step, {o: v[:, i] for o, v in layers.items()}, {o: v[:, i] for o, v in losses.items()}),
        )
        for i, step in enumerate(training.SNAPSHOTS)
    ]


def step_reading(step: int, layers: dict[Order, Tensor], losses: dict[Order, Tensor]) -> str:
    tilts, said = [], []
    for order, gradient in layers.items():
        each = gradient[:, -1] / gradient[:, 0]
        tilts.append(
            f"{between(tilt(float(each.min())), tilt(float(each.max())))} times the first one’s in {NAMES[order]}"
        )
        low, high = (number(float(v), 2) for v in (losses[order].min(), losses[order].max()))
        said.append(f"{between(low, high)} in {NAMES[order]}")
    return f"At step {step} the last layer’s gradient is {' and '.join(tilts)}. The loss is {' and '.join(said)}."


def between(low: str, high: str) -> str:
    """The range over the runs, as it is said.

    >>> between("2.7", "2.8"), between("2.8", "2.8"), between(BEYOND, BEYOND)
    ('2.7 to 2.8', 'about 2.8', 'more than a million')
    """
    return f"{low} to {high}" if low != high else low if low == BEYOND else f"about {low}"


BEYOND = "more than a million"


def tilt(ratio: float) -> str:
    """Two digits, also of a ratio of rounded numbers that is whole; of one beyond all measure, that it is.

    >>> tilt(0.914), tilt(1.0), tilt(11.123), tilt(2345.6), tilt(3.2e7)
    ('0.91', '1.0', '11', '2,300', 'more than a million')
    """
    return number(ratio * (1 + 1e-9), 2) if ratio < 1e6 else BEYOND


# ------------------------------------------------------------------------------------------------ which cells learn


def warmed(steps: int) -> str:
    return f"{steps} steps of warm-up" if steps else "no warm-up"


@corners()
def grid_frames() -> list[Frame]:
    """How many of the seeds learned, in every cell of the shipped grid."""
    panels, seeds = [], len(training.SEEDS)
    for order in norms.ORDERS:
        for warmup in training.WARMUPS:
            counts = [[training.learned(order, d, r, warmup) for r in training.RATES] for d in training.DEPTHS]
            panels.append(
                figures.heatmap(
                    counts,
                    title=f"{NAMES[order]}, {'warm-up' if warmup else 'no warm-up'}",
                    rows=[str(d) for d in training.DEPTHS],
                    columns=[f"{r:g}" for r in training.RATES],
                    row_title="layers",
                    column_title="learning rate",
                    limits=(0, seeds),
                    text=".0f",
                    colour_bar=False,
                    height=260,
                )
            )
    return [Frame(tuple(panels), grid_reading())]


def grid_reading() -> str:
    lost = {o: {w: failures(o, w) for w in training.WARMUPS} for o in norms.ORDERS}
    runs = len(training.DEPTHS) * len(training.RATES) * len(training.SEEDS)
    without, with_it = ({o: sum(lost[o][w].values()) for o in norms.ORDERS} for w in training.WARMUPS)
    learned = 2 * runs - without["pre"] - with_it["pre"]
    where = " and ".join(f"{depth} layers and {rate:g}" for depth, rate in lost["post"][training.WARMUPS[1]])
    return (
        f"Of {2 * runs} Pre-Norm runs {learned} learn. Post-Norm loses {without['post']} of {runs} without a warm-up; with one "
        f"it loses {with_it['post']}, at {where}."
    )


def failures(order: Order, warmup: int) -> dict[tuple[int, float], int]:
    """In which cells runs have not learned, and how many."""
    seeds = len(training.SEEDS)
    each = {(d, r): seeds - training.learned(order, d, r, warmup) for d in training.DEPTHS for r in training.RATES}
    return {cell: failed for cell, failed in each.items() if failed}


# ------------------------------------------------------------------------------------------------ a run of now


def run_label(order: Order, depth: int, rate: float, warmup: int, seed: int) -> str:
    """Which run it is, in words."""
    return f"{NAMES[order]}, {depth} layers, learning rate {rate:g}, {warmed(warmup)}, seed {seed}"


SURE = 4  # the first steps: on any kind of processor they are the shipped ones, to rounding


def live_frame(shipped: training.Progress, label: str, progress: training.Progress) -> Frame:
    """A run that is being trained, over the shipped run of the same seed."""
    trained_now = progress is not shipped
    series = [Series("shipped", shipped.loss, MASKED, width=5, x=shipped.at)]
    if trained_now:
        series.append(Series("now", progress.loss, WITH, width=2))
    return Frame(
        (
            figures.lines(
                series,
                title="Loss",
                y_title="nats",
                y_range=(0, max(3.5, 1.1 * float(shipped.loss.max()), 1.1 * float(progress.loss.max()))),
                height=280,
                **STEP_AXIS | {"x": progress.at},
            ),
        ),
        f"{label}: after step {int(progress.at[-1])} the loss is {number(float(progress.loss[-1]))} nats. "
        + (comparison(shipped, progress) if trained_now else PROMISE),
    )


PROMISE = (
    "This is the shipped run; the button trains it again. On a processor of the same kind that gives the same curve; on "
    "another kind the first steps agree, and as a rule the outcome, but the curves may part in between."
)


def apart(shipped: training.Progress, progress: training.Progress) -> Tensor:
    """At which snapshots the losses differ by more than the shipped numbers' rounding to three digits, so far."""
    known = min(len(progress.loss), len(shipped.loss))
    ours, theirs = progress.loss[:known].double(), shipped.loss[:known].double()
    unit = 10 ** (theirs.clamp_min(1e-30).log10().floor() - 2)
    return (ours - theirs).abs() > unit


def comparison(shipped: training.Progress, progress: training.Progress) -> str:
    """What both curves, as far as they go, say of the machines that made them."""
    differs = apart(shipped, progress)
    now_done, outcome = progress.done >= 1, [bool(p.loss[-1] < training.LEARNED) for p in (shipped, progress)]
    if now_done and outcome[0] != outcome[1]:
        ended = "The outcome is another one: here the run has " + ("learned" if outcome[1] else "not learned")
        ended += ", the shipped one has not." if outcome[1] else ", the shipped one has."
    elif now_done:
        ended = f"The outcome is the same: {'both have' if outcome[1] else 'neither has'} learned."
    else:
        ended = ""
    if not differs.any():
        same = "So far it is the shipped curve, in all three digits that are shipped."
        return same if not ended else f"It is the shipped curve, in all three digits that are shipped. {ended}"
    first = int(progress.at[int(differs.int().argmax())])
    largest = number(float((progress.loss - shipped.loss[: len(progress.loss)]).abs().max()), 2)
    since = f"From step {first} on it leaves the shipped curve, by up to {largest} nats"
    if first <= SURE:
        why = ", and rounding alone does not explain that so early."
    else:
        why = ", as it may on another kind of processor, where sums are rounded in another order."
    return f"{since}{why} {ended}".strip()


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return block_frames(next(iter(DEPTHS)), next(iter(WIDTHS)), 0)[norms.ORDERS.index("pre")]
