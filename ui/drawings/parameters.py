"""Question 15: one layer's matrices to scale beside its count; the whole model by part; what the count costs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch

from core.experiments import parameters
from core.ops import counting
from core.ops.counting import Architecture, Precision, Term
from core.presets import PRESETS, preset
from core.say import NO_BREAK, count, listed, number, percent
from ui import figures
from ui.drawings import corners
from ui.figures import Figure, Frame, Label, Rectangle, Series
from ui.palette import INK, KEY, OCHRE, QUERY, ROSE, VALUE, WITH, WITHOUT

MODELS = {parameters.GPT_2: parameters.GPT_2, **{name: name for name in PRESETS if name != parameters.GPT_2}}
HERO = 340  # pixels: question, prediction and hero fit one screen
NOW = 8_192  # tokens: a cache of this length is the example, where learned positions do not end before

# ------------------------------------------------------------------------------------------------ the words of the controls


def _biases(qkv: bool, out: bool, ffn: bool, k: bool | None = None) -> dict[str, Any]:
    return {"qkv_bias": qkv, "k_bias": k, "out_bias": out, "ffn_bias": ffn}


# What the words of a choice change of a published model: beside the hero,
KV_HEADS: dict[str, dict[str, Any]] = {
    "as published": {},
    "one for all": {"n_kv_heads": 1},
    "one per query": {"n_kv_heads": None},
}
GATES: dict[str, dict[str, Any]] = {"as published": {}, "gated": {"gated": True}, "not gated": {"gated": False}}
# and in the look at a model of one's own.
SWITCHES: dict[str, dict[str, dict[str, Any]]] = {
    "gated": {"as published": {}, "two matrices": {"gated": False}, "gated, three": {"gated": True}},
    "biases": {
        "as published": {},
        "none": _biases(False, False, False),
        "on q, k, v only": _biases(True, False, False),
        "everywhere": _biases(True, True, True),
        "everywhere but on q, k, v": _biases(False, True, True),
        "everywhere but on k": _biases(True, True, True, k=False),
        "in attention only": _biases(True, True, False),
        "in the feed-forward layer only": _biases(False, False, True),
        "on q, k, v and in the feed-forward layer": _biases(True, False, True),
        "on attention’s output only": _biases(False, True, False),
    },
    "norm": {
        "as published": {},
        "LayerNorm": {"norm": "layer"},
        "LayerNorm without bias": {"norm": "layer, no bias"},
        "RMSNorm": {"norm": "rms"},
        "without parameters": {"norm": "no parameters"},
    },
    "head": {
        "as published": {},
        "tied to the embedding": {"head": "tied"},
        "a matrix of its own": {"head": "untied"},
        "none": {"head": "none", "head_bias": False},
    },
    "sharing": {
        "as published": {},
        "each its own": {"shared_layers": False},
        "one block, shared": {"shared_layers": True},
    },
}
KINDS = {"biases": "Biases", "norm": "Norm", "head": "Output head", "sharing": "Layers"}
# The boxes by field; what is blank stays as published or follows the others.
BOXES = {
    "d_model": "Width d",
    "n_layers": "Layers L",
    "n_heads": "Query heads h",
    "n_kv_heads": "Key/value heads g",
    "d_ff": "d_ff",
}
MORE = {
    "vocab": "Vocabulary V",
    "embedding_width": "Width of the embedding dₑ",
    "head_dim": "Width of a head dₕ",
    "positions": "Learned positions P",
    "experts": "Experts E",
    "experts_used": "Experts per token",
    "decoder_layers": "Decoder layers",
}
# What a field is called in a sentence: by the letter at its box, or by the box.
LETTERS = {
    "d_model": "d",
    "n_layers": "L",
    "n_heads": "h",
    "n_kv_heads": "g",
    "vocab": "V",
    "embedding_width": "dₑ",
    "head_dim": "dₕ",
    "positions": "P",
    "experts": "E",
    "experts_used": "“Experts per token”",
    "decoder_layers": "“Decoder layers”",
}


def worded(reason: ValueError) -> str:
    """A refusal as the page says it: the fields, which stand in backticks, called as their boxes are.

    >>> worded(ValueError("`experts_used` = 2 is more than `experts` = 1: no such experts."))
    '“Experts per token” = 2 is more than E = 1: no such experts.'
    >>> worded(ValueError("`decoder_layers` = 0 with `kind` = encoder-decoder."))
    '“Decoder layers” = 0 in an encoder-decoder.'
    """
    said = re.sub(
        r" with `kind` = (\w)", lambda kind: f" in {'an' if kind[1] in 'aeiou' else 'a'} {kind[1]}", str(reason)
    )
    return re.sub(r"`(\w+)`", lambda field: LETTERS.get(field[1], field[1]), said)


# ------------------------------------------------------------------------------------------------ how numbers are said


def squared(times: Fraction | float) -> str:
    """As in “2.5 d²”, without zeros at the end: whether it is rounded is said beside it, with “about” or “≈”.

    >>> squared(Fraction(5, 2)).replace(NO_BREAK, " "), squared(84.002).replace(NO_BREAK, " "), squared(120.0)[:3]
    ('2.5 d²', '84 d²', '120')
    """
    return linear(times) + "²"


def linear(times: Fraction | float) -> str:
    """As in “13 d”, likewise.

    >>> linear(Fraction(11)).replace(NO_BREAK, " "), linear(11.001).replace(NO_BREAK, " ")
    ('11 d', '11 d')
    """
    said = number(float(times))
    return f"{said.rstrip('0').rstrip('.') if '.' in said else said}{NO_BREAK}d"


def written_exactly(times: Fraction) -> bool:
    """Whether three digits say it all.

    >>> written_exactly(Fraction(21, 2)), written_exactly(Fraction(16, 3))
    (True, False)
    """
    return Fraction(number(float(times)).replace(",", "")) == times if times >= 1e-3 or not times else False


def rounded(value: float) -> str:
    """Three digits, whatever the number: with two, what an output head costs would be rounded away.

    >>> rounded(25_204), rounded(6_704.4), rounded(73_728), rounded(4_608)
    ('25,200', '6,700', '73,700', '4,610')
    """
    return number(float(f"{value:.2e}"))


def share(part: float) -> str:
    """A share of what is large: nearly all of it needs no more than three digits.

    >>> share(0.7894).replace(NO_BREAK, " "), share(0.99987).replace(NO_BREAK, " "), share(1).replace(NO_BREAK, " ")
    ('79 %', 'over 99.9 %', '100 %')
    """
    return f"over 99.9{NO_BREAK}%" if 0.999 < part < 1 else percent(part)


def judged(off: float) -> str:
    return f"{share(abs(off))} too {'few' if off < 0 else 'many'}" if off else "exact"


def amount(value: float) -> str:
    """A large number with its prefix, as in “17.4 G”; the digits that are written decide about the prefix."""
    for prefix in ("", "k", "M", "G", "T", "P", "E"):
        if float(f"{value:.2e}") < 1000 or prefix == "E":
            return f"{number(value)}{NO_BREAK}{prefix}"
        value /= 1000
    raise AssertionError


def size_of(size: float) -> str:
    """Bytes with a decimal prefix, as in “16 GB”."""
    return amount(size) + "B"


def in_both(size: int) -> str:
    """Bytes with both prefixes, as in “131 kB (128 KiB)”: 1 KiB is 1,024 bytes.

    >>> in_both(131_072).replace(NO_BREAK, " "), in_both(4_718_592).replace(NO_BREAK, " ")
    ('131 kB (128 KiB)', '4.72 MB (4.5 MiB)')
    """
    large = size >= 1024**2
    return f"{size_of(size)} ({number(size / 1024 ** (2 if large else 1))}{NO_BREAK}{'MiB' if large else 'KiB'})"


# ------------------------------------------------------------------------------------------------ one layer, and the whole

COLOURS = {
    "W_Q": QUERY,
    "W_K": KEY,
    "W_V": VALUE,
    "W_O": INK,
    "W_gate": WITH,
    "W_up": OCHRE,
    "W_down": ROSE,
    "router": WITHOUT,
}
# Broken, so that they stand upright under the bars on a phone too.
PART_LABELS = {
    "embeddings": "embed-<br>dings",
    "cross-attention": "cross-<br>attention",
    "feed-forward": "feed-<br>forward",
    "normalisation": "norms",
}
GPT = preset(parameters.GPT_2)
TINY = Architecture(1, 1, 1, 1, 1, norm="no parameters", head="none")
EXTREME = replace(preset("GPT (2018)"), experts=4096, n_layers=2, gated=True)
# Where the drawings are tested: published designs of every kind, and odd ones.
ARCHITECTURES = (
    GPT,
    *(preset(name) for name in ("Llama 3 8B", "T5 small", "Mixtral 8x7B", "BERT base", "Gemma 7B", "T5 11B")),
    *(preset(name) for name in ("Gemma 3 1B", "Qwen3 0.6B", "Qwen3 235B-A22B", "gpt-oss 20B", "OPT 350M", "OLMo 7B")),
    *(preset(name) for name in ("ALBERT xxlarge v2", "Transformer base (2017)", "OPT 175B", "Falcon 7B", "Phi-3 mini")),
    replace(GPT, d_ff=1, n_layers=1, n_heads=1),
    replace(GPT, d_ff=1_048_576, n_layers=256, vocab=1, positions=1),
    replace(GPT, head="untied", positions=0, norm="no parameters", qkv_bias=False, out_bias=False, ffn_bias=False),
    replace(preset("T5 small"), shared_layers=True, decoder_layers=1, n_layers=1),
    TINY,
    EXTREME,
)
NAMES = ("GPT-2 small", "your GPT-2 small")
# In pixels, of the hero's one figure: its margins; where the count begins, which every laptop reaches and no phone; the
# most that matrices and labels take; and what a label takes on a phone, whose figure is as wide as `PHONE`.
MARGIN = {"l": 14, "r": 14, "t": 34, "b": 28}
COUNT, MOST, LABEL, PHONE = 490, 470, 66, 318


def named(term: Term) -> str:
    """A matrix or vector by the name that tells it from its twin in cross-attention."""
    return ("cross " if term.place == "cross" and term.part != "normalisation" else "") + term.label


def tiles(a: Architecture) -> list[Rectangle]:
    """The matrices of a block in units of d_model, and the rule of thumb as a frame of 4 × 3 behind them."""
    matrices = parameters.placed(a)
    height = max(float(m.corners[:, 1].max()) for m in matrices) + 1
    shapes = []
    for m in matrices:
        t = m.term
        note = f"{t.part}, {t.rows:,} × {t.columns:,} = {t.rows * t.columns:,}"
        note += f", one of {t.each:,}" if t.each > 1 else ""
        shapes += [
            Rectangle(named(t), m.wide, 1.0, COLOURS[t.label], note, (left, height - top - 1))
            for left, top in m.corners.tolist()
        ]
    return [*shapes, Rectangle("the rule: 12 d²", 4, 3, INK, "", (0, height - 3), outline=True)]


def extent(a: Architecture) -> tuple[float, float]:
    """How wide and how high the matrices and the dotted frame are, in units of d."""
    shapes = tiles(a)
    return max(s.at[0] + s.wide for s in shapes if s.at), max(s.at[1] + s.high for s in shapes if s.at)


def picture(a: Architecture, height: int = 0) -> Figure:
    """Every weight matrix of a layer, its area the number of its parameters."""
    across, high = extent(a)
    drawn = figures.rectangles(
        tiles(a),
        title="One layer to scale: area = parameters",
        named=True,
        x_title="in units of d",
        y_title="in units of d",
        height=height or round(min(max(300, 90 + 360 * high / across), 520)),
    )
    drawn.lay_out(xaxis={"showgrid": False}, yaxis={"showgrid": False})
    matrices = [t for t in a.terms if t.place != "model" and t.matrix]
    rows: list[Row] = [[named(t), t.part, t.rows, t.columns, t.each, t.per_block] for t in matrices]
    drawn.tabulate(["matrix", *COLUMNS], rows)
    return drawn


Row = list[str | float | None]
COLUMNS = ["part", "rows", "columns", "copies", "parameters"]


@dataclass(frozen=True)
class Sum:
    """What one layer adds up to: of the decoder's, where there is one."""

    total: int
    squares: dict[str, Fraction]  # by part, its weight matrices ÷ d²
    linear: Fraction  # everything else ÷ d
    thin: str  # what everything else is

    @property
    def matrices(self) -> Fraction:
        return sum(self.squares.values(), Fraction(0))

    @property
    def exact(self) -> bool:
        return all(map(written_exactly, (*self.squares.values(), self.matrices, self.linear)))

    @property
    def formula(self) -> str:
        """As in “12 d² + 13 d”."""
        return squared(self.matrices) + (f" + {linear(self.linear)}" if self.linear else "")


