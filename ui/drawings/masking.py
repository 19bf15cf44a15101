"""Question 4: a row under the mask; who influences whom; the detector; one word more, several at once, and nobody."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import torch

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
    "so that row 0 is empty. Prefix open: the first words see each other, the rest is causal. My own: write it, or click it."
)
WHERE: dict[Where, str] = {
    "before": "−∞ before the softmax",
    "after": "trap: 0 after the softmax",
    "multiply": "trap: logits times 0",
}
VOCABULARIES = {16: "16", 4: "4", 64: "64"}
LENGTHS = {16: "16", 4: "4", 8: "8"}
ROOMY = 7  # words up to which the cells have room for their numbers
LONGEST = 9  # letters of a word that a label shows
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
    """One frame for each query row: logits, what the mask makes of them, weights, and the row as bars."""
    head = masking.head(sentence, rows, where, seed)
    n, hidden = len(head.words), ~head.visible
    nothing = torch.zeros_like(hidden)
    second = {"before": "× is −∞", "after": "unchanged", "multiply": "0 where hidden"}
    none = head.weights == 0
    third = " and ".join(
        name
        for name, there in (("× exactly 0", none.any()), ("blank not a number", head.weights.isnan().any()))
        if there
    )
    peak = float(head.logits.abs().max())
    signed: dict[str, Any] = {"colours": figures.SIGNED, "limits": (-peak, peak)}
    height = 340 if n <= ROOMY else 420
    frames = []
    for i in range(n):
        look: dict[str, Any] = {
            "rows": labelled(head.words),
            "columns": columns(head.words),
            "chosen_row": i,
            "text": _text(n),
            "height": height,
        }
        frames.append(
            Frame(
                (
                    figures.heatmap(head.logits, title="1 · Logits q·k / √d_k", **signed, **look),
                    figures.heatmap(
                        head.entered,
                        title=f"2 · Into the softmax: {second[where]}",
                        hatched=hidden if where == "before" else nothing,
                        hatch_name="−∞",
                        **signed,
                        **look,
                    ),
                    figures.heatmap(
                        head.weights,
                        title=f"3 · Weights{': ' if third else ''}{third}",
                        limits=(0, 1),
                        hatched=none,
                        hatch_name="exactly 0",
                        **look,
                    ),
                    figures.bars(
                        [Series("without a mask", head.unmasked[i], WITHOUT), Series("with it", head.weights[i], WITH)],
                        labels=places(head.words),
                        title=f"4 · The weights of row {i}",
                        x_title="key: who is asked, by position",
                        y_title="weight",
                        y_range=(0, 1),
                        height=height,
                    ),
                ),
                row_reading(head, i, where),
            )
        )
    return frames


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
    best = int(row.argmax())
    equal = int((row == row[best]).sum())
    whom = f"“{head.words[best]}” at position {best}" if equal == 1 else f"each of {equal} words"
    top = f"largest weight, {percent(float(row[best]))}, goes to {whom}"
    if seen == n:
        return (
            f"{who} may look at {'both words' if n == 2 else f'all {n} words'}, so its mask changes nothing. The {top}."
        )
    hidden = ~head.visible[i]
    would, leaked, kept = (
        percent(float(weights.sum())) for weights in (head.unmasked[i][hidden], row[hidden], row[~hidden])
    )
    others = "the other" if n - seen == 1 else "the others"
    said = f"{who} may look at {seen} of {n} words: without a mask {others} would get {would} of its weight, "
    if where == "before":
        heirs = f"All of it goes to {whom}" if seen == 1 else f"The visible ones share all of it, and the {top}"
        return f"{said}now exactly 0. {heirs}."
    if where == "after":
        return f"{said}now exactly 0. Nobody inherits it: the row sums to {kept} instead of 100\u00a0%, and the {top}."
    return f"{said}{f'now {leaked}' if leaked != would else 'and still do'}. A logit of 0 still counts as e⁰ = 1; the {top}."


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
        "colour_bar": False,
        "height": 300 if n <= ROOMY else 400,
    }
    panels = [
        figures.heatmap(
            one.visible.float(),
            title=f"The mask allows {int(one.visible.sum())} of {n * n}: click to change it",
            limits=(0, 2),
            hatched=~one.visible,
            hatch_name="hidden",
            clickable=True,
            **look,
        )
    ]
    for where, head in heads.items():
        panels.append(
            figures.heatmap(
                head.influence,
                title=f"{WHERE[where].removeprefix('trap: ').capitalize()}: {head.pairs} of {n * n} pairs",
                row_title="output of this word",
                column_title="input of this word",
                hatched=head.influence == 0,
                hatch_name="exactly 0",
                limits=(0, max(high, 1e-9)),
                text=_text(n),
                **look,
            )
        )
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
        f"After {count(int(progress.at[-1]), 'step')} the honest runs lose {stand} nats and those that see one step too far "
        f"{cheat} (means over all seeds and {steps}); the entropy of the data is ln {progress.vocabulary} = "
        f"{number(progress.entropy)}. The leaking runs lose {copied} on average before the last position, and {left} there: its "
        "answer is not among the inputs.",
    )


# ------------------------------------------------------------------------------------------------ one more word


@corners(sentence=SENTENCES, word=("today", "the", "🐈", "supercalifragilistic"), seed=SEEDS)
def append_frames(sentence: str, word: str, seed: int) -> list[Frame]:
    causal, full = (masking.append(sentence, word, c, seed) for c in (True, False))
    most = float(causal.change.max())
    still = (
        "no earlier output changes at all" if most == 0 else f"earlier outputs change by {number(most, 2)}, by rounding"
    )
    apart = "exactly" if causal.cache == 0 else f"to within {number(causal.cache, 2)}"
    return [
        Frame(
            (
                figures.bars(
                    [Series("no mask", full.change, WITHOUT), Series("causal mask", causal.change, WITH)],
                    labels=places(tokens(sentence)),
                    title="Change of each earlier output when the word is appended",
                    x_title="earlier word, by position",
                    y_title="largest change of a feature",
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
                        height=300 if n <= ROOMY else 400,
                    )
                    for title, weights in (
                        ("is_causal=True: × by the top left", top_left),
                        (f"Wanted: tril({n - new}), × by the bottom right", wanted),
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
    return [
        Frame(
            (
                figures.heatmap(
                    found.row,
                    title="Weights of row 0, which sees nobody: × not a number",
                    rows=list(LIBRARIES),
                    columns=columns(tokens(sentence)),
                    row_title="computed by",
                    limits=(0, 1),
                    text=_text(n),
                    hatched=found.row.isnan(),
                    hatch_name="not a number",
                    colour_bar=False,
                    height=300,
                ),
            ),
            nobody_reading(found),
        )
    ]


def nobody_reading(found: masking.Libraries) -> str:
    named = list(zip(LIBRARIES.values(), found.row, strict=True))
    lost = [name for name, row in named if row.isnan().all()]
    zero = [name for name, row in named if (row == 0).all()]
    apart = "exactly" if found.others == 0 else f"to within {number(found.others, 2)}"
    return (
        f"In torch {masking.TORCH} the weights of row 0 are not a number by {listed(lost)}; they are 0 by {listed(zero)}. "
        f"Adding the lowest finite number gives every word {percent(float(found.row[-1].max()))}, hidden or not; where a row "
        f"sees a key, all {len(named)} agree {apart}."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return attention_frames(masking.SENTENCE, masking.rows_of("causal", 6)[0], "before", 0)[2]
