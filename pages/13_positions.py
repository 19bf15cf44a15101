"""Question 13: why positions must be added."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.positions import concept
from core.experiments import positions
from core.ops.positions import rotate
from core.ops.words import MOST
from ui import controls
from ui.drawings.positions import (
    CODE_NAMES,
    CODES,
    SCHEMES,
    STARTS,
    counting_frames,
    offset_frames,
    order_frames,
    pairing_frames,
    prefix_frames,
)
from ui.sweep import figure, sweep

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        words = controls.words(f"Your words (2 to {MOST})", "words", positions.SENTENCE)
        order = controls.words("In another order", "order", positions.ORDER)
        sentences, refusal = positions.comparable(words, order)
        layers = controls.whole("Encoder layers", "encoder_layers", 1, 4, 2)
        seed = controls.seed("positions_seed")
    with stage:
        if refusal:
            # st.text shows the reader's words as they are: neither Markdown nor HTML reaches the page.
            st.text(refusal)
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
            buttons=True,
        )

    if page.look("causal"):
        page.says(
            "An encoder must be told. A decoder need not: give the same random layers a causal mask (question 4), still no positions, and "
            "shuffle all words before the last one. A word that then sees other words before it gets another output. And since a "
            "token at place t, counted from 0, sees t + 1, a decoder can even count."
        )
        story, refusal = positions.shufflable(
            controls.words(f"Your sentence (3 to {MOST} words)", "story", positions.STORY)
        )
        if refusal:
            st.text(refusal)
        order_seed = controls.whole("Shuffle number", "order_seed", 0, 99, 3)
        figure("prefix", prefix_frames, story, order_seed, seed)
        figure("counting", counting_frames, story)

    if page.look("offsets"):
        page.says(
            "A decoder can count; an encoder must be told, first by sinusoids: position p is the numbers at which p cuts these "
            "waves, and their cosines. How well two positions agree depends on their distance |k| alone (farther is not "
            "always less alike). But attention sees them through W_Q and W_K, which make queries and keys. RoPE turns "
            "queries and keys *after* W_Q and W_K, here those of one random word: its score knows k, sign included."
        )
        width = controls.whole("Width d", "pe_width", 8, 512, 64, step=8)
        sweep("pe_start", "Position p", STARTS, offset_frames, width, seed, default=60, panel_width=320)

    if page.look("pairs"):
        page.says(
            "RoPE turns pairs of columns, and code exists for two kinds of pairs: neighbours, as in the paper and in Meta’s "
            "Llama, and halves, as in Hugging Face’s Llama. What happens to weights made for the one under code for the other?"
        )
        sweep(
            "rope_pairs",
            "RoPE turns",
            CODES,
            pairing_frames,
            seed,
            default="mixed",
            labels=CODE_NAMES,
            panel_width=320,
            buttons=True,
        )

    page.ran(
        positions.encode,
        positions.attend,
        positions.add_up,
        positions.matching,
        positions.two_orders,
        positions.shuffled_prefix,
        positions.counting_head,
        positions.pattern,
        positions.pairings,
        rotate,
    )
    page.takes(words=sentences[0], order=sentences[1], scheme=scheme, layers=layers, seed=seed)
