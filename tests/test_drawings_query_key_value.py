"""Question 8's frames show what was measured, and their readings say what they show."""

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from core.experiments import query_key_value as qkv
from core.say import number, percent
from tests.test_readings import DRAWINGS
from ui import figures
from ui.drawings import query_key_value as drawings
from ui.palette import KEY, QUERY, VALUE, WITH
from ui.sweep.packing import pack

OURS = [p for p in DRAWINGS if str(p.id).startswith("query_key_value-")]


def plain(reading: str) -> str:
    return reading.replace("\u00a0", " ")


def table(figure: figures.Figure) -> list[list[Any]]:
    return figure["layout"]["meta"]["table"]["rows"]


# ---------------------------------------------------------------------------------------------- the plane


@pytest.mark.parametrize("length", [0.0, 3.0])
def test_the_plane_draws_what_was_measured(length: float) -> None:
    found = qkv.turn(length=length)
    frames = drawings.plane_frames(drawings.CASES[0], length)
    assert len(frames) == len(qkv.ANGLES)
    for i in (0, 6, 54):
        keys, values = frames[i].figures
        bars = keys["data"][-1]
        arrows, weights = keys["data"][:4], found.weights[i].tolist()
        for arrow, key, weight in zip(arrows, found.key.tolist(), weights, strict=True):
            assert arrow["x"].tolist() == [0, pytest.approx(key[0])] and arrow["y"][1] == pytest.approx(key[1])
            assert arrow["line"]["color"] == arrow["marker"]["color"] == KEY
            width = drawings.THIN + (drawings.THICK - drawings.THIN) * weight
            assert arrow["line"]["width"] == pytest.approx(width)
        query = keys["data"][4]
        assert query["line"]["color"] == QUERY and query["marker"]["symbol"] == ("arrow" if length else "circle")
        assert [query["x"][1], query["y"][1]] == pytest.approx(found.query[i].tolist(), abs=1e-6)
        np.testing.assert_allclose(bars["x"], weights, atol=1e-6)
        assert bars["y"] == ["cat", "dog", "car", "bus"] and bars["marker"]["color"] == WITH
        hull, path, *spokes = values["data"]
        assert len(hull["x"]) == len(qkv.hull(found.value)) + 1 and hull["fill"] == "toself"
        assert len(path["x"]) == len(qkv.ANGLES) + 1
        for spoke, value, weight in zip(spokes[:4], found.value.tolist(), weights, strict=True):
            assert [spoke["x"][0], spoke["y"][0]] == pytest.approx(found.output[i].tolist(), abs=1e-6)
            assert [spoke["x"][1], spoke["y"][1]] == pytest.approx(value)
            assert spoke["line"]["width"] == pytest.approx(drawings.THIN + (drawings.THICK - drawings.THIN) * weight)
        dots, output, names = spokes[4:]
        assert dots["marker"]["color"] == VALUE and output["marker"]["color"] == WITH
        assert [output["x"][0], output["y"][0]] == pytest.approx(found.output[i].tolist(), abs=1e-6)
        assert len(names["x"]) == 4
        assert table(keys)[1] == ["dog", 1, 2, float(found.logits[i, 1]), weights[1]]
        assert table(values)[-1] == ["output", *found.output[i].tolist(), None]


def test_both_planes_hold_all_that_they_draw_and_are_even() -> None:
    for case in drawings.CASES:
        for frame in drawings.plane_frames(case, 6.0)[::9]:
            for figure in frame.figures:
                assert figure["layout"]["yaxis"]["scaleanchor"] == "x"
                for axis in "xy":
                    low, high = figure["layout"][f"{axis}axis"]["range"]
                    for trace in (one for one in figure["data"] if one["type"] == "scatter"):
                        assert low <= min(trace[axis]) and max(trace[axis]) <= high


def test_a_readers_names_are_escaped_in_figures_and_not_in_tables() -> None:
    frame = drawings.plane_frames(drawings.CASES[-1], 3.0)[0]
    keys, values = frame.figures
    assert "&lt;b&gt;&amp;amp;" in keys["data"][-1]["y"]
    for figure in (keys, values):
        assert not any("<b>" in str(trace.get("text", "")) for trace in figure["data"])
        assert "<b>&amp;" in [row[0] for row in table(figure)]


