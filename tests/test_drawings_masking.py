"""Question 4: what the drawings show is what was measured, and their readings say what they show."""

import itertools
import math
import re

import numpy as np
import pytest
import torch

from core.experiments import masking
from core.experiments.masking import Where
from core.ops import masks
from core.say import percent
from core.training import leak
from tests.test_readings import faults
from ui import figures, palette
from ui.drawings import masking as drawings
from ui.sweep.packing import pack

SIX = masking.SENTENCE


def title(figure: figures.Figure) -> str:
    return figure["layout"]["title"]["text"]


def data(figure: figures.Figure) -> np.ndarray:
    """The numbers of a heatmap, as they are exported: also where a cross stands."""
    return figure["data"][0]["customdata"]


def crossed(figure: figures.Figure, n_rows: int, n_columns: int) -> np.ndarray:
    """Where crosses stand."""
    cells = np.zeros((n_rows, n_columns), bool)
    for trace in figure["data"][1:2]:
        cells[trace["y"].astype(int), trace["x"].round().astype(int)] = True
    return cells


def same(numbers: np.ndarray, expected: torch.Tensor) -> bool:
    return bool(np.array_equal(numbers, expected.numpy().astype(np.float32), equal_nan=True))


@pytest.mark.parametrize("rows", ["000/110/111", "000/000/000", "011/000/100", "000/001/010"])
@pytest.mark.parametrize("where", tuple(drawings.WHERE))
def test_a_mask_of_ones_own_with_empty_rows_can_be_sent(rows: str, where: Where) -> None:
    assert pack(drawings.attention_frames("a b c", rows, where, 0)) and pack(
        drawings.influence_frames("a b c", rows, 0)
    )


# ------------------------------------------------------------------------------------------------ labels


def test_labels_say_which_of_two_equal_words() -> None:
    assert drawings.labelled(["no", "no"]) == ["0 no", "1 no"]
    assert drawings.columns(["a"] * 7)[6] == "6 a" and drawings.columns(["a"] * 8)[7] == "7"
    assert drawings.places(["<b>", "c"]) == ["0 &lt;b&gt;", "1 c"]
    assert drawings.places(["longword"] * 6) == list("012345")


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("ninechars", "ninechars"),
        ("ten-chars!", "ten-char…"),
        ("👩‍👩‍👧" * 9, "👩‍👩‍👧" * 9),
        ("👩‍👩‍👧" * 10, "👩‍👩‍👧" * 8 + "…"),
        ("🇫🇷" * 10, "🇫🇷" * 8 + "…"),
        ("e\u0301" * 10, "e\u0301" * 8 + "…"),
        ("👍🏽" * 10, "👍🏽" * 8 + "…"),
    ],
)
def test_a_long_word_is_cut_between_letters(word: str, label: str) -> None:
    assert drawings.shortened(word) == label


# ------------------------------------------------------------------------------------------------ one row


