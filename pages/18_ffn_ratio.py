"""Question 18: the ratio of 4."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts.ffn_ratio import concept
from core.experiments import ffn_ratio as experiment
from core.ops import widths
from core.say import listed
from core.training import ffn_ratio as training
from ui import controls
from ui.drawings import ffn_ratio as drawings
from ui.sweep import sweep

with lesson(concept) as page:
    side, stage = page.hero()
    with side:
        name = controls.choice("Llama’s rounding", "rounded_as", drawings.MODELS)
        st.caption(
            "Llama’s code cuts 2⁄3 · 4 d to a whole number, in some models multiplies it and cuts again, and rounds up to a multiple."
        )
    with stage:
        ratio = sweep(
            "ffn_ratio",
            "Ratio of two matrices",
            experiment.STOPS,
            drawings.ratio_frames,
            name,
            default=4,
            panel_width=400,
        )

    if page.look("trained"):
        page.says(
            f"Decoders of one layer, all with {training.PARAMETERS:,} parameters to within {experiment.parameter_spread():.1%}: where the "
            "feed-forward layer is wider, d_model is narrower. Widths are whole, so that what is called "
            f"{listed([f'{r:g}' for r in training.RATIOS])} is {listed([f'{r:.2g}' for r in experiment.built('gelu').tolist()])}. "
            "SwiGLU is drawn at 3/2 of its own ratio, so that equal numbers of weights stand above each other.\n\n"
            f"The text’s probabilities are known, and with them the least possible loss, {experiment.least_loss():.2f} nats. "
            f"{training.STEPS} steps of Adam, {len(training.SEEDS)} seeds, trained beforehand; of {len(training.RATES)} learning rates, each "
            "about twice the one before, a ratio takes its best, chosen on the texts that then measure it. One small task: it shows what a "
            "ratio can do, not which one is best for language."
        )
        names, draw = list(drawings.NAMES.values()), drawings.trained_frames
        sweep(
            "ratio_activation",
            "Activation",
            tuple(drawings.NAMES),
            draw,
            default="gelu",
            labels=names,
            buttons=True,
            panel_width=380,
        )

    if page.look("trap"):
        page.says(
            "A ratio changes the widths, and with them the learning rate that suits. The same runs, compared as they would be if one "
            "learning rate had been used for all."
        )
        side, stage = st.columns([1, 5], gap="medium")
        with side:
            activation = controls.choice("Activation in all", "trap_activation", drawings.NAMES)
        with stage:
            rates, draw = training.RATES, drawings.trap_frames
            sweep("trap_rate", "Learning rate", rates, draw, activation, default=0.05, panel_width=380)

    if page.look("memory"):
        page.says(
            f"Is it width for memory? {training.FACTS} random keys, each with one of {training.CLASSES} classes. *Written in*: the "
            "key is a column of W_up, the class a row of W_down, one fact a unit, as many facts as there are units. *Trained*: a layer of that width "
            "alone, with Adam on all facts, without noise. Then both are asked, if you like with noise on the query. "
            "How units of a trained Transformer act as memory, question 10 shows."
        )
        noises, labels = training.NOISES, [f"{noise:g}" for noise in training.NOISES]
        sweep("query_noise", "Noise on the query", noises, drawings.recall_frames, default=0.0, labels=labels)

    if page.look("flops"):
        page.says(
            "A token’s work in one layer: two FLOPs for every weight, and between tokens 4 · N · d (question 1), with full heads. Shares of "
            "parameters are question 15."
        )
        contexts, labels = experiment.CONTEXTS, [f"{n:,}" for n in experiment.CONTEXTS]
        draw = drawings.work_frames
        sweep("ratio_context", "Tokens in sight N", contexts, draw, default=8192, labels=labels, panel_width=380)

    page.ran(widths.matrix_parameters, widths.equal_ratio, widths.llama_width, widths.planted, experiment.published)
    page.ran(experiment.tuned, experiment.at_one_rate, experiment.work, training.train, training.learn)
    page.takes(ratio=ratio, **experiment.settings(name))