def test_what_the_plane_says() -> None:
    found, frames = qkv.turn(), drawings.plane_frames(drawings.CASES[0], 3.0)
    at = {angle: plain(frame.reading) for angle, frame in zip(qkv.ANGLES, frames, strict=True)}
    x, y = (number(v, 2) for v in found.at(30).output.tolist())
    most, least = (plain(percent(float(v))) for v in (found.at(30).weights.max(), found.at(30).weights.min()))
    assert at[30] == (
        f"At 30° cat gets {most}; the smallest weight is {least}, not 0. So the output is ({x}, {y}), the weighted mean of "
        "all 4 values."
    )
    assert at[90].startswith("At 90° dog and car get ") and " each; the smallest" in at[90]
    assert at[270].startswith(
        "At 270° every key points away: all logits are negative. Still 100 % is dealt out: cat and bus get"
    )
    away = [angle for angle in qkv.ANGLES if float(found.at(angle).logits.max()) < -1e-9]
    assert away and [angle for angle in qkv.ANGLES if "points away" in at[angle]] == away
    zero = plain(drawings.plane_frames(drawings.CASES[0], 0.0)[5].reading)
    x, y = (number(v, 2) for v in found.value.mean(0).tolist())
    assert zero == (
        f"A query of length 0 makes all logits 0: each of the 4 keys gets 25 %, and the output is ({x}, {y}), the plain mean "
        "of the values."
    )
    one = plain(drawings.plane_frames(drawings.CASES[1], 3.0)[5].reading)
    assert one.startswith("With one entry there is nothing to weigh: it gets 100 %") and "(0, 0)" in one
    same = plain(drawings.plane_frames(drawings.CASES[2], 3.0)[1].reading)
    assert same.startswith("At 5° all logits are equal: each of the 2 keys gets 50 %")


def test_even_the_longest_query_leaves_the_others_something() -> None:
    frames = drawings.plane_frames(("a b", "4 4, -4 -4", "0 0, 1 1"), 6.0)
    said = plain(frames[qkv.ANGLES.index(45)].reading)
    assert said.startswith("At 45° a gets over 99.99 %;") and "So the output is about (0, 0)" in said


# ---------------------------------------------------------------------------------------------- looks


def test_the_lead_is_marked_where_the_weight_is_90_percent() -> None:
    for n, frame in zip(qkv.SIZES, drawings.soft_frames(), strict=True):
        curve, leads = frame.figures
        at = curve["layout"]["shapes"][0]["x0"]
        assert curve["layout"]["annotations"][0]["text"] == f"lead {number(at)}"
        assert [trace["name"] for trace in leads["data"]] == ["for 50 %", "for 90 %", "for 99 %"]
        assert np.interp(at, curve["data"][0]["x"], curve["data"][0]["y"]) == pytest.approx(0.9, abs=2e-3)
        assert leads["layout"]["shapes"][0]["x0"] == n
        for trace, share in zip(leads["data"], (0.5, 0.9, 0.99), strict=True):
            assert trace["y"][qkv.SIZES.index(n)] == pytest.approx(qkv.lead_needed(share, n), abs=1e-5)
        held = plain(percent(float(torch.sigmoid(torch.tensor(8 - np.log(n - 1))))))
        assert plain(frame.reading) == (
            f"Among {n:,} entries a match must lead its equal rivals by {number(at)} to hold 90 % of the weight. With a lead "
            f"of √64 = 8 it holds {held}."
        )


def test_right_and_pure_have_their_colours_and_numbers() -> None:
    for d_k, frame in zip(qkv.WIDTHS, drawings.pure_frames(3), strict=True):
        recall = qkv.recall(d_k, 3)
        right, pure = frame.figures[0]["data"]
        assert (right["line"]["color"], pure["line"]["color"]) == (KEY, VALUE)
        np.testing.assert_allclose(right["y"], recall.accuracy, atol=1e-6)
        np.testing.assert_allclose(pure["y"], recall.purity, atol=1e-6)
        assert ("always wins" in frame.reading) == (float(recall.accuracy[-1]) == 1)
        assert f"gets {percent(float(recall.purity[-1]))} of the weight" in frame.reading


