"""Question 3: what one head and two heads bring; the runs that learned it; what heads cost, hold, and how they are split."""

import torch

from core.experiments import multi_head as heads
from core.experiments.multi_head import Code, Sharing
from core.say import count, listed, number, percent
from core.training import multi_head as training
from ui import figures
from ui.drawings import corners
from ui.drawings.parameters import size_of
from ui.figures import Box, Figure, Frame, Label, Path, Rectangle, Series
from ui.palette import INK, KEY, MASKED, OCHRE, QUERY, ROSE, VALUE, WITH, WITHOUT, faded

FEATURES = {1: "1", 4: "4", 16: "16"}
SECONDS = (1.0, 0.0, 0.3, 0.5)
SEEDS = (0, 9999)
HERO = 290  # pixels: question, prediction and hero fit one screen
U, V = OCHRE, ROSE
SURE = 1e-9  # below it an error is rounding: errors that are not lie above 10⁻³


# ------------------------------------------------------------------------------------------------ one head and two


@corners(second=SECONDS, features=tuple(FEATURES))
def fetch_frames(second: float, features: int) -> list[Frame]:
    """One frame for each weight of the head: who looks where, and what is lost of u and of v."""
    fetched = heads.fetch_two(second, features)
    return [
        Frame(
            (way_figure(i, second, features, fetched), error_figure(i, fetched)),
            fetch_reading(i, second, features, fetched),
        )
        for i in range(len(heads.STOPS))
    ]


def said(error: float) -> str:
    """An error in three digits; one that is rounding is none.

    >>> said(0.99724), said(2e-27), said(1 - 1e-16)
    ('0.997', '0', '1')
    """
    rounded = round(error, 9)
    return number(rounded) if rounded > 0 else "0"


def mixture(w: float) -> str:
    """What a head with that weight on u returns.

    >>> mixture(0.3), mixture(1.0), mixture(0.0)
    ('0.3 u + 0.7 v', 'u', 'v')
    """
    return "u" if w == 1 else "v" if w == 0 else f"{number(w)} u + {number(round(1 - w, 2))} v"


def way_figure(i: int, second: float, features: int, fetched: heads.Fetched) -> Figure:
    """Above one head, below the same head and a second one: lines as wide as the weights, and what is lost at the end."""
    w = heads.STOPS[i]
    parts: list[Box | Path | Label] = []

    def cells(x: float, y: float, wide: float, colour: str) -> None:
        """A comb at a box's foot: as many teeth apart as the value has features."""
        feet = [x + wide * k / features for k in range(1, features)]
        comb = [(at, y + up) for at in feet for up in (0.0, 2.5, 0.0)]
        if comb:
            parts.append(Path(tuple(comb), colour, 1.0, note=f"{features} features"))

    def source(y: float) -> dict[str, tuple[float, float]]:
        places = {"u": (12.0, y + 10), "v": (12.0, y - 10)}
        for (name, (x, at)), colour in zip(places.items(), (U, V), strict=True):
            parts.append(Box(x - 9, at - 5, 9, 10, name, colour, 0.25, note=f"the value {name}, at a place of its own"))
            cells(x - 9, at - 5, 9, colour)
        return places

    def head(y: float, middle: float, weight: float, colour: str, name: str) -> None:
        for (x, at), share, tint in zip(source_of[middle].values(), (weight, 1 - weight), (U, V), strict=True):
            # A part of no weight stays, out of sight, so that the frames have the same parts.
            parts.append(
                Path(
                    ((x, at), (32, y)),
                    tint if share else faded(tint, 0),
                    0.8 + 8 * share,
                    note=f"weight {number(share, 2)}",
                )
            )
        parts.append(Box(32, y - 5, 33, 10, mixture(weight), colour, 0.12, note=f"{name}: what it returns"))
        cells(32, y - 5, 33, colour)
        parts.append(Path(((65, y), (76, middle)), colour, 1.8, note="what the head returned"))

    def end(y: float, errors: torch.Tensor) -> None:
        parts.append(Box(76, y - 9, 14, 18, "W_O", INK, 0.06, note="the best linear read-out"))
        parts.append(Label(93, y + 19, "lost", INK, side="middle right", size=14))
        for name, error, tint, up in zip("uv", errors.tolist(), (U, V), (6, -6), strict=True):
            parts.append(Label(93, y + up, f"{name}: {said(error)}", tint, side="middle right", size=14))

    source_of = {76.0: source(76), 24.0: source(24)}
    parts.append(Label(48.5, 95, "1 head", WITHOUT, size=14))
    head(76, 76, w, WITHOUT, "the head")
    end(76, fetched.one[i])
    parts.append(Label(48.5, 45, "2 heads", WITH, size=14))
    head(33, 24, w, WITHOUT, "the first head, the same as above")
    head(15, 24, second, WITH, "the second head")
    end(24, fetched.two[i])
    return figures.diagram(
        parts, title="One head, and the same head with a second one", x_range=(0, 116), y_range=(2, 100), height=HERO
    )