@pytest.mark.parametrize("rows", drawings.MASKS)
@pytest.mark.parametrize("where", tuple(drawings.WHERE))
def test_the_numbers_of_the_hero(rows: str, where: Where) -> None:
    """Hatched where a hidden weight is exactly 0, not a number only where a row sees nobody, and bars of the framed row."""
    head = masking.head(SIX, rows, where, 3)
    frames = drawings.attention_frames(SIX, rows, where, 3)
    assert len(frames) == 6
    seen = head.visible.numpy()
    empty = ~seen.any(-1) if where == "before" else np.zeros(6, bool)
    for i, frame in enumerate(frames):
        grid, row = frame.figures
        assert same(data(grid), head.weights) and (np.isnan(data(grid)) == empty[:, None]).all()
        assert (crossed(grid, 6, 6) == (data(grid) == 0)).all()
        assert grid["data"][1]["marker"]["symbol"] == "line-ne"
        assert ("hatched is hidden" in title(grid)) == bool((data(grid) == 0).any() and not empty.any())
        assert ("not a number" in title(grid)) == bool(empty.any()) and "seed 3" in title(grid)
        assert grid["data"][0]["text"] == [[drawings.shown(w) for w in line] for line in grid["data"][0]["z"].tolist()]
        (told,) = grid["data"][2:] or [{"y": np.zeros(0), "text": "NaN"}]
        assert told["text"] == "NaN" and sorted(told["y"].tolist()) == [
            r for r in range(6) if empty[r] for _ in range(6)
        ]
        assert grid["layout"]["shapes"][0]["y0"] == i - 0.5
        without, masked, *legend, arrows, rising = row["data"]
        assert same(without["y"], head.unmasked[i]) and same(masked["y"], head.weights[i])
        assert (without["name"], masked["name"]) == ("without the mask", "with it")
        assert [one["name"] for one in legend] == ["without the mask", "with it", "hidden"]
        assert all(np.isnan(one["y"]).all() for one in legend) and legend[2]["marker"]["pattern"]["shape"] == "/"
        assert without["marker"]["pattern"]["shape"] == ["" if one else "/" for one in seen[i]]
        assert without["marker"]["line"]["width"] == [0 if one else 1 for one in seen[i]]
        flow = head.flow(i) * (where == "before")  # where hidden words keep weight, nothing is shared
        lost, gained = flow.sum(1), flow.sum(0)
        ribbons = [
            shape for shape in row["layout"].get("shapes", []) if shape["type"] == "line" and not shape.get("name")
        ]
        places = [
            *((j - drawings.BAR / 2, head.unmasked[i, j], lost[j]) for j in range(6) if lost[j]),
            *((k + drawings.BAR / 2, head.weights[i, k] + 0.05, gained[k]) for k in range(6) if gained[k]),
        ]
        assert len(ribbons) == len(places)
        for ribbon, (x, y, much) in zip(ribbons, places, strict=True):
            assert ribbon["x0"] == ribbon["x1"] == x and ribbon["y1"] == drawings.POOL[0] < drawings.TOP, "upright"
            assert ribbon["y0"] == pytest.approx(float(y), abs=1e-6) and ribbon["y0"] < ribbon["y1"]
            assert ribbon["line"]["width"] == pytest.approx(drawings.RIBBON * float(much)), "to scale"
        said = [note["text"].removesuffix(" to share") for note in row["layout"].get("annotations", [])]
        assert said == ([percent(float(lost.sum()))] if places else [])
        ends = ((arrows, gained, drawings.BAR / 2), (rising, lost, -drawings.BAR / 2))
        for heads, much, side in ends:
            assert heads["x"].tolist() == pytest.approx([k + side for k in much.nonzero().flatten().tolist()], abs=1e-6)
        leaks = ~head.visible & (head.weights > 0)
        outlines = "".join(shape.get("path", "") for shape in grid["layout"]["shapes"])
        assert outlines.count("M") == int(leaks.sum()) and ("outlined" in title(grid)) == bool(leaks.any())
        assert masked["marker"]["line"]["width"] == [2 if one else 0 for one in leaks[i]]
        assert (grid["data"][0]["zmin"], grid["data"][0]["zmax"]) == (0, 1)
        table = row["layout"]["meta"]["table"]["rows"]
        assert [line[0] for line in table] == drawings.labelled(SIX.split())
        assert [line[1] for line in table] == without["y"].tolist()
        told = ["not a number" if empty[i] else weight for weight in masked["y"].tolist()]
        assert [line[2] for line in table] == told


@pytest.mark.parametrize(
    ("rows", "where", "row", "said", "named"),
    [
        ("causal", "before", 0, "at 1 of 6 words: the 95 % that would have gone to the hidden ones goes to that one.", "hidden weight flows to the visible"),
        ("causal", "before", 2, "at 3 of 6 words: the 58 % that would have gone to the hidden ones is shared among those three.", "hidden weight flows to the visible"),
        ("causal", "before", 4, "that would have gone to the hidden one is shared among those five.", "hidden weight flows to the visible"),
        ("causal", "before", 5, "may look at all 6 words: nothing is hidden, so nothing flows.", "nothing is hidden, nothing flows"),
        ("causal", "after", 1, "the 64 % that hidden words would get goes to nobody. The row sums to 36 %, not to 100 %, and all visible weights still depend on the hidden words.", "hidden weight is lost"),
        ("causal", "multiply", 0, "but hidden words get 96 % of its weight (95 % without a mask). A logit of 0 counts as e⁰ = 1, not as nothing.", "hidden words keep weight"),
        ("causal", "multiply", 4, "but the hidden word gets", "hidden words keep weight"),
        ("ahead", "before", 0, "is shared among those two. “cat” is among them, the very next word: a row that is trained to predict it can copy it.", "hidden weight flows to the visible"),
        ("strict", "before", 0, "may look at nobody: its softmax is not a number.", "not a number"),
        ("strict", "after", 0, "may look at nobody: all its weights were set to 0 after the softmax, so its output is 0.", "hidden weight is lost"),
        ("strict", "multiply", 0, "may look at nobody: every logit became 0, so each of the 6 words gets 17 % all the same.", "hidden words keep weight"),
    ],
)  # fmt: skip
def test_what_a_row_is_said_to_do(rows: str, where: Where, row: int, said: str, named: str) -> None:
    frame = drawings.attention_frames(SIX, rows, where, 0)[row]
    reading, word = frame.reading.replace("\u00a0", " "), SIX.split()[row]
    assert said in reading and reading.startswith(f"Row {row} (“{word}”)")
    assert title(frame.figures[1]) == f"Row {row}, “{word}”: {named}"


