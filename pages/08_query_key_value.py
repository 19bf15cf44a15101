"""Question 8: queries, keys and values."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.query_key_value import concept
from core.experiments import query_key_value as qkv
from core.ops import retrieval
from core.ops.attention import attention
from ui import controls
from ui.drawings import query_key_value as drawings
from ui.sweep import figure, sweep

PAIRS = f"Two numbers for each entry, from −{qkv.BOUND:g} to {qkv.BOUND:g}, with a comma between entries."

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        length = controls.real("Query length", "q_length", 0.0, drawings.LONGEST, qkv.LENGTH, 0.5)
        names = controls.words(f"Names (1 to {qkv.MOST})", "entries", qkv.NAMES, max_chars=70)
        keys = controls.words("Keys: pairs within ±4", "keys_at", qkv.KEYS, max_chars=90, help=PAIRS)
        values = controls.words("Values: pairs within ±4", "values_at", qkv.VALUES, max_chars=90, help=PAIRS)
        dictionary, refused = qkv.dictionary_of(names, keys, values)
        if refused:
            st.warning(f"{refused} Until then, the figures show the usual entries.")
    with stage:
        draw = drawings.plane_frames
        angle = sweep("q_angle", "Angle of the query", qkv.ANGLES, draw, dictionary, length, default=40, unit="°")

    if page.look("soft"):
        page.says(
            "How sharp must a query be, so that one entry has nearly all the say? Give one logit a lead β over N − 1 equal ones: "
            "its weight is $e^\\beta / (e^\\beta + N - 1)$. Each doubling of a large dictionary asks for about ln 2 = 0.69 more."
        )
        sweep("lead_n", "Entries N", qkv.SIZES, drawings.soft_frames, default=64, panel_width=340)

    if page.look("pure"):
        page.says(
            "Do random keys lead by so much? Draw them from N(0, 1) and ask for each by itself. The lead is about √dₖ: narrow "
            "heads mix, however right the winner is. And in the narrowest, a longer key often beats the right one."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            seed = controls.seed("recall_seed")
        with stage:
            sweep("recall_d_k", "Width dₖ", qkv.WIDTHS, drawings.pure_frames, seed, default=64, panel_width=340)

    if page.look("laws"):
        page.says(
            "A lookup obeys laws. Five tokens with queries, keys and values of four whole numbers, whose logits are exact in a "
            "computer: what may be done to them without anybody noticing? c is a vector, A an invertible matrix; “rounding” is less than 10⁻¹²."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            seed = controls.seed("law_seed")
        with stage:
            done, names_of = qkv.LAWS, [drawings.LAW_NAMES[name] for name in qkv.LAWS]
            draw, usual = drawings.law_frames, "all_keys"
            sweep("law", "What is done", done, draw, seed, default=usual, labels=names_of, buttons=True)

    if page.look("arithmetic"):
        page.says(
            "And where does a logit come from? Choose one of the same five tokens’ twenty-five: its products, its sum, its weight."
        )
        places = {i: str(i) for i in range(qkv.TOKENS)}
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            row = controls.choice("Query (row)", "of_query", {2: "2"} | places)
            column = controls.choice("Key (column)", "on_key", {3: "3"} | places)
            seed = controls.seed("term_seed")

        def click(_: int, row: int, column: int) -> None:
            st.session_state["of_query"], st.session_state["on_key"] = str(row), str(column)

        with stage:
            figure("written", drawings.arithmetic_frames, row, column, seed, panel_width=340, clicked=click)

    page.ran(attention, qkv.turn, qkv.touched, retrieval.match_weight, qkv.recall_of, qkv.law, qkv.term_by_term)
    page.takes(angle=angle, length=length, **qkv.settings(*dictionary))
