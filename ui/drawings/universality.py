"""Question 20: programs written as weights, step by step; a table and its ceiling; sizes; limits; parity in one pass and in steps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from core.experiments import universality as machines
from core.experiments.universality import GAP, PROGRAMS, Machine, Pass, Program
from core.say import count, number, percent
from core.training import universality as training
from core.training.universality import ANSWERS, DEPTHS, READ_AT, SCHEMES, SHORT, WIDTHS, Progress, Scheme
from ui import figures
from ui.drawings import corners
from ui.drawings.feed_forward import gaps
from ui.figures import Figure, Frame, Series
from ui.palette import INK, KEY, OCHRE, QUERY, SIGNED, WEIGHTS, WITH, WITHOUT, faded

CHOICES: dict[Program, str] = {
    "sort": "sort", "reverse": "reverse", "histogram": "count each token",
    "most frequent": "most frequent", "balanced": "balanced brackets",
    "parity": "parity of bits",
}  # fmt: skip
FOUND: dict[Program, str] = {
    "sort": "how many<br>are smaller", "reverse": "how many<br>there are", "histogram": "", "most frequent": "how often", "balanced": "fell<br>below 0", "parity": "",
}  # fmt: skip
"""What the places hold between two layers, in a word."""

BOXES: dict[str, tuple[str, str]] = {
    machines.LETTERS: ("Letters a to e", "program_letters"),
    machines.BRACKETS: ("Brackets ( and )", "program_brackets"),
    machines.BITS: ("Bits 0 and 1", "program_bits"),
}
"""The reader’s own text: what the box asks for, and its name in the address."""

THREE_CLAIMS = """Three claims that are easily taken for one another:

