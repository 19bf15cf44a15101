"""Question 20: what a Transformer can compute."""

from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.universality import concept
from core.experiments import universality as machines
from core.ops import programs
from core.training import universality as training
from ui import controls
from ui.drawings import universality as drawings
from ui.sweep import figure, sweep
from ui.training import live

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        program = controls.choice("Program", "program", drawings.CHOICES, help=drawings.BUILT_HELP)
        symbols = machines.READS[program]
        label, key = drawings.BOXES[symbols]
        asked = controls.words(f"{label} (1 to {machines.MOST[program]})", key, machines.USUAL[symbols], max_chars=40)
        text, refused = machines.text_of(program, asked)
        if refused:
            st.warning(f"{refused} Until then, the figures show “{text}”.")
        gap = controls.stops("Logit gap", "program_gap", drawings.GAPS, machines.GAP, help=drawings.GAP_HELP)
        st.caption("One forward pass of a Transformer whose weights were written by hand. No training.")
    with stage:
        names, draw = drawings.steps(program), drawings.program_frames
        how = {"default": drawings.telling(program), "labels": names, "panel_width": 300}
        sweep(f"step_of_{len(names)}", "Step", range(len(names)), draw, program, text, gap, **how)

    if page.look("approximation"):
        page.says(drawings.THREE_CLAIMS)
        page.says(
            "Those weights compute one function each; are there weights for any? A finite table is such a function (made constant near each text): here each of the 256 texts of four tokens gets four answers, "
            "all drawn at random. Without positions an encoder is permutation equivariant (question 13): reorder the text, and the answers are reordered alike. So places that look alike must share an answer, and the best "
            "possible score can be computed before any training."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            table = controls.seed("table_seed")
            st.caption("Another seed draws another table.")
        with stage:
            figure("table_ceiling", drawings.ceiling_frame, table)
            before = training.trained() if table == 0 else None
            draw = partial(drawings.table_frame, table)
            how = "Train on this table now", training.train, draw
            live("table", *how, table, share=lambda p: p.done, shipped=before)

    if page.look("size"):
        page.says(
            "The theorem does not say how large the model must be. Table 0 again, with positions, in three widths and three depths, three seeds each. This is what "
            f"{training.SIZE_STEPS:,} steps of Adam reach in each size, not what its weights could hold at best. The second figure compares them by parameters."
        )
        sweep("size_depth", "Layers", training.DEPTHS, drawings.size_frames, default=1, buttons=True, panel_width=340)

    if page.look("limits"):
        page.says(
            "So far texts were short. What wears out as they grow, in a model that does not? A flipped bit is one value among n, and so moves an average by about 1/n "
            "(Hahn 2020 proves such a bound for fixed models with softmax, without LayerNorm; ours are ten random encoders of two layers, a mean over them). Averages that differ by 1/n become one number when they are "
            "stored in a format with a coarser grid: a model that counts by averages, as those above do, then loses count. And a softmax with a given gap gives its favourite ever less."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            lead = controls.stops("Lead of the logit", "limit_gap", drawings.LEADS, 5)
            seed = controls.seed("limit_seed")
        with stage:
            draw, labels = drawings.limit_frames, [f"{n:,}" for n in drawings.STOPS]
            sweep("limit_length", "Tokens n", drawings.STOPS, draw, lead, seed, default=512, labels=labels)

    if page.look("steps"):
        page.says(
            "One flipped bit turns the parity of a text (whether its ones are odd in number), so it is a hard case. Two layers learn it in one pass from all texts of up to 6 bits (one run without positions not quite): an encoder at BOS, "
            "or a decoder at the last bit with ALiBi (question 11). Decoders of the same size read a bit, write the parity so far, read the next bit; when tested, they continue from what they wrote, right or "
            "wrong. Their training says more: the parity after every bit. That one pass fails shows what this training found, not what a Transformer can express; where it is below 50 %, it has learned a rule, only not parity. Neither remedy does it "
            "alone."
        )
        how = {"default": 15, "panel_width": 340}
        sweep("parity_bits", "Bits", training.READ_AT, drawings.parity_frames, **how)

    page.ran(machines.forward, machines.machine, machines.matrix, machines.bent, programs.interpolated)
    page.ran(programs.equivariant_most, training.train, machines.influence, machines.merged, training.parity)
    page.takes(program=program, text=text, gap=gap)
