"""Question 5: encoder-only, decoder-only, encoder-decoder."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.encoder_decoder import concept
from core.experiments import encoder_decoder as families
from core.experiments.masking import sentence_of
from core.ops import masks
from core.ops.attention import attention
from core.ops.words import MOST, tokens
from core.training import encoder_decoder as training
from ui import controls
from ui.drawings import encoder_decoder as drawings
from ui.drawings.masking import labelled
from ui.sweep import figure, sweep
from ui.training import live

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        text = controls.words(f"Sentence (2 to {MOST} words)", "families_sentence", families.SENTENCE, max_chars=100)
        sentence, refused = sentence_of(text)
        if refused:
            st.warning(f"{refused} Until then, the figures show “{sentence}”.")
        most = families.MOST_TARGET
        text = controls.words(f"Target, in the third (1 to {most})", "families_target", families.TARGET, max_chars=60)
        target, refused = families.target_of(text)
        if refused:
            st.warning(f"{refused} Until then, the figures show “{target}”.")
        seed = controls.seed("families_seed")
        st.caption(
            "Two layers, in all three the same random weights: who reaches whom is the doing of masks and cross-attention. Thicker line: larger "
            "‖∂output/∂word‖. Filled cell: target word (row) sees encoder output (column). Grey: target to target, causal."
        )
    with stage:
        n, chosen = len(tokens(sentence)), (sentence, target, seed)
        labels, draw = labelled(tokens(sentence)), drawings.reach_frames
        token = sweep("token", "Chosen word", range(n), draw, *chosen, default=min(2, n - 1), labels=labels)

    if page.look("append"):
        page.says(
            "A decoder has nothing to correct when a word comes (question 4). And one who sees what comes later? Append a word: by how much does everything change "
            "that was computed before? Self-attention’s keys and values of layer 1 come from single words, so they stay in any family; those of "
            "layer 2 are made of what layer 1 saw. Cross-attention’s are made of the whole source, in every layer: so it is read "
            "once, complete, before the target is written. What stays exactly can be kept in a cache."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            word, *rest = controls.words("One more word", "families_append", families.ONE_MORE, max_chars=20).split()
            if rest:
                st.warning(f"One word is appended: “{word}”.")
            to = controls.choice("In the third, to the", "append_to", drawings.TO)
            st.caption(
                "An empty slot is kept for the word before it comes, so that rounding is the same and a 0 is exactly 0. Source: what "
                "cross-attention keeps of it, and the encoder’s output; the largest of all its words."
            )
        with stage:
            figure("appended_to", drawings.append_frames, sentence, target, word, to, seed)

    if page.look("sides"):
        page.says(
            f"And what does the causal mask cost? Fill a gap between two of {training.VALUES} numbers: it is their sum modulo "
            f"{training.VALUES}, so 5 ? 6 wants 3. To whoever sees only the left one, all {training.VALUES} answers are equally likely, and the best loss, "
            f"−ln of the right answer’s probability, is ln {training.VALUES}. "
            "All three start from the same weights; asked at the end, 5 6 ?, the causal model has both numbers on its left."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            first = controls.seed("sides_seed")
            st.caption(
                f"All 64 pairs in every step; {training.parameters():,} parameters in each of the three. Losses and probabilities are "
                "means over the pairs, the latter also over the seeds."
            )
        with stage:
            shipped, seeds = (
                training.trained() if first == 0 else None,
                tuple(range(first, first + len(training.SEEDS))),
            )
            how = "Train all of them now", training.train, drawings.sides_frame
            live("sides", *how, seeds, share=lambda p: p.done, shipped=shipped)

    if page.look("ledger"):
        page.says(
            "Masks decide who sees whom; what do they cost? In parameters nothing. Real models, built without storing their weights "
            "and counted: what an encoder-decoder adds is a second stack, and in each layer of it cross-attention (question 12), four more matrices. "
            "d is the model’s width."
        )
        usual, width = families.T5, 340
        sweep("family_model", "Model", families.SHOWN, drawings.ledger_frames, default=usual, panel_width=width)

    page.ran(families.influence, families.block, families.states, attention, masks.causal, families.reach)
    page.ran(families.append, training.answer, training.train, families.ledger_of)
    page.takes(sentence=sentence, target=target, token=token, seed=seed)
