"""Question 15: counting parameters."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.parameters import concept
from core.experiments import parameters
from core.models import built_counts
from core.ops import counting
from core.presets import PRESETS, preset
from ui import controls
from ui.drawings import parameters as drawings
from ui.sweep import figure, sweep


def choice(label, key):
    words = drawings.SWITCHES[key]
    return words[controls.choice(label, key, {word: word for word in words})]


def boxes(labels, published, typed):
    """Blank boxes, each with the number that it stands for in grey; what the reader types is added to `typed`."""
    with st.grid(2, min_column_width=140):  # one below the other on a desktop, in pairs on a phone
        for field, label in labels.items():
            if field == "decoder_layers" and not published.decoder_layers:
                continue
            key = "n_positions" if field == "positions" else field
            number = controls.blank_whole(label, key, parameters.blank(published, typed)[field])
            if number is not None:
                typed[field] = number


with lesson(concept) as page:
    st.markdown(
        "Choose a published model, or change it. Each rectangle is one weight matrix of a block; the dotted frame is the "
        "rule of thumb, 12 d². Beside it stand two counts that know nothing of each other: a formula, and a module that "
        "PyTorch really builds, on a device that stores no numbers."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        model = controls.choice("Model", "model", drawings.MODELS)
        published, typed = preset(model), {}
        st.caption(f"{PRESETS[model].note} Grey is as published, or follows what you type.".strip())
        boxes(drawings.BOXES, published, typed)
        typed |= choice("Feed-forward", "gated")
        with st.expander("More"):
            boxes(drawings.MORE, published, typed)
            for label, key in (("Biases", "biases"), ("Norm", "norm"), ("Output head", "head"), ("Layers", "sharing")):
                typed |= choice(label, key)
            st.caption(
                "Not counted: models of pictures and sound, whose first layer is a convolution; a shared expert beside the "
                "routed ones; layers of different shapes; latent attention; state spaces."
            )
        architecture, name, refused = published, model, ""
        try:
            architecture = parameters.changed(published, typed)
            name = model if architecture == published else f"your {model}"
        except ValueError as reason:
            refused = drawings.worded(reason)
    with stage:
        if refused:
            st.error(f"{refused} Until you change it, everything below shows {model} as published.")
        total, by_path = built_counts(architecture)
        with st.container(horizontal=True, gap="medium"):
            st.metric(f"{name[0].upper()}{name[1:]}: by formula", f"{architecture.parameters:,}")
            st.metric("In the module that PyTorch built", f"{total:,}")
            st.metric("Difference", f"{architecture.parameters - total:,}")
        picture, terms = st.columns([1.1, 1], gap="medium")
        with picture:
            figure("block", drawings.block_frames, architecture, name)
            figure("whole", drawings.whole_frames, architecture, name)
        with terms:
            st.table(drawings.table(architecture, by_path), hide_index=True)
            st.caption(
                "Each line is counted twice, by the formula and in the module. d is d_model, f is d_ff, and the other "
                "letters are those of the boxes. Experts are built as libraries keep them: one tensor for all of a block."
            )

    st.subheader("How far 12 d² is off", anchor=False)
    st.markdown(
        "Two designs grow wider; the width of a head, how heads are shared, the ratio d_ff / d, the vocabulary and the "
        "number of layers stay. The share of the embeddings shrinks with the width. What grouped heads and the gate "
        "change does not."
    )
    widths, labels = parameters.WIDTHS, [f"{d:,}" for d in parameters.WIDTHS]
    sweep("width", "d_model of both designs", widths, drawings.rule_frames, default=4096, labels=labels)

    st.subheader("What the count costs", anchor=False)
    st.markdown(
        "Here every layer sees every token. In Mistral 7B, GPT-Neo, Gemma 2, Gemma 3 and gpt-oss some or all layers see a "
        "window only, and need no cache beyond it."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        precision = controls.choice("Precision", "precision", drawings.PRECISIONS)
    with stage:
        figure("memory", drawings.memory_frames, architecture, name, precision)
    contexts, labels = parameters.CONTEXTS, [f"{n:,}" for n in parameters.CONTEXTS]
    shown = architecture, name, precision
    sweep("context", "Tokens in the context", contexts, drawings.cost_frames, *shown, default=1024, labels=labels)

    page.ran(counting.count, counting.attention_terms, counting.feed_forward_terms, counting.norm_terms)
    page.ran(counting.embedding_terms, parameters.placed, parameters.scaled, built_counts)
    page.ran(counting.memory, counting.kv_cache_bytes, counting.flops_per_token)
    page.takes(**parameters.settings(architecture))
