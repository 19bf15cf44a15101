"""Question 11: texts longer than those in training."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.extrapolation import concept
from core.experiments import extrapolation as longer
from core.ops import markov, masks, positions
from core.training import extrapolation as training
from ui import controls
from ui.drawings import extrapolation as drawings
from ui.sweep import figure, sweep
from ui.training import live

beside = partial(st.columns, [1, 5], gap="medium")  # controls, and what they change

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        afresh = "Afresh: for each answer the last 32 tokens are read as a text of their own, with positions from 0."
        sees = controls.choice("Each token sees", "sees", drawings.SEEN, help=afresh)
        st.caption(
            "Six decoders of two layers, three seeds each. In their made-up texts the two tokens before decide how likely each next one "
            "is; 0 is the best possible guess."
        )
    with stage:
        stops, draw, shown = longer.STOPS, drawings.length_frames, {"unit": " tokens", "panel_width": 600}
        n = sweep("test_length", "Length of the text", stops, draw, sees, default=longer.FAR, **shown)

    if page.look("beyond"):
        page.says(
            "What does a model meet farther on? A learned table ends. Sinusoids, RoPE’s angles and ALiBi’s biases are "
            "formulas that hold everywhere; but what the other weights do with them was learned within the grey."
        )
        names = [drawings.NAMES[e] for e in drawings.MET]
        sweep("met", "Encoding", drawings.MET, drawings.beyond_frames, default="learned", labels=names, buttons=True)
        page.says(
            "And positions and angles are numbers of finite length; bfloat16 has every whole number up to 256 only:"
        )
        side, stage = beside()
        with side:
            offset = controls.stops("Distance", "bf16_offset", drawings.OFFSETS, 3)
            seed = controls.seed("bf16_seed")
        with stage:
            figure("bf16_rope", drawings.precision_frames, offset, seed)

    if page.look("turns"):
        page.says(
            "RoPE (question 13) turns each pair of features of the query and of the key by its position, every pair at its own speed ω. Slide both: "
            "the angle between them stays, and with it the score. But of a slow pair’s turn, training sees only a sliver (violet)."
        )
        side, stage = beside()
        with side:
            which = controls.choice("Head", "rope_head", drawings.HEADS_OF)
            far = controls.choice("Distance", "rope_far", drawings.FARS)
            remedy = controls.choice("Stretched by", "rope_remedy", drawings.REMEDY_NAMES)
            stretch = controls.choice("Text length", "rope_stretch", drawings.STRETCHED)
        with stage:
            head, draw = (which, remedy, stretch, far), drawings.turning_frames
            sweep("key_at", "Key at", drawings.KEY_AT, draw, *head, default=0, panel_width=340)
        page.says(
            "*Interpolation* divides positions by the stretch; *NTK-aware* and *base 500,000* slow the slow pairs more than the fast. "
            "Without further training, and after a little; that little alone does most:"
        )
        figure("remedies", drawings.remedy_frames, panel_width=600)
        page.says("Is far also faint? RoPE’s often quoted decay with distance holds for one kind of vectors:")
        side, stage = beside()
        with side:
            decay_seed = controls.seed("decay_seed")
        with stage:
            figure("decay", drawings.decay_frames, decay_seed)

    if page.look("slopes"):
        page.says(
            "ALiBi has no angles and no table: each head subtracts its slope m times the distance from its scores, so a far key only "
            "fades (right). The paper gives a formula for the slopes; its code, and BLOOM’s after it, does something else for other numbers of heads than powers of two."
        )
        sweep("slope_heads", "Heads", drawings.HEADS, drawings.slope_frames, default=12, panel_width=340)

    if page.look("task"):
        page.says(
            f"So is ALiBi the answer? Train the same decoders on another task: after each of {training.LENGTH} random tokens, say "
            "the first one again. Now only the farthest token matters, not the nearest, and no encoding is needed to find it. The learned "
            "table is 2,048 rows long here; those from 32 on are never trained, and nearly zero beside a token’s own vector."
        )
        side, stage = beside()
        with side:
            past = controls.choice("Each token sees", "task_sees", drawings.TASK_SEES)
        with stage:
            names, draw = list(drawings.NAMES.values()), drawings.task_frames
            bold = {"default": "alibi", "labels": names, "panel_width": 340, "buttons": True}
            chosen = sweep("task_encoding", "Encoding", training.ENCODINGS, draw, past, **bold)
        page.says("Train one of these again, on recall, now; read up to 256 tokens only:")
        side, stage = beside()
        with side:
            run = controls.choice("Seed of the run", "far_seed", {s: str(s) for s in training.SEEDS})
        with stage:
            before = training.trained_run(chosen, "recall", run)
            how = "Train this decoder", training.train, partial(drawings.live_frame, before, chosen, run)
            live("recall_run", *how, chosen, "recall", run, share=lambda p: p.done, shipped=before)

    page.ran(positions.rotate, positions.alibi, positions.alibi_slopes_as_released, positions.t5_bucket)
    page.ran(positions.ntk_base, masks.sliding_window, markov.draw_text, longer.lost, longer.read_now)
    page.ran(training.answer, training.train, training.excess_at, training.afresh)
    page.takes(n=n, sees=sees)
