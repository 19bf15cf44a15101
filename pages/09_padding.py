"""Question 9: variable length."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.padding import concept
from core.experiments import masking, padding
from core.ops import batching, masks
from ui import controls
from ui.drawings import padding as drawings
from ui.sweep import figure, sweep

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        given = []
        for i, usual in enumerate(padding.SENTENCES, start=1):
            label = f"Sentence {i} (up to {padding.MOST} words)"
            text = controls.words(label, f"sentence_{i}", usual, max_chars=100)
            sentence, refused = padding.sentence_of(text, usual)
            if refused:
                st.warning(f"{refused} Until then, the figures show “{sentence}”.")
            given.append(sentence)
        pad = controls.choice("A pad is", "pad_vector", drawings.PAD_NAMES, help=drawings.PAD_HELP)
        seed = controls.seed("padding_seed")
    sentences = tuple(given)
    longest = max(len(padding.tokens(sentence)) for sentence in sentences)
    with stage:
        draw, chosen = drawings.batch_frames, (*sentences, pad, seed)
        labels = [str(longest + extra) for extra in padding.EXTRA]
        extra = sweep("extra_pads", "Padded to length", padding.EXTRA, draw, *chosen, default=4, labels=labels)

    short = padding.shortest(sentences)
    if page.look("columns"):
        page.says(
            f"Which entries of the mask? Your shortest sentence with {padding.PADS} pads of zeros, in a stack of two layers; row = "
            "who asks, column = who is asked. A pad as a column is *seen*, as a row it *sees*. Crossed out: hidden, exactly 0. NaN: not a number."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            empty = controls.choice("Empty rows", "empty_rows", drawings.EMPTY, help=drawings.EMPTY_HELP)
        with stage:
            figure("ways", drawings.ways_frames, short, empty, seed, panel_width=300)

    if page.look("sides"):
        page.says(
            "A pad that nobody sees still moves the words: on the left each word stands at a later place. Position ids count the "
            "words from 0 again; RoPE (question 13) turns queries and keys, so that only distances count. Your shortest sentence with "
            f"{padding.PADS} pads of a vector of their own, in a small random Transformer of two layers. A row with nobody to look "
            "at gives 0 by torch’s scaled_dot_product_attention, used here, and NaN by the plain softmax; the last line reads a pad’s "
            "output as if it were the last word’s."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            scheme = controls.choice("Added positions", "padding_positions", drawings.ADDED)
        with stage:
            figure("sides", drawings.sides_frames, short, scheme, seed, panel_width=500)

    if page.look("conventions"):
        page.says(
            "Then the mask is handed to a library, and there are two camps: True for a word, or True for a pad. torch’s "
            f"nn.MultiheadAttention and scaled_dot_product_attention (SDPA) are called here, torch {masking.TORCH}, "
            "with one more random head; for Hugging Face the convention documented there, 1 for a word, is added as its code for plain "
            "attention does: 1 − mask, times the lowest number of the dtype."
        )
        figure("conventions", drawings.convention_frames, short, pad, seed, panel_width=420)

    if page.look("waste"):
        page.says(
            "In dense attention a pad is computed like a word, masked or not. Bucketing sorts by length first; packing lays short sequences end to end "
            "in one; a kernel for variable lengths takes them end to end and has no pads."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            label = f"2 to {padding.MOST_LENGTHS} lengths up to {padding.LONGEST:,}"
            lengths, refused = padding.lengths_of(controls.words(label, "lengths", padding.LENGTHS, max_chars=100))
            if refused:
                st.warning(f"{refused} Until then, the figures show {padding.LENGTHS}.")
            size = controls.whole("Sequences in a bucket", "bucket", 1, 8, 2)
        with stage:
            kinds, names = padding.BATCHINGS, list(drawings.KINDS.values())
            ways = drawings.waste_frames, lengths, size
            sweep("batching", "Batch", kinds, *ways, default="padded", labels=names, buttons=True)
        page.says(
            "Packed, sequences must not see each other, and each counts its positions from 0. The picture: the head of the first "
            "figure, not causal; the numbers below it: the small model of two layers, causal, with sinusoids. And the loss has to skip "
            "pads by itself: here for your lengths, with made-up logits that guess late tokens better than early ones, and pads at "
            "random. (Once a model predicts the pads, pads as targets give the same as ÷ all places.)"
        )
        figure("packed", drawings.packed_frames, *sentences, lengths, seed, panel_width=400)

    page.ran(
        padding.padded, padding.law, masks.keep_mask, masks.columns, padding.mask_as, masks.position_ids, padding.side
    )
    page.ran(padding.conventions, masks.additive, masks.block_diagonal, batching.packed, padding.losses)
    page.takes(sentences=sentences, extra=extra, pad=pad, seed=seed)
