"""Question 5: what a token reaches in three families; what one more token changes; who needs both sides; the ledger."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.experiments import encoder_decoder as families
from core.experiments.encoder_decoder import FAMILIES, KEPT, Family, To
from core.ops.counting import Kind
from core.say import count, listed, number, percent
from core.training import encoder_decoder as training
from ui import figures
from ui.drawings import corners
from ui.drawings.masking import SENTENCES, letters, shortened
from ui.figures import Box, Figure, Frame, Label, Path, Series
from ui.palette import INK, KEY, MASKED, OCHRE, QUERY, WITH, WITHOUT, faded

NAMES: dict[Family, str] = {
    "encoder": "Encoder-only (BERT)",
    "decoder": "Decoder-only (GPT)",
    "encoder-decoder": "Encoder-decoder (T5)",
}
SHORT = 5  # letters of a word beside a row of the rectangle
TO: dict[To, str] = {"target": "target", "source": "source"}
TARGETS = (families.TARGET, "oui", "le chat s'assit là", "<b>&amp;</b> 👩‍👩‍👧 supercalifragilistic")
SEEDS = (0, 9999)
HERO = 340  # pixels: question, prediction and hero fit one screen
ROOMY = 7  # words up to which the cells have room for their numbers
THIN, THICK = 1.0, 7.0  # pixels of a line that carries hardly anything, and of the strongest of all
GOAL: dict[Family, str] = {
    "encoder": "trained to fill gaps",
    "decoder": "trained to continue a text",
    "encoder-decoder": "becomes",
}
WORDS, ENCODED, OUTPUTS = 0.0, 0.92, 2.0  # heights: the words, the encoder's outputs, the outputs
GRID, STEP = 1.34, 0.13  # where the block of cross-attention begins, and how high a row of it is
GAP = 0.5  # columns between source and target
PANEL = 275  # pixels of a panel where it is narrowest

# ------------------------------------------------------------------------------------------------ what a token reaches


@corners(sentence=SENTENCES, target=TARGETS, seed=SEEDS)
def reach_frames(sentence: str, target: str, seed: int) -> list[Frame]:
    """One frame for each word of the sentence: the outputs that answer to it, in each family."""
    found, seen = families.reach(sentence, target, seed), families.sight(sentence, target, seed).across.all(0)
    most = max(float(each.max()) for each in (found.encoder, found.decoder, found.source, found.own))
    return [
        Frame(
            (
                stack_figure(found, "encoder", token, most),
                stack_figure(found, "decoder", token, most),
                both_figure(found, seen, token, most),
            ),
            reach_reading(found, token),
        )
        for token in range(len(found.words))
    ]


def _curve(figure: Figure, begin: tuple[float, float], end: tuple[float, float], colour: str, width: float) -> None:
    """A line that leaves and arrives upright."""
    (x0, y0), (x1, y1) = begin, end
    bend = (y1 - y0) / 2
    path = f"M{x0:g},{y0:g}C{x0:g},{y0 + bend:g} {x1:g},{y1 - bend:g} {x1:g},{y1:g}"
    figure.shape(type="path", path=path, line={"color": colour, "width": width})


def _wide(strength: float, most: float) -> float:
    return round(THIN + (THICK - THIN) * strength / most, 2)


def _dots(
    figure: Figure, x: Sequence[float], y: float, colours: Sequence[str], sizes: Sequence[float], notes: Sequence[str]
) -> None:
    """Where `colours` is empty, a ring."""
    figure.trace(
        "scatter",
        x=figures.numbers(x),
        y=figures.numbers([y] * len(x)),
        mode="markers",
        marker={
            "color": [colour or MASKED for colour in colours],
            "symbol": ["circle" if colour else "circle-open" for colour in colours],
            "size": list(sizes),
            "opacity": 1,
            "line": {"width": 1.5},
        },
        text=list(notes),
        hoverinfo="text",
    )


def _turned(found: families.Reach) -> bool:
    """Whether the words stand upright, in all three panels alike: where they do not fit beside each other in the third."""
    longest = max(len(letters(shortened(word))) for word in (*found.words, *found.target))
    return longest * 6 > (PANEL - _room(found)) / (_places(found)[-1] + 1.2)


def _rows(found: families.Reach) -> list[str]:
    """The target's words beside the rows of the rectangle, where there is little room."""
    return ["".join(letters(t)[: SHORT - 1]) + "…" if len(letters(t)) > SHORT else t for t in found.target]


