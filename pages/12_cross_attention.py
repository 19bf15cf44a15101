"""Question 12: cross-attention."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.cross_attention import concept
from core.experiments import cross_attention as cross
from core.ops.cross import cross_attention, cross_weights
from core.ops.dates import MOST
from core.training import cross_attention as training
from ui import controls
from ui.drawings import cross_attention as drawings
from ui.sweep import figure, sweep
from ui.training import live


def date(label: str, key: str, instead: str) -> str:
    """The reader's text, or the last resort with the reason why."""
    text = controls.words(label, key, instead, max_chars=60, help=drawings.STYLES_HELP)
    blank = not st.session_state.get(key, instead).strip()
    source, refused = cross.source_of("" if blank else text, instead)
    if refused:
        st.warning(f"{refused} Until then, the figures show “{instead}”.")
    return source


with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        source = date(f"A date (up to {MOST} characters)", "date_text", cross.EXAMPLE)
        layer = controls.choice("Decoder layer", "cross_layer", drawings.LAYERS)
        head = controls.choice("Head", "cross_head", drawings.HEADS)
        found = cross.translate(source)
        st.caption(drawings.verdict(found))
    with stage:
        labels = drawings.labels(found)
        steps, usual = range(len(labels)), min(6, len(labels) - 1)
        draw, chosen = drawings.translation_frames, (source, layer, head)
        step = sweep("date_written", "Writing", steps, draw, *chosen, default=usual, labels=labels, panel_width=340)

    if page.look("link"):
        page.says(
            "Lines of attention could be decoration. So change what they bring: shuffle it, cut it, or give the decoder the memory of "
            "another date (of a text as long), from the start or after some characters. A decoder’s cache does hold traces of the first "
            "source, in its second layer; but what it needs it asks for again at each step, and then the memory that is there answers."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            other = date("The other date", "other_date", cross.OTHER)
        with stage:
            draw, after = drawings.link_frames, "The other’s memory after … characters"
            sweep("handed_after", after, range(training.WRITTEN), draw, source, other, default=4, panel_width=330)
        page.says(
            "A tenth of all days was held out, each tested in one style; these models were trained on the rest. Train one again, now:"
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            seed = controls.choice("Seed of the run", "date_seed", {s: str(s) for s in training.SEEDS})
        with stage:
            run = training.trained_run(seed)
            draw = partial(drawings.training_frame, run, seed)
            live("date_run", "Train this seed", training.train, draw, seed, share=lambda p: p.done, shipped=run)

    if page.look("asks"):
        page.says(
            "If the memory decides, who may touch it, and who asks? A derivative says how much an output moves when an input does: it is "
            "exactly 0 where the wiring has no way from one to the other. So count the pairs that act (whose derivative is not 0), for the "
            "date at the top of the page; the grids show how much the logit (the score before the softmax) of each written token moves. The source acts on all "
            "that is written; what was written acts on later tokens only, never on the source’s keys and values."
        )
        figure("who_asks", drawings.influence_frames, source, panel_width=300)

    if page.look("masks"):
        page.says(
            "Since every query may look at the whole source, nothing must stand there that is not source. Texts in a batch are filled up to "
            "equal length (question 9): the encoder hides the padding from itself, and cross-attention needs that mask once more. A causal "
            "mask would serve nothing: the whole source is there before writing begins. Put on these models, which were trained "
            "without one, it hides what their queries ask for."
        )
        sweep("date_pads", "Tokens of padding", training.PADS, drawings.mask_frames, source, default=8, panel_width=300)

    if page.look("caches"):
        page.says(
            "What does the link cost? Four more matrices in each decoder layer; and while it writes, a second cache. Keys and values "
            "of the source depend on nothing that is written, so they are made once; the decoder’s own grow with every token. If the encoder "
            "asked the decoder in turn, the memory would depend on what is written, and nothing could be kept."
        )
        draw, tokens = drawings.cache_frames, [str(i + 1) for i in steps]
        sweep("kept_after", "Tokens written", steps, draw, source, default=usual, labels=tokens, panel_width=340)

    page.ran(cross_attention, cross_weights, training.encode_embedded, training.decode_embedded, training.write)
    page.ran(cross.translate, cross.link, cross.influence, cross.padded, cross.caches, training.learn)
    page.takes(source=source, written=found.written[:step])
