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

with lesson(concept) as page:
    st.markdown(
        "Two encoders, the same weights, input and targets. Nothing is trained yet: uniform attention, feed-forward layers, and "
        "a loss on random targets, as in the proof of Xiong et al. From Post-Norm to Pre-Norm one line moves, in every sublayer:"
    )
    # Streamlit's colours for the language "diff" are too pale to read.
    st.code(drawings.moved_line(), language=None, wrap_lines=True)
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        width = controls.choice("Width d", "norm_width", drawings.WIDTHS)
        seed = controls.seed("norm_seed")
    with stage:
        depth = sweep("norm_depth", "Layers L", norms.DEPTHS, drawings.start_frames, width, seed, default=12)

    st.subheader("The stream that Pre-Norm leaves alone", anchor=False)
    st.markdown(
        "Post-Norm sets the stream back to the same size after every addition. Pre-Norm only adds to it: its squared length "
        "grows about in proportion to the depth, and a late block changes it less."
    )
    figure("stream", drawings.stream_frames, width, seed, panel_width=360)

    st.subheader("The norm at the end", anchor=False)
    st.markdown(
        "Moving the line is not all. After the last block Pre-Norm has one more, `x = norm(x)`, so that what has grown meets the "
        "head at an ordinary size. `nn.TransformerEncoder` does not add it by itself, whatever `norm_first` says."
    )
    sweep("final_depth", "Layers L", norms.DEPTHS, drawings.final_norm_frames, width, seed, default=48, panel_width=360)

    st.subheader("Encoder and decoder", anchor=False)
    st.markdown(
        "Full blocks now: four heads, masks, cross-attention, Xavier as `nn.Transformer` starts it. In an encoder Post-Norm's "
        "gradients are about flat. In a decoder they fall towards the bottom, the more the deeper it is. Its mask is not the "
        "reason: over random vectors in place of the encoder's output they hardly fall. A deep Post-Norm encoder hands on "
        "vectors that have become alike."
    )
    sweep(
        "stack_depth",
        "Layers of each stack",
        drawings.STACKS,
        drawings.profile_frames,
        seed,
        default=12,
        panel_width=360,
    )

    st.subheader("Train them: which cells learn?", anchor=False)
    st.markdown(
        f"Encoders of width {training.WIDTH} learn to read {training.LENGTH} tokens backwards, {training.STEPS} steps with Adam: "
        f"every depth, order, learning rate and warm-up, {len(training.SEEDS)} seeds each. Trained beforehand, every curve kept; "
        f"guessing evenly costs ln {training.VOCABULARY} nats, and a run has learned when its loss is below {training.LEARNED:g}."
    )
    figure("norm_grid", drawings.grid_frames, panel_width=215)

    st.markdown(
        "Choose a cell, and drag through its training. The two differ in the moved line and in Pre-Norm's one norm at the end."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        layers = controls.choice("Layers", "train_depth", drawings.LAYERS)
        rate = controls.choice("Learning rate", "train_rate", drawings.RATES)
        warmup = controls.choice("Warm-up", "train_warmup", drawings.WARMUPS)
    with stage:
        cell = (layers, rate, warmup)
        steps = training.SNAPSHOTS
        sweep("train_step", "Training step", steps, drawings.scrub_frames, *cell, default=7, panel_width=340)

    st.subheader("Train one again, now", anchor=False)
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        order = controls.choice("Order", "train_order", drawings.NAMES)
        run = controls.choice("Seed of the run", "train_seed", {s: str(s) for s in training.SEEDS})
    with stage:
        before = training.trained(order, *cell)[run]
        draw = partial(drawings.live_frame, before, drawings.run_label(order, *cell, run))
        chosen = (order, *cell, run)
        live("norm_run", "Train this cell", training.train, draw, *chosen, share=lambda p: p.done, shipped=before)

    page.ran(
        post_norm, pre_norm, layer_norm, norms.block, norms.start, norms.amplification, norms.growth, norms.profile
    )
    page.ran(training.encode, training.train)
    page.takes(depth=depth, width=width, seed=seed)
