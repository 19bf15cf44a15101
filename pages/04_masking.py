"""Question 4: masked self-attention."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.masking import concept
from core.experiments import masking
from core.ops.words import MOST, tokens
from core.training import leak
from ui import controls
from ui.drawings import masking as drawings
from ui.sweep import figure, sweep
from ui.training import live

with lesson(concept) as page:
    st.markdown(
        "A head with random weights reads your words. Follow one row: its logits, what the mask leaves of them, and its "
        "weights. Then change the mask, or the place where it acts."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        text = controls.words(f"Your sentence (2 to {MOST} words)", "sentence", masking.SENTENCE, max_chars=100)
        sentence, refused = masking.sentence_of(text)
        if refused:
            st.warning(f"{refused} Until then, the figures show “{sentence}”.")
        n = len(tokens(sentence))
        kind, prefix, own = controls.choice("Mask", "mask", drawings.KINDS, help=drawings.MASK_HELP), 3, ""
        if kind == "prefix":
            prefix = controls.whole("Words in the open prefix", "prefix_words", 1, MOST, prefix)
        if kind == "own":
            click = "Or click on the cells of the mask in “Who can influence whom”."
            causal = masking.rows_of("causal", n)[0]
            limit = MOST * (MOST + 1)
            own = controls.words(
                "Your mask, row by row (1 = may look)", "own_mask", causal, max_chars=limit, help=click
            )
        rows, refused = masking.rows_of(kind, n, prefix, own)
        if refused:
            st.warning(f"{refused} Until then, the figures show the causal mask.")
        where = controls.choice("How it acts", "acts", drawings.WHERE)
        seed = controls.seed("mask_seed")
    with stage:
        chosen = (sentence, rows, where, seed)
        labels = drawings.labelled(tokens(sentence))
        sweep("row", "Query row", range(n), drawings.attention_frames, *chosen, default=min(2, n - 1), labels=labels)

    st.subheader("Who can influence whom", anchor=False)
    st.markdown(
        "The derivative of every output with respect to every input, by automatic differentiation. Crossed out is exactly 0, "
        "not merely small. A mask hides keys, never the query: a word that is hidden from itself still asks. With −∞ before the "
        "softmax nothing else that is hidden acts. Click on a cell of the mask to allow or hide it."
    )

    def toggle(panel: int, row: int, column: int) -> None:
        changed = masking.toggled(rows, row, column)
        if changed != rows:
            st.session_state["own_mask"], st.session_state["mask"] = changed, drawings.KINDS["own"]

    figure("influence", drawings.influence_frames, sentence, rows, seed, panel_width=360, clicked=toggle)

    st.subheader("The cheating detector", anchor=False)
    st.markdown(
        "Tokens drawn independently and uniformly cannot be predicted: no honest model loses less than their entropy on "
        "average, though a batch may by luck. So a mean loss clearly below it proves a leak. One attention layer learns such "
        "tokens, under the causal mask and under one that is a step too far: the same tokens, the same starts."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        vocabulary = controls.choice("Different tokens V", "leak_v", drawings.VOCABULARIES)
        length = controls.choice("Positions N", "leak_n", drawings.LENGTHS)
    with stage:
        usual = (vocabulary, length, seed) == (leak.VOCABULARY, leak.LENGTH, 0)
        live(
            "leak",
            "Train both",
            leak.train,
            drawings.leak_frame,
            (seed, seed + 1, seed + 2),
            vocabulary,
            length,
            share=lambda p: p.done,
            shipped=leak.trained() if usual else None,
        )

    st.subheader("Append a word, and keep the keys", anchor=False)
    word = controls.words("One more word", "append", "today", max_chars=20).split()[0]
    figure("appended", drawings.append_frames, sentence, word, seed)
    st.markdown(
        "Several new words that ask at once, with a cache, need a mask among themselves. torch’s `is_causal=True` "
        "aligns its triangle at the top left, as if they were the first words."
    )
    new = range(1, n + 1)
    sweep("new_words", "New words", new, drawings.late_frames, sentence, seed, default=2, panel_width=360)

    st.subheader("A row that may look at nobody", anchor=False)
    st.markdown(
        "A mask that hides the diagonal too leaves row 0 without a key. What its weights are is up to the function."
    )
    figure("nobody", drawings.nobody_frames, sentence, seed, panel_width=420)

    page.ran(masking.mask, masking.weigh, masking.head, leak.train, masking.append, masking.late, masking.libraries)
    page.takes(sentence=sentence, rows=rows, where=where, seed=seed)