def added_up(a: Architecture) -> Sum:
    drawn = [t for t in a.terms if t.place != "model"]
    squares = {
        part: Fraction(sum(t.per_block for t in drawn if t.matrix and t.part == part), a.d_model**2)
        for part in ("attention", "cross-attention", "feed-forward")
    }
    rest = sum(t.per_block for t in drawn if not t.matrix)
    norms = sum(t.per_block for t in drawn if t.part == "normalisation")
    thin = listed([word for word, there in (("biases", rest > norms), ("norms", norms)) if there])
    total = sum(t.per_block for t in drawn)
    return Sum(total, {part: n for part, n in squares.items() if n}, Fraction(rest, a.d_model), thin)


def rows_of(s: Sum) -> list[tuple[str, str]]:
    """The parts of a layer and how many d² each has."""
    return [(part, ("" if written_exactly(n) else "≈ ") + squared(n)) for part, n in s.squares.items()]


def compared(s: Sum, built: int) -> str:
    """Whether PyTorch's own module has as many."""
    return "formula and built module: the same" if built == s.total else f"built module: {built:,}, not the same"


def counted(figure: Figure, a: Architecture, built: int) -> Figure:
    """The hero: the picture, each part's count beside its matrices, and, where there is room, what they add up to.

    Both axes have one scale, so that a wide figure shows more of the plane: the sum stands where only that one reaches. A
    phone shows the matrices and their labels; the sentence below says the sum.
    """
    s, (across, high) = added_up(a), extent(a)
    wide = across * PHONE / (PHONE - LABEL)  # the matrices and the labels beside them
    inside = HERO - MARGIN["t"] - MARGIN["b"]
    unit = min(inside / (high + 0.1), MOST / wide)  # pixels of d
    figure.lay_out(
        xaxis={
            "range": [-0.03, wide],
            "constrain": "range",
            "constraintoward": "left",
            "showline": False,
            "showticklabels": False,
            "title": {"text": ""},
        },
        yaxis={
            "range": [high + 0.05 - inside / unit, high + 0.05],
            "constraintoward": "top",
            "showline": False,
            "showticklabels": False,
            "title": {"text": ""},
        },
        margin=MARGIN,
    )
    for tick in range(0, int(across) + 1, 5 if across > 10 else 2):  # where the layer ends, not where the figure does
        figure.note(f"{tick}{NO_BREAK}d" if tick else "0", x=tick, y=0, yanchor="top", font={"size": 12})
    matrices = [m for m in parameters.placed(a) if m.term.label != "router"]
    for part, n in rows_of(s):
        tops = torch.cat([m.corners[:, 1] for m in matrices if m.term.part == part])
        figure.note(
            f"{PART_LABELS.get(part, part)}<br><b>{n}</b>",
            x=across + 0.02 * wide,
            y=high - float(tops.min() + tops.max() + 1) / 2,
            xanchor="left",
            align="left",
            font={"size": 14},
        )
    thin = f"{linear(s.linear)} in {s.thin}:<br>too thin to draw" if s.linear else ""
    for down, words, colour, size in (
        (0, f"{s.total:,}", INK, 46),
        (64, f"{'=' if s.exact else '≈'} {s.formula}", WITH, 30),
        (124, thin, INK, 16),
        (182, f"d = {a.d_model:,}<br>{compared(s, built).replace(': ', ':<br>', 1)}", WITHOUT, 15),
    ):
        if words:
            figure.note(
                words,
                x=max(COUNT / unit, wide + 10 / unit),
                y=high - down / unit,
                xanchor="left",
                yanchor="top",
                align="left",
                font={"size": size, "color": colour},
            )
    return figure


