"""Question 4: a row under the mask; who influences whom; the detector; one word more, several at once, and nobody."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.experiments import masking
from core.experiments.masking import Where
from core.ops.words import tokens
from core.say import count, listed, number, percent
from core.training import leak
from ui import figures
from ui.drawings import corners
from ui.figures import Frame, Series
from ui.palette import INK, KEY, WITH, WITHOUT

KINDS = {
    "causal": "causal",
    "none": "no mask",
    "ahead": "one step too far",
    "strict": "strict",
    "prefix": "prefix open",
    "own": "my own",
}
MASK_HELP = (
    "Causal: a word sees itself and what came before. One step too far: also the next word. Strict: only what came before, "
    "so that row 0 is empty. Prefix open: the first words see each other, the rest is causal. My own: write it, or choose its cells."
)
OWN_HELP = "Or choose the cells of the mask in “Look closer”, by a click or by the keyboard."
WHERE: dict[Where, str] = {
    "before": "−∞ before the softmax",
    "after": "trap: 0 after the softmax",
    "multiply": "trap: logits times 0",
}
VOCABULARIES = {16: "16", 4: "4", 64: "64"}
LENGTHS = {16: "16", 4: "4", 8: "8"}
ROOMY = 7  # words up to which the cells have room for their numbers
LONGEST = 9  # letters of a word that a label shows
HERO = 290  # pixels: question, prediction and hero fit one screen
BAR, TOP = 0.38, 1.3  # the width of a bar, and the height of the hero's axis: arcs pass over bars of 1
ARC = 40  # pixels of an arc that carries a weight of 1
Words = Sequence[str]

SENTENCES = (
    masking.SENTENCE,
    "yes no",
    "a b c d e f g h i j k l",
    "no no no no no",
    "👩‍👩‍👧 🇫🇷🇫🇷🇫🇷🇫🇷🇫🇷🇫🇷 naïveté",
    "<b>&amp;</b> supercalifragilistic",
)
MASKS = ("causal", "none", "ahead", "strict", "prefix", "nobody")
SEEDS = (0, 9999)


def letters(word: str) -> list[str]:
    """The letters as people see them: with their accents, joined emoji and flags in one piece.

    >>> [len(one) for one in letters("e\u0301a👩\u200d👧🇫🇷👍🏽")]
    [2, 1, 3, 2, 2]
    """
    found: list[str] = []
    for c in word:
        last = found[-1] if found else ""
        goes_on = last and (
            unicodedata.category(c)[0] == "M"
            or c == "\u200d"
            or last.endswith("\u200d")
            or "\U0001f3fb" <= c <= "\U0001f3ff"
            or (len(last) == 1 and all("\U0001f1e6" <= flag <= "\U0001f1ff" for flag in (last, c)))
        )
        if goes_on:
            found[-1] += c
        else:
            found.append(c)
    return found


def shortened(word: str) -> str:
    """A long word would push the figure aside; readings give it in full.

    >>> shortened("the"), shortened("supercalifragilistic")
    ('the', 'supercal…')
    """
    seen = letters(word)
    return word if len(seen) <= LONGEST else "".join(seen[: LONGEST - 1]) + "…"


def labelled(words: Words) -> list[str]:
    """Position and word, since a word may stand twice."""
    return [f"{i} {shortened(word)}" for i, word in enumerate(words)]


def columns(words: Words) -> list[str]:
    """The same under a heatmap, or only the positions where there is no room: its rows have the words."""
    return labelled(words) if len(words) <= ROOMY else [str(i) for i in range(len(words))]


def places(words: Words) -> list[str]:
    """The same under bars, or only the positions where the words do not fit beside each other."""
    labels = labelled(words)
    fit = len(labels) * max(map(len, labels)) <= 44
    return [figures.escape(label) if fit else str(i) for i, label in enumerate(labels)]


def _text(n: int) -> str:
    return ".2f" if n <= ROOMY else ""


# ------------------------------------------------------------------------------------------------ one row after another


@corners(sentence=SENTENCES, rows=MASKS, where=tuple(WHERE), seed=SEEDS)
def attention_frames(sentence: str, rows: str, where: Where, seed: int) -> list[Frame]:
    """One frame for each query row: the weights of the head with that row framed, and where the row's weight goes."""
    head = masking.head(sentence, rows, where, seed)
    n = len(head.words)
    hidden = ~head.visible & (head.weights == 0)
    said = [
        words
        for words, there in (("hatched is hidden", hidden), ("blank is not a number", head.weights.isnan()))
        if there.any()
    ]
    frames = []
    for i in range(n):
        grid = figures.heatmap(
            head.weights,
            title=f"Weights of one head{': ' if said else ''}{' and '.join(said)}",
            limits=(0, 1),
            hatched=hidden,
            hatch_name="hidden: exactly 0",
            rows=labelled(head.words),
            columns=columns(head.words),
            row_names=labelled(head.words),
            column_names=labelled(head.words),
            chosen_row=i,
            text=_text(n),
            colour_bar=n > ROOMY,
            height=HERO,
        )
        frames.append(Frame((_struck(grid, n), flow_chart(head, i, where)), row_reading(head, i, where)))
    return frames


