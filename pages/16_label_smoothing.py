"""Question 16: label smoothing."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.label_smoothing import concept
from core.experiments import label_smoothing as smoothing
from core.ops import losses
from core.say import number, percent
from core.training import label_smoothing as training
from ui import controls
from ui.drawings import label_smoothing as drawings
from ui.sweep import sweep
from ui.training import live

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        classes = controls.stops("Classes K", "smooth_classes", smoothing.CLASSES, 3)
        st.caption(
            "ε goes to all classes alike, or to the wrong ones only. One example, its wrong logits equal. Each logit’s "
            "gradient is p − q, so all are 0 at a gap of ln(1\u00a0+\u00a0K(1\u00a0−\u00a0ε)/ε)."
        )
    with stage:
        stops, draw = smoothing.STOPS, drawings.target_frames
        epsilon = sweep("smoothing", "Smoothing ε", stops, draw, classes, default=0.1, panel_width=340)

    if page.look("example"):
        page.says(
            "Two conventions go by the same name. Szegedy et al. 2016 and PyTorch mix the hard target with the even distribution over "
            "*all* K classes; Tensor2Tensor, and code after it, gives ε to the K − 1 *wrong* ones. So an example names no ε by itself. "
            "The paper says ε = 0.1 and cites Szegedy et al.; its code, Tensor2Tensor, is of the other convention. With 37,000 tokens both "
            "are nearly the same."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            few = controls.choice("Classes", "example_classes", drawings.FEW)
        with stage:
            values, draw = drawings.RIGHTS, drawings.example_frames
            sweep("right_target", "Target of the right class", values, draw, few, default=0.8)

    if page.look("floor"):
        page.says(
            "At the best gap the outputs are the targets, p = q, and the loss is the entropy of q. So a smoothed loss does not end at "
            "0, and how low it can get depends on K: no lower than this, and on text, where the next token is uncertain, not even that low. Its exponential is no perplexity either: that comes from the plain loss."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            chosen = controls.choice("ε", "floor_smoothing", drawings.EPSILONS)
            loss = controls.real("Your training loss", "floor_loss", 0.0, 4.0, 1.4, 0.1)
        with stage:
            k, draw = drawings.VOCABULARIES, drawings.floor_frames
            sweep("floor_classes", "Classes K", k, draw, chosen, loss, default=37_000, labels=[f"{n:,}" for n in k])

    if page.look("trained"):
        ideal = {each: training.ideal(each) for each in training.SCALES}
        late = smoothing.cell("high", 500, "end")
        ece, right = ([float(v) for v in values.mean(0)] for values in (late.ece, late.accuracy))
        tenth = training.SMOOTHINGS.index(0.1)
        page.says(
            "A finite gap keeps confidence below 1. Is that good? Networks with two hidden layers learn ten clouds of points whose best "
            f"possible accuracy is known: {percent(ideal['low'].accuracy)} with little overlap and "
            f"{percent(ideal['high'].accuracy)} with much. Two overlaps, three sizes, five ε: 30 cells, {len(training.SEEDS)} runs each. The "
            f"best possible classifier itself measures calibration errors of {number(ideal['low'].ece, 2)} and "
            f"{number(ideal['high'].ece, 2)} on the {training.TEST:,} answers of one test, not 0. Stopping by the plain loss may favour hard targets; so you can "
            "also stop by accuracy. Early means either of the two. Better calibrated "
            "is not more often right: with much overlap and 500 examples, at the end, ε = 0.1 takes the calibration error from "
            f"{number(ece[0], 2)} to {number(ece[tenth], 2)}, and accuracy from {percent(right[0])} to {percent(right[tenth])}."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            noise = controls.choice("Overlap", "smooth_overlap", drawings.NOISES)
            n = controls.choice("Examples", "smooth_examples", drawings.EXAMPLES)
            stop = controls.choice("Stopped", "smooth_stop", drawings.STOPPED)
        with stage:
            cell, draw = (noise, n, stop), drawings.trained_frames
            sweep("smooth_trained", "Smoothing ε", training.SMOOTHINGS, draw, *cell, default=0.1, panel_width=340)
        page.says("Every cell is the mean of five runs. Train one again, with all five ε side by side:")
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            run = controls.choice("Seed of the run", "smooth_run_seed", drawings.RUNS)
        with stage:
            chosen, before = (noise, n, run), training.trained(noise, n, run)
            draw = partial(drawings.live_frame, before, f"{drawings.NAMED[noise]}, {n:,} examples, seed {run}")
            how = "Train this run", training.train, draw
            live("smooth_run", *how, *chosen, share=lambda p: p.done, shipped=before)

    if page.look("gap"):
        page.says(
            f"What happens inside? A small network takes "
            f"{training.FULL_STEPS:,} plain steps of size {training.FULL_RATE:g}, each on all its {training.EXAMPLES} examples of {training.CLASSES} classes. Features are its last hidden layer, seen in the plane "
            "through the three columns that read three of the classes, as Müller et al. 2019 draw them."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            followed = controls.choice("Seed of the run", "smooth_gap_seed", drawings.RUNS)
        with stage:
            shown = {"default": 3000, "labels": [f"{t:,}" for t in training.TIMES], "panel_width": 250}
            sweep("smooth_step", "Step t", training.TIMES, drawings.gap_frames, followed, **shown)
            how = "Train both now", training.follow, drawings.following_frame
            live("smooth_gap", *how, followed, share=lambda p: p.done)

    page.ran(losses.smoothed, losses.cross_entropy, losses.best_gap, losses.smoothed_loss, smoothing.best)
    page.ran(smoothing.descend, losses.calibration_error, training.train, training.follow)
    page.takes(classes=classes, smoothing=epsilon)
