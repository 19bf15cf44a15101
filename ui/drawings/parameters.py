"""Question 15: a block's matrices to scale, the whole model by part, how far 12 d² is off, and what the count costs."""

import re
from collections.abc import Mapping
from dataclasses import replace
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
from ui.figures import Frame, Rectangle, Series
from ui.palette import INK, KEY, OCHRE, QUERY, ROSE, VALUE, WITH, WITHOUT

MODELS = {parameters.GPT_2: parameters.GPT_2, **{name: name for name in PRESETS if name != parameters.GPT_2}}
PRECISIONS: dict[Precision, str] = {
    "float32": "float32",
    "bfloat16": "bfloat16",
    "mixed": "mixed: bfloat16, Adam in float32",
    "int8": "int8, inference only",
}

# ------------------------------------------------------------------------------------------------ the words of the controls


def _biases(qkv: bool, out: bool, ffn: bool, k: bool | None = None) -> dict[str, Any]:
    return {"qkv_bias": qkv, "k_bias": k, "out_bias": out, "ffn_bias": ffn}


# What the words of a choice change of a published model.
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
        "on attention's output only": _biases(False, True, False),
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
# The boxes by field; what is blank stays as published or follows the others.
BOXES = {
    "d_model": "d_model",
    "n_layers": "Layers L",
    "n_heads": "Query heads h",
    "n_kv_heads": "Key/value heads g",
    "d_ff": "d_ff",
}
MORE = {
    "vocab": "Vocabulary V",
    "embedding_width": "Width of the embedding d_e",
    "head_dim": "Width of a head d_h",
    "positions": "Learned positions P",
    "experts": "Experts E",
    "experts_used": "Experts per token",
    "decoder_layers": "Decoder layers",
}
# What a field is called in a sentence: by the letter at its box, or by the box.
LETTERS = {
    "n_layers": "L",
    "n_heads": "h",
    "n_kv_heads": "g",
    "vocab": "V",
    "embedding_width": "d_e",
    "head_dim": "d_h",
    "positions": "P",
    "experts": "E",
    "experts_used": "“Experts per token”",
    "decoder_layers": "“Decoder layers”",
}


def worded(reason: ValueError) -> str:
    """A refusal as the page says it: the fields, which stand in backticks, called as their boxes are.

    >>> worded(ValueError("`experts_used` = 2 is more than `experts` = 1: no such experts."))
    '“Experts per token” = 2 is more than E = 1: no such experts.'
    """
    return re.sub(r"`(\w+)`", lambda field: LETTERS.get(field[1], field[1]), str(reason))


# ------------------------------------------------------------------------------------------------ how numbers are said


def squared(times: Fraction | float) -> str:
    """As in “2.5 d²”."""
    return f"{number(float(times))}{NO_BREAK}d²"


def written_exactly(times: Fraction) -> bool:
    """Whether `squared` rounds nothing away.

    >>> written_exactly(Fraction(21, 2)), written_exactly(Fraction(16, 3))
    (True, False)
    """
    return Fraction(squared(times).partition(NO_BREAK)[0].replace(",", "")) == times if times >= 1e-3 else False


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


# ------------------------------------------------------------------------------------------------ one block, and the whole

COLOURS = {"W_Q": QUERY, "W_K": KEY, "W_V": VALUE, "W_O": ROSE, "router": INK}
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
        colour = COLOURS.get(t.label, OCHRE)
        shapes += [
            Rectangle(named(t), m.wide, 1.0, colour, note, (left, height - top - 1)) for left, top in m.corners.tolist()
        ]
    return [*shapes, Rectangle("the rule: 12 d²", 4, 3, INK, "", (0, height - 3), outline=True)]


@corners(a=ARCHITECTURES, name=NAMES)
def block_frames(a: Architecture, name: str) -> list[Frame]:
    """Every weight matrix of a block, its area the number of its parameters."""
    shapes = tiles(a)
    across = max(s.at[0] + s.wide for s in shapes if s.at)
    high = max(s.at[1] + s.high for s in shapes if s.at)
    picture = figures.rectangles(
        shapes,
        title=f"{block_of(a)}, every weight matrix to scale: area = parameters",
        named=True,
        x_title="width in units of d_model",
        y_title="in units of d_model",
        height=round(min(max(300, 90 + 360 * high / across), 520)),
    )
    drawn = [m.term for m in parameters.placed(a)]
    rows = [[named(t), t.part, t.rows, t.columns, t.each, t.per_block] for t in drawn]
    picture.lay_out(meta={"table": {"columns": ["matrix", *COLUMNS], "rows": rows}})
    return [Frame((picture,), block_reading(a, name))]


