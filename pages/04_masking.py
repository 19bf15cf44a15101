"""Question 4: masked self-attention."""

from collections.abc import Sequence

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

import torch

from core.concepts import masking
from core.course import number
from core.ops.attention import softmax
from core.ops.words import MOST, tokens
from core.training import leak
from ui import controls, figures
from ui.figures import Series
from ui.palette import INK, KEY, WITH, WITHOUT
from ui.sweep import Frame, figure, sweep
from ui.training import live

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
WHERE = {"before": "−∞ before the softmax", "after": "trap: 0 after the softmax", "multiply": "trap: logits times 0"}
Words = Sequence[str]
ROOMY = 7  # words up to which the cells have room for their numbers


def labelled(words: Words) -> list[str]:
    """Position and word, since a word may stand twice. A long word would push the figure aside; readings give it in full."""
    return [f"{i} {w if len(w) <= 9 else w[:8] + '…'}" for i, w in enumerate(words)]


def columns(words: Words) -> list[str]:
    """The same under a heatmap, or only the positions where there is no room: its rows have the words."""
    return labelled(words) if len(words) <= ROOMY else [str(i) for i in range(len(words))]


def places(words: Words) -> list[str]:
    """The same under bars, or only the positions where the words do not fit beside each other."""
    labels = labelled(words)
    fit = len(labels) * max(map(len, labels)) <= 44
    return [figures.escape(label) if fit else str(i) for i, label in enumerate(labels)]


# ------------------------------------------------------------------------------------------------ one row after another


def attention_frames(sentence: str, rows: str, where: str, seed: int) -> list[Frame]:
    """One frame for each query row: logits, what the mask makes of them, weights, and the row as bars."""
    head = masking.head(sentence, rows, where, seed)
    n, hidden = len(head.words), ~head.visible
    nothing = torch.zeros_like(hidden)
    labels, plain = labelled(head.words), softmax(head.logits)
    second = {"before": "−∞ where crossed out", "after": "unchanged", "multiply": "0 where hidden"}
    peak = float(head.logits.abs().max())
    signed = {"colours": figures.SIGNED, "limits": (-peak, peak)}
    height = 340 if n <= ROOMY else 420
    frames = []
    for i in range(n):
        look = {
            "rows": labels,
            "columns": columns(head.words),
            "chosen_row": i,
            "text": ".2f" if n <= ROOMY else "",
            "height": height,
        }
        frames.append(
            Frame(
                (
                    figures.heatmap(head.logits, title="1 · Logits q·k / √d_k", **signed, **look),
                    figures.heatmap(
                        head.logits * head.visible if where == "multiply" else head.logits,
                        title=f"2 · Into the softmax: {second[where]}",
                        hatched=hidden if where == "before" else nothing,
                        hatch_name="−∞",
                        **signed,
                        **look,
                    ),
                    figures.heatmap(
                        head.weights,
                        title="3 · Weights",
                        limits=(0, 1),
                        hatched=nothing if where == "multiply" else hidden,
                        hatch_name="no weight",
                        **look,
                    ),
                    figures.bars(
                        [Series("without a mask", plain[i], WITHOUT), Series("with it", head.weights[i], WITH)],
                        labels=places(head.words),
                        title=f"4 · The weights of row {i}",
                        x_title="key: who is asked, by position",
                        y_title="weight",
                        y_range=(0, 1),
                        height=height,
                    ),
                ),
                row_reading(head, plain, i, where),
            )
        )
    return frames


def row_reading(head: masking.Head, plain: torch.Tensor, i: int, where: str) -> str:
    n, seen, row = len(head.words), int(head.visible[i].sum()), head.weights[i]
    who = f"Row {i} (“{head.words[i]}”)"
    if not seen and where == "before":
        return f"{who} may look at nobody: every logit is −∞, and a softmax over nothing is not a number."
    if not seen and where == "after":
        return f"{who} may look at nobody: all its weights were set to 0 after the softmax."
    best = int(row.argmax())
    equal = int((row == row[best]).sum())
    whom = f"“{head.words[best]}” at position {best}" if equal == 1 else f"each of {equal} words"
    top = f"The largest weight, {row[best]:.0%}, goes to {whom}."
    if seen == n:
        return f"{who} may look at all {n} words, so its mask changes nothing. {top}"
    would, leaked = float(plain[i][~head.visible[i]].sum()), float(row[~head.visible[i]].sum())
    said = f"{who} may look at {seen} of {n} words. Without a mask the others would get {would:.1%} of its weight; "
    said += {
        "before": "now they get exactly 0, and the visible ones share all of it.",
        "after": f"now they get 0, but nobody inherits it: the row sums to {float(row.sum()):.3f} instead of 1.",
        "multiply": f"now they get {leaked:.1%}, since a logit of 0 still counts as e⁰ = 1.",
    }[where]
    return f"{said} {top}"


# ------------------------------------------------------------------------------------------------ influence


