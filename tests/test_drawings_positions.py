"""Question 13: what the figures draw and what is said under them, state by state."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from core.experiments import positions
from ui.drawings import positions as drawn
from ui.figures import Frame
from ui.palette import MASKED, WITH, WITHOUT

SCHEMES = list(drawn.SCHEMES)
BITES = "bites man dog"


def frames(words: str, order: str, layers: int = 1, seed: int = 0) -> dict[str, Frame]:
    return dict(zip(SCHEMES, drawn.order_frames((words, order), layers, seed), strict=True))


def sentences(reading: str) -> int:
    return reading.replace("W_Q.", "").count(". ") + 1


def notes(figure: Any) -> list[dict]:
    return figure["layout"].get("annotations", [])


# ------------------------------------------------------------------------------------------------ two orders


@pytest.mark.parametrize(
    ("words", "order"), [("dog bites man", BITES), (drawn.TWELVE, drawn.MIXED), ("a b a", "b a a")]
)
def test_each_scheme_draws_its_own_numbers(words: str, order: str) -> None:
    n = len(words.split())
    for scheme, frame in frames(words, order, 2, 3).items():
        both = positions.two_orders(words, order, scheme, 2, 3)
        (figure,) = frame.figures
        heat, *arcs = figure["data"]
        z = heat["z"]
        np.testing.assert_allclose(z[:n], both.first, rtol=1e-5)
        np.testing.assert_allclose(z[n + 1 : 2 * n + 1], both.second, rtol=1e-5)
        np.testing.assert_allclose(z[2 * n + 2], both.first.mean(0), atol=1e-6)
        np.testing.assert_allclose(z[2 * n + 3], both.second.mean(0), atol=1e-6)
        assert np.isnan(z[[n, 2 * n + 1]]).all(), "a gap between two blocks"
        assert heat["zmax"] == -heat["zmin"] == pytest.approx(np.nanmax(np.abs(z))), (
            "one range for all rows of a scheme"
        )
        assert figure["layout"]["yaxis"]["ticktext"] == [*words.split(), *order.split(), "mean", "mean"]
        # An edge before and after each row and column, and a name in the middle of each row.
        edges = heat["y"]
        assert len(edges) == len(z) + 1 and len(heat["x"]) == 17
        rows = [i for i in range(len(z)) if not np.isnan(z[i]).all()]
        np.testing.assert_allclose(figure["layout"]["yaxis"]["tickvals"], [(edges[i] + edges[i + 1]) / 2 for i in rows])
        assert figure["layout"]["yaxis"]["range"] == [pytest.approx(edges[-1]), 0], "the first row on top"
        # One arc for each word, from where it stands to where it stands in the other order; one for the means.
        middle = (edges[1:] + edges[:-1]) / 2
        ends = [(i, n + 1 + int(both.place[i])) for i in range(n)] + [(2 * n + 2, 2 * n + 3)]
        apart = [*both.by_word.tolist(), both.pooled]
        assert len(arcs) == n + 1
        for arc, (above, below), by in zip(arcs, ends, apart, strict=True):
            assert (arc["y"][0], arc["y"][-1]) == (pytest.approx(middle[above]), pytest.approx(middle[below]))
            assert arc["x"][0] == pytest.approx(0, abs=1e-6) == arc["x"][-1] and 0.1 < arc["x"].max() <= 1
            assert arc["line"]["color"] == (WITH if by > positions.ROUNDING else WITHOUT)
            assert arc["text"].endswith(f"Δ = {drawn.number(by, 2)}") and arc["xaxis"] == "x2"
        assert [a["text"].split(":")[0] for a in arcs] == [*(f"“{word}”" for word in words.split()), "the means"]
        assert [note["text"] for note in notes(figure)] == [
            f"Δ = {drawn.number(both.largest, 2)}",
            f"Δ = {drawn.number(both.pooled, 2)}",
        ]
        heights = ((middle[0] + middle[2 * n]) / 2, (middle[2 * n + 2] + middle[2 * n + 3]) / 2)
        for note, by, height in zip(notes(figure), (both.largest, both.pooled), heights, strict=True):
            assert note["y"] == pytest.approx(height), "in the middle of its arcs"
            assert note["font"]["color"] == (WITH if by > positions.ROUNDING else WITHOUT)
            assert note["x"] < 1.3 and note["xref"] == "x2"


def test_longer_arcs_reach_out_farther() -> None:
    reach = [float(drawn.arc(0, bottom, 6.6)[0].max()) for bottom in (1, 2, 4, 6)]
    assert reach == sorted(reach) and len(set(reach)) == 4 and reach[-1] < 1


def test_the_table_holds_what_is_drawn() -> None:
    both = positions.two_orders("<b> &", "& <b>", "rope", 1)
    table = drawn.orders_figure(both)["layout"]["meta"]["table"]
    assert [row[:2] for row in table["rows"]] == [
        ["1st", "<b>"], ["1st", "&"], ["2nd", "&"], ["2nd", "<b>"], ["1st", "mean"], ["2nd", "mean"],
    ]  # fmt: skip
    expected = torch.cat([both.first, both.second, both.first.mean(0)[None], both.second.mean(0)[None]])
    np.testing.assert_allclose([row[2:] for row in table["rows"]], expected, atol=1e-6)


def test_twelve_words_have_room() -> None:
    tall, usual = (
        drawn.orders_figure(positions.two_orders(w, o))["layout"]["height"]
        for w, o in ((drawn.TWELVE, drawn.MIXED), (positions.SENTENCE, positions.ORDER))
    )
    assert usual == drawn.HERO and tall - 66 >= drawn.ROW * 26


def test_rounding_is_not_called_zero_nor_a_difference() -> None:
    """On another processor un-shuffling may leave the last bit."""
    both = positions.two_orders(positions.SENTENCE, positions.ORDER)
    nudged = positions.Orders(both.words, both.order, both.place, both.first, both.second * (1 + 2**-52))
    figure = drawn.orders_figure(nudged)
    assert {arc["line"]["color"] for arc in figure["data"][1:]} == {WITHOUT}
    assert "10⁻¹⁶" in notes(figure)[0]["text"]
    for scheme in ("none", "alibi"):
        said = drawn.order_reading(scheme, nudged)
        assert "which is rounding" in said and "exactly 0" not in said


def test_the_default_order_says_why_alibi_is_blind() -> None:
    seen = frames(positions.SENTENCE, positions.ORDER)
    assert "and no direction" in seen["alibi"].reading and "exactly 0" in seen["alibi"].reading
    assert "exactly 0" in seen["none"].reading and "only swap places" in seen["none"].reading
    for scheme in ("sinusoidal", "learned", "rope"):
        assert "the orders differ" in seen[scheme].reading and "exactly 0" not in seen[scheme].reading
    assert "not the first read backwards" in seen["alibi"].reading
    assert "the orders differ" in frames(positions.SENTENCE, BITES)["alibi"].reading
    two = frames("on off", "off on")["alibi"].reading
    assert two.endswith("Write three words: two can only be turned around.") and "Try" not in two


@pytest.mark.parametrize(
    ("words", "order", "said"),
    [
        ("a b", "a b", "hold the same order, so"),
        ("a b a", "a b a", "reads the same backwards"),
        ("a a a", "a a a", "All words are the same"),
    ],
)
def test_the_same_order_has_a_sentence_of_its_own(words: str, order: str, said: str) -> None:
    for frame in frames(words, order).values():
        assert said in frame.reading and "differ:" not in frame.reading
        assert {note["text"] for note in notes(frame.figures[0])} == {"Δ = 0"}


def test_the_numbers_said_are_those_drawn() -> None:
    for scheme, frame in frames(positions.SENTENCE, BITES, 4, 1).items():
        both = positions.two_orders(positions.SENTENCE, BITES, scheme, 4, 1)
        if scheme != "none":
            assert f"by up to Δ = {drawn.number(both.largest, 2)}, the mean by" in frame.reading
            assert f"the mean by {drawn.number(both.pooled, 2)}." in frame.reading
            assert drawn.IN_WORDS[scheme] in frame.reading and "not how much" in frame.reading


def test_a_reading_is_two_sentences_at_most() -> None:
    seen = list(frames(positions.SENTENCE, positions.ORDER).values())
    seen += [*drawn.prefix_frames(positions.STORY, 0, 0), *drawn.counting_frames(positions.STORY)]
    seen += [*drawn.offset_frames(64, 0), *drawn.pairing_frames(0)]
    assert all(sentences(frame.reading) <= 2 for frame in seen)


# ------------------------------------------------------------------------------------------------ words as labels


def test_words_stand_whole_where_they_fit() -> None:
    family, thumb = "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd"
    for whole in ("dog", "transformers", family * 6, thumb * 6, "e\u0301" * 12, "\u72ac" * 6):
        assert drawn.short(whole) == whole
    for long, cut in (
        ("internationalization", "internationa"[:11] + "…"),
        (family * 13, family * 5 + "…"),
        ("e\u0301" * 13, "e\u0301" * 11 + "…"),
        ("\u72ac" * 7, "\u72ac" * 5 + "…"),
    ):
        assert drawn.short(long) == cut


def test_a_readers_word_is_no_html() -> None:
    (figure,) = frames("<b> &", "& <b>")["none"].figures
    assert figure["layout"]["yaxis"]["ticktext"] == ["&lt;b&gt;", "&amp;", "&amp;", "&lt;b&gt;", "mean", "mean"]
    assert figure["data"][1]["text"] == "“&lt;b&gt;”: Δ = 0"


# ------------------------------------------------------------------------------------------------ a causal mask alone


@pytest.mark.parametrize(("order_seed", "seed"), [(0, 0), (3, 0), (99, 9999)])
def test_the_prefix_draws_what_was_measured(order_seed: int, seed: int) -> None:
    seen = positions.shuffled_prefix(positions.STORY, order_seed, seed)
    (frame,) = drawn.prefix_frames(positions.STORY, order_seed, seed)
    (figure,) = frame.figures
    heat, crosses = figure["data"]
    np.testing.assert_allclose(heat["customdata"], seen.change, atol=1e-6)
    still = [(r, c) for r in range(4) for c in range(8) if seen.change[r, c] <= positions.ROUNDING]
    assert list(zip(crosses["y"], crosses["x"], strict=True)) == still and (0, 7) in still
    assert not [c for r, c in still if r and c == 7], "with two layers the last word’s output moves"
    assert figure["layout"]["xaxis"]["ticktext"] == list(seen.words) and figure["layout"]["meta"]["rows"] == list(
        "1234"
    )
    assert figure["layout"]["yaxis"]["ticktext"] == list("1234")
    assert heat["zmin"] == 0 and heat["zmax"] == pytest.approx(float(seen.change.max()))
    assert "one layer’s output there moves by exactly 0, since" in frame.reading
    assert f"by up to {drawn.number(float(seen.change[1:, -1].max()), 2)}:" in frame.reading
    assert f"Before “away” stands “{' '.join(seen.shuffled[:-1])}” instead" in frame.reading


def test_rounding_under_a_mask_is_said_as_rounding() -> None:
    seen = positions.shuffled_prefix()
    after = seen.after.clone()
    after[0, -1] += 1e-16 * after[0, -1].sign() + 2e-16
    said = drawn.prefix_reading(positions.Prefix(seen.words, seen.shuffled, seen.place, seen.before, after))
    assert "which is rounding, since it adds up" in said and "exactly" not in said


def test_the_counting_head_looks_for_a_token_that_is_recognisable() -> None:
    (frame,) = drawn.counting_frames("the dog the")
    causal, full = frame.figures[0]["data"]
    np.testing.assert_allclose(causal["y"], [1, 1 / 2, 1 / 3, 1 / 4])
    np.testing.assert_allclose(full["y"], [1 / 4] * 4)
    assert (causal["name"], full["name"]) == ("causal mask", "no mask")
    assert causal["x"].tolist() == [0, 1, 2, 3]
    assert "down to 0.25 at t = 3" in frame.reading and "0.25 everywhere" in frame.reading


# ------------------------------------------------------------------------------------------------ sinusoids and RoPE


@pytest.mark.parametrize("width", [8, 16, 64])
def test_the_offsets_draw_what_was_measured(width: int) -> None:
    seen, waves = positions.pattern(width, 5), positions.waves(width)
    ranges = set()
    for i, (p, frame) in enumerate(zip(positions.STARTS, drawn.offset_frames(width, 5), strict=True)):
        left, right = frame.figures
        *sines, dots = left["data"]
        shift = np.array(left["layout"]["yaxis"]["tickvals"])
        assert len(sines) == len(shift) == min(6, width // 2) and (np.diff(shift) < -2).all(), "no two waves touch"
        for k, trace in enumerate(sines):
            np.testing.assert_allclose(trace["y"] - shift[k], waves.sines[k], atol=1e-5)
            np.testing.assert_allclose(trace["x"], waves.places)
        assert dots["x"].tolist() == [p] * len(shift)
        at = p * 10_000 ** (-waves.pairs.double() * 2 / width)
        np.testing.assert_allclose(dots["y"] - shift, at.sin(), atol=1e-5)
        (rule,) = left["layout"]["shapes"]
        assert rule["x0"] == rule["x1"] == p
        names = left["layout"]["yaxis"]["ticktext"]
        assert names[0] == "pair 0<br>6.3 positions" and names[-1].startswith(f"pair {width // 2 - 1}<br>")
        assert left["layout"]["title"]["text"].startswith(
            "All 4 pairs" if width == 8 else f"6 of the {width // 2} pairs"
        )
        for trace, y in zip(
            right["data"], (seen.raw[i], seen.projected[i], seen.projected[0], seen.turned[i]), strict=True
        ):
            np.testing.assert_allclose(trace["y"], y, atol=1e-6)
            np.testing.assert_array_equal(trace["x"], seen.offsets)
            low, high = right["layout"]["yaxis"]["range"]
            assert low < trace["y"].min() and trace["y"].max() < high
        ranges.add(tuple(right["layout"]["yaxis"]["range"]))
        assert [t["name"] for t in right["data"]] == [
            "the sinusoids themselves", "after W_Q and W_K", "after W_Q and W_K, p = 24", "RoPE",
        ]  # fmt: skip
        assert f"p = {p}" in frame.reading and f"p = {p}" in right["layout"]["title"]["text"]
        if i:
            assert frame.reading.endswith(f"at p = {p} by up to {drawn.number(seen.moved(i)[1], 2)}.")
            assert frame.reading.count("up to rounding") + frame.reading.count("(exactly)") == 2
    assert len(ranges) == 1, "what stands still must be seen to stand still"


def test_the_table_of_the_waves() -> None:
    figure = drawn.waves_figure(positions.waves(8), 8)
    rows = figure["layout"]["meta"]["table"]["rows"]
    assert len(rows) == 4 * 41, "every third position"
    for pair, length, place, sine in rows[::57]:
        assert length == pytest.approx(2 * math.pi * 10_000 ** (pair / 4))
        assert sine == pytest.approx(math.sin(2 * math.pi * place / length), abs=1e-9) and place == int(place)


def test_the_offsets_say_what_would_not_be_rounding() -> None:
    said = drawn.offset_reading(60, (1.5e-16, 0.41, 0.53))
    assert "RoPE’s (up to 0.53)" in said and "at p = 24 (up to rounding, 1.5·10⁻¹⁶)" in said
    assert drawn.offset_reading(60, (0.0, 0.4, 0.0)).count("(exactly)") == 2
    assert "stay where they are at p = 24" in drawn.offset_reading(24, (0.0, 0.0, 0.0))


# ------------------------------------------------------------------------------------------------ neighbours or halves


@pytest.mark.parametrize("seed", [0, 9999])
def test_the_pairs_draw_what_was_measured(seed: int) -> None:
    seen = positions.pairings(8, seed)
    for code, frame in zip(drawn.CODES, drawn.pairing_frames(seed), strict=True):
        right, this = frame.figures[1]["data"]
        scores = getattr(seen, code)[-1]
        for back in range(16):
            assert right["y"][back] == pytest.approx(float(seen.neighbours[-1, 15 - back]), abs=1e-6)
            assert this["y"][back] == pytest.approx(float(scores[15 - back]), abs=1e-6)
            low, high = frame.figures[1]["layout"]["yaxis"]["range"]
            assert low < this["y"][back] < high
        assert right["x"].tolist() == this["x"].tolist() == list(range(16))
        off = float((scores - seen.neighbours[-1]).abs().max())
        if code == "mixed":
            assert f"off by up to {drawn.number(off, 2)}:" in frame.reading and off > 0.01
        elif code == "converted":
            assert "exactly." in frame.reading or f"up to rounding ({drawn.number(off, 2)})" in frame.reading


def test_the_columns_that_are_turned_together() -> None:
    """Each arc stands over two columns: partners where the code fits the weights, others where it does not."""
    for code in drawn.CODES:
        figure = drawn.columns_figure(code)
        texts = [t for t in figure["data"] if t.get("mode") == "text"]
        at = {t["text"][0]: float(t["x"][0]) for t in texts if len(t["text"][0]) == 2}
        assert sorted(at) == ["a₁", "a₂", "b₁", "b₂", "c₁", "c₂", "d₁", "d₂"]
        assert sorted(at.values()) == [i + 0.5 for i in range(8)]
        by_place = {x: name for name, x in at.items()}
        arcs = [t for t in figure["data"] if t.get("mode") == "lines" and not t.get("fill")]
        assert len(arcs) == 4
        joined = [(by_place[round(float(a["x"][0]), 3)], by_place[round(float(a["x"][-1]), 3)]) for a in arcs]
        assert len({name for pair in joined for name in pair}) == 8, "each column is turned once"
        partners = all(left[0] == right[0] for left, right in joined)
        assert partners == (code != "mixed")
        assert {a["line"]["color"] for a in arcs} == ({WITH} if partners else {MASKED})
        spans = {round(float(a["x"][-1] - a["x"][0])) for a in arcs}
        assert spans == ({1} if code == "neighbours" else {4}), "neighbours, or half a head apart"
        boxes = [t for t in figure["data"] if t.get("fill") == "toself"]
        colours = {}
        for box, text in zip(boxes, [t for t in texts if len(t["text"][0]) == 2], strict=True):
            colours.setdefault(text["text"][0][0], set()).add(box["line"]["color"])
            assert min(box["x"]) < text["x"][0] < max(box["x"])
        assert len({c for found in colours.values() for c in found}) == 4 and all(len(c) == 1 for c in colours.values())
        assert ("none with its partner" in " ".join(t["text"][0] for t in texts)) == (code == "mixed")


def test_a_column_is_the_same_part_in_every_frame() -> None:
    """So that it slides to its new place and does not jump."""
    names = [
        [t["text"][0] for t in drawn.columns_figure(code)["data"] if t.get("mode") == "text"][:8]
        for code in drawn.CODES
    ]
    assert names[0] == names[1] == names[2]
    assert drawn.columns_figure("mixed")["layout"]["transition"]["duration"] > 0
