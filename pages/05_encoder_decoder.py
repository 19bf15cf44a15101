"""Question 5: encoder-only, decoder-only, encoder-decoder."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.encoder_decoder import concept
from core.experiments import encoder_decoder as families
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
        text = controls.words(
            f"Your sentence (2 to {MOST} words)", "families_sentence", families.SENTENCE, max_chars=100
        )
        sentence, refused = families.sentence_of(text)
        if refused:
            st.warning(f"{refused} Until then, the figures show “{sentence}”.")
        most = families.MOST_TARGET
        text = controls.words(f"Target, in the third (1 to {most})", "families_target", families.TARGET, max_chars=60)
        target, refused = families.target_of(text)
        if refused:
            st.warning(f"{refused} Until then, the figures show “{target}”.")
        seed = controls.seed("families_seed")
        st.caption(
            "Two layers with random weights, the same in all three. Lines are as thick as ‖∂output/∂word‖ is large. Grey: the target’s own words."
        )
    with stage:
        n, chosen = len(tokens(sentence)), (sentence, target, seed)
        labels, draw = labelled(tokens(sentence)), drawings.reach_frames
        token = sweep("token", "Chosen word", range(n), draw, *chosen, default=min(2, n - 1), labels=labels)

    if page.look("append"):
        st.markdown(
            "Who sees what comes later has to correct itself when something comes. Append a word: by how much does everything change "
            "that was computed before? The keys and values of layer 1 come from single words, so they stay in any family; those of "
            "layer 2 are made of what layer 1 saw. What stays exactly can be kept in a cache while a text is written."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            word = controls.words("One more word", "families_append", families.ONE_MORE, max_chars=20).split()[0]
            to = controls.choice("In the third, to the", "append_to", drawings.TO)
            st.caption("Both passes have room for it, so sums are added in the same order and rounding is the same.")
        with stage:
            figure("appended_to", drawings.append_frames, sentence, target, word, to, seed)

    if page.look("sides"):
        st.markdown(
            f"And what does the causal mask cost? Fill a gap between two of {training.VALUES} numbers: it is their sum modulo "
            f"{training.VALUES}, so 5 ? 6 wants 3. To whoever sees only the left one, all {training.VALUES} answers are equally likely. "
            "All three start from the same weights; asked at the end, 5 6 ?, the causal model has both numbers on its left."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            first = controls.seed("sides_seed")
            st.caption(f"All 64 pairs in every step; {training.parameters():,} parameters in each of the three.")
        with stage:
            shipped, seeds = (
                training.trained() if first == 0 else None,
                tuple(range(first, first + len(training.SEEDS))),
            )
            how = "Train all of them now", training.train, drawings.sides_frame
            live("sides", *how, seeds, share=lambda p: p.done, shipped=shipped)

    if page.look("ledger"):
        st.markdown(
            "Masks decide who sees whom; what do they cost? Nothing. Real models, built without their numbers on PyTorch’s meta device "
            "and counted: what an encoder-decoder adds is a second stack, and in each layer of it cross-attention, four more d × d "
            "matrices. What each was trained for say Devlin et al. 2019 (BERT), Liu et al. 2019 (RoBERTa), Radford et al. 2019, "
            "Grattafiori et al. 2024 (Llama 3), Vaswani et al. 2017, Raffel et al. 2020 (T5) and Lewis et al. 2020 (BART)."
        )
        usual, width = families.T5, 340
        sweep("family_model", "Model", families.SHOWN, drawings.ledger_frames, default=usual, panel_width=width)

    page.ran(families.influence, families.block, families.states, attention, masks.causal, families.reach)
    page.ran(families.append, training.answer, training.train, families.ledger_of)
    page.takes(sentence=sentence, target=target, token=token, seed=seed)