def tally(a: Architecture, built: int) -> Figure:
    """The count, in words and numbers: what it adds up to, and what PyTorch's own module has."""
    s = added_up(a)
    rows = rows_of(s)
    rows += [(s.thin, f"{linear(s.linear)}, too thin to draw")] if s.linear else []
    parts: list[Label] = [
        Label(0, 9, f"{s.total:,}", INK, "middle right", 34),
        Label(0, 7.3, f"{'=' if s.exact else '≈'} {s.formula}", WITH, "middle right", 22),
        *(
            label
            for i, (part, n) in enumerate(rows)
            for label in (
                Label(0, 5.6 - 1.1 * i, part, INK, "middle right", 16),
                Label(4.4, 5.6 - 1.1 * i, n, INK, "middle right", 16),
            )
        ),
        Label(0, 0.9, f"d = {a.d_model:,}; {compared(s, built)}", WITHOUT, "middle right", 13),
    ]
    drawn = figures.diagram(parts, title="Its parameters, counted", x_range=(-0.2, 10), y_range=(0, 10), height=HERO)
    rest = s.total - sum(int(n * a.d_model**2) for n in s.squares.values())
    summed: list[Row] = [[part, int(n * a.d_model**2)] for part, n in s.squares.items()]
    summed += [[s.thin, rest]] if rest else []
    drawn.tabulate(["part", "parameters"], [*summed, ["one layer by formula", s.total], ["one layer as built", built]])
    return drawn