def _room(found: families.Reach) -> float:
    """Pixels that these take."""
    return 6.4 * max(len(letters(name)) for name in _rows(found)) + 6


def _named(
    figure: Figure, words: Sequence[str], x: Sequence[float], turned: bool, chosen: int | None = None, size: int = 13
) -> None:
    """The words under their dots."""
    for i, (word, at) in enumerate(zip(words, x, strict=True)):
        text = figures.escape(shortened(word))
        figure.note(
            f"<b>{text}</b>" if i == chosen else text,
            x=at,
            y=WORDS - 0.1,
            yanchor="top",
            textangle=-90 if turned else 0,
            font={"color": WITH if i == chosen else INK, "size": size},
        )


def _places(found: families.Reach) -> list[float]:
    """Where the target's words stand, right of the source's."""
    return [len(found.words) + GAP + i for i in range(len(found.target))]


def _plane(title: str, across: float, turned: bool, left: float = 0.7) -> Figure:
    figure = Figure(title, "", "", HERO)
    plain = {"visible": False, "fixedrange": True}
    figure.lay_out(
        xaxis={**plain, "range": [-left, across - 0.3]},
        yaxis={**plain, "range": [-1.05 if turned else -0.6, 2.3]},
        showlegend=False,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
    )
    return figure


def _answers(word: str, output: str, strength: float) -> str:
    how = "exactly 0" if strength == 0 else number(strength, 2)
    return f"{figures.escape(output)}: answers to {figures.escape(word)} by {how}"


def _told(figure: Figure, rows: list[list[str | float | None]]) -> Figure:
    figure.tabulate(["input", "output", "‖∂output / ∂input‖"], rows)
    return figure


def stack_figure(found: families.Reach, family: Family, token: int, most: float) -> Figure:
    """One stack: the chosen word below, the outputs above, a line to each that answers."""
    n, word, strengths = len(found.words), found.words[token], found.of(family, token).tolist()
    figure = _plane(f"{NAMES[family]}: reaches {found.reached(family, token)} of {n}", n, _turned(found))
    for i, strength in enumerate(strengths):
        if strength:
            _curve(figure, (token, WORDS), (i, OUTPUTS), WITH, _wide(strength, most))
    _outputs(figure, found.words, range(n), word, strengths)
    _inputs(figure, found, token)
    _below(figure, GOAL[family], (n - 1) / 2, WITHOUT, _turned(found))
    return _told(figure, [[word, output, s] for output, s in zip(found.words, strengths, strict=True)])


def _below(figure: Figure, text: str, middle: float, colour: str, turned: bool) -> None:
    figure.note(text, x=middle, y=-1.05 if turned else -0.6, yanchor="bottom", font={"color": colour, "size": 14})


def _inputs(figure: Figure, found: families.Reach, token: int, size: int = 13) -> None:
    n = len(found.words)
    _dots(
        figure,
        range(n),
        WORDS,
        [WITH if j == token else WITHOUT for j in range(n)],
        [15 if j == token else 8 for j in range(n)],
        [f"{figures.escape(word)}, word {j}" for j, word in enumerate(found.words)],
    )
    _named(figure, found.words, range(n), _turned(found), token, size)


def _outputs(figure: Figure, names: Sequence[str], x: Sequence[float], word: str, strengths: Sequence[float]) -> None:
    """Full where they answer, rings where the derivative is exactly 0."""
    _dots(
        figure,
        x,
        OUTPUTS,
        [WITH if strength else "" for strength in strengths],
        [11] * len(x),
        [_answers(word, f"output of {name}", s) for name, s in zip(names, strengths, strict=True)],
    )
    silent = [at for at, strength in zip(x, strengths, strict=True) if not strength]
    middle = (min(x) + max(x)) / 2
    if silent:
        figure.note(
            "exactly 0",
            x=sum(silent) / len(silent),
            y=OUTPUTS + 0.1,
            yanchor="bottom",
            font={"color": WITHOUT, "size": 14},
        )
        middle = (max(silent) + 1 + max(x)) / 2
    if len(silent) < len(x):
        figure.note(
            "output" if len(x) - len(silent) == 1 else "outputs", x=middle, y=OUTPUTS + 0.1, yanchor="bottom",
            font={"color": INK, "size": 14},
        )  # fmt: skip


