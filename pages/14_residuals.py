"""Question 14: residual connections."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.residuals import concept
from core.experiments import residuals as skips
from core.ops.residuals import distinct, expected_growth, residual
from core.training import residuals as training
from ui import controls
from ui.drawings import residuals as drawings
from ui.sweep import figure, sweep
from ui.training import live

beside = partial(st.columns, [1, 5], gap="medium")  # controls, and what they change

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        norm = controls.choice("Normalisation", "skip_norm", drawings.NORMS)
        depth = controls.choice("Sublayers", "skip_depth", drawings.DEPTHS)
        r = controls.choice("r of a d × d branch", "skip_share", drawings.GAINS)
        seed = controls.seed("skip_seed")
    with stage:
        draw, hero, labels = drawings.ladder_frames, (norm, depth, r, seed), [f"{a:g}" for a in skips.ALPHAS]
        alpha = sweep("skip_alpha", "α on the skip", skips.ALPHAS, draw, *hero, default=0.7, labels=labels)

    if page.look("gradient"):
        page.says(
            "Without a norm the ladder’s sizes die or explode, unless r + α² happens to be 1. A Transformer has norms. So here are "
            "whole blocks (layers of two sublayers: attention and feed-forward) with Xavier weights, before training, with and "
            "without their skips."
        )
        side, stage = beside()
        with side:
            height = controls.choice("Blocks", "bare_depth", drawings.HEIGHTS)
        with stage:
            names, draw = list(drawings.NORMS.values()), drawings.gradient_frames
            shown = {"default": "pre", "labels": names, "buttons": True}
            sweep("bare_norm", "Normalisation", skips.NORMS, draw, height, seed, **shown)

    if page.look("alike"):
        page.says(
            "So with norms something else must fail. Follow the tokens of one text through untrained blocks: each point is a token, "
            "minus the mean of all, in units of a token’s length, in float64."
        )
        side, stage = beside()
        with side:
            where = controls.choice("Normalisation", "alike_norm", drawings.PLACES)
            lacking = controls.choice("Compared with", "alike_skips", drawings.WIRINGS)
            thinks = controls.switch("Feed-forward", "alike_ffn", default=True)
        with stage:
            heights = tuple(range(drawings.ALIKE_DEPTH + 1))
            sweep(
                "alike_block", "Blocks below", heights, drawings.alike_frames, where, lacking, thinks, seed, default=4
            )
        page.says("Does that explain every missing skip? Each was removed by itself, and the models were trained:")
        side, stage = beside()
        with side:
            ablated = controls.choice("Blocks", "ablated_depth", drawings.ABLATED)
        with stage:
            figure("ablation", drawings.ablation_frames, ablated, panel_width=360)

    if page.look("trained"):
        page.says(
            f"Pre-Norm encoders, {training.WIDTH} wide, read {training.LENGTH} tokens backwards: the same first weights, data and "
            f"steps with and without skips, {len(training.SEEDS)} seeds, trained beforehand. A run has learned if its loss is below "
            f"{training.LEARNED:g} nat; guessing one of {training.VOCABULARY} tokens costs "
            f"ln {training.VOCABULARY}. With skips the learning rate is {training.RATE:g}; without them, choose."
        )
        side, stage = beside()
        with side:
            rate = controls.choice("Rate without skips", "bare_rate", drawings.RATES)
        with stage:
            draw, shown = drawings.trained_frames, {"default": 16, "panel_width": 240, "buttons": True}
            deep = sweep("trained_depth", "Blocks", training.DEPTHS, draw, rate, **shown)
        page.says("Slower, or never? The same without skips for longer; and train any of the others again, now:")
        figure("skip_long", drawings.long_frames, panel_width=360)
        side, stage = beside()
        with side:
            kept = controls.choice("Skips", "run_skips", {"both": "both", "none": "none"})
            run = controls.choice("Seed of the run", "run_seed", {s: str(s) for s in training.SEEDS})
        with stage:
            which = (kept, deep, training.RATE if kept == "both" else rate, run)
            before = training.trained(*which)
            draw = partial(drawings.live_frame, before, drawings.run_label(*which))
            live("skip_run", "Train this model", training.train, draw, *which, share=lambda p: p.done, shipped=before)

    if page.look("landscape"):
        page.says(
            "The loss around two models along two random directions; at the end of an axis each filter "
            "has moved by half its length. Without skips at the end of training; with skips when training passes the same "
            "loss, which 8 blocks do after 15 to 20 steps. Neither is a minimum. Drag to turn them."
        )
        side, stage = beside()
        with side:
            place = controls.choice("Blocks", "around_depth", drawings.AROUND)
            when = controls.choice("With skips", "around_when", drawings.WHEN)
        with stage:
            shown = {"default": 0, "panel_width": 230, "buttons": True}
            sweep("around_seed", "Seed", training.SEEDS, drawings.around_frames, place, when, **shown)

    page.ran(residual, expected_growth, distinct, skips.wiring, skips.climb, skips.stack, skips.along_the_path)
    page.ran(training.encode, training.train, training.direction, training.surface, training.extremes)
    page.takes(alpha=alpha, norm=norm, depth=depth, r=r, seed=seed)