def met_squares(a: Architecture) -> Fraction:
    """The weight matrices of a layer that one token uses, ÷ d²: of its experts those that it is sent to."""
    met = sum(
        t.rows * t.columns * (a.experts_used if t.routed else t.each)
        for t in a.terms
        if t.place != "model" and t.matrix
    )
    return Fraction(met, a.d_model**2)


def layer_reading(a: Architecture, name: str) -> str:
    s = added_up(a)
    off = counting.rule_of_thumb(a.d_model) / s.total - 1
    about = "" if s.exact else "about "
    thin = f" and {linear(s.linear)} in {s.thin}" if s.linear else " and nothing else"
    which = f"One layer of {name}"
    if a.decoder_layers:
        which = f"One decoder layer of {name}, with cross-attention in its second row,"
    used = ""
    if a.experts > a.experts_used:
        met = met_squares(a)
        roughly = "" if written_exactly(met) else "about "
        used = f"; a token, sent to {a.experts_used:,} of {a.experts:,} experts, uses {roughly}{squared(met)}"
    return (
        f"{which} has {count(s.total, 'parameter')}: {about}{squared(s.matrices)} in matrices{thin}, at "
        f"d = {a.d_model:,}{used}. The rule 12{NO_BREAK}d² {'counts ' + judged(off) if off else 'is exact'}."
    )


