"""Question 17: learning-rate warm-up."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.warmup import concept
from core.experiments import warmup as experiments
from core.ops import adam, schedules
from core.training import warmup as training
from ui import controls
from ui.drawings import warmup as drawings
from ui.sweep import figure, sweep
from ui.training import live

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        rate = controls.choice("Learning rate", "warm_rate", drawings.RATES)
        st.caption(
            f"Small language models, {len(training.SEEDS)} seeds each, trained beforehand. A token depends on the two before it; what is "
            f"drawn is the loss above the source’s own. The warm-up takes {training.WARMUP} steps."
        )
    with stage:
        stops, draw = drawings.STOPS, drawings.race_frames
        step = sweep("warm_step", "Training step", stops, draw, rate, default=training.STEPS, panel_width=300)

    if page.look("schedule"):
        st.markdown(
            "A schedule is a function from the number of an update to a learning rate. After the rise it may fall in many ways. The first "
            "Transformer’s has no peak to choose: it follows from width and warm-up. Codes differ in the number of the first update; the "
            "second picture shows what torch’s `LambdaLR` then sets."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            shape = controls.choice("Schedule", "warm_shape", drawings.SHAPES)
            if shape == "transformer":
                width, peak = controls.choice("Width d", "warm_width", drawings.WIDTHS), next(iter(drawings.PEAKS))
            else:
                width, peak = next(iter(drawings.WIDTHS)), controls.choice("Peak η", "warm_peak", drawings.PEAKS)
        with stage:
            st.latex(drawings.FORMULAS[shape])
            lengths, draw = experiments.WARMUPS, drawings.schedule_frames
            how = {"default": 4000, "labels": [f"{w:,}" for w in lengths], "panel_width": 340}
            sweep("warm_length", "Steps of warm-up w", lengths, draw, shape, width, peak, **how)

    if page.look("steps"):
        st.markdown(
            "Why should small first steps matter? Adam divides the mean gradient m̂ by the root of the mean square, √v̂. At step 1 both are "
            f"made of one gradient, and the quotient is ±1 whatever its size (far above ε). Here are {experiments.WEIGHTS:,} weights whose gradients are "
            "noise alone: nothing is to be learned, so every step is a step too far. Liu et al. point at the second picture (each weight’s "
            "own rate is a guess at first), Ma and Yarats at the first (the steps are long)."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            beta_1 = controls.choice("β₁", "warm_beta", drawings.BETAS_1)
            seed = controls.seed("warm_seed")
        with stage:
            values, draw = experiments.BETAS_2, drawings.noise_frames
            sweep("warm_square", "β₂", values, draw, beta_1, seed, default=0.98, panel_width=270)

    if page.look("length"):
        st.markdown(
            f"How many small steps are enough? For β₂ = {training.BETAS[1]:g}, as here, the rule 2/(1 − β₂) says "
            f"{round(schedules.rule_of_thumb(training.BETAS[1]))}. With 25, two of the three runs begin to learn, and are back on the plateau later."
        )
        lengths, draw = training.LENGTHS, drawings.length_frames
        sweep("warm_enough", "Steps of warm-up", lengths, draw, default=25, panel_width=340)
        st.markdown(
            "RAdam shortens the first steps by itself. SGD does not divide by √v̂, and needs a warm-up all the same:"
        )
        figure("warm_optimisers", drawings.optimiser_frames, panel_width=340)
        st.markdown("And twelve Post-Norm layers need one at a lower rate than six:")
        figure("warm_depth", drawings.depth_frames, panel_width=340)

    if page.look("price"):
        st.markdown(
            "While the rate rises, less is learned. At a low rate that is all a warm-up does. So ask at which rate, and how long the "
            "training is."
        )
        stops, draw = drawings.BUDGETS, drawings.budget_frames
        sweep("warm_budget", "Training ends at step", stops, draw, default=training.STEPS, panel_width=340)
        st.markdown("Every dot is a run. Train one again, now:")
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            order = controls.choice("Order", "warm_order", drawings.NAMES)
            again = controls.choice("Learning rate", "warm_run_rate", drawings.RATES)
            warmup = controls.choice("Warm-up", "warm_run_warmup", drawings.WARMUPS)
            run = controls.choice("Seed of the run", "warm_run_seed", {s: str(s) for s in training.SEEDS})
        with stage:
            which = (order, again, warmup, run)
            before = training.trained(order, again, warmup)[run]
            draw = partial(drawings.live_frame, before, drawings.run_label(*which))
            live("warm_run", "Train this run", training.train, draw, *which, share=lambda p: p.done, shipped=before)

    page.ran(schedules.transformer, schedules.linear, schedules.cosine, schedules.stable, schedules.rectification)
    page.ran(adam.adam_step, experiments.noise_steps, training.texts, training.predict, training.train)
    page.takes(rate=rate, step=step)
