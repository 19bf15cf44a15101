"""Question 7: Pre-Norm and Post-Norm."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.pre_post_norm import concept
from core.experiments import pre_post_norm as norms
from core.ops.norms import layer_norm, post_norm, pre_norm
from core.training import pre_post_norm as training
from ui import controls
from ui.drawings import pre_post_norm as drawings
from ui.sweep import figure, sweep
from ui.training import live


def cell() -> tuple[int, float, int]:
    """Which cell of the shipped grid."""
    return (
        controls.choice("Layers", "train_depth", drawings.LAYERS),
        controls.choice("Learning rate", "train_rate", drawings.RATES),
        controls.choice("Warm-up", "train_warmup", drawings.WARMUPS),
    )


with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        depth = controls.choice("Layers", "norm_depth", drawings.DEPTHS)
        width = controls.choice("Width d", "norm_width", drawings.WIDTHS)
        seed = controls.seed("norm_seed")
        st.caption("Xavier weights, and attention that still looks at all tokens alike: $W_Q = W_K = 0$.")
    with stage:
        sweep(
            "norm_place",
            "Normalisation",
            norms.ORDERS,
            drawings.block_frames,
            depth,
            width,
            seed,
            default="pre",
            labels=list(drawings.NAMES.values()),
            buttons=True,
        )

    if page.look("stream"):
        page.says(
            "Why does Pre-Norm’s last layer get so little, and less the deeper it is? Its layers only add, and nothing sets the "
            "stream back. The last norm divides by the length that it has reached, and with it what comes back. (That the first "
            "layers get more is another matter: they also act through all the branches above them.)"
        )
        figure("stream", drawings.stream_frames, width, seed, panel_width=360)

    if page.look("amplification"):
        page.says(
            "So a late layer of Pre-Norm has little say, and so have its errors. Change all weights a little. A Post-Norm layer "
            "has about the same share in what it hands on, wherever it stands: the squared changes of L layers add up to about L. In "
            "Pre-Norm layer i’s share is about 1/i of the squared stream, and 1 + ½ + ⅓ + … grows like the logarithm. This is "
            "the first figure’s encoder, 32 wide, with Xavier weights, from 2 to 24 layers: from other first weights it can grow by other laws."
        )
        figure("nudge", drawings.nudge_frames, seed, panel_width=360)

    if page.look("steps"):
        page.says(
            "Adam’s first steps nudge all weights too, the very first by about the learning rate, but against the sign of its gradient. "
            f"Encoders of both orders take them from the same weights, to read {training.LENGTH} tokens backwards "
            f"({len(training.SEEDS)} seeds, trained beforehand). A run fails here if its loss is not below {training.LEARNED:g} nat "
            f"after {training.STEPS} steps; some are still falling then. The imbalance goes along with failing "
            "and does not decide it: two runs (8 layers, 0.003) pass tenfold and still learn, and four that fail with a "
            "warm-up pass it only after step 100."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            chosen = cell()
        with stage:
            steps = training.SNAPSHOTS
            sweep("train_step", "Training step", steps, drawings.step_frames, *chosen, default=5, panel_width=340)

    if page.look("cells"):
        page.says(
            f"Smaller first steps are what a warm-up gives. So here is every depth, learning rate and order, without a warm-up "
            f"and with one that takes the first 100 of the {training.STEPS} steps. Each cell counts the runs, of "
            f"{len(training.SEEDS)}, that have learned: their loss is below {training.LEARNED:g} nat at the end."
        )
        figure("norm_grid", drawings.grid_frames, panel_width=215)
        page.says("Every number counts four curves. Train one again, now:")
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            order = controls.choice("Normalisation", "train_order", drawings.NAMES)
            chosen = cell()
            run = controls.choice("Seed of the run", "train_seed", {s: str(s) for s in training.SEEDS})
        with stage:
            before = training.trained(order, *chosen)[run]
            draw = partial(drawings.live_frame, before, drawings.run_label(order, *chosen, run))
            which = (order, *chosen, run)
            live("norm_run", "Train this cell", training.train, draw, *which, share=lambda p: p.done, shipped=before)

    page.ran(post_norm, pre_norm, layer_norm, norms.block, norms.start, norms.growth, norms.amplification)
    page.ran(norms.profile, training.encode, training.train)
    page.takes(depth=depth, width=width, seed=seed)
