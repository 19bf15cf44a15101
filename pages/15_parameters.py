"""Question 15: counting parameters."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.parameters import concept
from core.experiments import parameters
from core.ops import counting
from core.presets import PRESETS, preset
from ui import controls
from ui.drawings import parameters as drawings
from ui.sweep import figure, sweep


def choice(label, key, options):
    """The words of one of a few options; a link carries them too."""
    return controls.choice(label, key, {word: word for word in options})


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


def models(key, draw, *arguments, label="Model", default=parameters.GPT_2):
    """A figure with the published models on its slider."""
    return sweep(key, label, parameters.SHOWN, draw, *arguments, default=default)


with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        kv_heads = choice("Key/value heads", "kv_heads", drawings.KV_HEADS)
        gate = choice("Feed-forward", "gate", drawings.GATES)
    with stage:
        name = models("layer_of", drawings.layer_frames, kv_heads, gate, label="A layer of")
    architecture, _ = in_hero = drawings.varied(name, kv_heads, gate)

    if page.look("whole"):
        page.says(
            "Around L layers stand embeddings of V tokens and P positions: in GPT-2 small N ≈ 12 L d² + V d + P d. An output "
            "head of its own, as in Llama 3 8B, is V d once more. Choose a published model, or change its numbers: a formula "
            "counts it, and so does a module that PyTorch builds on a device that stores no numbers (one layer of each stack, "
            "taken as often as it stands)."
        )
        side, stage = st.columns([1, 3.4], gap="large")
        with side:
            model = controls.choice("Model", "model", drawings.MODELS)
            published, typed = preset(model), {}
            st.caption(f"{PRESETS[model].note} Grey is as published, or follows what you type.".strip())
            boxes(drawings.BOXES, published, typed)
            typed |= drawings.SWITCHES["gated"][choice("Its feed-forward", "gated", drawings.SWITCHES["gated"])]
            with st.expander("More"):
                boxes(drawings.MORE, published, typed)
                for key, label in drawings.KINDS.items():
                    typed |= drawings.SWITCHES[key][choice(label, key, drawings.SWITCHES[key])]
                st.caption(
                    "Not counted: models of pictures and sound, whose first layer is a convolution; a shared expert beside "
                    "the routed ones; layers of different shapes; latent attention; state spaces."
                )
            architecture, called, refused = parameters.asked(published, typed)
        with stage:
            if refused:
                st.error(f"{drawings.worded(refused)} Until you change it, {model} is shown as published.")
            called = f"your {model}" if called else model
            figure("whole", drawings.whole_frames, architecture, called)
            if architecture != in_hero[0]:  # whose layer stands above
                figure("own", drawings.own_frames, architecture, called)
            total, by_path = parameters.built_model(architecture)
            with st.expander(f"By formula {architecture.parameters:,}, in the built module {total:,}: term by term"):
                page.says(drawings.table(architecture, by_path))

    if page.look("memory"):
        page.says(
            "So what does the count cost? First memory: training keeps a gradient for every weight and, with Adam, two "
            "running means. “Mixed” keeps gradients in 16 bits, as Rajbhandari et al. 2020 (arXiv 1910.02054) count it. "
            "Running the model needs the weights, and what the last look shows."
        )
        models("memory_of", drawings.memory_frames)

    if page.look("work"):
        page.says(
            "Then work: a weight of a matrix multiplies once for every token that meets it, and a product and its sum are two FLOPs. Attention’s "
            "own work, between positions, has no weights: with n tokens in sight it is 4 · n · d in a layer, beside 2 · 12 d² of its "
            "weights: equal at n = 6 d (question 1). In a causal text it sees half on average: equal at 12 d, the threshold of Kaplan et al. 2020 (arXiv 2001.08361)."
        )
        models("work_of", drawings.work_frames)

    if page.look("cache"):
        page.says(
            "What attention sees must still be there: a model that writes keeps, in each of L layers, g keys and g values of "
            "the width dₕ of a head, 2 · L · g · dₕ numbers a token. Grouped heads make g smaller. The figure is without windows: layers "
            "that see only one (all of Mistral 7B v0.1 and of Phi-3 mini 4k, every other one of gpt-oss) need no cache beyond it."
        )
        models("cache_of", drawings.cache_frames, default=parameters.LLAMA_3)

    page.ran(counting.count, counting.attention_terms, counting.feed_forward_terms, counting.norm_terms)
    page.ran(counting.embedding_terms, parameters.placed, parameters.built_block, parameters.built_model)
    page.ran(counting.memory, counting.flops_per_token, counting.kv_cache_bytes)
    page.takes(**parameters.settings(architecture))
