"""Question 15: counting parameters."""

import re
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st
import torch

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts import parameters
from core.course import number
from core.models import built_counts
from core.ops import counting
from core.ops.counting import Architecture
from core.presets import PRESETS, preset
from ui import controls, figures
from ui.figures import Rectangle, Series
from ui.palette import INK, KEY, OCHRE, QUERY, ROSE, VALUE, WITH, WITHOUT
from ui.sweep import Frame, figure, sweep

MODELS = {parameters.GPT_2: parameters.GPT_2, **{name: name for name in PRESETS if name != parameters.GPT_2}}
SWITCHES: dict[str, dict[str, dict[str, Any]]] = {
    "gated": {"as published": {}, "two matrices": {"gated": False}, "gated, three": {"gated": True}},
    "biases": {
        "as published": {},
        "none": {"qkv_bias": False, "out_bias": False, "ffn_bias": False},
        "on q, k, v only": {"qkv_bias": True, "out_bias": False, "ffn_bias": False},
        "everywhere": {"qkv_bias": True, "out_bias": True, "ffn_bias": True},
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
}
PRECISIONS = {
    "float32": "float32",
    "bfloat16": "bfloat16",
    "mixed": "mixed: bfloat16, Adam in float32",
    "int8": "int8, inference only",
}
# Broken, so that they stand upright under the bars on a phone too.
PART_LABELS = {
    "embeddings": "embed-<br>dings",
    "cross-attention": "cross-<br>attention",
    "feed-forward": "feed-<br>forward",
    "normalisation": "norms",
}
# The fields of an architecture as their boxes call them.
LETTERS = {
    "n_heads": "h",
    "n_kv_heads": "g",
    "head_dim": "d_h",
    "n_layers": "L",
    "vocab": "V",
    "positions": "P",
    "experts": "E",
    "experts_used": "experts per token",
    "decoder_layers": "decoder layers",
}
COLOURS = {"W_Q": QUERY, "W_K": KEY, "W_V": VALUE, "W_O": ROSE, "router": INK}


# ------------------------------------------------------------------------------------------------ the picture


def tiles(a: Architecture) -> list[Rectangle]:
    """The matrices of a block in units of d_model, and the rule of thumb as a frame of 4 × 3 behind them."""
    matrices = parameters.placed(a)
    height = max(m.top for m in matrices) + 1
    shapes = [
        Rectangle(
            named(m.term),
            m.wide,
            1.0,
            COLOURS.get(m.term.label, OCHRE),
            f"{m.term.part}, {m.term.rows:,} × {m.term.columns:,} = {m.term.rows * m.term.columns:,}",
            (m.left, height - m.top - 1),
        )
        for m in matrices
    ]
    return [*shapes, Rectangle("the rule: 12 d²", 4, 3, INK, "", (0, height - 3), outline=True)]


def named(term: counting.Term) -> str:
    """A matrix or vector by the name that tells it from its twin in cross-attention."""
    return ("cross " if term.place == "cross" and term.part != "normalisation" else "") + term.label


def block_frames(a: Architecture, name: str) -> list[Frame]:
    shapes = tiles(a)
    across = max(s.at[0] + s.wide for s in shapes if s.at)
    high = max(s.at[1] + s.high for s in shapes if s.at)
    picture = figures.rectangles(
        shapes,
        title="One block, every weight matrix to scale: area = parameters",
        named=True,
        x_title="width in units of d_model",
        y_title="in units of d_model",
        height=round(min(max(300, 90 + 360 * high / across), 520)),
    )
    return [Frame((picture,), block_reading(a, name))]


def block_reading(a: Architecture, name: str) -> str:
    drawn = [t for t in a.terms if t.place != "model"]
    d2 = a.d_model**2
    squares = {
        part: sum(t.per_block for t in drawn if t.matrix and t.part == part) / d2
        for part in ("attention", "cross-attention", "feed-forward")
    }
    spoken = " + ".join(f"{squared(n)} ({part})" for part, n in squares.items() if n)
    matrices = sum(t.per_block for t in drawn if t.matrix)
    rest = sum(t.per_block for t in drawn if not t.matrix)
    rule = counting.rule_of_thumb(a.d_model)
    which = "One decoder block" if a.decoder_layers else "One block"
    biased = any(t.path.endswith("bias") and t.part != "normalisation" for t in drawn)
    thin = "Its biases and norms add" if biased else "Its norms add"
    said = (
        f"{which} of {name}: {spoken} {'=' if exact(squares) else '≈'} {squared(matrices / d2)}: {matrices:,} weights in "
        f"matrices. 12 d² would be {rule:,}, {judged(rule / matrices - 1)}. "
    )
    said += (
        f"{thin} {rest:,}, {percent(rest / (rest + matrices))} of the block{': too thin to draw' if rest < matrices / 100 else ''}."
        if rest
        else "It has no biases, and its norms have no parameters."
    )
    return said + (
        " The second row is cross-attention, which the encoder's blocks do not have." if a.decoder_layers else ""
    )


def exact(squares: dict[str, float]) -> bool:
    """Whether the parts, as they are written, add up to their sum as it is written."""
    written = sum(round(n, 2) for n in squares.values())
    return abs(written - round(sum(squares.values()), 2)) < 0.005


def whole_frames(a: Architecture, name: str) -> list[Frame]:
    parts = counting.by_part(a)
    bars = figures.bars(
        [Series("parameters", torch.tensor([float(n) for n in parts.values()], dtype=torch.float64), WITH)],
        labels=[PART_LABELS.get(part, part) for part in parts],
        title="The whole model, by part",
        x_title="part, with its biases",
        y_title="parameters",
        height=320,
    )
    outside = sum(t.total for t in a.terms if t.place == "model")
    return [
        Frame(
            (bars,),
            f"In {name}, {outside:,} of {a.parameters:,} parameters, {percent(outside / a.parameters)}, stand outside the "
            f"blocks. 12 d² times {a.blocks:,}, the number of layers, is {judged(counting.rule_error(a, 'model'))} for the model.",
        )
    ]


def squared(times: float) -> str:
    """As in “2.5 d²”, with at most two decimals."""
    return f"{times:.2f}".rstrip("0").rstrip(".") + " d²"


def percent(share: float) -> str:
    """Three significant digits, so that little is not shown as nothing."""
    return f"{number(float(f'{100 * share:.3g}'))} %"


def judged(off: float) -> str:
    return f"{percent(abs(off))} too {'few' if off < 0 else 'many'}" if off else "exact"


def table(a: Architecture, built: dict[str, int]) -> pd.DataFrame:
    """Term by term: the formula, its numbers, and what the built module has of it."""
    rows = []
    for t in a.terms:
        shape = f"{t.rows:,} × {t.columns:,}" if t.rows > 1 else f"{t.columns:,}"
        times = [f"{n:,}" for n in (t.copies, t.each) if n > 1]
        there = built.get(t.path, 0)
        same = f"{t.total:,}" if t.total == there else f"{t.total:,} ≠ {there:,}"
        rows.append((named(t), f"{t.formula}: {' × '.join([*times, shape])}", same))
    return pd.DataFrame(rows, columns=["tensor", "formula; for all layers", "by formula = built"])


# ------------------------------------------------------------------------------------------------ the rule


def rule_frames() -> list[Frame]:
    """One frame for each width: how far the rule is off for two designs that grow, and what their models consist of."""
    names = {"GPT-2": parameters.GPT_2, "Llama 3": parameters.LLAMA_3}
    designs = {short: preset(name) for short, name in names.items()}
    curves = {short: parameters.errors(a) for short, a in designs.items()}
    frames = []
    for d in parameters.WIDTHS:
        models = {short: parameters.scaled(a, d) for short, a in designs.items()}
        frames.append(
            Frame(
                (
                    *(
                        figures.lines(
                            [
                                # Exact is no point of a logarithmic axis, and what is the same as before needs no line.
                                *(
                                    [Series("weight matrices of a block", -100 * c.matrices, INK)]
                                    if c.matrices.any()
                                    else []
                                ),
                                *(
                                    [Series("with biases", -100 * c.biases, OCHRE, "dot")]
                                    if (c.biases != c.matrices).any()
                                    else []
                                ),
                                Series("with norms", -100 * c.block, ROSE, "dash"),
                                Series("with embeddings: the model", -100 * c.model, WITH),
                            ],
                            x=c.width,
                            title=f"12 d² counts too few: models built like {names[short]}, {designs[short].n_layers} layers",
                            x_title="d_model",
                            y_title="too few by, %",
                            log_y=True,
                            x_range=(0, parameters.WIDTHS[-1]),
                            y_range=(0.002, 400),
                            marks={
                                f"d = {d:,}": (float(d), INK),
                                names[short]: (float(designs[short].d_model), WITHOUT),
                            },
                            height=380,
                        )
                        for short, c in curves.items()
                    ),
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
                " ".join(rule_reading(names[short], m) for short, m in models.items()),
            )
        )
    return frames


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
    scopes = [judged(counting.rule_error(a, scope)) for scope in ("matrices", "block", "model")]
    return (
        f"Built like {name} with d = {a.d_model:,}, {a.parameters / 1e9:.3g} billion parameters in all: 12 d² is {scopes[0]} "
        f"for the matrices of a block, {scopes[1]} with biases and norms, {scopes[2]} for the whole model."
    )


# ------------------------------------------------------------------------------------------------ memory and work


def memory_frames(a: Architecture, name: str, precision: str) -> list[Frame]:
    m = counting.memory(a.parameters, precision)
    named = {"weights": m.weights, "gradients": m.gradients, "Adam's<br>moments": m.adam, "float32<br>copy": m.master}
    shown = {what: size for what, size in named.items() if size}
    said = (
        f"{name}, {PRECISIONS[precision]}: the weights take {size_of(m.weights)}, "
        + (
            f"training takes {size_of(m.training)}, {m.training // a.parameters} bytes per parameter. "
            if m.gradients
            else "and there is no training: integers have no gradient. "
        )
        + ("Where gradients are kept in float32 it is 18 bytes. " if precision == "mixed" else "")
        + "Activations come on top: they grow with the batch and the length of the texts."
    )
    return [
        Frame(
            (
                figures.bars(
                    [
                        Series(
                            "memory", torch.tensor([size / 1e9 for size in shown.values()], dtype=torch.float64), WITH
                        )
                    ],
                    labels=list(shown),
                    title="Memory that the parameters need",
                    x_title="kept for every parameter",
                    y_title="GB (10⁹ bytes)",
                    height=340,
                ),
            ),
            said,
        )
    ]


def cost_frames(a: Architecture, name: str, bytes_each: int) -> list[Frame]:
    """One frame for each length of context: FLOPs of one token, and the bytes of its cache."""
    c = parameters.costs(a, bytes_each)
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
            title="Work of one token in the forward pass",
            x_title="n, tokens that it sees",
            y_title="FLOPs",
            log_x=True,
            log_y=True,
            x_range=(100, 1.3e6),
            marks=mark,
            height=360,
        )
        cache = figures.lines(
            [
                Series("keys and values of one text", c.cache / 1e9, ROSE, "dash"),
                Series("the weights", torch.full_like(c.cache, a.parameters * bytes_each / 1e9), WITH),
            ],
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
        frames.append(Frame((work,) if encoder else (work, cache), cost_reading(a, name, n, bytes_each)))
    return frames


def cost_reading(a: Architecture, name: str, n: int, bytes_each: int) -> str:
    flops = counting.flops_per_token(a, n)
    one = "one source and one target token cost" if a.decoder_layers else "a token that sees them costs"
    said = (
        f"With {n:,} tokens in {name}, {one} {amount(flops.weights)}FLOPs through the weights, "
        f"{number(flops.weights / a.parameters)} per parameter{idle(a)}, and {amount(flops.attention)}FLOPs in attention, "
        f"{percent(flops.attention / flops.total)} of the whole. Both are equal at n = {number(round(counting.even_context(a)))}. "
    )
    if a.kind == "encoder":
        said += "An encoder writes nothing and keeps no cache."
    else:
        per_token = counting.kv_cache_bytes(a, bytes_each)
        said += (
            f"At {bytes_each} byte{'s' if bytes_each > 1 else ''} a number the cache takes {size_of(per_token)} per token, "
            f"{size_of(per_token * n)} for these {n:,}."
        )
        if a.decoder_layers:
            said += " Every source token takes as much again, once, for cross-attention."
    if 0 < a.positions < n:
        said += f" But the model has learned {a.positions:,} position{'s' if a.positions > 1 else ''}: it cannot read so many tokens."
    return said


def idle(a: Architecture) -> str:
    """Why a token pays for fewer than all parameters, or for some of them twice."""
    if 2 * a.parameters == counting.flops_per_token(a, 0).weights:
        return ""
    experts = ", and neither do the experts that it is not sent to" if a.experts > a.experts_used else ""
    return f" instead of 2, since lookups, biases and norms multiply no matrix{experts}"


def amount(value: float) -> str:
    """A large number with its prefix, as in “17.4 G”."""
    for prefix in ("", "k", "M", "G", "T", "P", "E"):
        if value < 999.95 or prefix == "E":
            return f"{value:.4g} {prefix}"
        value /= 1000
    raise AssertionError


def size_of(size: float) -> str:
    """Bytes with a decimal prefix, as in “16 GB”."""
    return amount(size) + "B"


# ------------------------------------------------------------------------------------------------ controls


def changes(a: Architecture) -> dict[str, Any]:
    """What the reader has changed of a published model; a blank box leaves it as it is."""
    with st.grid(2, min_column_width=140):  # one below the other on a desktop, in pairs on a phone
        numbers: dict[str, int | None] = {
            "d_model": controls.blank_whole("d_model", "d_model", a.d_model),
            "n_layers": controls.blank_whole("Layers L", "n_layers", a.n_layers),
            "n_heads": controls.blank_whole("Query heads h", "n_heads", a.n_heads),
        }
        # What a blank box stands for depends on the boxes before it.
        d, h = numbers["d_model"] or a.d_model, numbers["n_heads"] or a.n_heads
        numbers["n_kv_heads"] = controls.blank_whole("Key/value heads g", "n_kv_heads", a.n_kv_heads or h)
        numbers["d_ff"] = controls.blank_whole("d_ff", "d_ff", a.d_ff)
    switches = [picked("Feed-forward", "gated")]
    with st.expander("More"):
        numbers["vocab"] = controls.blank_whole("Vocabulary V", "vocab", a.vocab)
        switches += [picked("Biases", "biases"), picked("Norm", "norm"), picked("Output head", "head")]
        numbers["head_dim"] = controls.blank_whole("Width of a head d_h", "head_dim", a.head_dim or d // h)
        numbers["positions"] = controls.blank_whole("Learned positions P", "n_positions", a.positions)
        numbers["experts"] = controls.blank_whole("Experts E", "experts", a.experts)
        numbers["experts_used"] = controls.blank_whole("Experts per token", "experts_used", a.experts_used)
        if a.decoder_layers:
            numbers["decoder_layers"] = controls.blank_whole("Decoder layers", "decoder_layers", a.decoder_layers)
    found: dict[str, Any] = {name: value for name, value in numbers.items() if value is not None}
    for switch in switches:
        found |= switch
    return found


def worded(reason: ValueError) -> str:
    """A refusal with the letters that stand at the boxes."""
    return re.sub("|".join(rf"\b{name}\b" for name in LETTERS), lambda m: LETTERS[m[0]], str(reason))


def picked(label: str, key: str) -> dict[str, Any]:
    words = SWITCHES[key]
    return words[controls.choice(label, key, {word: word for word in words})]


# ------------------------------------------------------------------------------------------------ the lab

with lesson(parameters.concept) as page:
    st.markdown(
        "Choose a published model, or change it. Each rectangle is one weight matrix of a block; the dotted frame is the "
        "rule of thumb, 12 d². Beside it stand two counts that know nothing of each other: a formula, and a module that "
        "PyTorch really builds, on a device that stores no numbers."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        model = controls.choice("Model", "model", MODELS)
        published = preset(model)
        st.caption("Grey is as published. Type to change it.")
        changed = changes(published)
        architecture, name, refused = published, model, ""
        try:
            architecture = replace(published, **changed)
            if architecture != published:
                name = f"your {model}"
        except ValueError as reason:
            refused = worded(reason)
    with stage:
        if refused:
            st.error(f"{refused} Until you change it, everything below shows {model} as published.")
        total, by_path = built_counts(architecture)
        formula = architecture.parameters
        with st.container(horizontal=True, gap="medium"):
            st.metric(f"{name}: by formula", f"{formula:,}")
            st.metric("In the module just built", f"{total:,}")
            st.metric("Difference", f"{formula - total:,}")
        picture, terms = st.columns([1.1, 1], gap="medium")
        with picture:
            figure("block", block_frames, architecture, name)
            figure("whole", whole_frames, architecture, name)
        with terms:
            st.table(table(architecture, by_path).set_index("tensor"))
            st.caption(
                "Each line was counted twice, by the formula and in the module, and both are always equal. d is d_model, d_h the width of a head, f "
                "is d_ff, and the letters of the controls are those of the formulas."
            )

    st.subheader("How far 12 d² is off", anchor=False)
    st.markdown(
        "Two designs grow wider; the width of a head, how heads are shared, the ratio d_ff / d, the vocabulary and the "
        "number of layers stay. The share of the embeddings shrinks with the width. What grouped heads and the gate "
        "change does not."
    )
    sweep(
        "width",
        "d_model of both designs",
        parameters.WIDTHS,
        rule_frames,
        default=4096,
        labels=[f"{d:,}" for d in parameters.WIDTHS],
    )

    st.subheader("What the count costs", anchor=False)
    st.markdown(
        "Some models let layers look back over a window only (Mistral 7B, Gemma 2 and 3); here every "
        "layer sees every token."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        precision = controls.choice("Precision", "precision", PRECISIONS)
    with stage:
        figure("memory", memory_frames, architecture, name, precision)
    sweep(
        "context",
        "Tokens in the context",
        parameters.CONTEXTS,
        cost_frames,
        architecture,
        name,
        counting.BYTES[precision],
        default=1024,
        labels=[f"{n:,}" for n in parameters.CONTEXTS],
    )

    page.ran(
        counting.count,
        counting.attention_terms,
        counting.feed_forward_terms,
        counting.norm_terms,
        counting.embedding_terms,
        parameters.placed,
        built_counts,
        parameters.scaled,
        counting.memory,
        counting.kv_cache_bytes,
        counting.flops_per_token,
    )
    page.takes(**parameters.settings(architecture))