def both_figure(found: families.Reach, seen: Tensor, token: int, most: float) -> Figure:
    """Two stacks: the word through the encoder, and through the rectangle of cross-attention, filled where a word of the
    target (row) sees an output of the encoder (column) in every layer, to the target's outputs. Grey, the target's own
    words, which reach no output before them."""
    n, m, word = len(found.words), len(found.target), found.words[token]
    places, turned = _places(found), _turned(found)
    left = 0.5 + (places[-1] + 1.2) * _room(found) / (PANEL - _room(found))
    figure = _plane(
        f"{NAMES['encoder-decoder']}: reaches {found.reached('encoder-decoder', token)} of {m}",
        places[-1] + 1,
        turned,
        left,
    )
    top = GRID + STEP * m
    for row, column in found.own.T.nonzero().tolist():
        strength = float(found.own[column, row])
        _curve(figure, (places[row], WORDS), (places[column], OUTPUTS), faded(WITHOUT, 0.5), _wide(strength, most))
    for k, strength in enumerate(found.encoder[:, token].tolist()):
        if strength:
            _curve(figure, (token, WORDS), (k, ENCODED), WITH, _wide(strength, most))
            figure.shape(
                type="line", x0=k, x1=k, y0=ENCODED, y1=GRID, line={"color": WITH, "width": _wide(strength, most)}
            )
    strengths = found.source[:, token].tolist()
    for t, strength in enumerate(strengths):
        if strength:
            x, y, end = n - 0.5, top - STEP * (t + 0.5), places[t]
            path = f"M{x:g},{y:g}C{end:g},{y:g} {end:g},{y:g} {end:g},{OUTPUTS:g}"
            figure.shape(type="path", path=path, line={"color": WITH, "width": _wide(strength, most)})
    figure.trace(
        "heatmap",
        z=figures.numbers(seen),
        x0=0,
        dx=1,
        y0=top - STEP / 2,
        dy=-STEP,
        zmin=0,
        zmax=1,
        colorscale=[[0, "rgba(0,0,0,0)"], [1, faded(WITH, 0.25)]],
        showscale=False,
        xgap=1,
        ygap=1,
        text=[
            [
                f"{figures.escape(t)} {'sees' if sees else 'does not see'} the encoder’s output of {figures.escape(k)}"
                for k, sees in zip(found.words, row, strict=True)
            ]
            for t, row in zip(found.target, seen.tolist(), strict=True)
        ],
        hoverinfo="text",
    )
    figure.shape(
        type="rect", x0=-0.5, x1=n - 0.5, y0=GRID, y1=top, line={"color": INK, "width": 1.5}, fillcolor="rgba(0,0,0,0)"
    )
    figure.note(
        f"cross-attention:<br>{int(seen.sum())} of {m * n} seen",
        x=-left,
        y=top + 0.02,
        xanchor="left",
        align="left",
        yanchor="bottom",
        font={"color": INK, "size": 14},
    )
    for t, name in enumerate(_rows(found)):
        figure.note(
            figures.escape(name),
            x=-0.6,
            y=top - STEP * (t + 0.5),
            xanchor="right",
            yanchor="middle",
            font={"color": QUERY, "size": 12},
        )
    _dots(
        figure,
        range(n),
        ENCODED,
        [WITH if s else "" for s in found.encoder[:, token].tolist()],
        [8] * n,
        [_answers(word, f"encoder output of {name}", s) for name, s in zip(found.words, found.encoder[:, token].tolist(), strict=True)],
    )  # fmt: skip
    _outputs(figure, found.target, places, word, strengths)
    _dots(
        figure, places, WORDS, [QUERY] * m, [8] * m, [f"{figures.escape(w)}, target word {t}" for t, w in enumerate(found.target)]
    )  # fmt: skip
    _inputs(figure, found, token, 12)
    _named(figure, found.target, places, turned, size=12)
    source, middle = (n - 1) / 2, sum(places) / m
    for text, at, colour in (
        ("source", source, KEY),
        (GOAL["encoder-decoder"], (source + middle) / 2, WITHOUT),
        ("target", middle, QUERY),
    ):
        _below(figure, text, at, colour, turned)
    return _told(
        figure,
        [[word, output, s] for output, s in zip(found.target, strengths, strict=True)]
        + [
            [f"target: {given}", output, float(found.own[t, s])]
            for s, given in enumerate(found.target)
            for t, output in enumerate(found.target)
        ],
    )