def varied(name: str, kv_heads: str, gate: str) -> tuple[Architecture, str]:
    """A published model with the heads and the gate of the controls, and what to call it."""
    published = preset(name)
    a = parameters.changed(published, KV_HEADS[kv_heads] | GATES[gate])
    heads = "one key/value head" if a.kv_heads == 1 else "a key/value head for every query head"
    differs = [heads] if a.kv_heads != published.kv_heads else []
    differs += (
        ["a gate (d_ff unchanged)" if a.gated else "no gate (d_ff unchanged)"] if a.gated != published.gated else []
    )
    return a, f"{name} with {listed(differs)}" if differs else name


@corners(kv_heads=tuple(KV_HEADS), gate=tuple(GATES))
def layer_frames(kv_heads: str, gate: str) -> list[Frame]:
    """One frame for each model: its layer to scale, the dotted frame of 12 d², and the count."""
    frames = []
    for published in parameters.SHOWN:
        a, name = varied(published, kv_heads, gate)
        built = parameters.built_block(a).parameters
        frames.append(Frame((counted(picture(a, HERO), a, built),), layer_reading(a, name)))
    return frames


@corners(a=ARCHITECTURES, name=NAMES)
def own_frames(a: Architecture, name: str) -> list[Frame]:
    """The layer of any model, drawn and counted likewise."""
    built = parameters.built_block(a).parameters
    return [Frame((picture(a), tally(a, built)), layer_reading(a, name))]


