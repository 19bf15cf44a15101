"""Question 4: what the drawings show is what was measured, and their readings say what they show."""

import itertools
import math
import re

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import masking
from core.experiments.masking import Where
from core.ops import masks
from core.training import leak
from tests.test_readings import faults
from ui import figures, palette
from ui.drawings import masking as drawings

FIVE, SIX = "the cat sat on the", masking.SENTENCE


def title(figure: figures.Figure) -> str:
    return figure["layout"]["title"]["text"]


def data(figure: figures.Figure) -> np.ndarray:
    """The numbers of a heatmap, as they are exported: also where a cross stands."""
    return figure["data"][0]["customdata"]


def crossed(figure: figures.Figure, n_rows: int, n_columns: int) -> np.ndarray:
    """Where crosses stand."""
    cells = np.zeros((n_rows, n_columns), bool)
    for trace in figure["data"][1:]:
        cells[trace["y"].astype(int), trace["x"].astype(int)] = True
    return cells


def same(numbers: np.ndarray, expected: torch.Tensor) -> bool:
    return bool(np.array_equal(numbers, expected.numpy().astype(np.float32), equal_nan=True))


def test_every_figure_is_one_that_plotly_knows() -> None:
    for frames in (
        drawings.attention_frames(SIX, "strict", "before", 0),
        drawings.influence_frames(SIX, "nobody", 0),
        drawings.append_frames(SIX, "<b>", 0),
        drawings.late_frames(FIVE, 0),
        drawings.nobody_frames(SIX, 0),
        [drawings.leak_frame(leak.trained())],
    ):
        for frame in frames:
            for figure in frame.figures:
                go.Figure(figure)


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
def test_the_numbers_of_the_row_figure(rows: str, where: Where) -> None:
    """−∞ where −∞ enters, exactly 0 where a weight is 0, not a number only where a row sees nobody."""
    head = masking.head(SIX, rows, where, 3)
    frames = drawings.attention_frames(SIX, rows, where, 3)
    assert len(frames) == 6
    seen = head.visible.numpy()
    for i, frame in enumerate(frames):
        before, second, third, row = frame.figures
        assert same(data(before), head.logits) and np.isfinite(data(before)).all()
        assert same(data(second), head.entered) and same(data(third), head.weights)
        assert (np.isneginf(data(second)) == (~seen if where == "before" else np.zeros_like(seen))).all()
        assert (crossed(second, 6, 6) == np.isneginf(data(second))).all()
        assert (crossed(third, 6, 6) == (data(third) == 0)).all()
        empty = ~seen.any(-1) if where == "before" else np.zeros(6, bool)
        assert (np.isnan(data(third)) == empty[:, None]).all()
        assert ("exactly 0" in title(third)) == bool((data(third) == 0).any())
        assert ("not a number" in title(third)) == bool(empty.any())
        without, masked = (trace["y"] for trace in row["data"])
        assert same(without, head.unmasked[i]) and same(masked, head.weights[i])
        assert title(row).endswith(f"row {i}") and before["layout"]["shapes"][0]["y0"] == i - 0.5
        assert before["data"][0]["zmax"] == second["data"][0]["zmax"] == pytest.approx(float(head.logits.abs().max()))


def test_what_the_second_panel_says_it_shows() -> None:
    said = [title(drawings.attention_frames(SIX, "causal", where, 0)[0].figures[1]) for where in drawings.WHERE]
    assert [s.partition(": ")[2] for s in said] == ["× is −∞", "unchanged", "0 where hidden"]


@pytest.mark.parametrize(
    ("rows", "where", "row", "said"),
    [
        ("causal", "before", 0, "at 1 of 6 words: without a mask the others would get 95 % of its weight, now exactly 0. All of it goes to “the” at position 0."),
        ("causal", "before", 1, "now exactly 0. The visible ones share all of it, and the largest weight, 53 %, goes to “cat” at position 1."),
        ("causal", "before", 4, "without a mask the other would get"),
        ("causal", "before", 5, "may look at all 6 words, so its mask changes nothing. The largest weight, 33 %, goes to “mat” at position 5."),
        ("causal", "after", 1, "Nobody inherits it: the row sums to 36 % instead of 100 %, and the largest weight, 19 %, goes"),
        ("causal", "multiply", 0, "95 % of its weight, now 96 %. A logit of 0 still counts as e⁰ = 1; the largest weight, 19 %, goes to each of 5 words."),
        ("strict", "before", 0, "may look at nobody: every logit is −∞, and a softmax over nothing is not a number."),
        ("strict", "after", 0, "may look at nobody: all its weights were set to 0 after the softmax, so its output is 0."),
        ("strict", "multiply", 0, "may look at nobody: every logit became 0, so each of the 6 words gets 17 % all the same."),
    ],
)  # fmt: skip
def test_what_a_row_is_said_to_do(rows: str, where: Where, row: int, said: str) -> None:
    reading = drawings.attention_frames(SIX, rows, where, 0)[row].reading.replace("\u00a0", " ")
    assert said in reading and reading.startswith(f"Row {row} (“{SIX.split()[row]}”)")


def test_two_words_are_both_words() -> None:
    first, second = drawings.attention_frames("yes no", "causal", "before", 0)
    assert "at 1 of 2 words: without a mask the other would get" in first.reading
    assert "may look at both words, so" in second.reading


# ------------------------------------------------------------------------------------------------ influence