def reach_reading(found: families.Reach, token: int) -> str:
    n, m, word = len(found.words), len(found.target), f"“{found.words[token]}”"
    if found.words.count(found.words[token]) > 1:
        word += f" (word {token})"
    encoder, decoder, both = (found.reached(family, token) for family in FAMILIES)
    every = "both outputs" if n == 2 else f"all {n} outputs"
    first = (
        f"{word} reaches {every} of the encoder"
        if encoder == n
        else f"{word} reaches {encoder} of {n} outputs of the encoder"
    )
    if decoder == n:
        second = f"{'both' if n == 2 else f'all {n}'} of the decoder too, as nothing stands before it"
    elif decoder == 1:
        second = "only its own in the decoder, as nothing comes after it"
    else:
        second = f"{decoder} of the decoder, its own and what comes after"
    target = (
        "the one output of the target"
        if m == 1
        else "both outputs of the target"
        if m == 2
        else f"all {m} outputs of the target"
    )
    third = f"{target}, through cross-attention" if both == m else f"{both} of {m} outputs of the target"
    silent = n - decoder
    zero = (
        f" For {'the output' if silent == 1 else f'the {silent} outputs'} before it in the decoder the derivative is exactly 0."
        if silent
        else ""
    )
    return f"{first}, {second}, and {third}.{zero}"


# ------------------------------------------------------------------------------------------------ one more word

WHOLE_SOURCE = "source"
ROWS = ("keys, values<br>of layer 1", "keys, values<br>of layer 2", "output")


@corners(sentence=SENTENCES, target=TARGETS, word=(families.ONE_MORE, "cat", "<b>é"), to=tuple(TO), seed=SEEDS)
def append_frames(sentence: str, target: str, word: str, to: To, seed: int) -> list[Frame]:
    """By how much one more word changes what each family had computed for the words before it."""
    found = families.append(sentence, target, word, to, seed)
    most = max(float(found.of(family).max()) for family in FAMILIES)
    return [
        Frame(
            tuple(append_figure(found, family, word, to, most) for family in FAMILIES), append_reading(found, word, to)
        )
    ]


def append_figure(found: families.Appended, family: Family, word: str, to: To, most: float) -> Figure:
    """Rows: the keys and values of both layers, and the outputs; columns: the words that were there before. In the third
    first the source in one column, since a target word's layers keep keys and values of both texts."""
    both, change = family == "encoder-decoder", found.of(family)
    words = list(found.target if both else found.words)
    title = kept_of_both(found) if both else f"{NAMES[family]}: {kept_words(change, short=True)}"
    if both:
        change = torch.cat([found.source.amax(-1, keepdim=True), change], -1)
        words = [WHOLE_SOURCE, *words]
    roomy = len(words) <= ROOMY
    own = words[1:] if both else words
    fits = roomy and max(len(letters(shortened(word))) for word in own) * 7 < 190 / len(words)
    shown = [shortened(w) if fits else str(i) for i, w in enumerate(own)]
    figure = figures.heatmap(
        change,
        title=title,
        rows=list(KEPT),
        row_names=list(KEPT),
        columns=[WHOLE_SOURCE, *shown] if both else shown,
        column_names=words,
        row_title="largest change of",
        column_title="the source, or a target word" if both else "word",
        limits=(0, most or 1.0),
        text=".2f" if roomy else "",
        colour_bar=False,
        height=270,
    )
    if roomy:  # what is not 0 is not called 0
        told = [["0" if x == 0 else number(x, 2) if x >= 0.005 else "<.01" for x in row] for row in change.tolist()]
        figure["data"][0].update(text=told, texttemplate="%{text}")
    # Cells of exactly 0 are as pale as the paper: thin lines keep them apart.
    ends, thin = (len(words) - 0.5, len(KEPT) - 0.5), {"color": faded(MASKED, 0.6), "width": 1}
    for i in range(len(words) + 1):
        figure.shape(type="line", x0=i - 0.5, x1=i - 0.5, y0=-0.5, y1=ends[1], line=thin)
    for i in range(len(KEPT) + 1):
        figure.shape(type="line", x0=-0.5, x1=ends[0], y0=i - 0.5, y1=i - 0.5, line=thin)
    figure["layout"]["yaxis"].pop("autorange")
    figure.lay_out(xaxis={"range": [-0.5, len(words) - 0.5]}, yaxis={"range": [2.5, -0.5], "ticktext": list(ROWS)})
    return figure


