"""Question 4: a row under the mask; who influences whom; the detector; one word more, and a row that sees nobody."""

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
from ui.palette import INK, KEY, MASKED, OCHRE, ROSE, WITH, WITHOUT, faded

KINDS = {
    "causal": "causal",
    "none": "no mask",
    "ahead": "one step too far",
    "strict": "strict (not itself)",
    "prefix": "prefix open",
    "own": "my own",
}
MASK_HELP = (
    "Causal: a word sees itself and what came before. One step too far: also the next word. Strict: only what came before, "
    "so that row 0 is empty. Prefix open (T5 calls it causal with prefix): the first words see each other, the rest is causal. My own: write it, or choose its cells."
)
OWN_HELP = "Or choose the cells of the mask in “Look closer”, by a click or by the keyboard."
WHERE: dict[Where, str] = {"before": "−∞ before", "after": "0 after", "multiply": "× 0 before"}
WHERE_HELP = (
    "What is done to hidden words: their logits become −∞ before the softmax, which is masking; or, two traps, their weights "
    "become 0 after it, or their logits are multiplied by 0 before it."
)
VOCABULARIES = {16: "16", 4: "4", 64: "64"}
LENGTHS = {16: "16", 4: "4", 8: "8"}
ROOMY = 7  # words up to which the cells have room for their numbers
LONGEST = 9  # letters of a word that a label shows
HERO = 290  # pixels: question, prediction and hero fit one screen
BAR = 0.38  # the width of a bar
HEAD = 0.035  # half of an arrow's head, in the units of the weight axis
POOL, TOP = (1.13, 1.27), 1.3  # where what is lost is gathered, over bars of 1; and the height of the hero's axis
RIBBON = 18  # pixels of a ribbon that carries a weight of 1
WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
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


def shown(weight: float) -> str:
    """In a cell: two decimals, and what is not 0 is not called 0.

    >>> shown(0.4567), shown(0.0049), shown(0.0), shown(float("nan"))
    ('0.46', '<.01', '0', '')
    """
    return "" if np.isnan(weight) else "0" if weight == 0 else f"{weight:.2f}" if weight >= 0.005 else "<.01"


def _told(figure: figures.Figure) -> figures.Figure:
    """The cells say their numbers as `shown`, and lines around them keep pale ones apart from the paper."""
    cells = figure["data"][0]
    rows, columns = cells["z"].shape
    if cells.get("texttemplate"):
        text = [[figures.escape(shown(value)) for value in row] for row in cells["z"].tolist()]
        cells.update(text=text, texttemplate="%{text}")
    line = {"showgrid": True, "gridcolor": faded(MASKED, 0.6), "ticks": ""}
    for axis, n in (("xaxis", columns), ("yaxis", rows)):
        ends = [-0.5, n - 0.5]
        figure.lay_out(**{axis: {"minor": {**line, "tickvals": [i - 0.5 for i in range(n + 1)]}, "range": ends}})
    figure["layout"]["yaxis"].update(range=[rows - 0.5, -0.5])
    figure["layout"]["yaxis"].pop("autorange")
    return figure


# ------------------------------------------------------------------------------------------------ one row after another