@pytest.mark.parametrize("seed", [0, 3])
def test_the_laws_are_drawn_and_said_as_measured(seed: int) -> None:
    frames = drawings.law_frames(seed)
    for i, (name, frame) in enumerate(zip(qkv.LAWS, frames, strict=True)):
        changed = qkv.law(name, seed)
        overview, before, after = frame.figures
        assert [row[1:] for row in table(overview)][i] == list(changed.most)
        said = overview["data"][0]["text"][i]
        assert said == [drawings.shown(x) for x in changed.most]
        assert overview["layout"]["shapes"][0]["y0"] == i - 0.5
        np.testing.assert_allclose(before["data"][0]["customdata"], changed.before[1], atol=1e-6)
        np.testing.assert_allclose(after["data"][0]["customdata"], changed.after[1], atol=1e-6)
        assert drawings.LAW_NAMES[name] in after["layout"]["title"]["text"]
        assert not any("0.00" in row for row in after["data"][0]["text"])
    of = dict(zip(qkv.LAWS, (frame.reading for frame in frames), strict=True))
    assert of["all_keys"].endswith("so weights do not change.")
    assert f"weights change by up to {number(qkv.law('all_queries', seed).most[1], 2)}" in of["all_queries"]
    assert "weights do not change, and every output moves by c" in of["all_values"]
    assert "logits do not change, and weights do not change" in of["gauge"]
    assert "rounding alone" in of["pairs"] or "do not change" in of["pairs"]
    mutual = qkv.law("shared", seed).after[1]
    assert f"not mutual (up to {number(float((mutual - mutual.mT).abs().max()), 2)} apart)" in plain(of["shared"])
    assert "exactly" in of["shared"] and "logits do not change, but e^s counts double" in of["twice"]


def test_the_arithmetic_is_written_out() -> None:
    (frame,) = drawings.arithmetic_frames(1, 4, 0)
    grid, written = frame.figures
    w = qkv.term_by_term(1, 4, 0)
    assert grid["data"][0]["customdata"][1, 4] == w.logit and grid["layout"]["meta"]["clickable"]
    chosen = grid["layout"]["shapes"][0]
    assert (chosen["x0"], chosen["y0"]) == (3.5, 0.5)
    texts = [trace["text"][0] for trace in written["data"] if trace.get("mode") == "text"]
    for term in (*w.query, *w.key, *w.products, w.logit):
        assert number(term) in texts
    assert "q₁" in texts and "k₄" in texts and any(plain(percent(w.weight)) in plain(t) for t in texts)
    assert [row[1:] for row in table(written)][:4] == [list(x) for x in zip(w.query, w.key, w.products, strict=True)]
    said = plain(frame.reading)
    assert said.startswith("Query 1 on key 4: ") and f"divided by √4 = {number(w.logit)}." in said
    assert said.endswith(f"the softmax gives it {plain(percent(w.weight))}.")


def test_a_click_chooses_its_row_as_query_and_its_column_as_key() -> None:
    page = ast.parse(Path("pages/08_query_key_value.py").read_text(encoding="utf-8"))
    click = next(node for node in ast.walk(page) if isinstance(node, ast.FunctionDef) and node.name == "click")
    scope: dict[str, Any] = {"st": SimpleNamespace(session_state={})}
    exec(compile(ast.Module([click], []), "page", "exec"), scope)
    scope["click"](0, 1, 4)
    assert scope["st"].session_state == {"of_query": "1", "on_key": "4"}


def test_the_card_is_the_hero_at_its_defaults() -> None:
    shown = drawings.plane_frames(drawings.CASES[0], qkv.LENGTH)[qkv.ANGLES.index(40)]
    assert pack([drawings.card()]) == pack([shown])