COLUMNS = ["part", "rows", "columns", "copies", "parameters"]


def block_of(a: Architecture) -> str:
    return "One decoder block" if a.decoder_layers else "One block"


def block_reading(a: Architecture, name: str) -> str:
    drawn = [t for t in a.terms if t.place != "model"]
    d2 = a.d_model**2
    squares = {
        part: Fraction(sum(t.per_block for t in drawn if t.matrix and t.part == part), d2)
        for part in ("attention", "cross-attention", "feed-forward")
    }
    squares = {part: n for part, n in squares.items() if n}
    spoken = " + ".join(f"{squared(n)} ({part})" for part, n in squares.items())
    whole = sum(squares.values(), Fraction(0))
    equal = "=" if all(map(written_exactly, (*squares.values(), whole))) else "≈"
    matrices = int(whole * d2)
    off = counting.rule_of_thumb(a.d_model) / matrices - 1
    rule = f"12{NO_BREAK}d² is {judged(off)}. " if off else f"12{NO_BREAK}d² is exact. "
    norms = sum(t.per_block for t in drawn if t.part == "normalisation")
    rest = sum(t.per_block for t in drawn if not t.matrix)
    if rest:
        thin = listed([word for word, there in (("biases", rest > norms), ("norms", norms)) if there])
        unseen = "too thin to draw" if rest < matrices / 100 else "not drawn"
        added = f"Its {thin} add {rest:,}, {share(rest / (rest + matrices))} of the block: {unseen}."
    else:
        added = "It has no biases, and its norms have no parameters."
    cross = " The second row is cross-attention, which the encoder's blocks do not have." if a.decoder_layers else ""
    return f"{block_of(a)} of {name}: {spoken} {equal} {squared(whole)}: {matrices:,} weights in matrices. {rule}{added}{cross}"


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
    rows = [[named(t), t.part, t.rows, t.columns, t.each * t.copies, t.total] for t in a.terms]
    bars.lay_out(meta={"table": {"columns": ["tensor", *COLUMNS], "rows": rows}})
    outside = sum(t.total for t in a.terms if t.place == "model")
    off = judged(counting.rule_error(a, "model"))
    shared = f", whose {count(a.blocks, 'layer')} share the parameters of {a.kept}" if a.kept < a.blocks else ""
    said = (
        f"In {name}, {outside:,} of {a.parameters:,} parameters, {share(outside / a.parameters)}, stand outside the "
        f"blocks. 12{NO_BREAK}d² × {count(a.blocks, 'layer')} is {off} for the model{shared}."
    )
    if a.experts > a.experts_used:
        said += (
            f" A token, which meets {a.experts_used:,} of {a.experts:,} experts, uses {counting.active(a):,} of them, if the "
            "embedding counts as a whole."
        )
    return [Frame((bars,), said)]


def table(a: Architecture, built: Mapping[str, int]) -> dict[str, list[str]]:
    """Term by term: the formula, its numbers, and what the built module has of it."""
    rows = []
    for t in a.terms:
        shape = f"{t.rows:,} × {t.columns:,}" if t.rows > 1 else f"{t.columns:,}"
        times = [f"{n:,}" for n in (t.copies, t.each) if n > 1]
        there = built.get(t.path, 0)
        same = f"{t.total:,}" if t.total == there else f"{t.total:,} ≠ {there:,}"
        rows.append((named(t), f"{t.formula}: {' × '.join([*times, shape])}", same))
    titles = ("tensor", "formula; for all layers", "by formula = built")
    return {title: list(column) for title, column in zip(titles, zip(*rows, strict=True), strict=True)}


# ------------------------------------------------------------------------------------------------ the rule

DESIGNS = {"GPT-2": parameters.GPT_2, "Llama 3": parameters.LLAMA_3}