def _struck(figure: figures.Figure, n: int) -> figures.Figure:
    """What is hidden is hatched by a slanting stroke, as nothing else on this page."""
    figure["data"][1]["marker"].update(symbol="line-ne", size=20 if n <= ROOMY else 11)
    return figure


def _spelt(figure: figures.Figure, text: str | list[str]) -> figures.Figure:
    """What has no colour of its own says in its cell what it is: exactly 0, or not a number."""
    figure["data"][1].update(mode="text", text=text, textfont={"color": WITHOUT, "size": 11})
    return figure


def flow_chart(head: masking.Head, i: int, where: Where) -> figures.Figure:
    """The weights of one row without the mask and with it, to scale; arcs carry what hidden words lose to those who gain."""
    n, seen = len(head.words), head.visible[i].tolist()
    figure = figures.Figure(flow_title(head, i, where), "key: who is asked, by position", "weight", HERO)
    labels = labelled(head.words)
    before, after = (figures.numbers(weights[i]) for weights in (head.unmasked, head.weights))
    hatch = {"shape": ["" if one else "/" for one in seen], "fillmode": "replace", "size": 6}
    for name, side, heights, colour in (("without the mask", -1, before, WITHOUT), ("with it", 1, after, WITH)):
        figure.trace(
            "bar",
            x=figures.numbers(np.arange(n) + side * BAR / 2),
            y=heights,
            width=BAR,
            name=name,
            marker={"color": colour, **({"pattern": hatch} if side < 0 else {})},
            customdata=labels,
            hovertemplate="%{customdata}: %{y:.3f}",
        )
    flow = head.flow(i)
    for j, k in flow.nonzero().tolist():
        figure.shape(
            type="path",
            path=_arc((j - BAR / 2, float(before[j])), (k + BAR / 2, float(after[k]))),
            line={"color": figures.faded(WITH, 0.5), "width": ARC * float(flow[j, k])},
        )
    gains = flow.sum(0).nonzero().flatten().numpy()
    figure.trace(
        "scatter",
        x=figures.numbers(gains + BAR / 2),
        y=after[gains] + 0.035,
        mode="markers",
        marker={"symbol": "triangle-down", "size": 9, "color": WITH},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.lay_out(
        barmode="overlay",
        transition={"duration": 400, "easing": "cubic-in-out"},
        showlegend=True,
        xaxis={"range": [-0.6, n - 0.4], "tickvals": list(range(n)), "ticktext": places(head.words), "showgrid": False},
        yaxis={"range": [0, TOP], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
    )
    told = ["not a number" if np.isnan(weight) else weight for weight in after.tolist()]
    figure.tabulate(
        ["key", "weight without the mask", "weight with it"],
        [list(pair) for pair in zip(labels, before.tolist(), told, strict=True)],
    )
    return figure


def _arc(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A parabola from the top of one bar to the top of another, over those between, and below the top of the figure."""
    (x0, y0), (x1, y1) = start, end
    over = min(max(y0, y1) + 0.14 + 0.05 * abs(x1 - x0), TOP - 0.1)
    return f"M {x0:g},{y0:g} Q {(x0 + x1) / 2:g},{2 * over - (y0 + y1) / 2:g} {x1:g},{y1:g}"


def flow_title(head: masking.Head, i: int, where: Where) -> str:
    seen, n = int(head.visible[i].sum()), len(head.words)
    if seen == n:
        what = "nothing is hidden, nothing flows"
    elif where == "multiply":
        what = "forbidden words keep weight"
    elif where == "after":
        what = "hidden weight is lost"
    else:
        what = "hidden weight flows to the visible" if seen else "not a number"
    return f"Row {i}, “{figures.escape(shortened(head.words[i]))}”: {what}"


def row_reading(head: masking.Head, i: int, where: Where) -> str:
    n, seen, row = len(head.words), int(head.visible[i].sum()), head.weights[i]
    who = f"Row {i} (“{head.words[i]}”)"
    if not seen:
        return (
            f"{who} may look at nobody: "
            + {
                "before": "every logit is −∞, and a softmax over nothing is not a number.",
                "after": "all its weights were set to 0 after the softmax, so its output is 0.",
                "multiply": f"every logit became 0, so each of the {n} words gets {percent(float(row[0]))} all the same.",
            }[where]
        )
    if seen == n:
        return f"{who} may look at {'both words' if n == 2 else f'all {n} words'}: nothing is hidden, so nothing flows."
    hidden = ~head.visible[i]
    would, kept, leaked = (
        percent(float(weights.sum())) for weights in (head.unmasked[i][hidden], head.unmasked[i][~hidden], row[hidden])
    )
    others = "the hidden word" if n - seen == 1 else "hidden words"
    who = f"{who} may look at {seen} of {n} words"
    if where == "before":
        return (
            f"{who}: the {would} of its weight that {others} would get goes to {'it' if seen == 1 else 'these'}. Zeros after "
            f"the softmax instead would leave a row that sums to {kept}."
        )
    if where == "after":
        return (
            f"{who}: the {would} of its weight that {others} would get goes to nobody. The row sums to {kept}, not to "
            f"100\u00a0%."
        )
    gets = "gets" if n - seen == 1 else "get"
    less = f"{leaked} of its weight ({would} without a mask)" if leaked != would else f"{leaked}, as without a mask"
    return f"{who}, but {others} {gets} {less}. A logit of 0 counts as e⁰ = 1, not as nothing."


# ------------------------------------------------------------------------------------------------ influence


@corners(sentence=SENTENCES, rows=MASKS, seed=SEEDS)
def influence_frames(sentence: str, rows: str, seed: int) -> list[Frame]:
    """The mask, and what can really influence what, for the three ways to apply it."""
    heads = {where: masking.head(sentence, rows, where, seed) for where in WHERE}
    one = heads["before"]
    n, labels = len(one.words), labelled(one.words)
    high = max(float(head.influence.max()) for head in heads.values())
    look: dict[str, Any] = {
        "rows": labels,
        "columns": [str(i) for i in range(n)],  # four panels in a row leave no room for words
        "row_names": labels,
        "column_names": labels,
        "colour_bar": False,
        "height": 300 if n <= ROOMY else 400,
    }
    panels = [
        figures.heatmap(
            one.visible.float(),
            title=f"The mask allows {int(one.visible.sum())} of {n * n}: click it",
            limits=(0, 2),
            hatched=~one.visible,
            hatch_name="hidden",
            clickable=True,
            **look,
        )
    ]
    _struck(panels[0], n)
    strokes = panels[0]["data"][1]
    del strokes["hovertemplate"]
    strokes["hoverinfo"] = "skip"  # a click beside a stroke belongs to the cell that it is in, not to the stroke
    for where, head in heads.items():
        grid = figures.heatmap(
            head.influence,
            title=f"{WHERE[where].removeprefix('trap: ').capitalize()}: {head.pairs} of {n * n} act",
            row_title="output of this word",
            column_title="input of this word, by position",
            hatched=head.influence == 0,
            hatch_name="exactly 0",
            limits=(0, max(high, 1e-9)),
            text=_text(n),
            **look,
        )
        panels.append(_spelt(grid, "0"))
    return [Frame(tuple(panels), influence_reading(heads))]


def influence_reading(heads: dict[Where, masking.Head]) -> str:
    one = heads["before"]
    every, allowed = one.visible.numel(), int(one.visible.sum())
    after, multiply = heads["after"].pairs, heads["multiply"].pairs
    if allowed == every == one.pairs:
        return (
            f"Nothing is hidden, so the three ways are the same: each of the {every} pairs of an output and an input has "
            "influence."
        )
    said = (
        f"Of {every} pairs of an output and an input the mask allows {allowed or 'none'}. With −∞ before the softmax "
    )
    if not allowed:
        return (
            f"{said}no output is a number (they count as 0 here), so no pair has influence; with zeros after it "
            f"{after or 'none'} has, and {multiply} have with logits times 0."
        )
    asking = int(((one.influence != 0) & ~one.visible).sum())
    these = "these" if allowed > 1 else "this one"
    said += (
        f"{one.pairs} have influence, {these} and {asking} in which a word that is hidden from itself still asks; "
        if asking
        else f"exactly {these} {'have' if allowed > 1 else 'has'} influence; "
    )
    said += (
        f"with zeros after it or with logits times 0, {after} have"
        if after == multiply
        else f"with zeros after it {after} have, and {multiply} with logits times 0"
    )
    empty = [str(i) for i in (~one.visible.any(-1)).nonzero().flatten().tolist()]
    if empty:
        rows, counts = ("row", "sees nobody and counts") if len(empty) == 1 else ("rows", "see nobody and count")
        said += f" ({rows} {listed(empty)} {counts} as 0 under −∞)"
    return said + "."


# ------------------------------------------------------------------------------------------------ the detector


def leak_frame(progress: leak.Progress) -> Frame:
    names = (("honest mask", WITH), ("one step too far", KEY))
    series = [
        Series(name, run, colour, width=1.6, legend=r == 0)
        for (name, colour), runs in zip(names, progress.losses, strict=True)
        for r, run in enumerate(runs)
    ]
    n, top, runs = progress.length, 1.35 * progress.entropy, progress.losses.shape[1]
    last = min(leak.LAST, int(progress.at[-1]))
    honest, leaking = progress.by_position.mean(1)
    steps = "the last step" if last == 1 else f"the last {last} steps"
    stand, cheat, copied, left = (number(float(x)) for x in (*progress.now.mean(-1), leaking[:-1].mean(), leaking[-1]))
    return Frame(
        (
            figures.lines(
                series,
                x=progress.at,
                title=f"Training loss on random tokens, {count(runs, 'seed')} each",
                x_title="training step",
                y_title="cross-entropy, nats",
                x_range=(0, progress.steps),
                y_range=(0, top),
                height=380,
                levels={
                    f"ln V = {number(progress.entropy)}: entropy of the data": (progress.entropy, INK),
                    f"ln V / N = {number(progress.floor)}: floor of the leak": (progress.floor, INK),
                },
            ),
            figures.bars(
                [Series(name, values, colour) for (name, colour), values in zip(names, (honest, leaking), strict=True)],
                labels=[str(i) for i in range(n)],
                title=f"The same by position, mean of {steps}",
                x_title="position",
                y_title="cross-entropy, nats",
                y_range=(0, top),
                height=380,
            ),
        ),
        f"After {count(int(progress.at[-1]), 'step')} the honest runs lose {stand} nats and the leaking ones {cheat}, where "
        f"the entropy of the data is ln {progress.vocabulary} = {number(progress.entropy)}. Before the last position the "
        f"leaking runs lose {copied}, and there {left}: its answer is not among the inputs.",
    )


# ------------------------------------------------------------------------------------------------ one more word


@corners(sentence=SENTENCES, word=("today", "the", "🐈", "supercalifragilistic"), seed=SEEDS)
def append_frames(sentence: str, word: str, seed: int) -> list[Frame]:
    causal, full = (masking.append(sentence, word, c, seed) for c in (True, False))
    most = float(causal.change.max())
    name = "causal mask" if most else "causal mask: exactly 0"
    still = (
        "no earlier output changes at all" if most == 0 else f"earlier outputs change by {number(most, 2)}, by rounding"
    )
    apart = "exactly" if causal.cache == 0 else f"to within {number(causal.cache, 2)}"
    return [
        Frame(
            (
                figures.bars(
                    [Series("no mask", full.change, WITHOUT), Series(name, causal.change, WITH)],
                    labels=places(tokens(sentence)),
                    title="Change of each earlier output when the word is appended",
                    x_title="earlier word, by position",
                    y_title="largest change of a feature",
                    height=260,
                ),
            ),
            f"Append “{word}”: with the causal mask {still}; without a mask they change by up to "
            f"{number(float(full.change.max()), 2)}. So keys and values can be kept: decoding word by word with a cache gives the "
            f"outputs of the full pass {apart}.",
        )
    ]


# ------------------------------------------------------------------------------------------------ several new words


@corners(sentence=SENTENCES, seed=SEEDS)
def late_frames(sentence: str, seed: int) -> list[Frame]:
    """One frame for each number of new words: torch's triangle at the top left, and the one that is wanted."""
    words = tokens(sentence)
    n, frames = len(words), []
    for new in range(1, n + 1):
        top_left, wanted = (masking.late(how, new, sentence, seed) for how in ("is_causal", "bottom right"))
        frames.append(
            Frame(
                tuple(
                    _struck(
                        figures.heatmap(
                            weights,
                            title=title,
                            rows=labelled(words)[-new:],
                            columns=columns(words),
                            row_title="new words ask",
                            column_title="key: in the cache, or new",
                            limits=(0, 1),
                            hatched=weights == 0,
                            hatch_name="hidden",
                            text=_text(n),
                            colour_bar=False,
                            height=220 if n <= ROOMY else 320,
                        ),
                        n,
                    )
                    for title, weights in (
                        ("is_causal=True: the corner at the top left", top_left),
                        (f"Wanted: tril({n - new}), the corner at the bottom right", wanted),
                    )
                ),
                late_reading(new, n, sentence, seed),
            )
        )
    return frames


def late_reading(new: int, n: int, sentence: str, seed: int) -> str:
    wrong, wanted, torchs, full = (
        masking.late(how, new, sentence, seed) for how in ("is_causal", "bottom right", "lower_right", "full pass")
    )
    off = max(float((weights - wanted).abs().max()) for weights in (torchs, full))
    apart = "exactly" if off == 0 else f"to within {number(off, 2)}"
    rows = "row" if new == 1 else f"{new} rows"
    same = f"causal_lower_right({new}, {n}) and the last {rows} of a full pass agree with that {apart}."
    everyone = "both" if n == 2 else f"all {n}"
    if new == n:
        return f"Where {everyone} words are new, the corners are the same and is_causal=True is right; {same}"
    if new == 1:
        return (
            f"One new word against {n} keys: is_causal=True lets it see {count(int((wrong != 0).sum()), 'key')}, the oldest, "
            f"where {everyone} are right, so that it needs no mask. {same}"
        )
    first, last = ((weights != 0).sum(-1)[[0, -1]].tolist() for weights in (wrong, wanted))
    between = "and" if new == 2 else "to"
    return (
        f"{new} new words against {n} keys: is_causal=True lets them see {first[0]} {between} {first[1]} keys, where {last[0]} "
        f"{between} {last[1]} are right. {same}"
    )


# ------------------------------------------------------------------------------------------------ nobody


LIBRARIES = {  # at the axis, and in a sentence
    "softmax as written": "the softmax as written",
    "F.scaled_dot_product_attention": "F.scaled_dot_product_attention",
    "nn.MultiheadAttention": "nn.MultiheadAttention",
    "need_weights=False, training": "nn.MultiheadAttention with need_weights=False in training",
    "need_weights=False, inference": "its fast path for inference",
    "lowest number added": "the lowest finite number added",
}


@corners(sentence=SENTENCES, seed=SEEDS)
def nobody_frames(sentence: str, seed: int) -> list[Frame]:
    found = masking.libraries(sentence, -1, seed)
    n = found.row.shape[-1]
    plain = found.row.isnan() | (found.row == 0)
    grid = figures.heatmap(
        found.row,
        title="The weights of row 0, which sees nobody (NaN: not a number)",
        rows=list(LIBRARIES),
        columns=columns(tokens(sentence)),
        row_title="computed by",
        limits=(0, 1),
        text=_text(n),
        hatched=plain,
        hatch_name="exactly 0, or not a number",
        colour_bar=False,
        height=280,
    )
    said = ["0" if weight == 0 else "NaN" for weight in found.row[plain].tolist()]
    return [Frame((_spelt(grid, said),), nobody_reading(found))]


def nobody_reading(found: masking.Libraries) -> str:
    named = list(zip(LIBRARIES.values(), found.row, strict=True))
    lost = [name for name, row in named if row.isnan().all()]
    zero = [name for name, row in named if (row == 0).all()]
    return (
        f"In torch {masking.TORCH} the weights of row 0 are not a number by {listed(lost)}; they are 0 by {listed(zero)}. "
        f"Adding the lowest finite number gives every word {percent(float(found.row[-1].max()))}, hidden or not."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return attention_frames(masking.SENTENCE, masking.rows_of("causal", 6)[0], "before", 0)[2]