@corners(a=ARCHITECTURES, name=NAMES)
def whole_frames(a: Architecture, name: str) -> list[Frame]:
    """The parameters of the whole model, by part."""
    parts = counting.by_part(a)
    bars = figures.bars(
        [Series("parameters", torch.tensor([float(n) for n in parts.values()], dtype=torch.float64), WITH)],
        labels=[PART_LABELS.get(part, part) for part in parts],
        title="The whole model, by part",
        x_title="part, with its biases",
        y_title="parameters",
        height=320,
    )
    bars.lay_out(xaxis={"showgrid": False})
    rows: list[Row] = [[named(t), t.part, t.rows, t.columns, t.each * t.copies, t.total] for t in a.terms]
    bars.tabulate(["tensor", *COLUMNS], rows)
    outside = sum(t.total for t in a.terms if t.place == "model")
    off = judged(counting.rule_error(a, "model"))
    shared = (
        f", whose {count(a.blocks, 'layer')} share the parameters of {'one' if a.kept == 1 else a.kept}"
        if a.kept < a.blocks
        else ""
    )
    used = ""
    if a.experts > a.experts_used:
        used = f"; a token meets {a.experts_used:,} of {a.experts:,} experts and uses {counting.active(a):,}, embeddings counted whole"
    said = (
        f"In {name}, {outside:,} of {a.parameters:,} parameters, {share(outside / a.parameters)}, stand outside the "
        f"layers. 12{NO_BREAK}d² × {count(a.blocks, 'layer')} is {off} for the model{shared}{used}."
    )
    return [Frame((bars,), said)]


def table(a: Architecture, built: Mapping[str, int]) -> str:
    """Term by term, in Markdown: the formula, its numbers, and what the built module has of it."""
    rows = ["| tensor | formula; for all layers | by formula = built |", "| :-- | :-- | --: |"]
    for t in a.terms:
        shape = f"{t.rows:,} × {t.columns:,}" if t.rows > 1 else f"{t.columns:,}"
        times = [f"{n:,}" for n in (t.copies, t.each) if n > 1]
        there = built.get(t.path, 0)
        same = f"{t.total:,}" if t.total == there else f"{t.total:,} ≠ {there:,}"
        formula = t.formula.replace("d_h", "dₕ").replace("d_e", "dₑ")
        rows.append(f"| {named(t)} | {formula}: {' × '.join([*times, shape])} | {same} |")
    return "\n".join(rows).replace("_", r"\_")


