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
        step = controls.stops("Training step", "warm_step", drawings.STOPS, training.STEPS)
        st.caption(
            f"Small language models, {len(training.SEEDS)} seeds each, trained beforehand. A token depends on the two before it. "
            f"The warm-up takes {training.WARMUP} steps; then the rate stays. A point is the mean of ten steps."
        )
    with stage:
        how = {"default": training.HIGH, "panel_width": 300, "buttons": True}
        rate = sweep("warm_rate", "Learning rate", training.RATES, drawings.race_frames, step, **how)

    if page.look("schedule"):
        page.says(
            "A schedule is a function from the number of an update to a learning rate. After the rise it may fall in many ways. The original "
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
        page.says(
            "Why should short first steps matter? Adam divides the mean gradient m̂ by the root of the mean square, √v̂. At step 1 both are "
            f"made of one gradient, and the quotient is ±1 whatever its size (far above ε). Here are {experiments.WEIGHTS:,} weights whose gradients are "
            "noise alone: nothing is to be learned, so every step is a step too far. Ma and Yarats point at the first picture: the steps are long "
            "(if β₁ is near 1). RAdam’s authors point at the second: each weight’s own rate 1/√v̂ is a guess from few gradients. RAdam (third) "
            "is Adam times a factor r; as long as r has no value, it leaves the division out."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            beta_1 = controls.choice("β₁", "warm_beta", drawings.BETAS_1)
            seed = controls.seed("warm_seed")
        with stage:
            draw, how = drawings.noise_frames, {"default": 0.98, "panel_width": 270}
            sweep("warm_square", "β₂", experiments.BETAS_2, draw, beta_1, seed, **how)

    if page.look("length"):
        page.says(
            "Are long steps the whole reason? Then equally long ones would get Pre-Norm stuck, too. They do not: up to step 20 its "
            "steps are as long as Post-Norm’s, within 5 %, or longer, and it learns (though less well than with a warm-up). SGD is no counterexample: "
            "its first step is short, but by step 7 its steps are longer than Adam’s; with a warm-up none is over 0.8 % of the weights’ length, and "
            "it learns. The second picture shows what the first step does to what the model says: the share of its logits z that differs from "
            "place to place, and so can depend on what is read. A measurement, no proof of a cause; question 7 has what Xiong et al. and Liu et al. say."
        )
        figure("warm_alone", drawings.alone_frames, panel_width=340)
        page.says("RAdam shortens its first steps by itself. SGD does not divide by √v̂, and needs a warm-up too:")
        figure("warm_optimisers", drawings.optimiser_frames, panel_width=340)
        page.says(
            f"And how many short steps are enough? For β₂ = {training.BETAS[1]:g}, as here, the rule 2/(1 − β₂) says "
            f"{round(schedules.rule_of_thumb(training.BETAS[1]))}. With 25, two of the three runs learn to read one token, stay there, and are back "
            "on the plateau by step 450: they are lost at the full rate, long after the first steps; why, these runs do not show."
        )
        sweep("warm_enough", "Steps of warm-up", training.LENGTHS, drawings.length_frames, default=25, panel_width=340)

    if page.look("price"):
        page.says("While the rate rises, less is learned. So ask at which rate, and how long the training is:")
        stops, draw = drawings.BUDGETS, drawings.budget_frames
        sweep("warm_budget", "Training ends at step", stops, draw, default=training.STEPS, panel_width=340)
        page.says("Depth counts too: twelve Post-Norm layers need a warm-up at a lower rate than six.")
        figure("warm_depth", drawings.depth_frames, panel_width=340)
        page.says(
            "So far the rate stayed at its peak. Where it falls, the highest, which our Post-Norm models bear only with a warm-up, pays:"
        )
        figure("warm_falling", drawings.falling_frames, panel_width=340)
        page.says("Every dot of the first picture is a run. Train one again (half a minute on a core of its own):")
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            order = controls.choice("Normalisation", "warm_order", drawings.NAMES)
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