def test_two_words_are_both_words() -> None:
    first, second = drawings.attention_frames("yes no", "causal", "before", 0)
    assert (
        "at 1 of 2 words" in first.reading
        and "that would have gone to the hidden one goes to that one" in first.reading
    )
    assert "may look at both words: nothing" in second.reading


# ------------------------------------------------------------------------------------------------ influence


@pytest.mark.parametrize("rows", drawings.MASKS)
def test_the_numbers_of_the_influence_figure(rows: str) -> None:
    (frame,) = drawings.influence_frames(SIX, rows, 3)
    allowed, *ways = frame.figures
    visible = masking.mask(rows, 6)
    assert same(data(allowed), visible) and (crossed(allowed, 6, 6) == ~visible.numpy()).all()
    assert allowed["layout"]["meta"]["clickable"] is True
    assert allowed["layout"]["xaxis"]["range"] == [-0.5, 5.5], "cells fill it, as a click expects"
    assert allowed["data"][1]["hoverinfo"] == "skip", "a click is heard by the cell that it is in"
    assert title(allowed).startswith(f"The mask allows {int(visible.sum())} of 36")
    limits = {figure["data"][0]["zmax"] for figure in ways}
    most = max(float(masking.head(SIX, rows, where, 3).influence.max()) for where in drawings.WHERE)
    assert limits == {max(most, 1e-9)}, "one colour scale for the three ways, up to the largest of all"
    said = [["may look" if cell else "hidden" for cell in row] for row in visible.tolist()]
    assert allowed["data"][0]["text"] == said
    for where, figure in zip(drawings.WHERE, ways, strict=True):
        head = masking.head(SIX, rows, where, 3)
        assert same(data(figure), head.influence) and np.isfinite(data(figure)).all()
        assert (crossed(figure, 6, 6) == (data(figure) == 0)).all()
        assert title(figure) == f"{drawings.WHERE[where]}: {int((data(figure) != 0).sum())} of 36 act"
        assert figure["layout"]["xaxis"]["ticktext"] == drawings.labelled(SIX.split()) and figure["layout"]["xaxis"][
            "range"
        ] == [-0.5, 5.5]
        assert figure["layout"]["yaxis"]["ticktext"] == drawings.labelled(SIX.split())
        assert figure["layout"]["yaxis"]["range"] == [5.5, -0.5], "row 0 on top"
        leaks = (head.influence != 0) & (masking.head(SIX, rows, "before", 3).influence == 0)
        outlines = "".join(shape["path"] for shape in figure["layout"].get("shapes", []))
        corners = re.findall(r"M(-?[\d.]+),(-?[\d.]+)H", outlines)
        assert [(round(float(y) + 0.46), round(float(x) + 0.46)) for x, y in corners] == [
            *map(tuple, leaks.nonzero().tolist())
        ]
        assert figure["data"][1]["text"] == "0" and figure["data"][1]["mode"] == "text"