def influence_frames(sentence: str, rows: str, seed: int) -> list[Frame]:
    """The mask, and what can really influence what, for the three ways to apply it."""
    heads = {where: masking.head(sentence, rows, where, seed) for where in WHERE}
    one = heads["before"]
    n, labels = len(one.words), labelled(one.words)
    high = max(float(head.influence.max()) for head in heads.values())
    look = {"rows": labels, "columns": columns(one.words), "colour_bar": False, "height": 300 if n <= ROOMY else 400}
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
                title=f"{WHERE[where].removeprefix('trap: ').capitalize()}: {head.pairs} of {n * n} pairs influence",
                row_title="output of this word",
                column_title="input of this word",
                hatched=head.influence == 0,
                hatch_name="exactly 0",
                limits=(0, max(high, 1e-9)),
                text=".2f" if n <= ROOMY else "",
                **look,
            )
        )
    return [Frame(tuple(panels), influence_reading(heads, n))]


def influence_reading(heads: dict[str, masking.Head], n: int) -> str:
    one, all_pairs = heads["before"], n * n
    said = (
        f"With −∞ before the softmax {one.pairs} of {all_pairs} pairs can influence; {all_pairs - one.pairs} are exactly 0. "
        f"Set the weights to 0 after the softmax instead, and {heads['after'].pairs} pairs can; multiply the logits by 0, and "
        f"{heads['multiply'].pairs} can."
    )
    asking = int(((one.influence != 0) & ~one.visible).sum())
    if asking:
        said += (
            f" A mask hides keys, not queries: {asking} of the outputs depend{'s' if asking == 1 else ''} on a word hidden "
            "from itself, since it still asks."
        )
    empty = (~one.visible.any(-1)).nonzero().flatten().tolist()
    if empty:
        said += (
            f" Row{'s' if len(empty) > 1 else ''} {', '.join(map(str, empty))} may look at nobody; for −∞ the output there "
            "is taken as 0 here, as torch's own attention does."
        )
    return said


# ------------------------------------------------------------------------------------------------ the detector


def leak_frame(progress: leak.Progress) -> Frame:
    names = (("honest mask", WITH), ("one step too far", KEY))
    series = [
        Series(name, run, colour, width=1.6, legend=r == 0)
        for (name, colour), runs in zip(names, progress.losses, strict=True)
        for r, run in enumerate(runs)
    ]
    n, top = progress.length, 1.35 * progress.entropy
    honest, leaking = progress.by_position.mean(1)
    stands = progress.now.mean(-1)
    return Frame(
        (
            figures.lines(
                series,
                x=progress.at,
                title="Training loss on random tokens, three seeds each",
                x_title="training step",
                y_title="cross-entropy, nats",
                x_range=(0, progress.steps),
                y_range=(0, top),
                height=380,
                levels={
                    f"ln V = {progress.entropy:.3f}: entropy of the data": (progress.entropy, INK),
                    f"ln V / N = {progress.floor:.3f}: floor of the leak": (progress.floor, INK),
                },
            ),
            figures.bars(
                [Series(name, values, colour) for (name, colour), values in zip(names, (honest, leaking), strict=True)],
                labels=[str(i) for i in range(n)],
                title="The same by position, mean of the last 20 steps",
                x_title="position",
                y_title="cross-entropy, nats",
                y_range=(0, top),
                height=380,
            ),
        ),
        f"After {int(progress.at[-1])} steps the honest runs stand at {stands[0]:.3f} nats and those that see one step too far at "
        f"{stands[1]:.3f} (the mean of all seeds over the last {min(leak.LAST, int(progress.at[-1]))} steps). The entropy of the data is ln {progress.vocabulary} = "
        f"{progress.entropy:.3f}: an honest batch can be below it by luck, but "
        f"a mean loss clearly below it proves a leak. The leaking runs lose {float(leaking[:-1].mean()):.3f} "
        f"on average at positions 0 to {n - 2}, and {float(leaking[-1]):.3f} at position {n - 1}, whose answer is not among the inputs.",
    )


# ------------------------------------------------------------------------------------------------ one more word, and nobody


def append_frames(sentence: str, word: str, seed: int) -> list[Frame]:
    causal, full = (masking.append(sentence, word, c, seed) for c in (True, False))
    most = float(causal.change.max())
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
            f"Append “{word}”: with the causal mask the earlier outputs change by {'exactly 0' if most == 0 else number(most)}; without a mask "
            f"by up to {float(full.change.max()):.3f}. So their keys and values can be kept: decoding word by word with a cache "
            f"gives all outputs of the full pass, to within {number(causal.cache)}.",
        )
    ]


