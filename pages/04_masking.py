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
    side, stage = page.hero()
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
            label, causal, most = (
                "Your mask, row by row (1 = may look)",
                masking.rows_of("causal", n)[0],
                MOST * (MOST + 1),
            )
            own = controls.words(label, "own_mask", causal, max_chars=most, help=drawings.OWN_HELP)
        rows, refused = masking.rows_of(kind, n, prefix, own)
        if refused:
            st.warning(f"{refused} Until then, the figures show the causal mask.")
        where = controls.choice("How it acts", "acts", drawings.WHERE, help=drawings.WHERE_HELP)
        seed = controls.seed("mask_seed")
    with stage:
        labels, middle = drawings.labelled(tokens(sentence)), min(2, n - 1)
        draw, chosen = drawings.attention_frames, (sentence, rows, where, seed)
        row = sweep("row", "Query row", range(n), draw, *chosen, default=middle, labels=labels)

    if page.look("who"):
        page.says(
            "Why before? Where a weight is 0, is the word really silent? Each cell is ‖∂oᵢ/∂xⱼ‖: how strongly the output of "
            "word i answers to the input of word j, where 0 is exactly 0. What acts only because of a trap is outlined."
        )

        def become(changed: str) -> None:
            if changed != rows:
                st.session_state["own_mask"], st.session_state["mask"] = changed, drawings.KINDS["own"]

        def click(_: int, row: int, column: int) -> None:
            become(masking.toggled(rows, row, column))

        def choose() -> None:
            become(masking.seeing(rows, row, st.session_state["row_sees"]))

        figure("influence", drawings.influence_frames, sentence, rows, seed, panel_width=240, clicked=click)
        st.session_state["row_sees"] = masking.seen_by(rows, row)
        may, name = f"The same by keyboard: the query row chosen above, {labels[row]}, may look at", labels.__getitem__
        st.pills(may, range(n), selection_mode="multi", key="row_sees", format_func=name, on_change=choose)

    if page.look("leak"):
        page.says(
            "Zeroed afterwards, hidden words act only through one sum a row. Can a model use that? Tokens drawn independently, "
            "uniformly and afresh for every step can be neither predicted nor memorised: guessing costs their entropy, ln V, and "
            "whoever averages less has seen the answer. The last position is the case of a model that writes: nothing there to copy."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            vocabulary = controls.choice("Different tokens V", "leak_v", drawings.VOCABULARIES)
            length = controls.choice("Positions N", "leak_n", drawings.LENGTHS)
        with stage:
            usual = (vocabulary, length, seed) == (leak.VOCABULARY, leak.LENGTH, 0)
            shipped, seeds = leak.trained() if usual else None, (seed, seed + 1, seed + 2)
            run = leak.train, drawings.leak_frame, seeds, vocabulary, length
            live("leak", "Train all four now", *run, share=lambda p: p.done, shipped=shipped)

    if page.look("append"):
        page.says(
            "Whoever never looked ahead has nothing to correct when a word comes after: what was computed can be kept. "
            "Append one and see which outputs move. Writing word by word from such a cache needs no mask, since what is "
            "hidden is not there yet; the mask is what makes training the same task."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            word = controls.words("One more word", "append", "today", max_chars=20).split()[0]
        with stage:
            figure("appended", drawings.append_frames, sentence, word, seed)

    if page.look("nobody"):
        page.says(
            "One mistake remains: a mask so strict that a row has nobody left, as row 0 when the diagonal is hidden too, or a row of padding "
            "only (question 9). A softmax over nothing has no answer, and each function has its own."
        )
        figure("nobody", drawings.nobody_frames, sentence, seed, panel_width=420)

    page.ran(masking.weigh, masking.head, masking.Head.flow, leak.train, masking.append, masking.libraries)
    page.takes(sentence=sentence, rows=rows, where=where, seed=seed)
