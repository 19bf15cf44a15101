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
    ROW_KEYS,
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
        n_keys = controls.stops("Keys N", "keys", ROW_KEYS, 64)
        distribution = controls.choice(
            "Components",
            "components",
            DISTRIBUTIONS,
            help="Of q and k, all independent: normal (mean 0, variance 1), uniform on −1 … 1 (variance 1/3), ±1, or normal with mean ½. At widths 1 to 4, ±1 gives few distinct logits and softer rows.",
        )
        seed = controls.seed("seed")
    with stage:
        d_k = sweep("d_k", "Width dₖ", scaling.WIDTHS, width_frames, divisor, n_keys, distribution, seed, default=64)

    if page.look("rows"):
        page.says(
            "A query and its keys learn through the derivatives of the softmax, ∂pᵢ/∂zⱼ = pᵢ(δᵢⱼ − pⱼ), together the Jacobian J. "
            "Where one weight is 1 and the others are 0, all of them are 0; where a row is torn between two keys, ‖J‖ is largest."
        )
        sweep("rows_d_k", "Width dₖ", scaling.WIDTHS, gradient_frames, divisor, n_keys, distribution, seed, default=64)

    if page.look("softer"):
        page.says(
            "So would still smaller logits be better still? Draw logits with a chosen standard deviation. With many keys, "
            "nearly equal logits pass less on, and saturated ones hardly anything in the worst rows: the most is in between. "
            "With two or four keys, nearly equal logits pass on most."
        )
        sweep("jacobian_keys", "Number of keys", KEYS, response_frames, seed, default=64)

    if page.look("trained"):
        page.says(
            "Models learn to find a key among 16 and return its value, by Adam (question 17) at learning rate 0.001, all from the same data: with the factor; with W_Q "
            "divided by √dₖ once, at the start, and no factor, which is the same function; and without either. Adam’s steps "
            "do not shrink with the weights: folded, a step on W_Q of one size changes the logits √dₖ times as much, a larger learning rate "
            "for that one matrix, and learning comes first. Leaving the factor out slows it at widths 64 and 256. At 16 it "
            "speeds it up: with the factor each step changes the logits only a quarter as much, and there that costs more "
            "than the softer start gains."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            width = controls.choice("Width trained", "train_d_k", {64: "64", 16: "16", 256: "256"})
        with stage:
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
        page.says(
            "The variance at the start depends on the initialisation too: d inputs of variance 1 meet weights of variance v, so that "
            "q and k have variance d·v and the divided logits (d·v)². Here are modules that were built this moment."
        )
        figure("modules", modules_frame, seed)

    page.ran(scaling.draw, scaling.dot_products, scaling.attend, scaling.response, retrieval.train)
    page.takes(d_k=d_k, n_keys=n_keys, divisor=divisor, seed=seed, distribution=distribution)