def nobody_frames(sentence: str, seed: int) -> list[Frame]:
    found = masking.libraries(sentence, -1, seed)
    n = found.row.shape[-1]
    return [
        Frame(
            (
                figures.heatmap(
                    found.row,
                    title="Weights of row 0 under the strict mask: it may look at nobody",
                    rows=list(masking.LIBRARIES),
                    columns=columns(tokens(sentence)),
                    row_title="computed by",
                    limits=(0, 1),
                    text=".2f" if n <= ROOMY else "",
                    hatched=found.row.isnan(),
                    hatch_name="not a number",
                    colour_bar=False,
                    height=230,
                ),
            ),
            f"The softmax as written gives not a number for {int(found.row[0].isnan().sum())} of {n} weights; torch's own attention gives "
            f"weights that sum to {number(float(found.row[1].sum()))}; adding the lowest finite number gives every word "
            f"{float(found.row[2].max()):.1%}, hidden or not. In all other rows the three agree to within {number(found.others)}.",
        )
    ]


# ------------------------------------------------------------------------------------------------ controls


def mine() -> str:
    """The reader's sentence, or the default with the reason in words."""
    text = controls.words(f"Your sentence (2 to {MOST} words)", "sentence", masking.SENTENCE, max_chars=100)
    try:
        tokens(text)
    except ValueError as reason:
        st.warning(f"{reason} Until then, the figures show “{masking.SENTENCE}”.")
        return masking.SENTENCE
    return text


def chosen_mask(n: int) -> str:
    """The mask that is to be shown, row by row; the causal one, with the reason in words, if the reader's is none."""
    kind, causal = (controls.choice("Mask", "mask", KINDS, help=MASK_HELP), masking.written(masking.mask("causal", n)))
    if kind == "prefix":
        length = controls.whole("Words in the open prefix", "prefix_words", 1, MOST, 3)
        return masking.written(masking.mask("prefix", n, prefix=length))
    if kind != "own":
        return masking.written(masking.mask(kind, n))
    rows = controls.words(
        "Your mask, row by row (1 = may look)",
        "own_mask",
        causal,
        max_chars=MOST * (MOST + 1),
        help="Or click on the cells of the mask in “Who can influence whom”.",
    )
    try:
        return masking.written(masking.parse(rows, n))
    except ValueError as reason:
        st.warning(f"{reason} Until then, the figures show the causal mask.")
        return causal


with lesson(masking.concept) as page:
    st.markdown(
        "A head with random weights reads your words. Follow one row: its logits, what the mask leaves of them, and its "
        "weights. Then change the mask, or the place where it acts."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        sentence = mine()
        n = len(tokens(sentence))
        rows = chosen_mask(n)
        where = controls.choice("How it acts", "acts", WHERE)
        seed = controls.seed("mask_seed")
    with stage:
        sweep(
            "row",
            "Query row",
            range(n),
            attention_frames,
            sentence,
            rows,
            where,
            seed,
            default=min(2, n - 1),
            labels=labelled(tokens(sentence)),
        )

    st.subheader("Who can influence whom", anchor=False)
    st.markdown(
        "The derivative of every output with respect to every input, by automatic differentiation. Crossed out is exactly 0, "
        "not merely small. Only −∞ before the softmax obeys the mask. Click on a cell of the mask to allow or hide it."
    )

    def toggle(panel: int, row: int, column: int) -> None:
        cells = masking.parse(rows, n)
        if 0 <= row < n and 0 <= column < n:
            cells[row, column] = ~cells[row, column]
            if "own_mask" not in st.session_state:
                # A box that appears with a value does not write it into the address by itself.
                st.query_params["own_mask"] = masking.written(cells)
            st.session_state["own_mask"] = masking.written(cells)
            st.session_state["mask"] = KINDS["own"]

    figure("influence", influence_frames, sentence, rows, seed, panel_width=360, clicked=toggle)

    st.subheader("The cheating detector", anchor=False)
    st.markdown(
        "Tokens drawn independently at random cannot be predicted. One attention layer learns them, under the causal mask and "
        "under a mask that is one step too far: the same tokens, the same start."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        vocabulary = controls.choice("Different tokens V", "leak_v", {16: "16", 4: "4", 64: "64"})
        length = controls.choice("Positions N", "leak_n", {16: "16", 4: "4", 8: "8"})
    with stage:
        usual = (vocabulary, length, seed) == (leak.VOCABULARY, leak.LENGTH, 0)
        live(
            "leak",
            "Train both",
            leak.train,
            leak_frame,
            (seed, seed + 1, seed + 2),
            vocabulary,
            length,
            share=lambda p: p.done,
            shipped=leak.trained() if usual else None,
        )

    st.subheader("Append a word", anchor=False)
    word = controls.words("One more word", "append", "today", max_chars=20).split()[0]
    figure("appended", append_frames, sentence, word, seed)

    st.subheader("A row that may look at nobody", anchor=False)
    st.markdown(
        "A mask that hides the diagonal too leaves row 0 without a key. What its weights are then depends on who computes them."
    )
    figure("nobody", nobody_frames, sentence, seed)

    page.ran(masking.mask, masking.weigh, masking.head, leak.train, masking.append, masking.libraries)
    page.takes(sentence=sentence, rows=rows, where=where, seed=seed)
