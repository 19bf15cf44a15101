"""Question 4: masked self-attention."""

import streamlit as st
import torch

from ui.lesson import lesson, opening

opening(__file__)

from core.concepts import masking
from core.course import number
from core.ops.words import MOST, tokens
from core.training import leak
from ui import controls, figures
from ui.figures import Series
from ui.palette import INK, KEY, MASKED, WITH, WITHOUT
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
    "so that row 0 is empty. Prefix open: the first half sees itself completely, the rest is causal. My own: write it."
)
WHERE = {
    "before": "−∞ before the softmax",
    "after": "trap: 0 after the softmax",
    "multiply": "trap: logits times 0",
}


def short(word: str) -> str:
    """A word as a label: a long one would push the figure aside. Readings give it in full."""
    return word if len(word) <= 9 else word[:8] + "…"


def places(words: tuple[str, ...]) -> list[str]:
    """Positions under bars, with the words where they fit beside each other; they may repeat, positions do not."""
    labels = [f"{i} {short(w)}" for i, w in enumerate(words)]
    fit = len(words) * max(map(len, labels)) <= 44
    return [figures.escape(label) if fit else str(i) for i, label in enumerate(labels)]


def attention_frames(sentence: str, kind: str, where: str, own: str, seed: int) -> list[Frame]:
    """One frame for each query row: logits, what the mask makes of them, weights, and the row as bars."""
    head = masking.head(sentence, kind, where, own, seed)
    hidden = ~head.visible
    masked = head.logits * head.visible if where == "multiply" else head.logits
    crossed = {
        "before": hidden,
        "after": torch.zeros_like(hidden),
        "multiply": torch.zeros_like(hidden),
    }[where]
    no_weight = torch.zeros_like(hidden) if where == "multiply" else hidden
    shown = [short(w) for w in head.words]
    peak = float(head.logits.abs().max())
    frames = []
    for i in range(len(head.words)):
        look = {"rows": shown, "columns": shown, "chosen_row": i}
        row = head.weights[i].nan_to_num()
        frames.append(
            Frame(
                (
                    figures.heatmap(head.logits, title="1 · Logits q·k / √d_k", colours=figures.SIGNED, limits=(-peak, peak), **look),
                    figures.heatmap(
                        masked, title=f"2 · {WHERE[where]}" if where != "after" else "2 · Nothing masked yet",
                        colours=figures.SIGNED, limits=(-peak, peak), hatched=crossed, hatch_name="−∞", **look,
                    ),
                    figures.heatmap(
                        head.weights, title="3 · Weights after the softmax", limits=(0, 1), hatched=no_weight, hatch_name="no weight", **look
                    ),
                    figures.bars(
                        [Series("weight", row, WITH)], labels=places(head.words),
                        title=f"Row {i}: where “{shown[i]}” looks", x_title="key: who is asked, by position", y_title="weight", y_range=(0, 1),
                        height=340,
                    ),
                ),
                row_reading(head, i, where),
            )
        )  # fmt: skip
    return frames


def row_reading(head: masking.Head, i: int, where: str) -> str:
    seen, word, row = int(head.visible[i].sum()), head.words[i], head.weights[i]
    if seen == 0 and where == "before":
        return f"Row {i} (“{word}”) may look at nobody: the softmax over nothing is not a number."
    if not float(row.sum()):
        return f"Row {i} (“{word}”) may look at nobody: all its weights were set to 0 after the softmax."
    best = int(row.argmax())
    equal = int((row == row[best]).sum())
    whom = f"“{head.words[best]}” (position {best})" if equal == 1 else f"each of {equal} words"
    said = (
        f"Row {i} (“{word}”) may look at {seen} of {len(head.words)} words. The largest weight, {row[best]:.0%}, goes to "
        f"{whom}; its weights sum to {float(row.sum()):.4g}"
    )
    leaked = float(row[~head.visible[i]].sum())
    return said + (f", and {leaked:.0%} goes to words that it must not see." if leaked else ".")


def influence_frames(sentence: str, kind: str, where: str, own: str, seed: int) -> list[Frame]:
    head = masking.head(sentence, kind, where, own, seed)
    n, shown = len(head.words), [short(w) for w in head.words]
    none = head.influence == 0
    acts = ~none & ~head.visible
    # A mask hides keys. Its own query acts on an output even where the word is hidden from itself as a key.
    asking = int(acts.diagonal().sum()) if where == "before" else 0
    leaks = int(acts.sum()) - asking
    found = (
        f"{head.pairs} of {n * n} pairs can influence; {n * n - head.pairs} are exactly 0. "
        f"The mask allows {int(head.visible.sum())}. "
        + ("No hidden key leaks." if not leaks else f"{leaks} hidden pair{'s leak' if leaks > 1 else ' leaks'}.")
    )  # fmt: skip
    if asking:
        found += (
            f" {asking} word{'s' if asking > 1 else ''} hidden from {'themselves' if asking > 1 else 'itself'} as a key "
            "still steer their own row as its query: a mask hides keys, not queries."
        )
    return [
        Frame(
            (
                figures.heatmap(
                    head.influence, title="Influence |∂output / ∂input|, by automatic differentiation",
                    rows=shown, columns=shown, row_title="output of this word", column_title="input of this word",
                    hatched=none, hatch_name="exactly 0", limits=(0, max(float(head.influence.max()), 1e-9)), height=400,
                ),
            ),
            found,
        )
    ]  # fmt: skip


