"""Question 13: why positions must be added."""

from typing import Any

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts import positions
from core.course import number
from core.ops.words import MOST, tokens
from ui import controls, figures
from ui.figures import Series
from ui.palette import OCHRE, ROSE, SIGNED, WITH, WITHOUT
from ui.sweep import Frame, figure, sweep

SCHEMES = {"none": "none", "sinusoidal": "sinusoidal", "learned": "learned table", "rope": "RoPE", "alibi": "ALiBi"}
# Broken, so that they stand upright under the bars on a phone too.
BAR_LABELS = ["none", "sinu-<br>soidal", "learned<br>table", "RoPE", "ALiBi"]
FEATURES = [str(i) for i in range(positions.D)]
BASES = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 500_000)
WIDTHS = (8, 64)


def short(word: str) -> str:
    return word if len(word) <= 10 else word[:9] + "…"


def labels(words: tuple[str, ...]) -> list[str]:
    return [f"{short(word)} {i}" for i, word in enumerate(words)]


def sparse(n: int, every: int) -> list[str]:
    """Numbers under a row of narrow cells: only as many as can be read."""
    return [str(i) if i % every == 0 else "" for i in range(n)]


def outputs(z: Any, words: list[str], title: str, limit: float, zeros: bool = False) -> Any:
    """One row per word, one column per feature; with `zeros`, what is exactly 0 is crossed out."""
    return figures.heatmap(
        z,
        rows=words,
        columns=sparse(positions.D, 3),
        title=title,
        colours=SIGNED,
        limits=(-limit, limit),
        row_title="word" if zeros else "word and its position",
        column_title="feature",
        hatched=z == 0 if zeros else None,
        hatch_name="exactly 0",
    )


def picked(values: list[float], i: int, this: str, others: str) -> list[Series]:
    """Bars of which one stands out; they are drawn stacked, so that each keeps its place."""
    return [
        Series(this, [v if j == i else 0.0 for j, v in enumerate(values)], WITH),
        Series(others, [0.0 if j == i else v for j, v in enumerate(values)], WITHOUT),
    ]


def order_frames(words: str, order: str, layers: int, seed: int) -> list[Frame]:
    all_orders = [positions.two_orders(words, order, scheme, layers, seed) for scheme in SCHEMES]
    largest = [both.largest for both in all_orders]
    widest = max(largest) or 1.0
    means = [(positions.pool(both.first), positions.pool(both.second)) for both in all_orders]
    reach = 1.1 * max(float(mean.abs().max()) for pair in means for mean in pair)
    return [
        Frame(
            (
                outputs(both.first, labels(both.words), "Outputs, first order", 4.0),
                outputs(both.second, labels(both.order), "Outputs, second order", 4.0),
                outputs(
                    both.difference,
                    [short(w) for w in both.words],
                    "Difference, un-shuffled (×: exactly 0)",
                    widest,
                    True,
                ),
                figures.bars(
                    [Series("first order", mean[0], WITHOUT), Series("second order", mean[1], WITH)],
                    labels=FEATURES,
                    title="The mean over the words",
                    x_title="feature",
                    y_title="mean output",
                    y_range=(-reach, reach),
                    height=340,
                ),
                figures.bars(
                    picked(largest, i, "chosen", "the others"),
                    labels=BAR_LABELS,
                    title="Largest difference that is left after un-shuffling",
                    x_title="how positions are put in",
                    y_title="largest difference",
                    y_range=(0, 1.1 * widest),
                    stacked=True,
                    height=280,
                ),
            ),
            order_reading(
                scheme, both, positions.two_orders(words, order, scheme, layers, seed, "plain").largest, largest[1]
            ),
        )
        for i, (scheme, both, mean) in enumerate(zip(SCHEMES, all_orders, means, strict=True))
    ]


