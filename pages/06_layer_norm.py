"""Question 6: LayerNorm or BatchNorm."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.layer_norm import concept
from core.experiments import layer_norm as norms
from core.ops.norms import layer_norm, moments, padded, rms_norm, running, scale, spread_of_mean
from core.training import layer_norm as training
from ui import controls
from ui.drawings import layer_norm as drawings
from ui.sweep import sweep
from ui.training import live

beside = partial(st.columns, [1, 5], gap="medium")  # controls, and what they change

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        rival = controls.choice("Compared with", "norm_rival", drawings.RIVALS)
        seed = controls.seed("norm_block_seed")
        st.caption("Three texts of four words. Numbers from N(0, 1); no learned gain or shift. BN: BatchNorm.")
    with stage:
        draw, shown = drawings.block_frames, {"default": 8, "labels": drawings.LABELS}
        cell = sweep("norm_cell", "Number", drawings.CELLS, draw, rival, seed, **shown)

    if page.look("cheats"):
        page.says(
            f"What does a shared mean do to a decoder? Ours, of {training.DEPTH} causal layers, reads {training.LENGTH} fair coin tosses and after "
            f"each predicts the next: nobody can, so no honest model’s expected loss is below ln 2 (as in question 4). In each step {training.TEXTS} texts are "
            "normalised, in groups that share statistics: one text each (that is InstanceNorm, too), as on devices that hold one text at a time, up to all of them. In evaluation the running averages "
            f"carry no toss: what the model had learned to read there is gone. {len(training.SEEDS)} seeds, trained beforehand."
        )
        labels = drawings.SHARERS
        sharing = sweep(
            "coin_sharing", "Share statistics", training.SHARING, drawings.coin_frames, default=1, labels=labels
        )
        page.says("Train any of them again, now:")
        side, stage = beside()
        with side:
            norm = controls.choice("Normalisation", "coin_norm", drawings.NAMES)
            run = controls.choice("Seed of the run", "coin_seed", drawings.RUNS)
        with stage:
            which = (norm, {"batch": sharing, "place": training.TEXTS}.get(norm, 1), run)
            before = training.trained(*which[:2])[training.SEEDS.index(run)]
            draw = partial(drawings.live_frame, before, drawings.run_label(*which))
            live("coin_run", "Train this model", training.train, draw, *which, share=lambda p: p.done, shipped=before)

    if page.look("noise"):
        page.says(
            "With many texts the leak fades; noise and, in evaluation, running averages stay. What does real text do to the statistics? One number of a word has variance 1; two "
            "words of the same text correlate by ρ, as words of one subject may. How far does the mean over a batch stray?"
        )
        side, stage = beside()
        with side:
            texts = controls.choice("Texts B", "noise_texts", drawings.BATCHES)
            lengths = controls.choice("Lengths", "noise_lengths", drawings.SPREAD)
            drawn = controls.seed("noise_seed")
        with stage:
            shown = {"default": 0.5, "panel_width": 340}
            sweep("noise_rho", "Correlation ρ", drawings.ALIKE, drawings.noise_frames, texts, lengths, drawn, **shown)

    if page.look("pads"):
        page.says(
            "Unequal texts are padded to one length (question 9). If pads are vectors of 0 and are counted, they are part of the statistics; a mask can leave "
            "them out. The variance rises with the first pads where the mean is farther from 0 than one standard deviation, |μ| > σ."
        )
        side, stage = beside()
        with side:
            mean = controls.real("Mean μ", "pads_mean", -3.0, 3.0, 2.0, 0.5)
            std = controls.real("Standard deviation σ", "pads_std", 0.5, 3.0, 1.5, 0.5)
        with stage:
            labels = [f"{100 * share:.0f} %" for share in norms.SHARES]
            shown = {"default": 0.25, "labels": labels, "panel_width": 250}
            sweep("pads_share", "Places that hold a pad", norms.SHARES, drawings.pads_frames, mean, std, 0, **shown)

    if page.look("running"):
        page.says(
            "A model in use may get one text, with no batch to average over. So BatchNorm evaluates with averages kept from training: each "
            f"batch replaces a part m, PyTorch’s momentum, of what was kept. Batches of {norms.NUMBERS} numbers with mean 5 and standard deviation 1.5; "
            "the mean drifts, as it may in a training while the weights below move. LayerNorm keeps nothing."
        )
        side, stage = beside()
        with side:
            momentum = controls.choice("Momentum m", "running_momentum", drawings.MOMENTA)
            drift = controls.choice("The mean’s drift", "running_drift", drawings.DRIFTS)
        with stage:
            shown = {"default": 100, "panel_width": 250}
            sweep(
                "running_batches", "Batches seen", drawings.STOPS, drawings.running_frames, momentum, drift, 0, **shown
            )

    page.ran(layer_norm, rms_norm, moments, scale, running, norms.normalise, norms.shares, norms.moved)
    page.ran(spread_of_mean, padded, norms.noise, norms.pads, norms.follow, training.predict, training.train)
    page.takes(cell=cell, kind=rival, seed=seed)
