"""Question 2: the factor √d_k."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.scaling import concept
from core.experiments import scaling
from core.training import retrieval
from ui import controls
from ui.drawings.scaling import (
    DISTRIBUTIONS,
    DIVISORS,
    KEYS,
    MOST_KEYS,
    gradient_frames,
    modules_frame,
    response_frames,
    training_frame,
    width_frames,
)
from ui.sweep import figure, sweep
from ui.training import live

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        divisor = controls.choice("Divide by", "divisor", DIVISORS)
        n_keys = controls.whole("Keys N", "keys", 2, MOST_KEYS, 64)
        distribution = controls.choice("Components", "components", DISTRIBUTIONS)
        seed = controls.seed("seed")
    with stage:
        d_k = sweep("d_k", "Width dₖ", scaling.WIDTHS, width_frames, divisor, n_keys, distribution, seed, default=64)

    if page.look("rows"):
        st.markdown(
            "A query and its keys learn through the derivative of the softmax. Here it is of every row of the picture above: "
            "of nearly one-hot rows almost 0, of rows that are torn between two keys at its largest."
        )
        sweep("rows_d_k", "Width dₖ", scaling.WIDTHS, gradient_frames, divisor, n_keys, distribution, seed, default=64)

    if page.look("softer"):
        st.markdown(
            "So would still smaller logits be better still? Draw logits with a chosen standard deviation. Of many keys, "
            "nearly equal logits react weakly, and saturated ones hardly at all in the worst rows: the best is in between. Of "
            "two or four, nearly equal logits react most."
        )
        sweep("jacobian_keys", "Number of keys", KEYS, response_frames, seed, default=64)

    if page.look("trained"):
        st.markdown(
            "Models learn to find a key among 16 and return its value, all from the same data: with the factor; with W_Q "
            "divided by √dₖ once, at the start, and no factor, which is the same function; and without either. Adam's steps "
            "do not shrink with the weights, so folded, W_Q moves √dₖ times as far in the eyes of the logits, and learns "
            "first. Leaving the factor out slows learning at widths 64 and 256, and speeds it up at 16."
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

    if page.look("modules"):
        st.markdown(
            "Where training starts, the weights decide with the factor. Independent inputs of variance 1 meet the weights of "
            "modules that were built this moment."
        )
        figure("modules", modules_frame, seed)

    page.ran(scaling.draw, scaling.dot_products, scaling.attend, scaling.response, retrieval.train)
    page.takes(d_k=d_k, n_keys=n_keys, divisor=divisor, seed=seed)