def kept_of_both(found: families.Appended) -> str:
    """Of the third family, what stays: all, or what its target's words have of themselves. No longer than its panel."""
    kept = kept_words(found.both, short=True)
    if not found.source.any() or kept == "keeps nothing":
        return f"{NAMES['encoder-decoder']}: {kept}"
    return f"Encoder-decoder: {kept.replace('keeps', 'keeps target’s')}"


def kept_words(change: Tensor, short: bool = False) -> str:
    """What stays exactly as it was, said of the one who keeps it.

    >>> import torch
    >>> kept_words(torch.zeros(3, 2)), kept_words(torch.tensor([[0.0], [1.0], [1.0]]), short=True)
    ('keeps all it had, exactly', 'keeps layer 1')
    """
    kept = [not row.any() for row in change]
    if all(kept):
        return "keeps all" if short else "keeps all it had, exactly"
    names = ("layer 1", "layer 2", "outputs") if short else KEPT
    if not any(kept):
        return "keeps nothing"
    return f"keeps {'' if short else 'only the '}{listed([name for name, one in zip(names, kept, strict=True) if one])}"


def append_reading(found: families.Appended, word: str, to: To) -> str:
    def moved(change: Tensor) -> str:
        return f"change by up to {number(float(change[-1].max()), 2)}"

    outputs = "both outputs" if len(found.words) == 2 else f"all {len(found.words)} outputs"
    encoder = f"The encoder {kept_words(found.encoder)}"
    if found.encoder[-1].any():
        encoder += f": {outputs} {moved(found.encoder)}"
    decoder = f"With “{word}” appended, the decoder {kept_words(found.decoder)}"
    if to == "target":
        return (
            f"{decoder}, and so does the target’s half of the encoder-decoder. {encoder}."
            if not found.both.any()
            else (f"{decoder}; the target’s half of the encoder-decoder {kept_words(found.both)}. {encoder}.")
        )
    crossed = number(float(found.source[:-1].max()), 2)
    return (
        f"{decoder}. {encoder}; appended to the source, it changes cross-attention’s keys and values by up to {crossed} and the "
        f"target’s outputs by up to {number(float(found.both[-1].max()), 2)}."
    )


# ------------------------------------------------------------------------------------------------ both sides

ARMS: dict[training.Arm, tuple[str, str, str]] = {
    "both": ("bidirectional", WITH, "solid"),
    "past": ("causal", WITHOUT, "solid"),
    "end": ("causal, asked at the end", OCHRE, "dash"),
}


def sides_frame(progress: training.Progress) -> Frame:
    """The loss of every run so far, and the probability that each right answer gets."""
    series = []
    for (name, colour, dash), runs in zip(ARMS.values(), progress.losses, strict=True):
        for seed, curve in zip(progress.seeds, runs, strict=True):
            first = seed == progress.seeds[0]
            label = name if first else f"{name}, seed {seed}"
            series.append(Series(label, curve, colour, dash, width=1.8, legend=first))
    losses = figures.lines(
        series,
        x=progress.at,
        title=f"Loss while learning, {count(len(progress.seeds), 'seed')}",
        x_title="training step",
        y_title="loss in nats",
        x_range=(0, progress.steps),
        y_range=(0, max(3.2, 1.05 * float(progress.losses.max()))),
        levels={f"ln {training.VALUES} = {number(training.FLOOR)}: guessing": (training.FLOOR, INK)},
        height=360,
    )
    return Frame((losses, sight_figure(progress)), sides_reading(progress))


