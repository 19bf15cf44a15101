"""Question 2: the factor √d_k."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.scaling import concept
from core.experiments import scaling
from core.training import retrieval
from ui import controls
from ui.drawings.scaling import DISTRIBUTIONS, DIVISORS, KEYS, MOST_KEYS, response_frames, training_frame, width_frames
from ui.sweep import sweep
from ui.training import live

with lesson(concept) as page:
    st.markdown(
        "Random queries meet random keys. Grey is the dot product as it is, purple is what the divisor makes of it: "
        "the same numbers, divided. Drag the width."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        divisor = controls.choice("Divide the dot products by", "divisor", DIVISORS)
        n_keys = controls.whole("Number of keys N", "keys", 2, MOST_KEYS, 64)
        distribution = controls.choice("Components of q and k", "components", DISTRIBUTIONS)
        seed = controls.seed("seed")
    with stage:
        d_k = sweep("d_k", "Width d_k", scaling.WIDTHS, width_frames, divisor, n_keys, distribution, seed, default=64)

    st.subheader("With many keys, softer is not better: the answer rises, then falls", anchor=False)
    st.markdown(
        "Draw logits with a chosen standard deviation and measure how strongly the softmax reacts to a small change. Of "
        "many keys, equal logits react weakly, and saturated ones hardly at all in the worst rows: the best is in between. "
        "Of two or four, nearly equal logits react most."
    )
    sweep("jacobian_keys", "Number of keys", KEYS, response_frames, seed, default=64)

    st.subheader("The same function learns sooner with the factor folded into W_Q", anchor=False)
    st.markdown(
        "Models learn to find a key among 16 and return its value, all from the same data: with the factor; with W_Q "
        "divided by √d_k once, at the start, and no factor, which is the same function; and without either. Adam's steps do "
        "not shrink with the weights, so folded, W_Q moves √d_k times as far in the eyes of the logits, and learns first. "
        "Leaving the factor out slows learning at widths 64 and 256, and speeds it up at 16."
    )
    width = controls.choice("Width of the trained models", "train_d_k", {64: "64", 16: "16", 256: "256"})
    live(
        "retrieval",
        "Train all three now",
        retrieval.train,
        training_frame,
        width,
        share=lambda p: p.losses.shape[-1] / p.cap,
        shipped=retrieval.trained(width),
    )

    page.ran(scaling.draw, scaling.dot_products, scaling.attend, scaling.response, retrieval.train)
    page.takes(d_k=d_k, n_keys=n_keys, divisor=divisor, seed=seed)
