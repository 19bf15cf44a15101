"""Question 13: what the figures draw and what is said under them, state by state."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import positions
from ui.drawings import positions as drawn
from ui.figures import Frame

SCHEMES = list(drawn.SCHEMES)
BITES = "bites man dog"


def frames(words: str, order: str, layers: int = 1, seed: int = 0) -> dict[str, Frame]:
    return dict(zip(SCHEMES, drawn.order_frames((words, order), layers, seed), strict=True))


def sentences(reading: str) -> int:
    return reading.replace("W_Q.", "").count(". ") + 1


# ------------------------------------------------------------------------------------------------ two orders


def test_each_scheme_draws_its_own_numbers() -> None:
    for scheme, frame in frames(positions.SENTENCE, BITES, 2, 3).items():
        both = positions.two_orders(positions.SENTENCE, BITES, scheme, 2, 3)
        first, second, difference, means = frame.figures
        np.testing.assert_allclose(first["data"][0]["z"], both.first, rtol=1e-5)
        np.testing.assert_allclose(second["data"][0]["z"], both.second, rtol=1e-5)
        np.testing.assert_allclose(difference["data"][0]["customdata"], both.second[both.place] - both.first, rtol=1e-5)
        np.testing.assert_allclose(means["data"][0]["y"], both.first.mean(0), rtol=1e-5)
        np.testing.assert_allclose(means["data"][1]["y"], both.second.mean(0), rtol=1e-5)
        low, high = means["layout"]["yaxis"]["range"]
        assert low == -high and high >= max(
            float(both.first.mean(0).abs().max()), float(both.second.mean(0).abs().max())
        )
        assert first["layout"]["yaxis"]["ticktext"] == ["dog 0", "bites 1", "man 2"]
        assert second["layout"]["yaxis"]["ticktext"] == ["bites 0", "man 1", "dog 2"]
        assert difference["layout"]["yaxis"]["ticktext"] == ["dog", "bites", "man"]
        assert [t["name"] for t in means["data"]] == ["first order", "second order"]


@pytest.mark.parametrize("words", ["dog bites man", drawn.TWELVE])
@pytest.mark.parametrize("seed", [0, 9999])
def test_no_difference_is_blank_because_another_scheme_is_larger(words: str, seed: int) -> None:
    """Twelve words, RoPE: the map was blank beside “tells the two orders apart”."""
    order = " ".join([*words.split()[1:], words.split()[0]])
    for scheme, frame in frames(words, order, 1, seed).items():
        colours, *crosses = frame.figures[2]["data"]
        if scheme == "none":
            assert np.isnan(colours["z"]).all() and colours["zmax"] == 1
            assert len(crosses[0]["x"]) == colours["z"].size, "every cell says that it is exactly 0"
        else:
            assert np.nanmax(np.abs(colours["z"])) == pytest.approx(colours["zmax"]) == pytest.approx(-colours["zmin"])
            # (One layer of ALiBi may leave a word alone whose distances stay the same: row six of twelve, shifted by one.)
            assert len(crosses[0]["x"]) == (0 if scheme != "alibi" or len(words.split()) == 3 else 16)
            assert "tells the two orders apart" in frame.reading


def test_rounding_is_not_blown_up_to_colours_nor_called_zero() -> None:
    """On another processor un-shuffling may leave the last bit."""
    both = positions.two_orders(positions.SENTENCE, positions.ORDER)
    nudged = positions.Orders(both.words, both.order, both.place, both.first, both.second * (1 + 2**-52))
    colours = drawn.difference(nudged)["data"][0]
    assert colours["zmax"] == 1
    said = drawn.order_reading("none", nudged, 1e-15, ["rope"])
    assert "which is rounding" in said and "exactly 0" not in said
    assert "which is rounding" in drawn.order_reading("alibi", nudged, 1e-15, ["rope"])


def test_the_default_order_says_why_alibi_is_blind() -> None:
    seen = frames(positions.SENTENCE, positions.ORDER)
    assert "first read backwards" in seen["alibi"].reading and "exactly 0" in seen["alibi"].reading
    assert "ALiBi does not" in seen["none"].reading
    assert all("exactly 0" not in seen[scheme].reading for scheme in ("sinusoidal", "learned", "rope"))
    other = frames(positions.SENTENCE, BITES)
    assert "Each of the four ways" in other["none"].reading and "apart" in other["alibi"].reading


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
        assert said in frame.reading and "apart" not in frame.reading
        assert len(frame.figures[2]["data"][1]["x"]) == 16 * len(words.split()), "every difference is exactly 0"


def test_ordinary_products_are_reported_as_they_are() -> None:
    both = positions.two_orders(positions.SENTENCE, positions.ORDER)
    assert "leave nothing either" in drawn.order_reading("none", both, 0.0, ["rope"])
    assert "leave 6.7·10⁻¹⁶, which is rounding" in drawn.order_reading("none", both, 6.661e-16, ["rope"])
    found = positions.two_orders(positions.SENTENCE, positions.ORDER, summation="plain").largest
    assert drawn.rest(found) in frames(positions.SENTENCE, positions.ORDER)["none"].reading


def test_the_numbers_said_are_those_drawn() -> None:
    for scheme, frame in frames(positions.SENTENCE, BITES, 4, 1).items():
        both = positions.two_orders(positions.SENTENCE, BITES, scheme, 4, 1)
        if scheme != "none":
            assert f"differ by up to {drawn.rest(both.largest)}, and" in frame.reading
            assert f"by up to {drawn.rest(both.pooled)}." in frame.reading
            assert drawn.IN_WORDS[scheme] in frame.reading


def test_a_reading_is_two_sentences_at_most() -> None:
    seen = list(frames(positions.SENTENCE, positions.ORDER).values())
    seen += [*drawn.prefix_frames(positions.STORY, 0, 0), *drawn.counting_frames(positions.STORY)]
    seen += drawn.pattern_frames(64, 0)
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
    shown = frames("<b> &", "& <b>")["none"].figures
    assert shown[0]["layout"]["yaxis"]["ticktext"] == ["&lt;b&gt; 0", "&amp; 1"]
    assert shown[2]["layout"]["yaxis"]["ticktext"] == ["&lt;b&gt;", "&amp;"]


# ------------------------------------------------------------------------------------------------ the pattern


def test_the_pattern_draws_what_was_measured() -> None:
    for base, frame in zip(drawn.BASES, drawn.pattern_frames(16, 5), strict=True):
        seen = positions.pattern(16, float(base), 5)
        table, raw, projected, turned = frame.figures
        np.testing.assert_allclose(table["data"][0]["z"], seen.table, atol=1e-6)
        for chart, values in ((raw, seen.raw), (projected, seen.projected), (turned, seen.turned)):
            assert [t["name"] for t in chart["data"]] == ["p = 64", "p = 128", "p = 256"]
            for trace, y in zip(chart["data"], values, strict=True):
                np.testing.assert_allclose(trace["y"], y, atol=1e-6)
                np.testing.assert_array_equal(trace["x"], seen.offsets)
                low, high = chart["layout"]["yaxis"]["range"]
                assert low <= trace["y"].min() and trace["y"].max() <= high
        assert projected["layout"]["yaxis"]["range"] == turned["layout"]["yaxis"]["range"], "they can be compared"
        assert f"base {base:,} the" in frame.reading and "d = 16" in frame.reading
        assert drawn.number(seen.longest) in frame.reading
        assert f"differ by up to {drawn.number(seen.spread[1], 2)}." in frame.reading
        assert frame.reading.count("up to rounding") == 2


def test_the_pattern_says_what_would_not_be_rounding() -> None:
    seen = positions.pattern(16)
    moved = seen.turned.clone()
    moved[0, 0] += 0.5
    wrong = positions.Pattern(seen.table, seen.offsets, seen.raw, seen.projected, moved, seen.longest)
    assert "RoPE's scores up to (0.50)" in drawn.pattern_reading(16, 10_000, wrong)
    same = torch.zeros(3, 97)
    exact = positions.Pattern(seen.table, seen.offsets, same, seen.projected, same, seen.longest)
    assert drawn.pattern_reading(16, 10_000, exact).count("exactly") == 2


# ------------------------------------------------------------------------------------------------ a causal mask alone


def notes(frame: Frame) -> list[Any]:
    return [(n["x"], n["text"]) for n in frame.figures[1]["layout"].get("annotations", [])]


@pytest.mark.parametrize(("order_seed", "seed"), [(0, 0), (99, 9999)])
def test_the_prefix_draws_what_was_measured(order_seed: int, seed: int) -> None:
    seen = positions.shuffled_prefix(positions.STORY, order_seed, seed)
    shown = drawn.prefix_frames(positions.STORY, order_seed, seed)
    for i, frame in enumerate(shown):
        output, by_depth = frame.figures
        np.testing.assert_allclose(output["data"][0]["y"], seen.before[i], atol=1e-6)
        np.testing.assert_allclose(output["data"][1]["y"], seen.after[i], atol=1e-6)
        bars = np.add(*(trace["y"] for trace in by_depth["data"]))
        np.testing.assert_allclose(bars, seen.change, atol=1e-6)
        assert np.nonzero(by_depth["data"][0]["y"])[0].tolist() == ([i] if i else []), "the depth that is looked at"
        assert by_depth["layout"]["yaxis"]["range"] == [0, pytest.approx(1.1 * bars.max())]
        assert notes(frame)[0][0] == 0 and len(notes(frame)) == 1, "the empty place of one layer says that it is meant"
        assert f"by {drawn.rest(float(seen.change[i]))}, since" in frame.reading
        assert ("sees the same keys" if i == 0 else "different prefixes") in frame.reading
        assert f"with {i + 1} layer{'s' if i else ''} the" in frame.reading
        assert f"“{' '.join(seen.words)}” becomes “{' '.join(seen.shuffled)}”" in frame.reading


def test_rounding_under_a_mask_is_said_as_rounding() -> None:
    seen = positions.shuffled_prefix()
    said = drawn.prefix_reading(seen, "1 layer", 1e-16, 2e-16)
    assert "by 1.0·10⁻¹⁶, which is rounding, since the last word sees the same keys" in said
    assert said.endswith("change it by 2.0·10⁻¹⁶, which is rounding.")


def test_the_counting_head_looks_for_a_token_that_is_recognisable() -> None:
    (frame,) = drawn.counting_frames("the dog the")
    causal, full = frame.figures[0]["data"]
    np.testing.assert_allclose(causal["y"], [1, 1 / 2, 1 / 3, 1 / 4])
    np.testing.assert_allclose(full["y"], [1 / 4] * 4)
    assert causal["x"].tolist() == [0, 1, 2, 3]
    assert "0.25 at t = 3" in frame.reading and "everywhere" in frame.reading


# ------------------------------------------------------------------------------------------------ all of them


def test_plotly_knows_every_figure() -> None:
    every = [*frames(positions.SENTENCE, positions.ORDER).values(), *drawn.pattern_frames(8, 0)]
    every += [*drawn.prefix_frames(positions.STORY, 0, 0), *drawn.counting_frames(positions.STORY)]
    for frame in every:
        for chart in frame.figures:
            go.Figure(chart)
            assert chart["layout"]["title"]["text"] and chart["layout"]["xaxis"]["title"]["text"]