def sight_figure(progress: training.Progress) -> Figure:
    """The example 5 ? 6 in each arm: what the gap sees, and what the right answer gets by now."""
    parts: list[Box | Path | Label] = []
    for k, ((arm, (name, colour, _)), right) in enumerate(zip(ARMS.items(), progress.right.mean(-1), strict=True)):
        y, text = 74 - 34 * k, ("5", "6", "?") if arm == "end" else ("5", "?", "6")
        gap = text.index("?")
        seen = training.SEEN[arm][gap]
        parts.append(Label(2, y + 20, name, colour, side="middle right", size=15))
        for i, one in enumerate(text):
            left = 3 + 15 * i
            sees = bool(seen[i])
            parts.append(
                Box(
                    left,
                    y - 6,
                    12,
                    12,
                    one,
                    colour if sees else MASKED,
                    0.15 if sees else 0,
                    "solid" if sees else "dot",
                )
            )
            if i != gap and sees:
                x, end = left + 6, 3 + 15 * gap + (4 if i < gap else 8) - 2 * (arm == "end" and i == 0)
                parts.append(
                    Path(((x, y + 6), ((x + end) / 2, y + 13), (end, y + 7)), colour, 2, arrow=True, curved=True)
                )
        parts.append(Label(52, y + 3, "the right answer", INK, side="middle right", size=14))
        parts.append(Label(52, y - 5, f"gets {percent(float(right), 3)}", colour, side="middle right", size=17))
    return figures.diagram(
        parts,
        title="What the gap sees, and the right answer’s probability",
        x_range=(0, 100),
        y_range=(-2, 102),
        height=360,
    )