@pytest.mark.parametrize("rows", drawings.MASKS)
def test_the_numbers_of_the_influence_figure(rows: str) -> None:
    (frame,) = drawings.influence_frames(SIX, rows, 3)
    allowed, *ways = frame.figures
    visible = masking.mask(rows, 6)
    assert same(data(allowed), visible) and (crossed(allowed, 6, 6) == ~visible.numpy()).all()
    assert allowed["layout"]["meta"]["clickable"] is True
    assert title(allowed).startswith(f"The mask allows {int(visible.sum())} of 36")
    limits = {figure["data"][0]["zmax"] for figure in ways}
    assert len(limits) == 1, "one colour scale for the three ways"
    for where, figure in zip(drawings.WHERE, ways, strict=True):
        head = masking.head(SIX, rows, where, 3)
        assert same(data(figure), head.influence) and np.isfinite(data(figure)).all()
        assert (crossed(figure, 6, 6) == (data(figure) == 0)).all()
        assert title(figure).lower().startswith(drawings.WHERE[where].removeprefix("trap: ").lower())
        assert title(figure).endswith(f": {int((data(figure) != 0).sum())} of 36 pairs")


@pytest.mark.parametrize(
    ("sentence", "rows", "said"),
    [
        (SIX, "causal", "the mask allows 21. With −∞ before the softmax exactly these have influence; with zeros after it or with logits times 0, 36 have."),
        (SIX, "none", "Nothing is hidden, so the three ways are the same: each of the 36 pairs"),
        (SIX, "strict", "allows 15. With −∞ before the softmax 19 have influence, these and 4 in which a word that is hidden from itself still asks; with zeros after it 30 have, and 36 with logits times 0 (row 0 sees nobody and counts as 0 under −∞)."),
        (SIX, "nobody", "allows none. With −∞ before the softmax no output is a number (they count as 0 here), so no pair has influence; with zeros after it none has, and 36 have with logits times 0."),
        ("yes no", "strict", "allows 1. With −∞ before the softmax exactly this one has influence; with zeros after it 2 have, and 4 with logits times 0"),
        ("yes no", "00/11", "allows 2. With −∞ before the softmax exactly these have"),
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
    assert (grey["name"], purple["name"]) == ("no mask", "causal mask")
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
    assert all(words in frame.reading for words in said) and "by up to 0.5." in frame.reading


def test_several_new_words_show_the_wrong_and_the_wanted_triangle() -> None:
    frames = drawings.late_frames(FIVE, 0)
    assert len(frames) == 5
    for new, frame in enumerate(frames, 1):
        wrong, wanted = frame.figures
        for figure, how in ((wrong, "is_causal"), (wanted, "bottom right")):
            weights = masking.late(how, new, FIVE, 0)  # type: ignore[arg-type]
            assert same(data(figure), weights) and (crossed(figure, new, 5) == (weights == 0).numpy()).all()
            assert figure["layout"]["yaxis"]["ticktext"] == drawings.labelled(FIVE.split())[-new:]
        assert "is_causal=True" in title(wrong) and f"tril({5 - new})" in title(wanted)
        assert f"causal_lower_right({new}, 5)" in frame.reading
    said = [frame.reading for frame in frames]
    assert "lets it see 1 key, the oldest, where all 5 are right, so that it needs no mask" in said[0]
    assert "2 new words against 5 keys: is_causal=True lets them see 1 and 2 keys, where 4 and 5 are right" in said[1]
    assert "lets them see 1 to 3 keys, where 3 to 5 are right" in said[2]
    assert "all 5 words are new, the corners are the same and is_causal=True is right" in said[4]
    assert "both words are new" in drawings.late_frames("yes no", 0)[1].reading


def test_an_empty_row_is_shown_for_each_function() -> None:
    (frame,) = drawings.nobody_frames(SIX, 0)
    found = masking.libraries(SIX, -1, 0)
    (figure,) = frame.figures
    assert same(data(figure), found.row) and (crossed(figure, 6, 6) == found.row.isnan().numpy()).all()
    assert figure["layout"]["yaxis"]["ticktext"] == list(drawings.LIBRARIES)
    assert frame.reading.startswith(
        f"In torch {torch.__version__.split('+')[0]} the weights of row 0 are not a number by"
    )
    lost, zero = re.match(r".* not a number by (.*); they are 0 by (.*)\. Adding", frame.reading).groups()  # type: ignore[union-attr]
    assert lost == "the softmax as written, nn.MultiheadAttention and its fast path for inference"
    assert zero == "F.scaled_dot_product_attention and nn.MultiheadAttention with need_weights=False in training"
    assert "every word 17\u00a0%" in frame.reading


# ------------------------------------------------------------------------------------------------ the detector


def test_the_detector_shows_every_seed_and_says_what_it_shows() -> None:
    progress = leak.trained()
    frame = drawings.leak_frame(progress)
    curves, places = frame.figures
    for trace, losses in zip(curves["data"], progress.losses.flatten(0, 1), strict=True):
        assert same(trace["y"], losses)
    assert [t["name"] for t in curves["data"] if t["showlegend"]] == ["honest mask", "one step too far"]
    for trace, losses in zip(places["data"], progress.by_position.mean(1), strict=True):
        assert same(trace["y"], losses)
    levels = [note["text"] for note in curves["layout"]["annotations"]]
    assert levels == ["ln V = 2.77: entropy of the data", "ln V / N = 0.173: floor of the leak"]
    assert "After 400 steps the honest runs lose 2.77 nats and those that see one step too far 0.188" in frame.reading
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
        stated = re.search(r"too far ([\d.]+) \(means", reading)
        assert stated and math.isclose(float(stated[1]), now, rel_tol=0.006), "in three digits"


def test_the_first_step_is_one_step() -> None:
    reading = drawings.leak_frame(next(leak.train((1,), 4, 4, 2, 1))).reading
    assert reading.startswith("After 1 step the") and "all seeds and the last step)" in reading


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