def error_figure(i: int, fetched: heads.Fetched) -> Figure:
    """A bar for every weight of the one head, the chosen one full; at the end the bar of two heads."""
    n = len(heads.STOPS)
    chosen = torch.arange(n) == i
    gap = torch.zeros(2, dtype=torch.float64)

    def bar(values: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        return torch.cat([values, gap, two.reshape(1)])

    series = []
    for j, (name, colour) in enumerate((("u", U), ("v", V))):
        one, two = fetched.one[:, j], fetched.two[i, j]
        series.append(Series(f"lost of {name}", bar(one * chosen, two), colour))
        series.append(Series(f"{name}, other weights", bar(one * ~chosen, 0 * two), faded(colour, 0.3)))
    figure = figures.bars(
        series,
        labels=[*(f"w = {w:g}" for w in heads.STOPS), " ", "  ", "2 heads"],
        title="Squared error of the best read-out",
        x_title="1 head: its weight w on u",
        y_title="error, 1 per value",
        y_range=(0, 1.3),
        stacked=True,
        height=HERO,
    )
    ticks = {"tickvals": [0, n // 2, n - 1, n + 2], "ticktext": ["0", "0.5", "1", "2 heads"], "tickangle": 0}
    figure.lay_out(xaxis={**ticks, "automargin": False}, bargap=0.15, legend={"traceorder": "normal"})
    for trace in figure["data"]:
        trace["showlegend"] = not trace["name"].endswith("weights")
    figure.shape(type="line", x0=-0.6, x1=n - 0.4, y0=1, y1=1, line={"color": INK, "width": 1.5, "dash": "dash"})
    figure.note(
        "1 head: always 1", x=0, y=1, xanchor="left", yanchor="bottom", yshift=2, font={"color": INK, "size": 14}
    )
    total = float(fetched.two[i].sum())
    figure.note(said(total), x=n + 2, y=total, yanchor="bottom", yshift=2, font={"color": WITH, "size": 16})
    return figure


def fetch_reading(i: int, second: float, features: int, fetched: heads.Fetched) -> str:
    w, (u, v) = heads.STOPS[i], fetched.one[i].tolist()
    each = f" in all {features} features" if features > 1 else ""
    total = said(u + v)
    if w in (0, 1):
        gone, kept = ("u", "v") if w == 0 else ("v", "u")
        one = f"With all its weight on {kept}{each}, one head brings {kept} and loses all of {gone}: an error of {total}, as at every weight and width."
    else:
        one = f"With weight {number(w)} on u{each}, one head loses {said(u)} of u and {said(v)} of v: together {total}, as at every weight and width."
    if second == w:
        return f"{one} A second head with the same weight brings nothing new, and the error stays {said(float(fetched.two[i].sum()))}."
    # The nearer the two mixtures are, the larger the numbers that take them apart.
    large = (
        f", with entries up to {number(float(fetched.read_two[i].abs().max()), 2)},"
        if round(abs(w - second), 9) < 0.2
        else ""
    )
    return f"{one} A second head with weight {number(second)} on u is another mixture, and W_O{large} makes u and v of the two{', exactly' if large else ''}."


# ------------------------------------------------------------------------------------------------ trained

SEES = {False: "the place", True: "place and value"}
STYLES = {1: (WITHOUT, "solid"), 2: (WITH, "solid"), 4: (WITH, "dot")}
WORDS = {1: "one head", 2: "two heads", 4: "four heads"}
MAPPED = ("first", "second", "others")


def training_frame(progress: training.Progress) -> Frame:
    """The errors of both values together, of every run so far, and where the heads of every run look."""
    series = []
    for n_heads, runs in zip(training.HEADS, progress.losses, strict=True):
        colour, dash = STYLES[n_heads]
        for seed, curve in zip(progress.seeds, 2 * runs, strict=True):
            first = seed == progress.seeds[0]
            name = WORDS[n_heads] if first else f"{WORDS[n_heads]}, seed {seed}"
            series.append(Series(name, curve, colour, dash, width=1.8, legend=first))
    lost = torch.ones_like(progress.at, dtype=torch.float64)
    series.append(Series("1: one value of two", lost, INK, "dash", width=1.5))
    errors = figures.lines(
        series,
        x=progress.at,
        title=f"Error while learning, {count(len(progress.seeds), 'seed')}",
        x_title="training step",
        y_title="error, 1 per value",
        x_range=(0, progress.steps),
        y_range=(0, max(2.4, 2.1 * float(progress.losses.max()))),
        height=400,
    )
    return Frame((errors, *(map_figure(progress, n_heads) for n_heads in (2, 4))), training_reading(progress))


def map_figure(progress: training.Progress, n_heads: int) -> Figure:
    """Every head of every run: its mean weight on the two places that a question asks for."""
    maps = progress.maps[training.HEADS.index(n_heads)]
    names = [f"seed {seed}, head {h + 1}" for seed in progress.seeds for h in range(n_heads)]
    return figures.heatmap(
        maps.flatten(0, 1),
        title=f"Where {WORDS[n_heads]} look",
        rows=[
            name if h == 0 else f"head {h + 1}" for name, h in zip(names, [*range(n_heads)] * len(maps), strict=True)
        ],
        row_names=names,
        columns=list(MAPPED),
        row_title="head",
        column_title="place that the question wants",
        limits=(0, 1),
        text=".2f",
        colour_bar=False,
        height=400,
    )


def between(values: torch.Tensor) -> str:
    low, high = (number(float(v), 2) for v in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def own(maps: torch.Tensor) -> torch.Tensor:
    """Of two heads: whether each place has most of the weight of a head of its own, and which place is head 1's: `[r, 2]`."""
    mine = maps[..., :2] > 0.5
    return torch.stack([mine[:, 0, 0] & mine[:, 1, 1], mine[:, 0, 1] & mine[:, 1, 0]], -1)


def training_reading(progress: training.Progress) -> str:
    errors = listed([f"{between(2 * e)} with {WORDS[n]}" for n, e in zip(training.HEADS, progress.final, strict=True)])
    found = own(progress.maps[1]).sum(0)
    runs = len(progress.seeds)
    roles = (
        f"In {int(found.sum())} of {runs} runs with two heads each place has a head of its own: the first place has head 1 in "
        f"{int(found[0])}, head 2 in {int(found[1])}."
        if found.sum()
        else f"In none of the {runs} runs with two heads has each place a head of its own."
    )
    return f"After {count(int(progress.at[-1]), 'step')} the errors of both values together are {errors}. {roles}"


# ------------------------------------------------------------------------------------------------ what heads cost

SHARING: dict[Sharing, str] = {"own": "each its own", "grouped": "four share (GQA)", "one": "all share (MQA)"}


@corners(sharing=tuple(SHARING))
def cost_frames(sharing: Sharing) -> list[Frame]:
    """One frame for each number of heads: the matrices and the scores to scale, and every cost beside that of one head."""
    costs = [heads.cost(h, sharing) for h in heads.COUNTS]
    one = heads.cost(1)
    what = {
        "bytes of the scores": ("score_bytes", WITH, "solid"),
        "parameters": ("parameters", QUERY, "solid"),
        "FLOPs of matrix products": ("flops", KEY, "dash"),
        "bytes of the KV cache": ("cache_bytes", VALUE, "dot"),
    }
    series = [
        Series(name, torch.tensor([getattr(c, field) / getattr(one, field) for c in costs]), colour, dash, markers=True)
        for name, (field, colour, dash) in what.items()
    ]
    return [
        Frame(
            (
                parts_figure(h, sharing),
                figures.lines(
                    series,
                    x=torch.tensor(heads.COUNTS),
                    title="Cost, as a multiple of one head’s",
                    x_title="heads h",
                    y_title="times",
                    log_x=True,
                    log_y=True,
                    x_range=(0.9, 72),
                    x_ticks=heads.COUNTS,
                    y_range=(0.5, 100) if sharing == "own" else (0.01, 100),
                    marks={f"h = {h}": (float(h), INK)},
                    height=380,
                ),
            ),
            cost_reading(h, heads.kv_heads(h, sharing), costs[i], one),
        )
        for i, h in enumerate(heads.COUNTS)
    ]


def parts_figure(n_heads: int, sharing: Sharing) -> Figure:
    """Four matrices cut into heads, and the scores of 64 tokens: area is how many numbers."""
    d, n, each = heads.D_MODEL, heads.CONTEXT, heads.D_MODEL // n_heads
    shared, gap = heads.kv_heads(n_heads, sharing), 60
    shapes = []
    for k, (name, many, colour) in enumerate((("W_Q", n_heads, QUERY), ("W_K", shared, KEY), ("W_V", shared, VALUE))):
        shapes += [Rectangle(name, each, d, colour, at=(k * (d + gap) + i * each, d + gap)) for i in range(many)]
    shapes += [Rectangle("W_O", d, each, INK, at=(0, i * each)) for i in range(n_heads)]
    across = d // n
    shapes += [
        Rectangle("scores", n, n, WITH, at=(d + gap + (i % across) * n, (i // across) * n)) for i in range(n_heads)
    ]
    shapes.append(Rectangle("room of one matrix", d, d, MASKED, at=(d + gap, 0), outline=True))
    figure = figures.rectangles(
        shapes,
        title=f"{count(n_heads, 'head')}: weights, and scores of {n} tokens",
        x_title=f"area: how many numbers; a matrix is {d} × {d}",
        y_title="",
        height=380,
    )
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False, "ticks": ""}
    figure.lay_out(xaxis=bare, yaxis=bare)
    return figure


def cost_reading(n_heads: int, shared: int, c: heads.Cost, one: heads.Cost) -> str:
    scores = size_of(c.score_bytes)
    times = c.score_bytes // one.score_bytes
    if n_heads == 1:
        return f"One head has {c.parameters:,} parameters and takes {number(c.flops / 1e6)} million FLOPs in matrix products for {heads.CONTEXT} tokens; its scores take {scores}."
    heading = f"{count(n_heads, 'head')} of width {heads.D_MODEL // n_heads} have {c.parameters:,} parameters"
    if c.parameters == one.parameters:
        return f"{heading} and take {number(c.flops / 1e6)} million FLOPs in matrix products, both exactly as one head. Their scores take {scores}, {times} times as much."
    smaller = one.cache_bytes // c.cache_bytes
    return (
        f"{heading} and take {number(c.flops / 1e6)} million FLOPs in matrix products: they share {count(shared, 'head')} of keys and values, "
        f"and the KV cache is {smaller} times smaller. The scores take {scores}, as without sharing."
    )


# ------------------------------------------------------------------------------------------------ the rank of a head


@corners(seed=SEEDS)
def rank_frames(seed: int) -> list[Frame]:
    """One frame for each width of a head: the singular values of its logits and of their softmax, and what it can hold."""
    lost = heads.out_of_reach(seed)
    wanted = torch.tensor([heads.favourites(d_k, seed=seed) / heads.KEYS for d_k in heads.HEAD_WIDTHS])
    reach = 1 - lost[torch.tensor(heads.HEAD_WIDTHS)]
    frames = []
    for i, d_k in enumerate(heads.HEAD_WIDTHS):
        s = heads.spectra(d_k, seed)
        spectrum = figures.lines(
            [Series("softmax", s.weights.clamp_min(1e-19), WITH), Series("logits", s.logits.clamp_min(1e-19), WITHOUT)],
            x=torch.arange(1, heads.KEYS + 1),
            title=f"Singular values of one head, dₖ = {d_k}",
            x_title="singular value, by size",
            y_title="share of the largest",
            log_y=True,
            x_range=(0, heads.KEYS + 1),
            y_range=(1e-19, 10),
            levels={"below: rounding": (heads.KEYS * torch.finfo(torch.float64).eps, MASKED)},
            height=360,
        )
        held = figures.lines(
            [
                Series("keys that are somebody’s favourite", wanted, WITH, markers=True),
                Series("of a random pattern’s log-odds, within reach", reach, WITHOUT, markers=True),
            ],
            x=torch.tensor(heads.HEAD_WIDTHS),
            title=f"What a head can do with {heads.KEYS} keys",
            x_title="width of the head dₖ",
            y_title="share",
            log_x=True,
            x_range=(0.9, 72),
            x_ticks=heads.HEAD_WIDTHS,
            y_range=(0, 1.05),
            marks={f"dₖ = {d_k}": (float(d_k), INK)},
            height=360,
        )
        frames.append(Frame((spectrum, held), rank_reading(d_k, s, float(wanted[i]), float(lost[d_k]))))
    return frames


def rank_reading(d_k: int, s: heads.Spectra, wanted: float, lost: float) -> str:
    many = round(wanted * heads.KEYS)
    reach = f"{percent(lost)} of a random pattern’s log-odds are out of reach" if lost else "no pattern is out of reach"
    return (
        f"With dₖ = {d_k} the logits of {heads.KEYS} tokens have rank {s.rank('logits')}, their softmax {s.rank('weights')}. Of "
        f"{heads.KEYS} keys {many} {'is' if many == 1 else 'are'} the favourite of a random query, and {reach}."
    )


# ------------------------------------------------------------------------------------------------ a projection, split

CODES: dict[Code, str] = {
    "right": "view, transpose",
    "view": "view only",
    "merge": "merge, no transpose",
    "d_model": "√d_model",
}
TAKEN = "with a single head there is nothing to take apart"
ONE_HEAD: dict[Code, str] = {"view": TAKEN, "merge": TAKEN, "d_model": "with a single head dₖ is d_model"}
FIRST, WHERE = "first head", {"merge": "merged matrix"}


@corners(code=tuple(CODES), seed=SEEDS)
def split_frames(code: Code, seed: int) -> list[Frame]:
    """One frame for each number of heads: whose numbers stand in whose row, and how wrong the output of each code is."""
    frames = []
    for n_heads in heads.SPLITS:
        each = {c: heads.written(c, n_heads, seed) for c in CODES}
        origin = each[code].origin
        whose = figures.heatmap(
            origin,
            title=f"Whose numbers stand in the {WHERE.get(code, FIRST)}",
            rows=[str(i) for i in range(heads.TOKENS)],
            columns=[str(i) for i in range(origin.shape[-1])],
            row_title="row: the token that is meant",
            column_title="feature",
            limits=(0, heads.TOKENS - 1),
            text=".0f",
            colour_bar=False,
            height=340,
        )
        wrong = figures.bars(
            [
                Series("chosen", [each[c].error if c == code else 0 for c in CODES], WITH),
                Series("other ways", [each[c].error if c != code else 0 for c in CODES], WITHOUT),
            ],
            labels=list(CODES.values()),
            title=f"Error of the output, {count(n_heads, 'head')}",
            x_title="how it is written",
            y_title="‖difference‖ ÷ ‖right output‖",
            y_range=(0, 2),
            stacked=True,
            height=340,
        )
        small = heads.split_or_small(n_heads, seed=seed)
        frames.append(Frame((whose, wrong), split_reading(code, n_heads, each[code], small)))
    return frames


def split_reading(code: Code, n_heads: int, split: heads.Split, small: float) -> str:
    heading = f"{CODES[code].capitalize() if code != 'd_model' else 'Divided by √d_model'}, {count(n_heads, 'head')}"
    if code == "right":
        return (
            f"{heading}: every row holds its own token’s numbers, and split or {count(n_heads, 'small projection')} differ by exactly "
            f"{number(small)} where all numbers are whole. The output is that of nn.MultiheadAttention, up to rounding."
        )
    if split.error < SURE:
        return f"{heading}: {ONE_HEAD[code]}, and the output is right, up to rounding."
    meant = torch.arange(heads.TOKENS)[:, None]
    own, of = int((split.origin == meant).sum()), split.origin.numel()
    why = (
        f"only {own} of the {of} numbers in the {WHERE.get(code, FIRST)} {'stands' if own == 1 else 'stand'} in their token’s row"
        if own < of
        else "every row is right, but the logits are too small"
    )
    return f"{heading}: {why}. The output is off by {percent(split.error)} of its size, and no error tells you."


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return fetch_frames(1.0, 1)[heads.STOPS.index(0.3)]