def between(values: Tensor, digits: int) -> str:
    low, high = (number(float(v), digits) for v in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def sides_reading(progress: training.Progress) -> str:
    both, past, end = (between(losses, digits) for losses, digits in zip(progress.final, (2, 3, 2), strict=True))
    step = int(progress.at[-1])
    when = "Before the first step" if step == 0 else f"After {count(step, 'step')}"
    return (
        f"{when} the loss is {both} nats if both sides are seen, and {past} under the causal mask, which cannot average less "
        f"than ln {training.VALUES} = {number(training.FLOOR)} here. Causal, from the same weights, but asked at the end, it is {end}."
    )


# ------------------------------------------------------------------------------------------------ the ledger

PURPOSES = {
    "BERT base": "to fill gaps and to tell whether one sentence follows another, and then to label texts and words (Devlin et al. 2019)",
    "RoBERTa large": "to fill gaps, like BERT, on more text (Liu et al. 2019)",
    "GPT-2 small": "to continue a text (Radford et al. 2019)",
    "Llama 3 8B": "to continue a text and, as Instruct, to follow instructions (Grattafiori et al. 2024)",
    "Transformer base (2017)": "to translate (Vaswani et al. 2017)",
    "T5 base": "to restore gaps and, mixed with that, to turn one text into another for many tasks (Raffel et al. 2020)",
    "BART large": "to restore corrupted texts, and then to summarise, to answer or to label (Lewis et al. 2020)",
}
WHY = {
    "Llama 3 8B": {
        "self-attention": "for attention, whose heads share keys and values",
        "feed-forward": "for a gated feed-forward layer",
    }
}
KINDS: dict[Kind, str] = {"encoder": "encoder-only", "decoder": "decoder-only", "encoder-decoder": "encoder-decoder"}
STACKED = {"self-attention": WITHOUT, "cross-attention": WITH, "feed-forward": OCHRE}
STACKS = ("encoder", "decoder")


def named_layers() -> list[tuple[str, str, dict[str, int], int]]:
    """Model, what its layer is called in the figure, the parameters of that layer by part, and d."""
    found = []
    for name in families.SHOWN:
        one = families.ledger(name)
        for stack, parts in zip(STACKS, one.stacks, strict=False):
            found.append((name, f"{name}, {stack}" if len(one.stacks) == 2 else name, parts, one.d_model))
    return found


@corners()
def ledger_frames() -> list[Frame]:
    """One frame for each model: its layers, and how many attentions it has, among those of the others."""
    return [Frame((layers_figure(name), modules_figure(name)), ledger_reading(name)) for name in families.SHOWN]


def _lying(title: str, x_title: str, names: Sequence[str]) -> Figure:
    figure = Figure(title, x_title, "", 400)
    figure.lay_out(
        barmode="stack",
        bargap=0.25,
        showlegend=True,
        legend={"traceorder": "normal"},
        yaxis={"type": "category", "range": [len(names) - 0.5, -0.5], "automargin": True, "showgrid": False},
    )
    return figure


def layers_figure(chosen: str) -> Figure:
    rows = named_layers()
    names = [label for _, label, _, _ in rows]
    figure = _lying("Parameters of one layer", "in units of d², the square of the model’s width", names)
    for part, colour in STACKED.items():
        figure.trace(
            "bar",
            orientation="h",
            y=names,
            x=figures.numbers([parts[part] / d**2 for _, _, parts, d in rows]),
            name=part,
            marker={"color": colour, "opacity": [1 if model == chosen else 0.35 for model, *_ in rows]},
            customdata=[f"{parts[part]:,}" for _, _, parts, _ in rows],
            hovertemplate="%{y}, " + part + ": %{customdata}<extra></extra>",
        )
    figure.lay_out(xaxis={"range": [0, 17]})
    parts_of = list(rows[0][2])
    figure.tabulate(["layer", "d", *parts_of], [[label, d, *parts.values()] for _, label, parts, d in rows])
    return figure


def modules_figure(chosen: str) -> Figure:
    ledgers = {name: families.ledger(name) for name in families.SHOWN}
    names = list(ledgers)
    figure = _lying("Attention modules in the whole model", "modules", names)
    figure.lay_out(barmode="group")
    for part, colour in tuple(STACKED.items())[:2]:
        many = [one.cross_attentions if part == "cross-attention" else one.self_attentions for one in ledgers.values()]
        figure.trace(
            "bar",
            orientation="h",
            y=names,
            x=figures.numbers(many),
            name=part,
            text=[str(n) for n in many],
            textposition="outside",
            textfont={"size": 14},
            cliponaxis=False,
            marker={"color": colour, "opacity": [1 if name == chosen else 0.35 for name in names]},
        )
    figure.lay_out(xaxis={"range": [0, 37]})
    return figure


def costs(parameters: int, d: int) -> str:
    """What a cross-attention with its norm is made of.

    >>> costs(2_360_064, 768)
    '4 d² + d: four matrices (4 d²) and a norm (d), no biases'
    >>> costs(2_363_904, 768)
    '4 d² + 6 d: four matrices (4 d²), their biases (4 d) and a LayerNorm (2 d)'
    """
    parts = {
        4 * d**2 + d: "four matrices (4 d²) and a norm (d), no biases",
        4 * d**2 + 6 * d: "four matrices (4 d²), their biases (4 d) and a LayerNorm (2 d)",
    }
    return f"{in_widths(parameters, d)}: {parts[parameters]}"


def in_widths(parameters: int, d: int) -> str:
    """Of a cross-attention with its norm.

    >>> in_widths(2_363_904, 768), in_widths(2_360_064, 768)
    ('4 d² + 6 d', '4 d² + d')
    """
    squares, rest = divmod(parameters, d**2)
    each = rest // d
    return f"{squares} d² + {'' if each == 1 else f'{each} '}d"


def ledger_reading(name: str) -> str:
    one = families.ledger(name)
    sums = [sum(parts.values()) for parts in one.stacks]
    purpose = f"It was trained {PURPOSES[name]}."
    d, parts = one.d_model, one.stacks[0]
    shares = ", ".join(f"{number(parts[part] / d**2)} d² {what}" for part, what in WHY.get(name, {}).items())
    shares = f" ({shares})" if shares else ""
    if len(sums) == 1:
        return (
            f"{name} is {KINDS[families.family_of(name)]}: a layer has {sums[0]:,} parameters{shares}, and none of its {one.self_attentions} layers has "
            f"cross-attention. {purpose}"
        )
    return (
        f"{name}: an encoder layer has {sums[0]:,} parameters, a decoder layer {one.cross:,} more for "
        f"cross-attention, {costs(one.cross, d)}. {purpose}"
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door."""
    return reach_frames(families.SENTENCE, families.TARGET, 0)[2]
