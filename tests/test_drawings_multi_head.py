"""Question 3's frames and readings: the right numbers at the right place, and sentences that are true in every state."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
import pytest
import torch
from streamlit.testing.v1 import AppTest

from core.experiments import multi_head as heads
from core.say import number, percent
from core.training import multi_head as training
from tests.test_readings import faults
from ui.drawings import multi_head as drawings
from ui.palette import OCHRE, ROSE, WITH, WITHOUT, faded

PAGES = Path(__file__).parent.parent / "pages"
STOP = heads.STOPS.index(0.3)


def words(reading: str) -> str:
    return reading.replace("\u00a0", " ")


def texts(figure) -> list[str]:
    return [t["text"][0] for t in figure["data"] if t.get("mode") == "text"]


# ---------------------------------------------------------------------------------------------- one head and two


@pytest.mark.parametrize("second", drawings.SECONDS)
def test_the_bars_are_the_errors_and_the_chosen_one_is_full(second: float) -> None:
    fetched, n = heads.fetch_two(second, 4), len(heads.STOPS)
    for i, frame in enumerate(drawings.fetch_frames(second, 4)):
        bars = {t["name"]: t for t in frame.figures[1]["data"]}
        for j, (name, colour) in enumerate((("u", OCHRE), ("v", ROSE))):
            chosen, others = bars[f"lost of {name}"], bars[f"{name}, other weights"]
            assert chosen["marker"]["color"] == colour and others["marker"]["color"] == faded(colour, 0.3)
            both = torch.from_numpy(chosen["y"] + others["y"])
            torch.testing.assert_close(both[:n], fetched.one[:, j].float())
            assert (
                chosen["y"][-1] == pytest.approx(float(fetched.two[i, j]), abs=1e-7)
                and others["y"][i] == 0 == others["y"][-1]
            )
            assert [k for k in range(n) if chosen["y"][k]] in ([i], [])
            assert chosen["showlegend"] and not others["showlegend"]
            assert chosen["x"][i] == f"w = {heads.STOPS[i]:g}" and chosen["x"][-1] == "2 heads"
        axis, at = frame.figures[1]["layout"]["xaxis"], bars["lost of u"]["x"]
        ticks = dict(zip(axis["tickvals"], axis["ticktext"], strict=True))
        assert len(ticks) == 4 and all(at[k] in (text, f"w = {text}") for k, text in ticks.items())
        notes = [note["text"] for note in frame.figures[1]["layout"]["annotations"]]
        assert notes == ["1 head: always 1", "1" if heads.STOPS[i] == second else "0"]


def test_the_lines_are_as_wide_as_the_weights() -> None:
    for second in (1.0, 0.3):
        frames = drawings.fetch_frames(second, 1)
        for w, frame in zip(heads.STOPS, frames, strict=True):
            lines = [
                t
                for t in frame.figures[0]["data"]
                if t["mode"] == "lines" and str(t.get("text", "")).startswith("weight")
            ]
            widths = [(t["line"]["width"] - 0.8) / 8 for t in lines]
            assert widths == pytest.approx([w, 1 - w, w, 1 - w, second, 1 - second], abs=1e-9)
            colours = [t["line"]["color"] for t in lines]
            assert colours[:2] == [OCHRE if w else faded(OCHRE, 0), ROSE if w < 1 else faded(ROSE, 0)]
            assert len(frame.figures[0]["data"]) == len(frames[0].figures[0]["data"])


def test_the_diagram_says_what_is_returned_and_lost() -> None:
    frame = drawings.fetch_frames(1.0, 1)[STOP]
    said = texts(frame.figures[0])
    assert (
        said.count("0.3 u + 0.7 v") == 2 and said.count("u") == 3 and said.count("v") == 2
    )  # sources, and what head 2 returns
    lost = [number(float(e)) for e in heads.fetch_two(1.0, 1).one[STOP]]
    assert f"u: {lost[0]}" in said and f"v: {lost[1]}" in said and "u: 0" in said and "v: 0" in said
    alike = texts(drawings.fetch_frames(0.3, 1)[STOP].figures[0])
    assert alike.count(f"u: {lost[0]}") == 2 and "u: 0" not in alike


def test_what_is_lost_of_u_stands_above_as_u_does() -> None:
    labels = [t for t in drawings.fetch_frames(1.0, 1)[STOP].figures[0]["data"] if t.get("mode") == "text"]
    lost = {name: [t["y"][0] for t in labels if t["text"][0].startswith(f"{name}: ")] for name in "uv"}
    places = {name: [t["y"][0] for t in labels if t["text"][0] == name and t["x"][0] < 20] for name in "uv"}
    for found in (lost, places):
        assert len(found["u"]) == 2 and all(u > v for u, v in zip(found["u"], found["v"], strict=True))


def test_the_readings_of_the_hero() -> None:
    def said(w: float, second: float, features: int = 1) -> str:
        return drawings.fetch_frames(second, features)[heads.STOPS.index(w)].reading

    assert said(0.3, 1.0) == (
        "With weight 0.3 on u, one head loses 0.845 of u and 0.155 of v: together 1, as at every weight and width. A second head with "
        "weight 1 on u is another mixture, and W_O makes u and v of the two."
    )
    assert said(0.3, 0.3).endswith("A second head with the same weight brings nothing new, and the error stays 1.")
    assert said(0.0, 1.0).startswith("With all its weight on v, one head brings v and loses all of u: an error of 1,")
    assert said(1.0, 0.0).startswith("With all its weight on u, one head brings u and loses all of v: an error of 1,")
    assert said(0.05, 1.0, 16).startswith(
        "With weight 0.05 on u in all 16 features, one head loses 0.997 of u and 0.00276 of v: "
    )
    # Nearly alike: v = (0.3 o₂ − 0.35 o₁) / (0.3 · 0.65 − 0.7 · 0.35), and of the four the largest is 0.7 / 0.05.
    assert said(0.3, 0.35).endswith("W_O, with entries up to 14, makes u and v of the two, exactly.")


def test_wider_values_and_heads_have_more_cells_and_the_same_mixture() -> None:
    for features in drawings.FEATURES:
        traces = drawings.fetch_frames(1.0, features)[STOP].figures[0]["data"]
        combs = [t for t in traces if t.get("text") == f"{features} features"]
        assert len(combs) == (7 if features > 1 else 0)  # u and v twice, three heads
        assert all(len(t["x"]) == 3 * (features - 1) for t in combs)
    # A wider head has a W_V of more columns: they hold nothing but the mixture.
    values, w = heads.unrelated(4), torch.tensor([[[0.3, 0.7]]], dtype=torch.float64)
    w_v = torch.randn(4, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(heads.bring(w, values @ w_v), heads.bring(w, values) @ w_v)


# ---------------------------------------------------------------------------------------------- trained


def at_snapshot(progress: training.Progress, n: int) -> training.Progress:
    return replace(progress, at=progress.at[:n], losses=progress.losses[..., :n])


@pytest.mark.parametrize("sees", [False, True])
def test_every_state_of_a_training_is_read_lawfully(sees: bool) -> None:
    whole = training.trained(sees)
    fresh = tuple(torch.full_like(m, 1 / 3) for m in whole.maps)
    for n in (1, 2, 3, 17, 40):
        for maps in (whole.maps, fresh):
            frame = drawings.training_frame(replace(at_snapshot(whole, n), maps=maps))
            assert not list(faults(frame.reading)), (list(faults(frame.reading)), frame.reading)
            for figure in frame.figures:
                go.Figure(figure)
    early = drawings.training_frame(replace(at_snapshot(whole, 1), maps=fresh)).reading
    assert early.startswith("After 10 steps the errors of both values together are ")
    assert early.endswith("In none of the 5 runs with two heads has each place a head of its own.")


def test_what_a_training_says_and_draws() -> None:
    whole = training.trained()
    frame = drawings.training_frame(whole)
    curves, two, four = frame.figures
    *runs, half = curves["data"]
    assert len(runs) == 15 and len({t["name"] for t in curves["data"]}) == 16 and (half["y"] == 1).all()
    for trace, values in zip(runs, 2 * whole.losses.flatten(0, 1), strict=True):
        torch.testing.assert_close(torch.from_numpy(trace["y"]), values.float())
    assert [t["line"]["color"] for t in runs] == 5 * [WITHOUT] + 10 * [WITH]
    assert [t["name"] for t in runs if t["showlegend"]] == ["one head", "two heads", "four heads"]
    for figure, maps in ((two, whole.maps[1]), (four, whole.maps[2])):
        torch.testing.assert_close(torch.from_numpy(figure["data"][0]["z"]), maps.flatten(0, 1).float())
    assert two["layout"]["yaxis"]["ticktext"][:3] == ["seed 0, head 1", "head 2", "seed 1, head 1"]
    assert two["layout"]["meta"]["rows"][3] == "seed 1, head 2" and len(two["layout"]["meta"]["rows"]) == 10
    low, high = (number(2 * float(v), 2) for v in (whole.final[0].min(), whole.final[0].max()))
    assert f"together are {low} to {high} with one head, " in frame.reading
    ways = [int((whole.maps[1][:, h, 0] > 0.5).sum()) for h in (0, 1)]
    assert (
        f"In 5 of 5 runs with two heads each place has a head of its own: the first place has head 1 in {ways[0]}, head 2 in {ways[1]}."
        in frame.reading
    )


# ---------------------------------------------------------------------------------------------- the other looks


@pytest.mark.parametrize("sharing", list(drawings.SHARING))
def test_the_areas_are_the_counts(sharing: heads.Sharing) -> None:
    for h, frame in zip(heads.COUNTS, drawings.cost_frames(sharing), strict=True):
        parts, costs = frame.figures
        assert parts["layout"]["yaxis"]["scaleanchor"] == "x"
        areas, placed = {}, []
        for trace in parts["data"]:
            x, y = (torch.from_numpy(trace[a]).double() for a in "xy")
            closed = [(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
            total, outline = 0.0, []
            for point in [*closed, (float("nan"), 0.0)]:
                if point[0] != point[0]:
                    (x0, y0), (x1, y1) = min(outline), max(outline)
                    total += (x1 - x0) * (y1 - y0)
                    if trace["name"] != "room of one matrix":
                        placed.append((x0, y0, x1, y1))
                    outline = []
                else:
                    outline.append(point)
            areas[trace["name"]] = total
        for (a0, b0, a1, b1), (c0, d0, c1, d1) in itertools.combinations(placed, 2):
            assert a1 <= c0 or c1 <= a0 or b1 <= d0 or d1 <= b0, "no part lies on another"
        c = heads.cost(h, sharing)
        matrices = sum(areas[name] for name in ("W_Q", "W_K", "W_V", "W_O"))
        assert matrices + 2 * 512 + 2 * heads.kv_heads(h, sharing) * 512 // h == c.parameters  # and the biases
        assert areas["scores"] * 4 == c.score_bytes and areas["room of one matrix"] == 512**2
        one = heads.cost(1)
        for trace, field in zip(costs["data"], ("score_bytes", "parameters", "flops", "cache_bytes"), strict=True):
            expected = [getattr(heads.cost(k, sharing), field) / getattr(one, field) for k in heads.COUNTS]
            assert trace["y"].tolist() == pytest.approx(expected)


def test_what_is_said_of_the_cost() -> None:
    eight, shared = (drawings.cost_frames(s)[heads.COUNTS.index(8)].reading for s in ("own", "one"))
    assert words(eight) == (
        "8 heads of width 64 have 1,050,624 parameters and take 143 million FLOPs in matrix products, both exactly as one head. Their "
        "scores take 131 kB, 8 times as much."
    )
    assert (
        "590,976 parameters" in shared
        and "they share 1 head of keys and values, and the KV cache is 8 times smaller" in words(shared)
        and "131 kB, as without" in words(shared)
    )
    assert drawings.cost_frames("own")[0].reading.startswith("One head has 1,050,624 parameters")


@pytest.mark.parametrize("seed", drawings.SEEDS)
def test_what_is_said_of_the_rank(seed: int) -> None:
    for d_k, frame in zip(heads.HEAD_WIDTHS, drawings.rank_frames(seed), strict=True):
        s, lost, many = heads.spectra(d_k, seed), float(heads.out_of_reach(seed)[d_k]), heads.favourites(d_k, seed=seed)
        reach = (
            f"{percent(lost)} of a random pattern’s log-odds are out of reach"
            if d_k < 64
            else "no pattern is out of reach"
        )
        assert frame.reading == (
            f"With dₖ = {d_k} the logits of 64 tokens have rank {d_k}, their softmax {s.rank('weights')}. Of 64 keys {many} are the "
            f"favourite of a random query, and {reach}."
        )
        spectrum, held = frame.figures
        for trace, values in zip(spectrum["data"], (s.weights, s.logits), strict=True):
            torch.testing.assert_close(torch.from_numpy(trace["y"]), values.clamp_min(1e-19).float())
            assert trace["x"].tolist() == list(range(1, heads.KEYS + 1))
        i = heads.HEAD_WIDTHS.index(d_k)
        assert held["data"][0]["y"][i] == pytest.approx(many / 64) and held["data"][1]["y"][i] == pytest.approx(
            1 - lost
        )


@pytest.mark.parametrize("code", list(drawings.CODES))
def test_what_is_said_of_the_code(code: heads.Code) -> None:
    for h, frame in zip(heads.SPLITS, drawings.split_frames(code, 0), strict=True):
        whose, wrong = frame.figures
        split = heads.written(code, h)
        torch.testing.assert_close(torch.from_numpy(whose["data"][0]["z"]), split.origin.float())
        each = torch.tensor([heads.written(c, h).error for c in drawings.CODES]).float()
        torch.testing.assert_close(torch.from_numpy(wrong["data"][0]["y"] + wrong["data"][1]["y"]), each)
        assert wrong["data"][0]["y"].nonzero()[0].tolist() in ([list(drawings.CODES).index(code)], [])
        assert float(each.max()) < wrong["layout"]["yaxis"]["range"][1]
        if code == "right":
            assert "differ by exactly 0 where" in frame.reading
        elif h == 1:
            assert frame.reading.endswith("the output is right, up to rounding.")
            assert ("dₖ is d_model" in frame.reading) == (code == "d_model")
        else:
            assert f"off by {percent(split.error)} of its size, and no error tells you." in frame.reading
            share = re.search(r"only (\d+) of the (\d+) numbers in the (first head|merged matrix)", frame.reading)
            assert bool(share) == (code != "d_model")
            if share:
                meant = torch.arange(heads.TOKENS)[:, None]
                same = split.origin == meant
                assert (int(share[1]), int(share[2])) == (int(same.sum()), same.numel())


@pytest.mark.parametrize("seed", range(0, 40, 7))
def test_no_error_leaves_its_axis(seed: int) -> None:
    assert max(heads.written(c, h, seed).error for c in drawings.CODES for h in heads.SPLITS) < 2


def test_the_program_to_take_away_has_each_heads_own_weight() -> None:
    app = AppTest.from_file(str(PAGES / "03_multi_head.py"), default_timeout=60)
    app.query_params["second_head"] = "0.6"
    app.session_state["multi_head:program"] = True
    assert "w, second, features = 0.3, 0.6, 1 " in " ".join(c.value for c in app.run().code)
