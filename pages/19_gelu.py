"""Question 19: GELU."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.gelu import concept
from core.experiments import gelu as experiment
from core.ops.activations import gated, gelu, gelu_sigmoid, gelu_slope, gelu_tanh, normal_cdf, relu_squared, silu
from core.training import gelu as training
from ui import controls
from ui.drawings import gelu as drawings
from ui.sweep import figure, sweep
from ui.training import live

beside = partial(st.columns, [1, 5], gap="medium")  # controls, and what they change

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        touch = controls.real("Tangent at x", "gelu_x", experiment.LOW, experiment.HIGH, drawings.TOUCH, 0.1)
        seed = controls.seed("gelu_seed")
    with stage:
        n = sweep("gelu_draws", "Draws", experiment.COUNTS, drawings.draw_frames, touch, seed, default=drawings.USUAL)

    if page.look("family"):
        page.says(
            "Not all code computes Φ: two formulas stand in for it, and other models take other curves. Each beside exact GELU:"
        )
        forms = tuple(drawings.FAMILY)
        names, draw = list(drawings.FAMILY.values()), drawings.family_frames
        sweep("gelu_form", "Form", forms, draw, default="tanh", labels=names, buttons=True, panel_width=300)

    if page.look("dip"):
        page.says(
            "GELU, both formulas for it and SiLU go below 0 and come back. How deep does GELU go, and where? Let the Gaussian have a width σ, so that "
            "the weight is Φ(x⁠/⁠σ). GELU has σ = 1."
        )
        labels = [f"{sigma:g}" for sigma in drawings.SIGMAS]
        sweep("gelu_sigma", "Width σ", drawings.SIGMAS, drawings.dip_frames, default=1.0, labels=labels)

    if page.look("silent"):
        page.says(
            "Do units fall silent, and does the slope below 0 wake them? The same encoders of two Pre-Norm blocks, 64 wide with 256 units each, learn to read eight tokens backwards "
            f"with ReLU and with GELU: the same first weights, data and {training.STEPS} steps of Adam, {len(training.SEEDS)} seeds, trained "
            "beforehand. A unit is silent if its input is above 0 nowhere on texts that no step trains on: few texts while training, many at the end, "
            "where one of them may well show that it is not."
        )
        shown = {"default": 0.01, "labels": list(drawings.RATES.values()), "buttons": True, "panel_width": 300}
        rate = sweep("gelu_rate", "Learning rate", training.RATES, drawings.silent_frames, **shown)
        page.says(
            f"Getting a gradient is not waking up. The same at learning rate {training.WOKEN_RATE:g} with {len(training.WOKEN_SEEDS)} seeds, looked at "
            "half way and at the end:"
        )
        figure("gelu_woken", drawings.woken_frame, panel_width=300)
        page.says("One of these trainings, with its loss, now:")
        side, stage = beside()
        with side:
            run = controls.choice("Seed of the run", "gelu_run", {s: str(s) for s in training.SEEDS})
        with stage:
            live(
                "gelu_live",
                "Train both now",
                training.train,
                drawings.live_frame,
                rate,
                run,
                share=lambda p: p.done,
                shipped=training.trained(rate, run),
            )

    if page.look("numbers"):
        page.says(
            "On paper all this is exact. In a computer, 1 + erf(x/√2) is a difference of nearly equal numbers for x far below 0:"
        )
        side, stage = beside()
        with side:
            dtype = controls.choice("Numbers", "gelu_dtype", drawings.DTYPES)
        with stage:
            figure("gelu_cancels", drawings.cancel_frame, dtype, panel_width=360)
        page.says(
            "The tanh form cancels likewise, so that far below 0 its slope is lost, and it has a cube besides. float16 ends at 65,504:"
        )
        side, stage = beside()
        with side:
            written = controls.choice("Formula", "gelu_cube", drawings.CUBE)
        with stage:
            sweep("gelu_half", "Input x", drawings.CUBES, drawings.half_frames, written, default=148, panel_width=300)
        page.says(
            "And if a model trained with one form is run with another? Here is one of those above, trained with exact GELU at learning rate 0.001, on new texts:"
        )
        forms, labels = drawings.CHECKED, [drawings.NAMES[form] for form in drawings.CHECKED]
        shown = {"default": "tanh", "labels": labels, "buttons": True, "panel_width": 300}
        sweep("gelu_swap", "Run it with", forms, drawings.checkpoint_frames, **shown)

    page.ran(normal_cdf, gelu, gelu_slope, gelu_tanh, gelu_sigmoid, silu, relu_squared, gated, experiment.draws)
    page.ran(experiment.in_float16, training.encode, training.listen, training.train, training.wake, training.run_with)
    page.takes(touch=touch, n=n, seed=seed)