def append_frames(sentence: str, word: str, seed: int) -> list[Frame]:
    causal, full = (masking.append(sentence, word, c, seed) for c in (True, False))
    return [
        Frame(
            (
                figures.bars(
                    [Series("no mask", full.change, WITHOUT), Series("causal mask", causal.change, WITH)],
                    labels=places(causal.words),
                    title=f"Change of each earlier output when “{short(word)}” is appended",
                    x_title="earlier word, by position", y_title="largest change of its output",
                ),
            ),
            f"With the causal mask the largest change is {number(float(causal.change.max()))}; without a mask it is "
            f"{number(float(full.change.max()))}. So the earlier keys and values can be kept: one query on the cache gives the "
            f"new word's output within {number(causal.cache)} of the full pass, in float64."
            + (f" (The figures hold {MOST} words, so “{word}” takes the place of the last.)" if len(tokens(sentence)) == MOST else ""),
        )
    ]  # fmt: skip


def leak_frame(progress: leak.Progress) -> Frame:
    t = progress.losses.shape[-1]
    steps = torch.arange(1, t + 1)
    series = [
        Series(f"{name}, seed {r}", progress.losses[m, r], colour, width=1.8)
        for m, (name, colour) in enumerate((("honest mask", WITH), ("one step too far", KEY)))
        for r in range(progress.losses.shape[1])
    ]
    series += [
        Series(
            "ln V: entropy of the data",
            torch.full((t,), leak.HONEST),
            INK,
            "dash",
            width=1.5,
        ),
        Series(
            "ln V / N: floor of the leak", torch.full((t,), leak.LEAK), MASKED, "dot", width=1.5
        ),
    ]
    last = progress.losses[..., -20:].mean(-1)
    return Frame(
        (
            figures.lines(
                series, x=steps, title="Training loss on random tokens", x_title="training step",
                y_title="cross-entropy, nats", x_range=(0, progress.steps), y_range=(0, 3.6), height=400,
            ),
        ),
        f"After {t} steps the honest models stand at {number(float(last[0].mean()))} nats and those that see one step too far "
        f"at {number(float(last[1].mean()))} (the mean of three seeds over the last {min(t, 20)} steps). The entropy of the data is ln {leak.VOCABULARY} = {number(leak.HONEST)}. Every "
        "batch is drawn afresh, so an honest loss can dip below it by the luck of a batch, but cannot stay there: a mean loss "
        "clearly below it is proof of a leak.",
    )  # fmt: skip


def mine() -> str:
    """The reader's sentence, or the default with the reason in words."""
    text = controls.words(
        f"Your sentence (2 to {MOST} words)", "sentence", masking.SENTENCE, max_chars=100
    )
    try:
        tokens(text)
    except ValueError as reason:
        st.warning(f"{reason} Until then, the figures show “{masking.SENTENCE}”.")
        return masking.SENTENCE
    return text


def own_mask(n: int) -> tuple[str, str]:
    """The reader's own mask, or the causal one with the reason in words; and the kind that is to be shown."""
    start = "/".join("1" * (i + 1) + "0" * (n - i - 1) for i in range(n))
    rows = controls.words(
        "Your mask, row by row (1 = may look)", "own_mask", start, max_chars=MOST * (MOST + 1)
    )
    try:
        masking.parse(rows, n)
    except ValueError as reason:
        st.warning(f"{reason} Until then, the figures show the causal mask.")
        return "causal", ""
    return "own", rows


with lesson(masking.concept) as page:
    st.markdown(
        "A head with random weights reads your words. Follow one row from left to right: its logits, what the mask leaves "
        "of them, and the weights. Then change where the mask acts."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        sentence = mine()
        kind, own = controls.choice("Mask", "mask", KINDS, help=MASK_HELP), ""
        n = len(tokens(sentence))
        if kind == "own":
            kind, own = own_mask(n)
        where = controls.choice("How it acts", "acts", WHERE)
        seed = controls.seed("mask_seed")
    with stage:
        rows = range(n)
        labels = [f"{i} {short(w)}" for i, w in enumerate(tokens(sentence))]
        sweep(
            "row",
            "Query row",
            rows,
            attention_frames,
            sentence,
            kind,
            where,
            own,
            seed,
            default=min(2, n - 1),
            labels=labels,
        )

    st.subheader("Who can influence whom", anchor=False)
    st.markdown(
        "The derivative of every output with respect to every input. Crossed out is exactly 0, not merely small."
    )
    figure("influence", influence_frames, sentence, kind, where, own, seed)

    st.subheader("The cheating detector", anchor=False)
    st.markdown(
        "Tokens drawn independently at random cannot be predicted. Train one attention layer on them, under the causal mask "
        "and under a mask that is one step too far: three seeds each, same data, same start."
    )
    live(
        "leak",
        "Train both",
        leak.train,
        leak_frame,
        share=lambda p: p.losses.shape[-1] / p.steps,
        shipped=leak.trained(),
    )

    st.subheader("Append a word", anchor=False)
    word = controls.words("One more word", "append", "today", max_chars=20).split()[0]
    figure("appended", append_frames, sentence, word, seed)

    page.ran(masking.mask, masking.weigh, masking.head, masking.append, leak.train)
    visible = masking.mask(kind, n, own)
    page.takes(
        sentence=sentence,
        rows="/".join("".join(str(int(v)) for v in row) for row in visible),
        where=where,
        seed=seed,
    )