# ------------------------------------------------------------------------------------------------ memory, work, cache

PRECISIONS: dict[Precision, str] = {"float32": "float32", "mixed": "mixed", "bfloat16": "bfloat16", "int8": "int8"}
KEPT = {"weights": WITH, "gradients": OCHRE, "Adam’s moments": ROSE, "float32 copy": WITHOUT}


@corners()
def memory_frames() -> list[Frame]:
    """One frame for each model: what is kept for its parameters in training, in bytes, by precision."""
    frames = []
    for name in parameters.SHOWN:
        n = preset(name).parameters
        kept = [counting.memory(n, precision) for precision in PRECISIONS]
        sizes = (
            [m.weights for m in kept],
            [m.gradients for m in kept],
            [m.adam for m in kept],
            [m.master for m in kept],
        )
        bars = figures.bars(
            [
                Series(what, torch.tensor(size, dtype=torch.float64) / 1e9, colour)
                for (what, colour), size in zip(KEPT.items(), sizes, strict=True)
            ],
            labels=list(PRECISIONS.values()),
            title=f"Training memory of {name}, without activations",
            x_title="numbers kept as (mixed: weights, gradients in 16 bits; int8: to run, not for plain Adam)",
            y_title="GB (10⁹ bytes)",
            stacked=True,
            height=360,
        )
        bars.lay_out(xaxis={"showgrid": False})
        frames.append(Frame((bars,), memory_reading(name)))
    return frames


def memory_reading(name: str) -> str:
    n = preset(name).parameters
    full, mixed, half, eighth = (counting.memory(n, precision) for precision in PRECISIONS)
    return (
        f"Training {name} with Adam keeps {size_of(full.training)} in float32, {full.training // n} bytes per parameter, "
        f"{size_of(mixed.training)} in mixed precision, with its float32 copy, and {size_of(half.training)} in bfloat16. Its weights alone take "
        f"{size_of(half.weights)} in bfloat16, {size_of(eighth.weights)} in int8."
    )


IDLE_POSITIONS = {"OPT": 2, "BART": 2}  # by family, the learned positions that are never used


def usable_positions(a: Architecture, name: str) -> int:
    """How many tokens a model has learned positions for; 0 if it learns none.

    >>> usable_positions(preset("OPT 175B"), "OPT 175B"), usable_positions(GPT, "GPT-2 small")
    (2048, 1024)
    """
    return max(0, a.positions - (IDLE_POSITIONS.get(PRESETS[name].family, 0) if name in PRESETS else 0))


def reach(a: Architecture, name: str) -> dict[str, tuple[float, str]]:
    """The mark where learned positions end."""
    usable = usable_positions(a, name)
    return {f"{usable:,} learned positions": (float(usable), WITHOUT)} if usable else {}


def layers_alone(a: Architecture) -> Architecture:
    """The same design without its output head."""
    return replace(a, head="none", head_bias=False)


@corners()
def work_frames() -> list[Frame]:
    """One frame for each model: the work of one token in its layers, through the weights and between positions."""
    frames = []
    for name in parameters.SHOWN:
        a = preset(name)
        c, even = parameters.costs(layers_alone(a)), counting.even_context(layers_alone(a))
        marks = {f"equal at {in_widths(a)}": (even, INK), **reach(a, name)}
        work = figures.lines(
            [
                Series("through their weights", c.weights, WITH),
                Series("between positions (attention)", c.attention, ROSE, "dash"),
            ],
            x=c.context,
            title=f"Work of one token in the layers of {name}, forward",
            x_title="n, tokens that it sees",
            y_title="FLOPs",
            log_x=True,
            log_y=True,
            x_range=(100, 1.3e6),
            y_range=(1e6, 1e13),
            marks=marks,
            height=360,
        )
        frames.append(Frame((work,), work_reading(a, name)))
    return frames


