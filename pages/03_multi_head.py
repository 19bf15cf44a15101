"""Question 3: several heads."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.multi_head import concept
from core.experiments import multi_head as heads
from core.ops.attention import attention
from core.ops.heads import merge_heads, multi_head, split_heads
from core.training import multi_head as training
from ui import controls
from ui.drawings import multi_head as drawings
from ui.sweep import sweep
from ui.training import live

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        second = controls.real("Weight of head 2 on u", "second_head", 0.0, 1.0, 1.0, 0.05)
        features = controls.choice("Features of a value", "value_features", drawings.FEATURES)
        st.caption(
            "w is what the softmax gives u, and v gets 1 − w; neither depends on the values. u and v, say who and when, are unrelated, of "
            "variance 1, in the same features. One head as wide as both together only holds the same mixture in more numbers."
        )
    with stage:
        draw, chosen = drawings.fetch_frames, (second, features)
        w = sweep("first_head", "The head’s weight on u", heads.STOPS, draw, *chosen, default=0.3, panel_width=360)

    if page.look("trained"):
        page.says(
            f"Does training find this? {training.PLACES} places hold random values, and each question names two of them: bring the "
            "first’s value and the second’s. Nothing says which head should do what. With “place and value” the keys contain the "
            "values, as in a Transformer. Then the weights themselves can carry news of the values, and a single head may get "
            "below 1."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            sees = controls.choice("Keys contain", "keys_contain", drawings.SEES)
            seed = controls.seed("heads_seed")
        with stage:
            shipped = training.trained(sees) if seed == 0 else None
            run = tuple(range(seed, seed + len(training.SEEDS))), sees
            label, how = "Train all of them now", (training.train, drawings.training_frame)
            live("fetch_two", label, *how, *run, share=lambda p: p.done, shipped=shipped)

    if page.look("cost"):
        page.says(
            f"And what do more heads cost? They share the width d = {heads.D_MODEL}, so each is narrower. Only its square of scores, with a softmax, comes "
            "on top, and a blockwise kernel never stores that whole. Query heads may also share keys and values, as in GQA and "
            "MQA: then W_K, W_V and the KV cache (question 1) shrink, and the scores stay."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            sharing = controls.choice("Keys and values", "kv_sharing", drawings.SHARING)
        with stage:
            sweep("n_heads_of", "Heads h", heads.COUNTS, drawings.cost_frames, sharing, default=8, panel_width=340)

    if page.look("rank"):
        page.says(
            f"Then why not {heads.D_MODEL} heads? Logits are products of dₖ numbers: as a matrix they have rank dₖ at most. The "
            "softmax bends that, but cannot undo it: a head of width 1 sorts all keys along one line, and only the two at its "
            "ends can ever be the favourite. In words: a narrow head cannot look at every place."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            seed = controls.seed("rank_seed")
        with stage:
            widths, draw = heads.HEAD_WIDTHS, drawings.rank_frames
            sweep("head_width", "Width of a head dₖ", widths, draw, seed, default=8, panel_width=340)

    if page.look("split"):
        page.says(
            f"In code there is one wide projection, which is split: `x.view(n, h, d_k).transpose(0, 1)`. That is the same as "
            f"h small ones, each a block of dₖ columns. A view straight to (h, n, dₖ), a merge without exchanging the axes back, and the "
            f"divisor √d_model (question 2) are wrong and run as smoothly ({heads.TOKENS} tokens of width {heads.WIDTH})."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            code = controls.choice("The code", "split_code", drawings.CODES)
            seed = controls.seed("split_seed")
        with stage:
            sweep("split_heads", "Heads h", heads.SPLITS, drawings.split_frames, code, seed, default=4, panel_width=340)

    page.ran(split_heads, merge_heads, attention, multi_head, heads.unrelated, heads.bring, heads.read_out)
    page.ran(heads.spectra, heads.out_of_reach, training.fetch, training.train)
    page.takes(w=w, second=second, features=features)