@pytest.mark.parametrize(
    ("sentence", "rows", "said"),
    [
        (SIX, "causal", "the mask allows 21 and hides 15. With −∞ before the softmax exactly these have influence; with zeros after it or with logits times 0, 36 have."),
        (SIX, "none", "Nothing is hidden, so the three ways are the same: each of the 36 pairs"),
        (SIX, "strict", "allows 15 and hides 21. With −∞ before the softmax 19 have influence, these and 4 in which a word that is hidden from itself still asks; with zeros after it 30 have, and 36 with logits times 0 (row 0 sees nobody and counts as 0 under −∞)."),
        (SIX, "nobody", "allows none and hides 36. With −∞ before the softmax no output is a number (they count as 0 here), so no pair has influence; with zeros after it none has, and 36 have with logits times 0."),
        ("yes no", "strict", "allows 1 and hides 3. With −∞ before the softmax exactly this one has influence; with zeros after it 2 have, and 4 with logits times 0"),
        ("yes no", "00/11", "allows 2 and hides 2. With −∞ before the softmax exactly these have"),
        ("a b c", "011/000/000", "3 have influence, these and 1 in which a word that is hidden from itself still asks; with zeros after it 3 have, and 9 with logits times 0 (rows 1 and 2 see nobody and count as 0 under −∞)."),
    ],
)  # fmt: skip
def test_what_is_said_of_influence(sentence: str, rows: str, said: str) -> None:
    (frame,) = drawings.influence_frames(sentence, rows, 0)
    assert said in frame.reading and not list(faults(frame.reading))


def test_any_mask_of_ones_own_has_a_lawful_reading() -> None:
    """All sixteen masks of two words, and a mask of each pattern for three: every row and the influence."""
    cases = [("yes no", f"{a:02b}/{b:02b}") for a in range(4) for b in range(4)]
    cases += [("a b c", f"{a:03b}/{b:03b}/{a ^ b:03b}") for a in range(8) for b in range(8)]
    for (sentence, rows), where in itertools.product(cases, drawings.WHERE):
        frames = drawings.attention_frames(sentence, rows, where, 1) + drawings.influence_frames(sentence, rows, 1)
        for frame in frames:
            assert not list(faults(frame.reading)), (rows, where, frame.reading)


# ------------------------------------------------------------------------------------------------ one word, several, none


def test_appending_shows_both_masks() -> None:
    (frame,) = drawings.append_frames(SIX, "today", 2)
    causal, full = (masking.append(SIX, "today", c, 2) for c in (True, False))
    grey, purple = frame.figures[0]["data"]
    most = float(causal.change.max())
    assert (grey["name"], purple["name"]) == ("no mask", "causal mask" if most else "causal mask: exactly 0")
    assert same(grey["y"], full.change) and same(purple["y"], causal.change)
    assert "Append “today”: with the causal mask" in frame.reading