def order_reading(scheme: str, both: positions.Orders, plain: float, sinusoidal: float) -> str:
    name = "Without positions" if scheme == "none" else f"With {SCHEMES[scheme]}"
    if both.order == both.words:
        return f"{name}: both boxes hold the same order, so nothing differs. Write the words in another order."
    measured = (
        f"the largest difference after un-shuffling is {'exactly 0' if both.largest == 0 else number(both.largest)}, "
        f"and of the means over the words {'exactly 0' if both.pooled == 0 else number(both.pooled)}"
    )
    if scheme == "none":
        rounding = (
            "Sums over keys are added in sorted order here; ordinary matrix products leave "
            f"{number(plain)}, which is rounding."
            if plain
            else "Sums over keys are added in sorted order here, so rounding cannot disturb it."
        )
        return (
            f"{name} {measured}: each output followed its word. Sinusoids added to the same words leave "
            f"{number(sinusoidal)}. {rounding}"
        )
    if both.largest == 0 and scheme == "alibi" and both.reversed:
        return (
            f"{name} {measured}, as if there were no positions: the second order is the first read backwards, which "
            "leaves all distances |i − j| as they are. Try an order that is not a reversal."
        )
    return f"{name} {measured}: the encoder tells the two orders apart."


def pattern_frames(width: int, seed: int) -> list[Frame]:
    seen = [positions.pattern(width, float(base), seed) for base in BASES]
    top = 1.1 * max(float(one.projected.abs().max()) for one in seen)
    frames = []
    for base, one in zip(BASES, seen, strict=True):
        spread = [float((p.amax(0) - p.amin(0)).max()) for p in (one.raw, one.projected)]
        curves = list(
            zip(positions.STARTS, (WITH, OCHRE, ROSE), ("solid", "dash", "dot"), (5.0, 3.0, 2.5), strict=True)
        )
        raw, projected = (
            [Series(f"p = {p}", y[i], colour, dash, width=w) for i, (p, colour, dash, w) in enumerate(curves)]
            for y in (one.raw, one.projected)
        )
        last = len(one.table) - 1
        frames.append(
            Frame(
                (
                    figures.heatmap(
                        one.table,
                        rows=[str(p) for p in range(last + 1)],
                        columns=sparse(width, 4 * max(1, -(-width // 24))),
                        row_title="position",
                        column_title="feature (sine, cosine, sine …)",
                        colours=SIGNED,
                        limits=(-1, 1),
                        title=f"The encodings of positions 0 … {last}",
                        height=380,
                    ),
                    figures.lines(
                        raw,
                        x=one.offsets,
                        title="PE_p · PE_p+k",
                        x_title="offset k",
                        y_title="dot product ÷ (d/2)",
                        y_range=(-1.05, 1.05),
                        height=380,
                    ),
                    figures.lines(
                        projected,
                        x=one.offsets,
                        title="The same after random W_Q and W_K",
                        x_title="offset k",
                        y_title="score ÷ (d/2)",
                        y_range=(-top, top),
                        height=380,
                    ),
                ),
                f"With d = {width} and base {base:,}, the slowest pair needs {number(one.longest)} positions for one turn. "
                f"Counted from p = {', '.join(map(str, positions.STARTS))}, the dot products at one offset differ by at most "
                f"{number(spread[0])}; seen through W_Q and W_K, by up to {number(spread[1])}.",
            )
        )
    return frames


def prefix_frames(story: str, order_seed: int, seed: int) -> list[Frame]:
    seen = positions.shuffled_prefix(story, order_seed, seed)
    unmasked = float(positions.shuffled_prefix(story, order_seed, seed, False).change.max())
    top = 1.1 * float(seen.change.max())
    frames = []
    for i, layers in enumerate(positions.DEPTHS):
        change = float(seen.change[i])
        deep = f"{layers} layer{'s' if layers > 1 else ''}"
        frames.append(
            Frame(
                (
                    figures.bars(
                        [
                            Series("as written", seen.before[i], WITHOUT),
                            Series("shuffled before it", seen.after[i], WITH),
                        ],
                        labels=FEATURES,
                        title=f"Output at the last word, {deep}",
                        x_title="feature",
                        y_title="output",
                        y_range=(-4, 4),
                    ),
                    figures.bars(
                        picked(seen.change.tolist(), i, "this depth", "other depths"),
                        labels=[str(d) for d in positions.DEPTHS],
                        title="Largest change of that output",
                        x_title="layers",
                        y_title="largest change",
                        y_range=(0, top or 1.0),
                        stacked=True,
                    ),
                ),
                f"“{' '.join(seen.words)}” becomes “{' '.join(seen.shuffled)}”. With {deep} the last output changes by "
                + (
                    "exactly 0: the last word sees the same keys, and one layer adds them up without regard to order."
                    if change == 0
                    else f"{number(change)}: the words before it have seen different prefixes, and it reads what they saw."
                )
                + f" Without the mask, 1 to {positions.DEPTHS[-1]} layers change it by "
                + ("exactly 0." if unmasked == 0 else f"up to {number(unmasked)}."),
            )
        )
    return frames


def counting_frame(n: int) -> list[Frame]:
    causal, full = (positions.counting_head(n, mask) for mask in (True, False))
    return [
        Frame(
            (
                figures.lines(
                    [Series("causal mask", causal, WITH, markers=True), Series("no mask", full, WITHOUT, "dash")],
                    x=range(n),
                    title="A uniform head that looks for the first token",
                    x_title="position t",
                    y_title="what the head reads",
                    y_range=(0, 1.05),
                    height=300,
                ),
            ),
            f"Under the causal mask the head reads 1 at t = 0, {number(float(causal[1]))} at t = 1 and "
            f"{number(float(causal[-1]))} at t = {n - 1}: 1/(t + 1), so the position can be read off. Without a mask it reads "
            f"{number(float(full[0]))} everywhere.",
        )
    ]


def two_sentences() -> tuple[str, str]:
    """The reader's words in two orders, or the defaults with the reason in words."""
    words = controls.words(f"Your sentence (2 to {MOST} words)", "words", positions.SENTENCE)
    order = controls.words("The same words in another order", "order", positions.ORDER)
    try:
        positions.two_orders(words, order)
    except ValueError as reason:
        shown = f"“{positions.SENTENCE}” and “{positions.ORDER}”"
        # st.text shows the reader's words as they are: neither Markdown nor HTML reaches the page.
        st.text(f"{reason} Until then, the figures show {shown}.")
        return positions.SENTENCE, positions.ORDER
    return words, order


def own_story() -> str:
    text = controls.words(f"Your sentence (3 to {MOST} words)", "story", positions.STORY)
    try:
        positions.shuffled_prefix(text)
    except ValueError as reason:
        st.text(f"{reason} Until then, the figures show “{positions.STORY}”.")
        return positions.STORY
    return text


with lesson(positions.concept) as page:
    st.markdown(
        "The same words in two orders go through the same encoder: attention with two heads and a feed-forward layer, each "
        "after a layer norm and around it a residual connection; width 16, random weights, nothing trained. The second order's outputs are then brought back into the order of the first and compared. Change how positions "
        "are put in."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        words, order = two_sentences()
        layers = controls.whole("Encoder layers", "encoder_layers", 1, 4, 1)
        seed = controls.seed("positions_seed")
    with stage:
        scheme = sweep(
            "scheme",
            "Positions",
            list(SCHEMES),
            order_frames,
            words,
            order,
            layers,
            seed,
            default="none",
            labels=list(SCHEMES.values()),
        )

    st.subheader("The sinusoidal pattern, and what dot products see of it", anchor=False)
    st.markdown(
        "Each pair of features is a clock hand with its own speed. Two encodings agree more or less depending on how far "
        "apart they are, wherever they stand: the three curves lie on top of each other. After W_Q and W_K they do not."
    )
    width = controls.whole("Width d_model", "pe_width", WIDTHS[0], WIDTHS[1], 64, step=8)
    sweep(
        "pe_base",
        "Base",
        BASES,
        pattern_frames,
        width,
        seed,
        default=10_000,
        labels=[f"{base:,}" for base in BASES],
        panel_width=300,
    )

    st.subheader("A causal mask alone breaks the symmetry", anchor=False)
    st.markdown(
        "The same random layers, no position encoding, but each word sees only itself and what came before. All words before "
        "the last one are shuffled; look at the output of the last word."
    )
    left, right = st.columns([2, 1])
    with left:
        story = own_story()
    with right:
        order_seed = controls.whole("Shuffle number", "order_seed", 0, 99, 0)
    sweep("depth", "Layers", positions.DEPTHS, prefix_frames, story, order_seed, seed, default=1)
    figure("counting", counting_frame, len(tokens(story)))

    page.ran(
        positions.stack,
        positions.attend,
        positions.add_up,
        positions.matching,
        positions.two_orders,
        positions.pattern,
        positions.shuffled_prefix,
        positions.counting_head,
    )
    page.takes(words=words, order=order, scheme=scheme, layers=layers, seed=seed)
