"""Question 1: the O(N²) cost."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.quadratic_cost import concept
from core.experiments import quadratic_cost as cost
from core.ops import attention, counting
from ui import controls
from ui.drawings import quadratic_cost as drawings
from ui.standing import standing
from ui.sweep import figure, show, sweep


def measured():
    """The timings of this visit: taken when the look is first opened, and again when the reader asks for it."""
    again = st.button("Measure again, now", key="quadratic_cost:measure", icon=":material/timer:")
    if again or "quadratic_cost:timings" not in st.session_state:
        bar, place = st.progress(0.0, "Measuring"), st.empty()  # the second: nothing of another look stays below
        for latest in cost.timings():
            bar.progress(latest.share, "Measuring")
        bar.empty()
        place.empty()
        st.session_state["quadratic_cost:timings"] = latest
    return st.session_state["quadratic_cost:timings"]


TOKENS = [f"{n:,}" for n in cost.LENGTHS]

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        d_model = controls.choice("Width d", "cost_width", {d: f"{d:,}" for d in cost.WIDTHS})
        n_heads = controls.choice("Heads h", "cost_heads", {h: str(h) for h in cost.HEADS}, help="Each of width d/h.")
    with stage:
        n = sweep(
            "n_tokens", "Tokens N", cost.LENGTHS, drawings.layer_frames, d_model, n_heads, default=1024, labels=TOKENS
        )

    if page.look("blocks"):
        page.says(
            "Each row of the square becomes one output, a weighted mean, and a mean can be built up as the keys arrive. Keep for each "
            "query the largest score m so far, the sum of the weights and the weighted sum of the values; when a larger score comes, multiply both "
            r"by $e^{m_\mathrm{old} - m_\mathrm{new}}$; at the end divide one by the other. Forget that factor, and see."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            rescale = not controls.switch("Forget the factor", "forget_factor")
            seed = controls.seed("blocks_seed")
        with stage:
            sweep("block", "Keys in a block", cost.BLOCKS, drawings.block_frames, rescale, seed, default=32)
        page.says(
            "Training also needs what the backward pass will read. A loop like this under autograd would keep every block; a fused "
            "kernel keeps inputs, outputs and one number per row, and computes the scores once more."
        )
        figure("saved", drawings.saved_frames)

    if page.look("clock"):
        page.says(
            "So is it linear now? No score is kept, but every one is computed. Here one head of width 64, plain and fused, and a "
            "feed-forward layer 64 → 256 → 64 are timed on the machine that serves this page. Costs that do not grow with N "
            "flatten the lines at their left end. A slope is a power of N: 1 would be linear, 2 quadratic."
        )
        with standing():
            show("clock:figure", drawings.clock_frame(measured()))

    if page.look("length"):
        page.says(
            "Then what limits a model? Its training length and positions (question 11), and bytes. Each of these models attends to the whole text "
            "in every layer. The square, if it were stored, would soon outgrow everything; not stored, keys and values are what grows."
        )
        sweep("published", "Model", cost.MODELS, drawings.length_frames, default="Llama 2 7B", buttons=True)

    if page.look("writing"):
        page.says(
            "Keys and values can be kept (question 4). A small stack of two layers writes a text, each token made from the last output; row "
            "= query, column = key. Without a cache every step computes the rows of its whole prefix again."
        )
        sweep("written", "Tokens written N", drawings.WRITTEN, drawings.writing_frames, default=12)

    page.ran(counting.flops_per_token, cost.work, cost.counted, attention.blockwise_attention, cost.saved_for_backward)
    page.ran(cost.timings, counting.score_bytes, counting.kv_cache_bytes, cost.write)
    page.takes(n=n, d_model=d_model, n_heads=n_heads)