def in_widths(a: Architecture) -> str:
    """Where the layers' two works are equal, as in “6 d = 4,608” tokens."""
    even = counting.even_context(layers_alone(a))
    times = Fraction(even / a.d_model)
    if written_exactly(times):
        return f"{linear(times)}{NO_BREAK}={NO_BREAK}{number(even)}"
    return f"{linear(times)}{NO_BREAK}≈{NO_BREAK}{rounded(even)}"


def work_reading(a: Architecture, name: str) -> str:
    even, usable, layers = counting.even_context(a), usable_positions(a, name), layers_alone(a)
    limit = (
        f", more than the {usable:,} that it has positions for" if 0 < usable < counting.even_context(layers) else ""
    )
    return (
        f"A token in {name} costs {amount(counting.flops_per_token(layers, 0).weights)}FLOPs through the weights of its "
        f"layers, and attention’s own work is as large when it sees {in_widths(a)} tokens{limit}. With the output head it "
        f"costs {amount(counting.flops_per_token(a, 0).weights)}FLOPs, {per_parameter(a)}, and the two are equal at about "
        f"{rounded(even)} tokens."
    )


def per_parameter(a: Architecture) -> str:
    """How many FLOPs a token of a decoder costs per parameter, and why not 2."""
    each = counting.flops_per_token(a, 0).weights / a.parameters
    said = f"{number(each)} per parameter"
    if number(each) in ("2", "2.00"):
        return said
    idle = {
        "lookups": a.positions or a.head != "tied",
        "biases": any(not t.matrix and t.part != "normalisation" for t in a.terms),
        "norms": any(t.part == "normalisation" for t in a.terms),
    }
    reasons = (
        [f"{listed(found)} multiply no matrix"] if (found := [word for word, there in idle.items() if there]) else []
    )
    reasons += [f"it meets {a.experts_used:,} of {a.experts:,} experts"] if a.experts > a.experts_used else []
    return f"{said} instead of 2, since {listed(reasons)}"


@corners()
def cache_frames() -> list[Frame]:
    """One frame for each model: the keys and values of one text beside the weights, all in bfloat16."""
    frames = []
    for name in parameters.SHOWN:
        a = preset(name)
        c = parameters.costs(a)
        weights = torch.full_like(c.cache, a.parameters * counting.BYTES["bfloat16"] / 1e9)
        series = [
            Series("keys and values of one text", c.cache / 1e9, ROSE),
            Series("the weights", weights, WITH, "dash"),
        ]
        if (c.full != c.cache).any():
            series.insert(1, Series("with a key/value head per query head", c.full / 1e9, WITHOUT, "dot"))
        cache = figures.lines(
            series,
            x=c.context,
            title=f"KV cache of {name}, in bfloat16",
            x_title="n, tokens in the cache",
            y_title="GB (10⁹ bytes)",
            log_x=True,
            log_y=True,
            x_range=(100, 1.3e6),
            y_range=(1e-3, 1e4),
            marks=reach(a, name),
            height=360,
        )
        frames.append(Frame((cache,), cache_reading(a, name)))
    return frames


def cache_reading(a: Architecture, name: str) -> str:
    each = counting.kv_cache_bytes(a)
    n = min(usable_positions(a, name) or NOW, NOW)
    text = f"a text of {n:,} takes" if usable_positions(a, name) else f"{n:,} positions would take"
    times = counting.kv_cache_bytes(parameters.full_heads(a)) // each
    shared = (
        f"With a key/value head for every query head it would be {times} times as much."
        if times > 1
        else "Every query head has a key/value head of its own."
    )
    return (
        f"Each token in {name} keeps {in_both(each)} of keys and values: {text} {size_of(n * each)}, beside "
        f"{size_of(counting.BYTES['bfloat16'] * a.parameters)} of weights. {shared}"
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door."""
    return layer_frames("as published", "as published")[0]
