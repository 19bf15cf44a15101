"""Question 10: the feed-forward layer."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.feed_forward import concept
from core.experiments import cross_attention as cross
from core.experiments import feed_forward as layers
from core.experiments import masking, residuals
from core.ops import counting, feedforward
from core.ops.dates import MOST as LONGEST
from core.ops.words import MOST
from core.training import feed_forward as training
from ui import controls
from ui.drawings import feed_forward as drawings
from ui.sweep import figure, sweep
from ui.training import live

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        text = controls.words(f"Your sentence (2 to {MOST} words)", "ff_sentence", masking.SENTENCE, max_chars=100)
        sentence, refused = masking.sentence_of(text)
        if refused:
            st.warning(f"{refused} Until then, the figures show “{sentence}”.")
        sees = controls.choice("In attention a word sees", "ff_sees", drawings.SEES, help=drawings.SEES_HELP)
        seed = controls.seed("ff_seed")
        st.caption(
            "Random weights. A number: how far an output moves for a step of 1 of that input.",
            help=drawings.NUMBER_HELP,
        )
    with stage:
        draw, how = drawings.reach_frames, {"default": "feed-forward", "buttons": True, "panel_width": 340}
        part = sweep("ff_part", "What acts through", layers.PARTS, draw, sentence, sees, seed, **how)

    if page.look("xor"):
        page.says(
            "What is there to compute inside a token? Take one that holds two bits (each adds a vector of its own) and is to say whether "
            "exactly one of them is 1: XOR, which no straight line separates. A token that sees only itself gives itself weight 1, so attention is "
            "linear there, and so are two matrices without an activation. Judge by the loss: a line can have three of four cases right, 75\u00a0%, "
            "at a loss no lower than a guess’s. The scope matters: let each token see all four cases, or put a norm before attention, and it may "
            "learn XOR too, for softmax and norm are not linear."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            token_sees = controls.choice("Each token sees", "xor_sees", drawings.TOKEN_SEES)
        with stage:
            draw, before = partial(drawings.training_frame, token_sees), training.trained(token_sees)
            live("xor", "Train all 15 now", training.train, draw, token_sees, share=lambda p: p.done, shipped=before)

    if page.look("memory"):
        page.says(
            "So what does a trained layer compute? Written neuron by neuron it is a sum like attention’s, but its keys and values are "
            "weights, the same for every text: a memory, as Geva et al. 2021 read it. Here is the decoder of question 12, which writes dates (the first of its runs). A "
            "neuron’s key says when it fires; its value, read out by the model’s last matrix, what it speaks for."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            text = controls.words(f"A date (up to {LONGEST} characters)", "ff_date", cross.EXAMPLE, max_chars=60)
            source, refused = cross.source_of(text)
            if refused:
                st.warning(f"{refused} Until then, the figures show “{source}”.")
            layer = controls.choice("Decoder layer", "ff_layer", drawings.DECODER_LAYERS)
        with stage:
            labels = drawings.steps(layers.memories(source, layer))
            usual = min(2, len(labels) - 1)
            draw, chosen = drawings.memory_frames, (source, layer)
            sweep(
                "ff_step", "Writing", range(len(labels)), draw, *chosen, default=usual, labels=labels, panel_width=240
            )
        page.says(f"To speak for a character is not yet to be needed. {drawings.left_out()}.")

    if page.look("share"):
        page.says(
            "How much can such a memory hold (in facts: question 18)? Most of what a layer has: 8 d² of 12 d² weights with two matrices and d_ff = 4 d; more where heads share "
            "keys and values, or where a gate adds a third matrix (question 15). "
            "The layer meets every token once, whatever the length; attention, its own matrices included, also multiplies with every token in view, and beyond "
            "some number of them costs more (for a whole causal text, twice that number). Question 1 sets its square alone against all weights, hence N = 6 d "
            "there. Dotted: beyond the published window."
        )
        sweep("ff_model", "A layer of", layers.SHOWN, drawings.share_frames, default="Llama 3 8B", panel_width=340)

    if page.look("collapse"):
        page.says(
            "And what is it not for? Attention averages, and stacks of nothing else make all tokens alike. The feed-forward layer is often said to "
            "prevent that: Dong et al. 2021 name skips and feed-forward layers as what stops it, and in their bound such a layer slows it, the more it stretches. "
            "Untrained, with Xavier weights, ours do not keep tokens apart: what slows the tokens’ falling together is what question 14 is about, the skip, and how much "
            "hangs on the norm."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            norm = controls.choice("Normalisation", "ff_norm", drawings.PLACES)
        with stage:
            figure("collapse", drawings.collapse_frame, norm, seed)

    page.ran(layers.part, layers.reach, feedforward.feed_forward, feedforward.fires, feedforward.recalled)
    page.ran(training.logits_of, training.train, layers.memories, layers.firing)
    page.ran(counting.layer_weights, counting.attention_overtakes, residuals.stack)
    page.takes(sentence=sentence, sees=sees, part=part, seed=seed)