@corners()
def rule_frames() -> list[Frame]:
    """One frame for each width: how far the rule is off for two designs that grow, and what their models consist of."""
    designs = {short: preset(name) for short, name in DESIGNS.items()}
    curves = {short: parameters.errors(a) for short, a in designs.items()}
    frames = []
    for d in parameters.WIDTHS:
        models = {short: parameters.scaled(a, d) for short, a in designs.items()}
        frames.append(
            Frame(
                (
                    *(rule_curves(short, designs[short], c, d) for short, c in curves.items()),
                    figures.bars(
                        [
                            Series(part, [shares(m)[part] for m in models.values()], colour)
                            for part, colour in (
                                ("matrices of the blocks", WITH),
                                ("biases and norms", ROSE),
                                ("embeddings and head", OCHRE),
                            )
                        ],
                        labels=list(models),
                        title=f"What the model consists of at d = {d:,}",
                        x_title="design",
                        y_title="share, %",
                        stacked=True,
                        y_range=(0, 100),
                        height=380,
                    ),
                ),
                " ".join(rule_reading(DESIGNS[short], m) for short, m in models.items()),
            )
        )
    return frames


def rule_curves(short: str, a: Architecture, c: parameters.Errors, d: int) -> figures.Figure:
    """How many per cent too few, against the width; the chosen width and the published one are marked."""
    series = [Series("with norms", -100 * c.block, ROSE, "dash"), Series("the whole model", -100 * c.model, WITH)]
    # Exact is no point of a logarithmic axis, and what is the same as before needs no line.
    if (c.biases != c.matrices).any():
        series.insert(0, Series("with biases", -100 * c.biases, OCHRE, "dot"))
    if c.matrices.any():
        series.insert(0, Series("weight matrices of a block", -100 * c.matrices, INK))
    return figures.lines(
        series,
        x=c.width,
        title=f"12 d² counts too few: models built like {DESIGNS[short]}, {a.n_layers} layers",
        x_title="d_model",
        y_title="too few by, %",
        log_y=True,
        x_range=(0, parameters.WIDTHS[-1]),
        y_range=(0.002, 400),
        marks={f"d = {d:,}": (float(d), INK), DESIGNS[short]: (float(a.d_model), WITHOUT)},
        height=380,
    )


def shares(a: Architecture) -> dict[str, float]:
    inside = [t for t in a.terms if t.place != "model"]
    matrices = sum(t.total for t in inside if t.matrix)
    thin = sum(t.total for t in a.terms if not t.matrix)
    return {
        "matrices of the blocks": 100 * matrices / a.parameters,
        "biases and norms": 100 * thin / a.parameters,
        "embeddings and head": 100 * (a.parameters - matrices - thin) / a.parameters,
    }


def rule_reading(name: str, a: Architecture) -> str:
    matrices, block, model = (judged(counting.rule_error(a, scope)) for scope in ("matrices", "block", "model"))
    norms = "with biases and norms" if a.block_biases else "with norms"
    return (
        f"Built like {name} with d = {a.d_model:,}, {number(a.parameters / 1e9)} billion parameters in all: 12{NO_BREAK}d² is "
        f"{matrices} for the matrices of a block, {block} {norms}, {model} for the whole model."
    )


# ------------------------------------------------------------------------------------------------ memory and work


@corners(a=ARCHITECTURES, name=NAMES, precision=tuple(PRECISIONS))
def memory_frames(a: Architecture, name: str, precision: Precision) -> list[Frame]:
    """What is kept for every parameter, in bytes."""
    m = counting.memory(a.parameters, precision)
    kept = {"weights": m.weights, "gradients": m.gradients, "Adam's<br>moments": m.adam, "float32<br>copy": m.master}
    shown = {what: size for what, size in kept.items() if size}
    bars = figures.bars(
        [Series("memory", torch.tensor([size / 1e9 for size in shown.values()], dtype=torch.float64), WITH)],
        labels=list(shown),
        title="Memory that the parameters need",
        x_title="kept for every parameter",
        y_title="GB (10⁹ bytes)",
        height=340,
    )
    return [Frame((bars,), memory_reading(a, name, precision))]


def memory_reading(a: Architecture, name: str, precision: Precision) -> str:
    m = counting.memory(a.parameters, precision)
    weights = f"In {PRECISIONS[precision].partition(',')[0]}, the weights of {name} take {size_of(m.weights)}"
    if not m.gradients:
        return (
            f"{weights}, scale factors of the quantisation aside. There is no training: PyTorch's integers have no "
            "gradient."
        )
    return (
        f"{weights.replace('mixed: bfloat16', 'mixed precision')}; training with Adam takes {size_of(m.training)}, "
        f"{m.training // a.parameters} bytes per parameter"
        + (", or 18 where gradients are kept in float32" if precision == "mixed" else "")
        + ". Activations come on top: they grow with the batch and the length of the texts."
    )


