"""Question 13: why positions must be added."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.positions import concept
from core.experiments import positions
from core.ops.positions import rotate
from core.ops.words import MOST
from ui import controls
from ui.drawings.positions import BASES, SCHEMES, WIDTHS, counting_frames, order_frames, pattern_frames, prefix_frames
from ui.sweep import figure, sweep

with lesson(concept) as page:
    st.markdown(
        "The same words in two orders go through the same encoder: attention with two heads and a feed-forward layer, each "
        "after a layer norm and around it a residual connection; width 16, random weights, nothing trained. The second "
        "order's outputs are then brought back into the order of the first and compared. Change how positions are put in. "
        "What counts is whether anything is left, not how much: in a random network the sizes of two schemes are no ranking, "
        "and each difference is drawn in colours of its own range."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        words = controls.words(f"Your sentence (2 to {MOST} words)", "words", positions.SENTENCE)
        order = controls.words("The same words in another order", "order", positions.ORDER)
        sentences, refusal = positions.comparable(words, order)
        if refusal:
            # st.text shows the reader's words as they are: neither Markdown nor HTML reaches the page.
            st.text(refusal)
        layers = controls.whole("Encoder layers", "encoder_layers", 1, 4, 1)
        seed = controls.seed("positions_seed")
    with stage:
        scheme = sweep(
            "scheme",
            "Positions",
            list(SCHEMES),
            order_frames,
            sentences,
            layers,
            seed,
            default="none",
            labels=list(SCHEMES.values()),
        )

    st.subheader("The sinusoidal pattern, and what dot products see of it", anchor=False)
    st.markdown(
        "Each pair of features is a clock hand with its own speed. Two encodings agree more or less depending on how far "
        "apart they are, wherever they stand: the three curves lie on top of each other. After W_Q and W_K they do not. RoPE "
        "turns queries and keys after W_Q and W_K, here those of one random word that stands at both places: there the curves "
        "lie on top of each other again."
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
        panel_width=320,  # two beside two, or four in a row
    )

    st.subheader("A causal mask alone breaks the symmetry", anchor=False)
    st.markdown(
        "The same random layers, no position encoding, but each word sees only itself and what came before. All words before "
        "the last one are shuffled; look at the output of the last word."
    )
    left, right = st.columns([2, 1])
    with left:
        story, refusal = positions.shufflable(
            controls.words(f"Your sentence (3 to {MOST} words)", "story", positions.STORY)
        )
        if refusal:
            st.text(refusal)
    with right:
        order_seed = controls.whole("Shuffle number", "order_seed", 0, 99, 0)
    sweep("depth", "Layers", positions.DEPTHS, prefix_frames, story, order_seed, seed, default=1)
    figure("counting", counting_frames, story)

    page.ran(
        positions.stack,
        positions.attend,
        positions.add_up,
        positions.matching,
        positions.two_orders,
        positions.pattern,
        rotate,
        positions.shuffled_prefix,
        positions.counting_head,
    )
    page.takes(words=sentences[0], order=sentences[1], scheme=scheme, layers=layers, seed=seed)