| | says | assumes | does not say |
|---|---|---|---|
| **Universal approximation** (Yun et al. 2020) | for each such function and error some model comes as close, on average over the domain | a continuous function on a compact domain (bounded, edges included), one length; positions, else only functions that treat every order alike | how large the model is, other lengths, whether training finds it |
| **Turing completeness** (Pérez et al. 2019, 2021) | one fixed model simulates a given Turing machine on every input | hard attention (all weight on the largest logits), numbers of any precision, unboundedly many steps written out | anything of one pass, or of a machine with finite memory, as all that can be bought are |
| **Learnability** | gradient descent finds such weights from examples | a design, data, a length, a budget | what could be expressed: a failure is no proof |"""

GAPS = (1, 2, 5, 10, GAP)
BUILT_HELP = (
    "No training: every weight was written by hand, as a list of the entries that are not 0. Real softmax attention in float64, one head, "
    "residuals, ReLU layers, no norms. Beside the tokens the weights use a BOS token in front, positions (a column for each, p1, p2, …, or i and i²) and a "
    "constant 1 (const). W_K and W_O are the identity."
)
GAP_HELP = (
    "How far, at least, the logits of the selected keys lie above the others. At 50 each of the rest weighs e⁻⁵⁰ beside them, "
    "less than float64 resolves beside 1; with a small gap softmax is soft, and counts come out wrong."
)
HERO = 310  # pixels: question, prediction and hero fit one screen
LEAST = 0.02  # of a weight that is drawn as a line
ROUNDING = 1e-9  # what is smaller came of rounding float64, or of weights e⁻⁵⁰
BLANK = 0.005  # below it a cell stays empty
WIDTHS_OF_LINES = (1.0, 2.0, 3.5, 5.5)  # pixels, from the lightest quarter to the heaviest
TEXTS = ("decade", "e", "aaaaaaa", "(())()", ")(", "((((((((((((", "110100", "1")
SEEDS = (0, 1, 9999)


# ------------------------------------------------------------------------------------------------ a program, step by step


def steps(program: Program) -> list[str]:
    """The stops of the control: what is computed one after the other."""
    found = ["embedding"]
    for k, layer in enumerate(machines.machine(program).layers, 1):
        found += [
            f"layer {k}: attention",
            f"layer {k}: values fetched",
            *([f"layer {k}: feed-forward"] if layer.found else []),
        ]
    return [*found, "read out"]


def telling(program: Program) -> int:
    """The step to begin with: the last attention that chooses; of brackets, whose second layer takes all alike, the first."""
    chosen = [k for k, layer in enumerate(machines.machine(program).layers, 1) if layer.query.any()]
    return steps(program).index(f"layer {chosen[-1]}: attention")


@corners(program=PROGRAMS, text=TEXTS, gap=(GAP, *GAPS[:-1]))
def program_frames(program: Program, text: str, gap: float) -> list[Frame]:
    """One frame for each step: whom each token asks, the matrix written by hand, and what this text makes of it."""
    text, built = machines.text_of(program, text)[0], machines.machine(program, gap)
    run = machines.passed(program, text, gap)
    names = steps(program)
    return [
        Frame((flow(program, text, built, run, step), hand(built, step), made(text, built, run, step)), program_reading(program, text, gap, step))
        for step in names
    ]  # fmt: skip


def _layer(step: str) -> int:
    """The layer that a step belongs to, from 0; −1 for the embedding, and −2 for the read-out."""
    return int(step[6]) - 1 if step.startswith("layer") else -1 if step == "embedding" else -2


def reached(step: str, layer: int, part: str) -> bool:
    """Whether a part of a layer has been computed at this step."""
    order = ("attention", "values fetched", "feed-forward")
    at = _layer(step)
    return at == -2 or at > layer or (at == layer and order.index(step.split(": ")[1]) >= order.index(part))


def tokens_of(text: str) -> list[str]:
    return ["BOS", *text]


def labels_of(text: str) -> list[str]:
    """The places, told apart."""
    return ["BOS", *(f"{c}{str(i).translate(SUBSCRIPTS)}" for i, c in enumerate(text, 1))]


SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def held(program: Program, built: Machine, run: Pass) -> list[str]:
    """What each place holds behind the first layer, as a number."""
    stream, columns = run.stream[0][0], built.columns
    if program == "sort":
        ranks = [columns.index(f"rank {a}") for a in range(machines.MOST["sort"])]
        value = stream[:, ranks] @ torch.arange(len(ranks), dtype=torch.float64)
    else:
        name = {"reverse": "n", "most frequent": "count", "balanced": "below"}[program]
        value = stream[:, columns.index(name)]
    said = [f"{max(v, 0.0):.2g}" if abs(v - round(v)) > BLANK else str(round(v)) for v in value.tolist()]
    return [{"0": "no", "1": "yes"}.get(one, one) for one in said] if program == "balanced" else said


def flow(program: Program, text: str, built: Machine, run: Pass, step: str) -> Figure:
    """Tokens above, answers below, and the weights of attention as lines between them."""
    tokens, deep = tokens_of(text), len(built.layers)
    at = torch.arange(len(tokens), dtype=torch.float64)
    figure = Figure("Who looks at whom: a line is a weight", "", "", HERO)
    current = _layer(step) if _layer(step) != -2 else deep - 1
    for k, weights in enumerate(run.weights):
        if not reached(step, k, "attention"):
            continue
        asked = weights[0].clone()
        asked[0] = 0  # nobody reads what BOS makes
        bucket = (asked * len(WIDTHS_OF_LINES)).ceil().clamp(1, len(WIDTHS_OF_LINES))
        for i, width in enumerate(WIDTHS_OF_LINES, 1):
            query, key = ((asked >= LEAST) & (bucket == i)).nonzero(as_tuple=True)
            figure.trace(
                "scatter",
                x=gaps(at[key], at[query]),
                y=gaps(torch.full((len(key),), -k - 0.15), torch.full((len(key),), -k - 0.85)),
                mode="lines",
                line={"color": faded(WITH, 0.9) if k == current else faded(WITHOUT, 0.45), "width": width},
                hoverinfo="skip",
            )
    rows = [tokens]
    if deep == 2:
        rows.append(held(program, built, run) if reached(step, 0, "feed-forward") else ["?"] * len(tokens))
    answers = [built.answers[i] for i in run.answers[0].tolist()]
    rows.append(["", *answers])
    for level, row in enumerate(rows):
        last = level == len(rows) - 1
        shown = range(1 if last or level else 0, len(tokens))
        figure.trace(
            "scatter",
            x=figures.numbers(at[shown.start :]),
            y=figures.numbers([-level] * len(shown)),
            mode="markers+text",
            marker={
                "symbol": "square",
                "size": 26 if len(tokens) < 10 else 18,
                "color": faded(WITH if last and step == "read out" else WITHOUT, 0.22),
                "line": {"color": WITH if last and step == "read out" else WITHOUT, "width": 1.5},
            },
            text=[row[i] for i in shown],
            textfont={
                **({"color": faded(INK, 0.7)} if last and step != "read out" else {}),
                "size": [
                    10
                    if row[i] == "BOS" and len(tokens) < 10
                    else 8
                    if row[i] == "BOS"
                    else 12
                    if len(row[i]) > 2
                    else 16
                    for i in shown
                ],
            },
            hoverinfo="skip",
        )
    names = [
        "your text",
        *([FOUND[program]] if deep == 2 else []),
        "output" if step == "read out" else "output,<br>to come",
    ]
    figure.lay_out(
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 34, "b": 12},
        xaxis={"visible": False, "fixedrange": True, "range": [-0.6, len(tokens) - 0.4]},
        yaxis={
            "range": [-deep - 0.35, 0.3], "fixedrange": True, "showgrid": False, "showline": False, "ticks": "", "automargin": True,
            "tickvals": [-level for level in range(len(rows))], "ticktext": names, "tickfont": {"size": 13},
        },
    )  # fmt: skip
    figure.tabulate(
        ["layer", "query", "key", "weight"],
        [
            [k + 1, labels_of(text)[i], labels_of(text)[j], value]
            for k, weights in enumerate(run.weights)
            if reached(step, k, "attention")
            for i, row in enumerate(weights[0].tolist())
            for j, value in enumerate(row)
            if i
        ],
    )
    return figure


def grid(
    z: Tensor,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    row_title: str,
    column_title: str,
    *,
    weights: bool = False,
) -> Figure:
    """A matrix with its numbers; cells under 0.005 stay empty, but for a matrix of nothing else. What is only rounding is 0."""
    z = torch.where(z.abs() < ROUNDING, 0.0, z)
    most = float(z.abs().max())
    limit = most if most >= BLANK else 1.0
    chart = figures.heatmap(
        z, title=title, rows=rows, columns=columns, row_title=row_title, column_title=column_title,
        colours=WEIGHTS if weights else SIGNED, limits=(0, 1) if weights else (-limit, limit),
        colour_bar=False, height=HERO,
    )  # fmt: skip
    written = [
        [
            ("" if most >= BLANK else "0")
            if abs(v) < BLANK
            else f"{v:.2g}".replace("-", "−")
            if abs(v) < 100
            else f"{v:.0f}".replace("-", "−")
            for v in row
        ]
        for row in z.tolist()
    ]
    chart["data"][0].update(text=written, texttemplate="%{text}")
    chart.lay_out(meta={"widest": max((len(cell) for row in written for cell in row), default=1)})
    for axis, many in (("xaxis", len(columns)), ("yaxis", len(rows))):
        chart.lay_out(**{axis: {"tickfont": {"size": 11 if many > 9 else 13}}})
    chart.lay_out(xaxis={"tickangle": -60 if len(columns) > 4 and max(map(len, columns)) > 2 else 0})
    return chart


def cropped(z: Tensor, rows: Sequence[str], columns: Sequence[str]) -> tuple[Tensor, list[str], list[str]]:
    """Without the rows and columns that are 0 throughout; of a matrix of zeros the corner stays."""
    keep_rows, keep_columns = (z != 0).any(1), (z != 0).any(0)
    if not keep_rows.any():
        keep_rows[0] = keep_columns[0] = True
    return (
        z[keep_rows][:, keep_columns],
        [name for name, keep in zip(rows, keep_rows.tolist(), strict=True) if keep],
        [name for name, keep in zip(columns, keep_columns.tolist(), strict=True) if keep],
    )


def hand(built: Machine, step: str) -> Figure:
    """The weights of a step, without rows and columns of zeros."""
    columns, k = built.columns, _layer(step)
    if step == "embedding":
        symbols = [c for c in columns if c == "BOS" or len(c) == 1][: len(built.embed)]
        places = [f"place {i}" for i in range(len(built.place))]
        z, rows, names = cropped(torch.cat([built.embed, built.place]), [*symbols, *places], columns)
        return grid(z, "By hand: the embedding", rows, names, "token or place", "column of the stream")
    if step == "read out":
        z, rows, names = cropped(built.head, columns, built.answers)
        return grid(z, "By hand: the last matrix", rows, names, "from column", "to answer")
    layer = built.layers[k]
    if step.endswith("attention"):
        z, rows, names = cropped(layer.query, columns, columns)
        empty = not layer.query.any()
        title = f"By hand: W_Q of layer {k + 1}" + (", all zeros" if empty else "")
        return grid(
            z,
            title,
            ["every column"] if empty else rows,
            ["every column"] if empty else names,
            "the query’s column",
            "selects the key’s column",
        )
    if step.endswith("fetched"):
        z, rows, names = cropped(layer.value, columns, columns)
        return grid(z, f"By hand: W_V of layer {k + 1}", rows, names, "from the key’s column", "to column")
    into, sources, units = cropped(layer.up, columns, [str(i) for i in range(layer.up.shape[1])])
    _, _, written = cropped(layer.down, [str(i) for i in range(layer.down.shape[0])], columns)
    z = torch.cat([into.T, layer.down[[int(u) for u in units]][:, [columns.index(c) for c in written]]], 1)
    return grid(
        z,
        f"By hand: the ReLU units of layer {k + 1}",
        units,
        [*(f"in: {s}" for s in sources), *(f"out: {c}" for c in written)],
        "unit",
        "reads and writes",
    )


def written_columns(built: Machine, layer: int, what: str) -> list[int]:
    """The columns that a part of a layer can write to."""
    matrix = built.layers[layer].value if what == "value" else built.layers[layer].down
    return (matrix != 0).any(0).nonzero()[:, 0].tolist()


def made(text: str, built: Machine, run: Pass, step: str) -> Figure:
    """What a step makes of this text."""
    rows, columns, k = labels_of(text), built.columns, _layer(step)
    if step == "embedding":
        z, rows, names = cropped(run.embedded[0], rows, columns)
        return grid(z, "Made: the embedded text", rows, names, "token", "column of the stream")
    if step == "read out":
        return grid(run.logits[0, 1:], "Made: logits, the largest wins", rows[1:], built.answers, "token", "answer")
    if step.endswith("attention"):
        return grid(
            run.weights[k][0],
            f"Made: attention weights of layer {k + 1}",
            rows,
            rows,
            figures.ROWS_ASK,
            figures.COLUMNS_ARE_ASKED,
            weights=True,
        )
    before = run.embedded[0] if k == 0 else run.stream[k - 1][0]
    if step.endswith("fetched"):
        at = written_columns(built, k, "value")
        return grid(
            run.fetched[k][0][:, at],
            f"Made: values fetched in layer {k + 1}",
            rows,
            [columns[i] for i in at],
            "token",
            "written to column",
        )
    at = written_columns(built, k, "down")
    z = (run.stream[k][0] - before - run.fetched[k][0])[:, at]
    return grid(
        z, f"Made: what the ReLU layer {k + 1} writes", rows, [columns[i] for i in at], "token", "written to column"
    )


DONE: dict[Program, str] = {
    "sort": "sorted", "reverse": "read backwards", "histogram": "counted", "most frequent": "searched for its most frequent token",
    "balanced": "checked for balance", "parity": "checked for an odd number of ones",
}  # fmt: skip


def program_reading(program: Program, text: str, gap: float, step: str) -> str:
    built, run = machines.machine(program, gap), machines.passed(program, text, gap)
    k, last, columns = _layer(step), labels_of(text)[-1], built.columns
    if step == "embedding":
        return (
            f"BOS and {count(len(text), 'token')} become rows of {len(columns)} numbers; columns that are 0 throughout are left out. All "
            f"{built.parameters} weights that are not 0 were written by hand."
        )
    if step == "read out":
        found, due = machines.written(program, text, gap), machines.truth(program, text)
        missed = sum(a != b for a, b in zip(found, due, strict=True))
        said = f"“{text}”, {DONE[program]} in one pass by {built.parameters} weights written by hand"
        if not missed:
            every = f"all texts of up to {machines.MOST[program]} tokens"
            if gap == GAP:
                return f"{said}: every answer is right, as for {every}."
            return f"{said}: every answer is right here, at a logit gap of {gap:g}; for {every} at {GAP:g}."
        return f"{said}, at a logit gap of {gap:g} instead of {GAP:g}: {missed} of {count(len(due), 'answer')} {'is' if missed == 1 else 'are'} wrong."
    layer = built.layers[k]
    if step.endswith("attention"):
        row = run.weights[k][0, -1]
        top = int(row.argmax())
        ties = int((row > float(row[top]) - 1e-9).sum())
        most = f"most to {labels_of(text)[top]}" if ties == 1 else f"equally much to {count(ties, 'key')}"
        end = (
            f"; in the end it answers {machines.written(program, text, gap)[-1]}" if k + 1 == len(built.layers) else ""
        )
        return f"Each token selects {layer.said}. The last one, {last}, gives {most}: weight {number(float(row[top]), 2)}{end}."
    if step.endswith("fetched"):
        at = written_columns(built, k, "value")
        values = run.fetched[k][0, -1, at]
        top = int(values.abs().argmax())
        return f"The weighted mean of the keys’ values is added to the stream. For {last} its largest entry is {columns[at[top]]} = {_small(float(values[top]))}."
    at = written_columns(built, k, "down")
    return f"ReLU units turn it, at each token by itself, into {layer.found.replace(':', ',')}: for {last}, {_writes(built, run, k, at)}."


def _small(value: float) -> str:
    return number(value, 2) if abs(value) >= 1e-12 else "0 (up to rounding)"


def _writes(built: Machine, run: Pass, k: int, at: Sequence[int]) -> str:
    """The entries that a ReLU layer leaves at the last token."""
    values = {built.columns[i]: float(run.stream[k][0, -1, i]) for i in at}
    kept = {name: v for name, v in values.items() if abs(v) >= BLANK}
    if not kept:
        return f"{', '.join(values)} = 0 (up to rounding)" if len(values) == 1 else "all are 0 (up to rounding)"
    return ", ".join(f"{name} = {number(round(v, 9), 2)}" for name, v in kept.items())


# ------------------------------------------------------------------------------------------------ a table, and its ceiling

TABLE = 330


@corners(seed=SEEDS)
def ceiling_frame(seed: int) -> list[Frame]:
    """What a table asks, and what any function without positions can have right of it."""
    found = machines.ceiling(seed)
    chart = figures.bars(
        [Series("answers asked", found.asked, WITHOUT), Series("right at best without positions", found.right, WITH)],
        labels=list(machines.KINDS),
        title=f"Table {seed}: answers by kind of text",
        x_title="kind: which of its four tokens are equal, in any order",
        y_title="answers",
        height=TABLE,
    )
    return [Frame((chart,), ceiling_reading(found))]


def ceiling_reading(found: machines.Ceiling) -> str:
    return (
        f"Without positions, the same tokens in another order get the same answers in that order: of {number(ANSWERS)} answers at most "
        f"{found.most} can be right, {percent(found.most / ANSWERS, 3)}."
    )


def table_frame(seed: int, progress: Progress) -> Frame:
    """Answers right and loss so far, without and with positions, beside the ceiling and the floor of this table."""
    found, runs = machines.ceiling(seed), progress.right.shape[1]
    series = [("without positions", WITHOUT, 0), ("with positions", WITH, 1)]

    def curves(values: Tensor) -> list[Series]:
        return [
            Series(name, values[i, r], colour, width=2, legend=not r) for name, colour, i in series for r in range(runs)
        ]

    axis: dict[str, Any] = {
        "x": progress.at,
        "x_title": "training step",
        "x_range": (0, training.STEPS),
        "height": TABLE,
    }
    right = figures.lines(
        curves(progress.right),
        title=f"Table {seed}: answers right, {count(runs, 'run')} each",
        y_title=f"answers right, of {ANSWERS:,}",
        y_range=(0, 1080),
        levels={f"ceiling without positions: {found.most}": (found.most, INK)},
        **axis,
    )
    loss = figures.lines(
        curves(progress.loss),
        title="Loss",
        y_title="loss, nats",
        y_range=(0, 1.8),
        levels={f"floor without positions: {found.loss:.3f}": (found.loss, INK)},
        **axis,
    )
    return Frame((right, loss), table_reading(seed, progress))


def table_reading(seed: int, progress: Progress) -> str:
    most, step = machines.ceiling(seed).most, int(progress.at[-1])
    without, with_ = (sorted(progress.right[i, :, -1].tolist()) for i in (0, 1))

    def said(found: list[int]) -> str:
        return f"{found[0]:,}" if found[0] == found[-1] else f"{found[0]:,} to {found[-1]:,}"

    reached = ", exactly the ceiling" if without[0] == without[-1] == most else f" (the ceiling is {most})"
    return (
        f"After {count(step, 'step')} the encoders with positions have {said(with_)} of {ANSWERS:,} answers right, those "
        f"without {said(without)}{reached}."
    )


# ------------------------------------------------------------------------------------------------ size


@corners()
def size_frames() -> list[Frame]:
    """One frame for each depth: answers right against the width, and against the number of parameters."""
    right = training.sizes()
    return [
        Frame((_sizes(right, i, "width"), _sizes(right, i, "parameters")), size_reading(right, i))
        for i in range(len(DEPTHS))
    ]


def _sizes(right: Tensor, chosen: int, against: str) -> Figure:
    series = []
    for i, depth in enumerate(DEPTHS):
        x = WIDTHS if against == "width" else [training.parameters(width, depth) for width in WIDTHS]
        colour = WITH if i == chosen else WITHOUT
        for r in range(right.shape[-1]):
            series.append(
                Series(
                    count(depth, "layer"),
                    100 * right[:, i, r] / ANSWERS,
                    colour,
                    ("dot", "dash", "solid")[i],
                    x=torch.tensor(x),
                    markers=True,
                    width=1.8,
                    legend=not r,
                )
            )
    wide = against == "width"
    return figures.lines(
        series,
        x=torch.tensor(WIDTHS),
        title=f"Answers right against {'width' if wide else 'parameters'}, 3 runs each",
        x_title="width d" if wide else "parameters",
        y_title="answers right, %",
        log_x=True,
        x_range=(3.6, 17.8) if wide else (250, 20_000),
        x_ticks=WIDTHS if wide else (300, 1000, 3000, 10_000),
        y_range=(25, 104),
        height=TABLE,
    )


def size_reading(right: Tensor, chosen: int) -> str:
    mean = (right[:, chosen].double().mean(-1) / ANSWERS).tolist()
    whole = [width for width, row in zip(WIDTHS, right[:, chosen].tolist(), strict=True) if min(row) == ANSWERS]
    said = f"at width {whole[0]}, every run has all" if whole else f"at width {WIDTHS[-1]}, {percent(mean[-1])}"
    return f"With {count(DEPTHS[chosen], 'layer')}, runs of width {WIDTHS[0]} end with {percent(mean[0])} of the answers right on average; {said}."


# ------------------------------------------------------------------------------------------------ limits

STOPS = (8, 32, 128, 256, 512, 1024, 4096, 2**15, 2**20, 2**25)
LEADS = (2, 5, 10, 20)
FORMAT_COLOURS = {"bfloat16": OCHRE, "float16": KEY, "float32": QUERY}
FURTHEST = 2**26


@corners(gap=(5, *LEADS), seed=SEEDS)
def limit_frames(gap: float, seed: int) -> list[Frame]:
    """One frame for each length: one bit’s influence, averages that become one number, and the largest weight of a softmax."""
    moves = machines.influence(seed).mean(-1)
    lengths = [2**p for p in range(3, 27)]
    merged = {form: [machines.merged(n, form) for n in lengths] for form in machines.FORMATS}
    hard = machines.hardness(gap, lengths)
    slope = machines.slope(machines.LENGTHS, moves.tolist())
    return [Frame(_limits(n, gap, moves, slope, lengths, merged, hard), limit_reading(n, gap)) for n in STOPS]


def _limits(
    n: int, gap: float, moves: Tensor, slope: float, lengths: list[int], merged: dict[str, list[float]], hard: Tensor
) -> tuple[Figure, ...]:
    ticks = (10, 1000, 100_000)
    here = {f"n = {n:,}": (float(n), INK)}
    inverse = float(moves[0]) * machines.LENGTHS[0] / torch.tensor(machines.LENGTHS, dtype=torch.float64)
    high, low = 2 * float(moves.max()), 0.5 * float(min(moves.min(), inverse.min()))
    bit = figures.lines(
        [Series(f"measured, slope {number(slope, 2)}", moves, WITH, markers=True), Series("proportional to 1/n", inverse, WITHOUT, "dash")],
        x=torch.tensor(machines.LENGTHS), title="One flipped bit moves the output by", x_title="tokens n", y_title="move of the first output",
        log_x=True, log_y=True, x_range=(6, 680), x_ticks=machines.LENGTHS, y_range=(low, high), marks=here if n <= machines.LENGTHS[-1] else None, height=TABLE,
    )  # fmt: skip
    means = figures.lines(
        [Series(form, [100 * v for v in merged[form]], FORMAT_COLOURS[form]) for form in merged],
        x=torch.tensor(lengths), title="Averages k/n, (k+1)/n that merge", x_title="tokens n", y_title="of pairs just above ½, %",
        log_x=True, x_range=(6, FURTHEST), x_ticks=ticks, y_range=(-4, 112), marks=here, height=TABLE,
    )  # fmt: skip
    weight = figures.lines(
        [Series(f"logit gap {gap:g}", hard, WITH)],
        x=torch.tensor(lengths), title=f"Weight of the key that leads by {gap:g}", x_title="tokens n", y_title="largest weight",
        log_x=True, x_range=(6, FURTHEST), x_ticks=ticks, y_range=(0, 1.08), marks=here, height=TABLE,
    )  # fmt: skip
    return bit, means, weight


def limit_reading(n: int, gap: float) -> str:
    lost = [form for form in machines.FORMATS if machines.merged(n, form) > 0]
    weight = float(machines.hardness(gap, (n,))[0])
    which = (
        f"{' and '.join(lost) if len(lost) < 3 else 'all three formats'} can no longer tell every k/n from (k + 1)/n"
        if lost
        else "all three formats tell the averages k/n apart"
    )
    return f"At n = {number(n, 9)}, {which} just above ½; a key whose logit leads by {gap:g} gets {percent(weight)} of the weight."


# ------------------------------------------------------------------------------------------------ parity

SCHEME_NAMES: dict[Scheme, tuple[str, str]] = {
    "one pass": ("one pass (sinusoids)", WITHOUT),
    "one pass, no positions": ("one pass (no positions)", OCHRE),
    "one pass, ALiBi": ("one pass (ALiBi)", KEY),
    "steps": ("steps (ALiBi)", WITH),
    "steps, sinusoids": ("steps (sinusoids)", QUERY),
}


@corners()
def parity_frames() -> list[Frame]:
    """One frame for each number of bits: how often each run is right, by length and here."""
    return [Frame((_parity_lines(n), _parity_bars(i, n)), parity_reading(i, n)) for i, n in enumerate(READ_AT)]


def _parity_lines(n: int) -> Figure:
    series = [
        Series(name, 100 * run, colour, x=torch.tensor(READ_AT), width=3 if scheme == "steps" else 0.8, legend=not r)
        for scheme, (name, colour) in SCHEME_NAMES.items()
        for r, run in enumerate(training.parities(scheme))
    ]
    return figures.lines(
        series, x=torch.tensor(READ_AT), title="Parity right, five runs each", x_title="bits", y_title="texts right, %",
        x_range=(0, 41), y_range=(0, 125), y_ticks=(0, 25, 50, 75, 100), levels={"a guess": (50, INK)}, level_at="bottom left",
        marks={"trained to 6": (SHORT, INK), **({f"here: {n}": (n, INK)} if n != SHORT else {})}, height=TABLE + 30,
    )  # fmt: skip


def _parity_bars(at: int, n: int) -> Figure:
    runs = [training.parities(scheme)[:, at] for scheme in SCHEMES]
    chart = figures.bars(
        [Series(f"run {r + 1}", [100 * float(each[r]) for each in runs], WITH) for r in range(len(training.SEEDS))],
        labels=[
            "one pass,<br>sinusoids",
            "one pass,<br>none",
            "one pass,<br>ALiBi",
            "steps,<br>ALiBi",
            "steps,<br>sinusoids",
        ],
        names=[SCHEME_NAMES[scheme][0] for scheme in SCHEMES],
        title=f"Texts of {count(n, 'bit')}: each run",
        x_title="how it answers",
        y_title="texts right, %",
        y_range=(0, 108),
        height=TABLE + 30,
    )
    chart.lay_out(showlegend=False)
    return chart


def parity_reading(at: int, n: int) -> str:
    def said(scheme: Scheme) -> str:
        found = training.parities(scheme)[:, at]
        low, high = percent(float(found.min())), percent(float(found.max()))
        return low if low == high else f"{low} to {high}"

    seen = "as in training" if n <= SHORT else f"trained on at most {SHORT}"
    return (
        f"Texts of {count(n, 'bit')} right, {seen}: in one pass {said('one pass')} with sinusoids, {said('one pass, no positions')} without "
        f"positions, {said('one pass, ALiBi')} with ALiBi. In steps written out {said('steps')} with ALiBi, {said('steps, sinusoids')} with sinusoids."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return program_frames("sort", machines.USUAL[machines.LETTERS], GAP)[telling("sort")]