@corners(a=ARCHITECTURES, name=NAMES, precision=("float32", "int8"))  # 4 bytes and 1: the others read alike
def cost_frames(a: Architecture, name: str, precision: Precision) -> list[Frame]:
    """One frame for each length of context: FLOPs of one token, and the bytes of its cache."""
    c = parameters.costs(a, precision)
    frames = []
    for n in parameters.CONTEXTS:
        mark = {f"n = {n:,}": (float(n), INK)}
        work = figures.lines(
            [
                Series("through the weights", c.weights, WITH),
                Series("between positions (attention)", c.attention, ROSE, "dash"),
                Series("2 × all parameters", torch.full_like(c.weights, 2.0 * a.parameters), WITHOUT, "dot"),
            ],
            x=c.context,
            title="Work of one token in a forward pass",
            x_title="n, tokens that it sees",
            y_title="FLOPs",
            log_x=True,
            log_y=True,
            x_range=(100, 1.3e6),
            marks=mark,
            height=360,
        )
        weights = torch.full_like(c.cache, a.parameters * counting.BYTES[precision] / 1e9)
        cache = figures.lines(
            [Series("keys and values of one text", c.cache / 1e9, ROSE, "dash"), Series("the weights", weights, WITH)],
            x=c.context,
            title="KV cache beside the weights",
            x_title="n, tokens in the cache",
            y_title="GB (10⁹ bytes)",
            log_x=True,
            log_y=True,
            x_range=(100, 1.3e6),
            marks=mark,
            height=360,
        )
        encoder = a.kind == "encoder"
        frames.append(Frame((work,) if encoder else (work, cache), cost_reading(a, name, n, precision)))
    return frames


def cost_reading(a: Architecture, name: str, n: int, precision: Precision) -> str:
    flops = counting.flops_per_token(a, n)
    one = "one source and one target token cost" if a.decoder_layers else "a token that sees them costs"
    even = counting.even_context(a)
    said = (
        f"With {n:,} tokens in {name}, {one} {amount(flops.weights)}FLOPs through the weights in a forward pass, "
        f"{per_parameter(a)}, and {amount(flops.attention)}FLOPs in attention, {share(flops.attention / flops.total)} of the "
        f"whole. Both are equal at n {'=' if even.is_integer() else '≈'} {number(even)}. "
    )
    if a.kind == "encoder":
        said += "An encoder writes nothing and keeps no cache."
    else:
        each = counting.BYTES[precision]
        per_token = counting.kv_cache_bytes(a, each)
        said += (
            f"At {count(each, 'byte')} a number the cache takes {size_of(per_token)} per token, {size_of(per_token * n)} for "
            f"these {n:,}."
        )
        if a.decoder_layers:
            said += " Every source token takes as much again, once, for cross-attention."
    if 0 < a.positions < n:
        said += f" But the model has learned {count(a.positions, 'position')}: it cannot read so many tokens."
    return said


def per_parameter(a: Architecture) -> str:
    """How many FLOPs a token costs per parameter, and why not 2."""
    each = counting.flops_per_token(a, 0).weights / a.parameters
    said = f"{number(each)} per parameter"
    if number(each) in ("2", "2.00"):
        return said
    if each > 2:
        return f"{said} instead of 2, since one block's weights multiply in every layer that shares them"
    idle = {
        "lookups": any(
            t.matrix and t.place == "model" and t.part == "embeddings" and "projection" not in t.path
            for t in a.terms
            if a.head != "tied" or not t.path.startswith("token")
        ),
        "biases": any(not t.matrix and t.part != "normalisation" for t in a.terms),
        "norms": any(t.part == "normalisation" for t in a.terms),
    }
    reasons = (
        [f"{listed(found)} multiply no matrix"] if (found := [word for word, there in idle.items() if there]) else []
    )
    reasons += ["the pooler works once per text"] if a.pooler else []
    reasons += [f"it meets {a.experts_used:,} of {a.experts:,} experts"] if a.experts > a.experts_used else []
    return f"{said} instead of 2, since {listed(reasons)}"


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return block_frames(preset(parameters.GPT_2), parameters.GPT_2)[0]