@pytest.mark.parametrize(
    ("change", "cache", "said"),
    [
        (0.0, 0.0, ("no earlier output changes at all", "full pass exactly.")),
        (2.2e-16, 4.4e-16, ("earlier outputs change by 2.2·10⁻¹⁶, by rounding", "to within 4.4·10⁻¹⁶.")),
    ],
)
def test_appending_says_exactly_only_where_it_is(
    change: float, cache: float, said: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(sentence: str, word: str, causal: bool, seed: int) -> masking.Appended:
        return masking.Appended(torch.full((6,), change if causal else 0.5), cache if causal else 1.0, 1e-12)

    monkeypatch.setattr(masking, "append", found)
    (frame,) = drawings.append_frames(SIX, "today", 0)
    assert all(words in frame.reading for words in said) and "all of them change, by up to 0.5." in frame.reading


def test_an_empty_row_is_shown_for_each_function() -> None:
    (frame,) = drawings.nobody_frames(SIX, 0)
    found = masking.libraries(SIX, -1, 0)
    (figure,) = frame.figures
    assert same(data(figure), found.row)
    assert (crossed(figure, 6, 6) == (found.row.isnan() | (found.row == 0)).numpy()).all()
    assert figure["data"][1]["text"] == ["NaN" if lost else "0" for lost in found.row[:5].isnan().flatten()]
    ticks = figure["layout"]["yaxis"]["ticktext"]
    assert (
        [tick.replace(",<br>", ", ") for tick in ticks] == list(drawings.LIBRARIES) == figure["layout"]["meta"]["rows"]
    )
    assert figure["data"][1]["textfont"]["color"] == palette.INK, "NaN and 0 are what it shows"
    assert frame.reading.startswith(f"In torch {torch.__version__.split('+')[0]}, on the CPU")
    assert "on the CPU, three of the six ways give NaN, two give 0, and the lowest" in frame.reading
    assert "every word 17\u00a0%" in frame.reading
    gives = ["NaN" if row.isnan().all() else round(float(row[0]), 2) for row in found.row]
    assert dict(zip(drawings.LIBRARIES, gives, strict=True)) == {
        "softmax as written": "NaN",
        "F.scaled_dot_product_attention": 0,
        "nn.MultiheadAttention, as it comes": "NaN",
        "nn.MultiheadAttention, need_weights=False, training": 0,
        "nn.MultiheadAttention, its fast path, inference": "NaN",
        "lowest number added": 0.17,
    }


# ------------------------------------------------------------------------------------------------ the detector


def test_the_detector_shows_every_seed_and_says_what_it_shows() -> None:
    progress = leak.trained()
    frame = drawings.leak_frame(progress)
    curves, places = frame.figures
    for trace, losses in zip(curves["data"], progress.losses.flatten(0, 1), strict=True):
        assert same(trace["y"], losses)
    assert [t["name"] for t in curves["data"] if t["showlegend"]] == [name for name, _ in drawings.LEAKING.values()]
    high = curves["layout"]["yaxis"]["range"][1]
    assert high > progress.entropy and high > float(progress.losses[0, :, -1].max()), "the honest curve stays in view"
    rules = [shape["y0"] for shape in curves["layout"]["shapes"]]
    assert rules == [progress.entropy, progress.floor], "each level stands where its name says"
    for trace, losses in zip(places["data"], progress.by_position.mean(1), strict=True):
        assert same(trace["y"], losses)
    levels = [note["text"] for note in curves["layout"]["annotations"]]
    assert levels == ["ln V = 2.77: entropy of the data", "ln V / N = 0.173: floor one step too far"]
    assert frame.reading.startswith(
        "Over the last 20 of 400 steps the honest runs lose 2.77 nats, one step too far 0.188, × 0 before 1.88 and 0 after 2.73,"
    )
    assert frame.reading.endswith("they lose 2.77, 2.96, 3.02 and 2.84.")
    assert "3 seeds each" in title(curves) and "last 20 steps" in title(places)


@pytest.mark.parametrize("vocabulary", [4, 64])
@pytest.mark.parametrize("length", [4, 16])
def test_the_detector_reads_well_from_its_first_step(vocabulary: int, length: int) -> None:
    for progress in [
        *leak.train((9999, 10000), vocabulary, length, 12, 5),
        *leak.train((1,), vocabulary, length, 2, 1),
    ]:
        reading = drawings.leak_frame(progress).reading
        assert not list(faults(reading)), reading
        now = float(progress.now[1].mean())
        stated = re.search(r"one step too far ([\d.]+), ×", reading)
        assert stated and math.isclose(float(stated[1]), now, rel_tol=0.006), "in three digits"


def test_the_first_step_is_one_step() -> None:
    reading = drawings.leak_frame(next(leak.train((1,), 4, 4, 2, 1))).reading
    assert reading.startswith("In the first step the")


# ------------------------------------------------------------------------------------------------ shared charts


def test_a_mask_that_can_be_clicked_answers_on_hidden_cells() -> None:
    seen, look = masks.causal(2), {"title": "t", "rows": ["a", "b"], "columns": ["a", "b"]}
    chart = figures.heatmap(seen.float(), hatched=~seen, clickable=True, **look)
    assert chart["layout"]["meta"]["clickable"] is True
    assert chart["data"][0]["z"].tolist() == [[1, 0], [1, 1]], "Plotly hears no click on a missing value"
    assert "clickable" not in figures.heatmap(seen.float(), hatched=~seen, **look)["layout"]["meta"]


def test_levels_are_rules_with_a_name() -> None:
    for log, place in ((False, 10.0), (True, 1.0)):
        chart = figures.lines(
            [figures.Series("a", [1.0, 2.0])],
            x=[0, 1],
            title="t",
            x_title="x",
            y_title="y",
            log_y=log,
            levels={"ten": (10.0, palette.INK)},
        )
        (rule,), (name,) = chart["layout"]["shapes"], chart["layout"]["annotations"]
        assert rule["y0"] == rule["y1"] == 10 and (name["text"], name["y"]) == ("ten", place)