@corners(sentence=SENTENCES, rows=MASKS, where=tuple(WHERE), seed=SEEDS)
def attention_frames(sentence: str, rows: str, where: Where, seed: int) -> list[Frame]:
    """One frame for each query row: the weights of the head with that row framed, and where the row's weight goes."""
    head = masking.head(sentence, rows, where, seed)
    n = len(head.words)
    hidden = ~head.visible & (head.weights == 0)
    lost = head.weights.isnan()
    leaking = ~head.visible & (head.weights > 0)
    said = "; NaN: not a number" if lost.any() else ": hatched is hidden" if hidden.any() else ""
    said = ": outlined is hidden" if leaking.any() else said
    frames = []
    for i in range(n):
        grid = figures.heatmap(
            head.weights,
            title=f"Weights of one random head (seed {seed}){said}",
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
        row, column = lost.nonzero(as_tuple=True)
        if len(row):
            where_lost = {"x": figures.numbers(column), "y": figures.numbers(row)}
            font = {"color": INK, "size": 12 if n <= ROOMY else 9}
            grid.trace("scatter", **where_lost, mode="text", text="NaN", textfont=font, hoverinfo="skip")
        _outline(grid, leaking)
        frames.append(Frame((_struck(_told(grid), n), flow_chart(head, i, where)), row_reading(head, i, where)))
    return frames


def _outline(figure: figures.Figure, leaks: Any) -> None:
    """What acts though it is hidden, here and in the map of influence."""
    if leaks.any():
        a = 0.46
        cells = leaks.nonzero().tolist()
        outline = "".join(f"M{c - a:g},{r - a:g}H{c + a:g}V{r + a:g}H{c - a:g}Z" for r, c in cells)
        figure.shape(type="path", path=outline, line={"color": KEY, "width": 1.5})


def _struck(figure: figures.Figure, n: int) -> figures.Figure:
    """What is hidden is hatched by slanting strokes, three in a cell: as a hidden bar is, and as nothing else here."""
    strokes = figure["data"][1]
    strokes.update(x=np.repeat(strokes["x"], 3), y=np.repeat(strokes["y"], 3))
    strokes["x"] += np.tile(np.array([-0.28, 0, 0.28], np.float32), len(strokes["x"]) // 3)
    strokes["marker"].update(symbol="line-ne", size=18 if n <= ROOMY else 9)
    return figure


def _spelt(figure: figures.Figure, text: str | list[str], colour: str = WITHOUT) -> figures.Figure:
    """What has no colour of its own says in its cell what it is: exactly 0, or not a number."""
    figure["data"][1].update(mode="text", text=text, textfont={"color": colour, "size": 12})
    return figure


def flow_chart(head: masking.Head, i: int, where: Where) -> figures.Figure:
    """The weights of one row without the mask and with it, to scale.

    Ribbons carry what is lost into one pool, and from there to those who gain, as wide as it is much: the pool is shared as
    the softmax shares, whoever lost. Where hidden words keep weight nothing is shared: they are outlined instead.
    """
    n, seen = len(head.words), head.visible[i].tolist()
    figure = figures.Figure(flow_title(head, i, where), "key: who is asked, by position", "weight", HERO)
    labels = labelled(head.words)
    before, after = (figures.numbers(weights[i]) for weights in (head.unmasked, head.weights))
    hatch = {"shape": ["" if one else "/" for one in seen], "fillmode": "replace", "size": 9, "solidity": 0.2}
    veiled = {"pattern": hatch, "line": {"color": WITHOUT, "width": [0 if one else 1 for one in seen]}}
    leaks = [not one and weight > 0 for one, weight in zip(seen, after.tolist(), strict=True)]
    outlined = {"line": {"color": KEY, "width": [2 if one else 0 for one in leaks]}}
    for name, side, heights, colour in (("without the mask", -1, before, WITHOUT), ("with it", 1, after, WITH)):
        figure.trace(
            "bar",
            x=figures.numbers(np.arange(n) + side * BAR / 2),
            y=heights,
            width=BAR,
            name=name,
            showlegend=False,
            marker={"color": colour, **(veiled if side < 0 else outlined)},
            customdata=labels,
            hovertemplate="%{customdata}: %{y:.3f}",
        )
    for name, colour, pattern in (("without the mask", WITHOUT, ""), ("with it", WITH, ""), ("hidden", WITHOUT, "/")):
        marker = {"color": colour, **({"pattern": {**hatch, "shape": pattern}} if pattern else {})}
        nothing = {"x": figures.numbers([0]), "y": figures.numbers([np.nan]), "hoverinfo": "skip"}
        figure.trace("bar", **nothing, name=name, marker=marker)  # for the legend alone
    flow = head.flow(i) * (where == "before")
    lost, gained = flow.sum(1).numpy(), flow.sum(0).numpy()
    losers, gainers = lost.nonzero()[0], gained.nonzero()[0]
    ends = [(j - BAR / 2, float(before[j]), float(lost[j])) for j in losers.tolist()]
    ends += [(k + BAR / 2, float(after[k]) + 0.05, float(gained[k])) for k in gainers.tolist()]
    for x, y, much in ends:
        line = {"color": faded(WITH, 0.5), "width": RIBBON * much}
        figure.shape(type="line", x0=x, x1=x, y0=y, y1=POOL[0], line=line)
    if ends:
        left, right = min(x for x, _, _ in ends) - 0.2, max(x for x, _, _ in ends) + 0.2
        pool = {"x0": left, "x1": right, "y0": POOL[0], "y1": POOL[1]}
        figure.shape(type="rect", **pool, line={"width": 0}, fillcolor=faded(WITH, 0.25))
        text = f"{percent(float(lost.sum()))} {'to share' if right - left > n / 3 else ''}".rstrip()
        figure.note(text, x=(left + right) / 2, y=sum(POOL) / 2, font={"color": INK, "size": 12})
    down, up = (gainers + BAR / 2, after[gainers] + HEAD), (losers - BAR / 2, np.full(len(losers), POOL[0] - HEAD))
    for (across, tops), symbol, shares in ((down, "triangle-down", gained[gainers]), (up, "triangle-up", lost[losers])):
        figure.trace(
            "scatter",
            x=figures.numbers(across),
            y=figures.numbers(tops),
            mode="markers",
            marker={"symbol": symbol, "size": figures.numbers(8 + RIBBON * shares), "color": WITH},
            hoverinfo="skip",
            showlegend=False,
        )
    axis = {"xref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "line": {"color": MASKED, "width": 1}}
    figure.shape(type="line", name="the axis ends at 1", **axis)
    figure.lay_out(
        barmode="overlay",
        transition={"duration": 400, "easing": "cubic-in-out"},
        showlegend=True,
        xaxis={"range": [-0.6, n - 0.4], "tickvals": list(range(n)), "ticktext": places(head.words), "showgrid": False},
        yaxis={"range": [0, TOP], "tickvals": [0, 0.25, 0.5, 0.75, 1], "showline": False},
    )
    told = ["not a number" if np.isnan(weight) else weight for weight in after.tolist()]
    figure.tabulate(
        ["key", "weight without the mask", "weight with it"],
        [list(pair) for pair in zip(labels, before.tolist(), told, strict=True)],
    )
    return figure


def flow_title(head: masking.Head, i: int, where: Where) -> str:
    seen, n = int(head.visible[i].sum()), len(head.words)
    if seen == n:
        what = "nothing is hidden, nothing flows"
    elif where == "multiply":
        what = "hidden words keep weight"
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
                "before": "its softmax is not a number.",
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
    one, who = n - seen == 1, f"{who} may look at {seen} of {n} words"
    others = "the hidden word" if one else "hidden words"
    if where == "before" and i + 1 < n and head.visible[i, i + 1]:
        shared = "goes to that one" if seen == 1 else f"is shared among those {WORDS[seen]}"
        return (
            f"{who}: the {would} that would have gone to the hidden {'one' if one else 'ones'} {shared}. “"
            f"{head.words[i + 1]}” is among them, the very next word: a row that is trained to predict it can copy it."
        ).replace("is among them", "is that one" if seen == 1 else "is among them")
    if where == "before":
        shared = "goes to that one" if seen == 1 else f"is shared among those {WORDS[seen]}"
        return f"{who}: the {would} that would have gone to the hidden {'one' if one else 'ones'} {shared}."
    if where == "after":
        weights = "its one visible weight still depends" if seen == 1 else "all visible weights still depend"
        return (
            f"{who}: the {would} that {others} would get goes to nobody. The row sums to {kept}, not to 100\u00a0%, and "
            f"{weights} on {others if one else 'the hidden words'}."
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
        "columns": columns(one.words),
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
    _struck(_told(panels[0]), n)
    panels[0]["data"][0]["text"] = [["may look" if cell else "hidden" for cell in row] for row in one.visible.tolist()]
    panels[0]["data"][0]["hovertemplate"] = "%{y} → %{x}: %{text}<extra></extra>"
    strokes = panels[0]["data"][1]
    del strokes["hovertemplate"]
    strokes["hoverinfo"] = "skip"  # a click beside a stroke belongs to the cell that it is in, not to the stroke
    for where, head in heads.items():
        grid = figures.heatmap(
            head.influence,
            title=f"{WHERE[where]}: {head.pairs} of {n * n} act",
            row_title="output of this word",
            column_title="input of this word",
            hatched=head.influence == 0,
            hatch_name="exactly 0",
            limits=(0, max(high, 1e-9)),
            text=_text(n),
            **look,
        )
        _outline(grid, (head.influence != 0) & (one.influence == 0))
        grid["data"][0]["hovertemplate"] = "input %{x} → output %{y}: %{z:.3f}<extra></extra>"
        panels.append(_spelt(_told(grid), "0"))
    if n <= ROOMY:
        for panel in panels:
            panel.lay_out(xaxis={"tickangle": -50})
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
        f"Of {every} pairs of an output and an input the mask allows {allowed or 'none'} and hides {every - allowed}. "
        "With −∞ before the softmax "
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


LEAKING: dict[leak.Mask, tuple[str, str]] = {
    "causal": ("−∞ before: honest", WITH),
    "ahead": ("one step too far", KEY),
    "after": ("0 after", OCHRE),
    "multiply": ("× 0 before", ROSE),
}


def leak_frame(progress: leak.Progress) -> Frame:
    names = [LEAKING[mask] for mask in leak.MASKS]
    series = [
        Series(name, run, colour, width=1.6, legend=r == 0)
        for (name, colour), runs in zip(names, progress.losses, strict=True)
        for r, run in enumerate(runs)
    ]
    n, top, runs = progress.length, 1.35 * progress.entropy, progress.losses.shape[1]
    at = int(progress.at[-1])
    last = min(leak.LAST, at)
    places = progress.by_position.mean(1)
    steps = "the last step" if last == 1 else f"the last {last} steps"
    when = (
        f"Over the last {last} of {at} steps"
        if at > last
        else "In the first step"
        if at == 1
        else f"Over the first {at} steps"
    )
    honest, ahead, after, multiply = (number(float(x)) for x in progress.now.mean(-1))
    ends = [number(float(x)) for x in places[:, -1]]
    return Frame(
        (
            figures.lines(
                series,
                x=progress.at,
                title=f"Training loss on fresh random tokens, {count(runs, 'seed')} each",
                x_title="training step",
                y_title="cross-entropy, nats",
                x_range=(0, progress.steps),
                y_range=(0, top),
                height=380,
                levels={
                    f"ln V = {number(progress.entropy)}: entropy of the data": (progress.entropy, INK),
                    f"ln V / N = {number(progress.floor)}: floor one step too far": (progress.floor, INK),
                },
            ),
            figures.lines(
                [
                    Series(name, values, colour, width=1.6, markers=True)
                    for (name, colour), values in zip(names, places, strict=True)
                ],
                x=list(range(n)),
                x_ticks=list(range(n)),
                x_range=(-0.5, n - 0.5),
                title=f"The same by position, mean of {steps}",
                x_title="position",
                y_title="cross-entropy, nats",
                y_range=(0, top),
                height=380,
            ),
        ),
        f"{when} the honest runs lose {honest} nats, one step too far {ahead}, × 0 before {multiply} and 0 after {after}, where "
        f"the entropy of the data is ln {progress.vocabulary} = {number(progress.entropy)}. At position {n - 1}, where no later "
        f"word stands among the inputs, they lose {ends[0]}, {ends[1]}, {ends[3]} and {ends[2]}.",
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
    moved = "all of them change, by up to" if bool((full.change > full.rounding).all()) else "they change by up to"
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
            f"Append “{word}”: with the causal mask {still}; without a mask {moved} "
            f"{number(float(full.change.max()), 2)}. So keys and values can be kept: decoding word by word with a cache gives the "
            f"outputs of the full pass {apart}.",
        )
    ]


# ------------------------------------------------------------------------------------------------ nobody


LIBRARIES = (  # in the order of `masking.Libraries.row`; at the axis, a comma ends the first line
    "softmax as written",
    "F.scaled_dot_product_attention",
    "nn.MultiheadAttention, as it comes",
    "nn.MultiheadAttention, need_weights=False, training",
    "nn.MultiheadAttention, its fast path, inference",
    "lowest number added",
)


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
        height=320,
    )
    lines = [name.replace(", ", ",<br>", 1) for name in LIBRARIES]
    grid.lay_out(yaxis={"ticktext": lines})
    said = ["0" if weight == 0 else "NaN" for weight in found.row[plain].tolist()]
    return [Frame((_spelt(_told(grid), said, INK),), nobody_reading(found))]


def nobody_reading(found: masking.Libraries) -> str:
    lost, zero = int(found.row.isnan().all(-1).sum()), int((found.row == 0).all(-1).sum())
    return (
        f"In torch {masking.TORCH}, on the CPU, {WORDS[lost]} of the six ways give NaN, {WORDS[zero]} give 0, and the lowest "
        f"finite number gives every word {percent(float(found.row[-1].max()))}, hidden or not. So leave no row empty: let "
        "each see at least itself."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return attention_frames(masking.SENTENCE, masking.rows_of("causal", 6)[0], "before", 0)[2]
