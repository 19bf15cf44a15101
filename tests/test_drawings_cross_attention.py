"""Question 12's frames show what was measured, and their readings say what they show."""

from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from streamlit.testing.v1 import AppTest

from core.experiments import cross_attention as cross
from core.say import NO_BREAK, percent
from core.training import cross_attention as model
from tests.test_readings import DRAWINGS, faults
from ui.drawings import cross_attention as drawings
from ui.figures import Figure
from ui.palette import KEY, MASKED, OCHRE, QUERY, WITH, WITHOUT, faded

PAGE = Path(__file__).parent.parent / "pages" / "12_cross_attention.py"
OURS = [p for p in DRAWINGS if str(p.id).startswith("cross_attention-")]


def plain(reading: str) -> str:
    return reading.replace("\u00a0", " ").replace("\u2011", "-")


def table(figure: Figure) -> list[list[Any]]:
    return figure["layout"]["meta"]["table"]["rows"]


def notes(figure: Figure) -> list[str]:
    return [plain(note["text"]) for note in figure["layout"].get("annotations", [])]


# ---------------------------------------------------------------------------------------------- the hero


@pytest.mark.parametrize(("source", "layer", "head"), [(cross.EXAMPLE, 2, 1), ("03-May-87", 1, 0)])
def test_the_lines_are_the_weights(source: str, layer: int, head: int) -> None:
    found = cross.translate(source)
    weights, frames = found.looked(layer, head), drawings.translation_frames(source, layer, head)
    n, t = len(source), len(found.certainty)
    assert len(frames) == t
    above, below = (max(n, t) - n) / 2, (max(n, t) - t) / 2
    for step in (0, 6, t - 1):
        earlier, *now, boxes, letters, written, text = frames[step].figures[0]["data"]
        assert len(now) == n
        for j, line in enumerate(now):
            assert line["line"]["width"] == pytest.approx(drawings.THICK * float(weights[step, j]), abs=0.006)
            assert line["line"]["color"] == faded(WITH, 0.85)
            x, y = line["x"], line["y"]
            np.testing.assert_allclose([x[0], x[-1]], [above + j + 0.5, below + step + 0.5], atol=1e-5)
            np.testing.assert_allclose([y[0], y[-1]], [drawings.SOURCE[0], drawings.TARGET[1]], atol=1e-6)
            assert x[1] == x[0] and x[-2] == x[-1] and (np.diff(y) < 0).all(), "upright at the box, and downwards"
        ends = [(i, j) for i in range(step) for j in range(n) if weights[i, j] >= drawings.TOLD]
        assert earlier["line"]["color"] == faded(WITHOUT, 0.45)
        grey = np.append(earlier["x"], np.nan).reshape(-1, 26) if ends else np.empty((0, 26))
        np.testing.assert_allclose(grey[:, 0], [above + j + 0.5 for _, j in ends], atol=1e-5)
        np.testing.assert_allclose(grey[:, 24], [below + i + 0.5 for i, _ in ends], atol=1e-5)
        assert letters["text"] == [drawings.shown(c) for c in source] and boxes["marker"]["line"]["color"] == [KEY] * n
        assert text["text"] == [*(found.written + " ")[: step + 1].replace(" ", "")] + ["end"] * (step >= t - 1) + [
            NO_BREAK
        ] * (t - 1 - step)
        asking = [i for i, colour in enumerate(written["marker"]["line"]["color"]) if colour == QUERY]
        assert asking == [step]
    told = [note for note in notes(frames[6].figures[0]) if "%" in note]
    at = [note["x"] for note in frames[6].figures[0]["layout"]["annotations"] if "%" in note["text"]]
    assert at == [above + j + 0.5 for j in range(n) if weights[6, j] >= drawings.TOLD]
    assert told == [plain(percent(float(w))) for w in weights[6] if w >= drawings.TOLD]
    assert table(frames[6].figures[0])[6][1:] == weights[6].tolist()


def test_what_the_hero_says() -> None:
    frames = drawings.translation_frames(cross.EXAMPLE, 2, 1)
    found = cross.translate()
    share, sure = (plain(percent(float(x))) for x in (found.looked(2, 1)[6, 9], found.certainty[6]))
    assert plain(frames[6].reading) == (
        f"“1987-0” is written. To go on, head 1 of layer 2 gives {share} of its weight to “M”, character 10 of 17; it writes “5”, "
        f"{sure} sure."
    )
    assert plain(frames[0].reading).startswith("Nothing is written yet. To go on, head 1 of layer 2 gives ")
    assert float(found.looked(2, 1)[5].max()) < 0.5, "for the 0 of the month it has no place: which head has?"
    each = found.weights[:, :, 5]
    layer, head = divmod(int(each.max(-1).values.argmax()), 2)
    assert plain(frames[5].reading).startswith("“1987-” is written; it writes “0”, ")
    assert (
        f"Head 1 of layer 2 spreads its weight, {plain(percent(float(each[1, 0].max())))} at most, on “u”, and the surest of all, head "
        f"{head + 1} of layer {layer + 1}, gives {plain(percent(float(each.max())))} to "
    ) in plain(frames[5].reading)
    surest = cross.Translation("ab", "1", "", torch.ones(2), torch.full((2, 2, 2, 2), 0.4))
    surest.weights[1, 0, 0, 1] = 0.45
    assert "no other head is surer of a place" in drawings.step_reading(surest, 2, 1, 0)
    assert "the surest of all, head 1 of layer 2, gives 45" in drawings.step_reading(surest, 1, 0, 0)
    assert "it ends, " in frames[10].reading
    mean = drawings.translation_frames(cross.EXAMPLE, 1, 0)[6]
    assert "Layer 1 (mean of both heads) spreads its weight, " in mean.reading
    assert mean.figures[0]["layout"]["title"]["text"].startswith(
        "Where layer 1 (mean of both heads) looks: lines as thick as their weight"
    )
    assert "every head’s weight" in drawings.translation_frames("a", 2, 1)[0].reading
    captions = notes(frames[6].figures[0])
    assert any("keys" in c and "values" in c for c in captions) and any("query" in c for c in captions)


def test_the_slider_says_the_text_so_far() -> None:
    said = [plain(label) for label in drawings.labels(cross.translate())]
    assert said[0] == "1 of 1" and said[6] == "5 of 1987-05" and said[9] == "3 of 1987-05-03"
    assert said[10] == "the end of 1987-05-03" and drawings.ordinal_label("", 0) == "the end of nothing"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (cross.EXAMPLE, "1987-05-03, which is right; this day was held out"),
        ("twenty-seventh of September 1999", "1999-09-27, which is right; this day was among those to train on"),
        ("3 May 1929", "1929-05-03, which is right, though it was trained on 1930 to 2029 only."),
        ("hello world", "means no date"), ("31 February 1987", "means no date"), ("3 May 1850", "right would be 1850-05-03. It was trained on 1930 to 2029 only."),
    ],
)  # fmt: skip
def test_the_verdict_on_what_was_written(source: str, words: str) -> None:
    assert words in drawings.verdict(cross.translate(source))


# ---------------------------------------------------------------------------------------------- the looks


def test_the_rows_of_the_link_are_what_was_written() -> None:
    found, frames = cross.link(), drawings.link_frames(cross.EXAMPLE, cross.OTHER)
    assert len(frames) == 11
    own, outcomes = frames[4].figures
    rows = dict(table(own))
    assert rows["its own memory"] == "1987-05-03" and rows["link cut"] == found.under["cut"]
    assert rows["the other’s memory"] == "2005-06-21" and rows["the other’s after 4 characters"] == "1987-06-21"
    assert (
        rows["memory rows shuffled"] == found.under["reordered"]
        and rows["source characters shuffled"] == found.under["shuffled"]
    )
    assert own["layout"]["yaxis"]["ticktext"] == [*reversed(rows)]
    assert [trace["name"] for trace in own["data"][:3]] == [
        "from its own memory", "from the other’s", "source spoilt or cut off",
    ]  # fmt: skip
    mine, others, nobodys = (trace["marker"]["color"] for trace in own["data"][:3])
    assert (mine, others) == (faded(WITH, 0.3), faded(OCHRE, 0.35))
    fills = [trace["marker"]["color"] for trace in own["data"][3:] if trace["type"] == "bar"]
    assert fills == [[mine] * 4 + [others] * 6, [others] * 10, [nobodys] * 10, [nobodys] * 10, [mine] * 10, [mine] * 10]
    letters = [trace["text"] for trace in own["data"] if trace["type"] == "scatter"]
    assert ["".join(row) for row in letters] == [*reversed(rows.values())]
    right, other = outcomes["data"]
    np.testing.assert_allclose(
        right["y"], [100 * float(cross.shipped("exact", c).mean()) for c in drawings.CONDITIONS], rtol=1e-6
    )
    np.testing.assert_allclose(
        other["y"], [100 * float(cross.shipped("other", c).mean()) for c in drawings.CONDITIONS], rtol=1e-6
    )
    ticks = [plain(tick.replace("<br>", " ")) for tick in right["x"]]
    for tick, name in zip(ticks, drawings.CONDITIONS.values(), strict=True):
        assert set(tick.split()) <= set(name.split()), "each label at the axis says its condition"
    higher = [plain(percent(max(float(a), float(b)) / 100)) for a, b in zip(right["y"], other["y"], strict=True)]
    assert notes(outcomes) == higher and outcomes["layout"]["barmode"] == "overlay"
    assert min(*right["y"][4:], *other["y"][:4]) < 1, "of two bars over each other one is hardly there"
    assert right["marker"]["color"] == WITH and other["name"] == "the other’s date" and len(right["x"]) == 5


def test_what_the_link_says() -> None:
    said = [plain(frame.reading) for frame in drawings.link_frames(cross.EXAMPLE, cross.OTHER)]
    assert (
        said[0]
        == "With the memory of “21st of June 2005” from the start, it writes 2005-06-21; with its own, 1987-05-03."
    )
    assert said[4].startswith(
        "After “1987” the memory becomes that of “21st of June 2005”: it goes on with “-06-21”, the other’s."
    )
    assert said[1].endswith(
        "it goes on with “905-06-21”. At first what stands there has its say; from “05-06-21” on it is the other’s."
    )
    assert said[10] == (
        "It has written all of “1987-05-03” when the memory becomes that of “21st of June 2005”: only the end is left, and it ends."
    )
    junk = plain(drawings.link_frames(cross.EXAMPLE, "junk")[4].reading)
    assert "that of “junk”: it goes on with" in junk and "the other’s" not in junk
    assert "Both memories make it write" in drawings.link_frames(cross.EXAMPLE, cross.EXAMPLE)[3].reading
    same = drawings.link_frames(cross.EXAMPLE, "3 May 2005")[5].reading
    assert same.endswith("which both memories have.")
    neither = cross.Link("a", "b", {"whole": "1987-05-03"}, ("2005-06-21", "1905-07-21"))
    assert plain(drawings.link_reading(neither, 1)).endswith("which is neither text’s own.")
    stubborn = cross.Link("a", "b", {"whole": "1987-05-03"}, ("2005-06-21", "1987-05-03"))
    assert plain(drawings.link_reading(stubborn, 1)).endswith("as if nothing had happened.")


def test_influence_is_drawn_with_its_zeros() -> None:
    found = cross.influence()
    (frame,) = drawings.influence_frames(cross.EXAMPLE)
    who, source, target = frame.figures
    cells = who["data"][0]
    assert cells["text"] == [["66 of 121", ""], ["66 of 121", "187 of 187"], ["", "289 of 289"], ["", "289 of 289"]]
    assert who["data"][1]["text"] == "none" and len(who["data"][1]["x"]) == 3
    assert who["layout"]["xaxis"]["ticktext"] == ["target", "source"]
    np.testing.assert_allclose(source["data"][0]["customdata"], found.source.numpy(), rtol=1e-6)
    np.testing.assert_allclose(target["data"][0]["customdata"], found.target.numpy(), rtol=1e-6)
    assert source["data"][0]["zmax"] == target["data"][0]["zmax"], "one scale for both"
    assert (
        target["layout"]["xaxis"]["ticktext"][:3] == ["start", "1", "9"]
        and source["layout"]["yaxis"]["ticktext"][-1] == "end"
    )
    assert len(target["data"][1]["x"]) == 55
    titles = [figure["layout"]["title"]["text"] for figure in (source, target)]
    assert titles == ["Derivative of its logit by the source: 11 × 17", "and by the target (×: exactly 0)"]
    assert [f["layout"]["xaxis"]["title"]["text"] for f in (who, source, target)] == [
        "input", "input: character of the source", "input: character of the target",
    ]  # fmt: skip
    assert plain(frame.reading) == (
        "Nothing written touches the source’s keys and values; the source reaches the queries of layer 2 (pairs that act: 187 of 11 × "
        "17), not those of layer 1. Each token that is written depends on every source character (187 of 11 × 17) and on no later token: "
        "66 of 11 × 11."
    )


def test_masks_are_drawn_as_they_are() -> None:
    frames = drawings.mask_frames(cross.EXAMPLE)
    assert len(frames) == len(model.PADS)
    found, (lines, forgotten, masked) = cross.padded(pads=8), frames[4].figures
    hidden, seen = lines["data"][:3], lines["data"][3:6]
    for r, (a, b) in enumerate(zip(hidden, seen, strict=True)):
        np.testing.assert_allclose(a["y"], 100 * cross.shipped_padded(True)[r].numpy(), rtol=1e-6)
        np.testing.assert_allclose(b["y"], 100 * cross.shipped_padded(False)[r].numpy(), rtol=1e-6)
        assert a["name"] == "hidden here too" and a["line"]["color"] == WITH
        assert b["name"] == "mask forgotten here" and b["line"]["color"] == WITHOUT
    assert hidden[0]["x"].tolist() == list(model.PADS)
    axes = [lines["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
    assert axes == ["tokens of padding behind each source", "written exactly, %"]
    causal = plain(percent(float(cross.shipped("exact", "causal").mean())))
    assert notes(lines) == ["here", f"causal: {causal}"]
    np.testing.assert_allclose(forgotten["data"][0]["customdata"], found.forgotten.numpy(), rtol=1e-6)
    np.testing.assert_allclose(masked["data"][0]["customdata"], found.masked.numpy(), rtol=1e-6)
    np.testing.assert_allclose(lines["data"][6]["y"], 100 * float(cross.shipped("exact", "causal").mean()), rtol=1e-6)
    ranges = [[grid["layout"][axis]["range"] for axis in ("xaxis", "yaxis")] for grid in (forgotten, masked)]
    assert ranges == [[[-0.5, 24.5], [10.5, -0.5]]] * 2, "equally wide, so that they can be compared"
    assert len(masked["data"][1]["x"]) == 8 * 11 and not len(forgotten["data"][1]["x"])
    assert masked["layout"]["title"]["text"] == f"Padding hidden: {found.written[0]}"
    assert forgotten["layout"]["title"]["text"] == f"Mask forgotten: {found.written[1]}"
    lost = plain(percent(float(found.forgotten[:, 17:].sum(-1).mean())))
    said = plain(frames[4].reading)
    pads = found.forgotten[:, 17:].sum(-1)
    assert said.startswith(
        f"8 pads that cross-attention sees take {lost} of the last layer’s weight, {plain(percent(float(pads.max())))} where it writes "
        f"“{found.written[1][int(pads.argmax())]}”: yours becomes “"
    )
    assert (
        f"Of the held-out dates {plain(percent(float(cross.shipped_padded(False)[:, 4].mean())))} are right, and "
        in said
    )
    assert said.endswith("with the padding hidden (means of 3 runs).")
    assert "1 pad that cross-attention sees takes" in frames[1].reading
    assert frames[0].reading.startswith("Without padding there is nothing to hide: 100")


def test_caches_and_layers_are_drawn_to_scale() -> None:
    frames, found = drawings.cache_frames(cross.EXAMPLE), cross.caches()
    assert len(frames) == 11
    lines, layers = frames[6].figures
    own, source = lines["data"]
    assert own["x"].tolist() == source["x"].tolist() == list(range(1, 8))
    assert own["y"].tolist() == found.own[:7].tolist() and source["y"].tolist() == found.source[:7].tolist()
    axes = [lines["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
    assert axes == ["tokens written", "numbers"]
    assert own["name"] == "decoder’s own" and own["line"]["color"] == QUERY and source["line"]["color"] == KEY
    assert "encoder: 12 d² = 49,152" in notes(layers) and "decoder: 16 d² = 65,536" in notes(layers)
    tiles, places = {}, []
    for trace in layers["data"]:
        x = np.append(trace["x"], np.nan).reshape(-1, 6)
        assert np.allclose(x[:, 1] - x[:, 0], model.WIDTH)
        places += [
            tuple(corner) for corner in zip(x[:, 0], np.append(trace["y"], np.nan).reshape(-1, 6)[:, 0], strict=True)
        ]
        tiles[trace["name"]] = tiles.get(trace["name"], 0) + len(x)
    assert len({*places}) == len(places) == 28, "no tile lies over another"
    assert tiles == {"self-attention": 8, "cross-attention": 4, "feed-forward": 16}
    assert plain(frames[6].reading) == (
        "After 7 tokens the decoder’s own cache holds 1,792 numbers, 256 a token: still smaller than the source’s, 4,352 for 17 "
        "characters. That one does not change: 4 matrix products, two in each layer, made it before the first token."
    )
    short = [plain(frame.reading) for frame in drawings.cache_frames("3 May '87")]
    assert "as large as the source’s" in short[8] and "larger than the source’s" in short[9]


def test_training_is_drawn_over_the_shipped_run() -> None:
    kept = model.trained_run(1)
    part = model.Progress(kept.steps, kept.losses[:25], kept.checked_at[:1], kept.exact[:1], kept.alignment)
    one = model.Progress(kept.steps, kept.losses[:1], kept.checked_at[:1], kept.exact[:1], kept.alignment)
    whole, now, first = (drawings.training_frame(kept, 1, p) for p in (kept, part, one))
    assert [t["name"] for t in whole.figures[0]["data"]] == ["shipped"] and "This is the shipped run" in whole.reading
    shipped, current = now.figures[0]["data"]
    assert (shipped["line"]["color"], current["line"]["color"]) == (MASKED, WITH)
    assert current["x"].tolist() == [10, 20] and len(shipped["x"]) == kept.steps // 10
    np.testing.assert_allclose(current["y"], [float(kept.losses[i : i + 10].mean()) for i in (0, 10)], rtol=1e-5)
    assert first.figures[0]["data"][1]["x"].tolist() == [1]
    assert (
        now.reading.startswith("Seed 1, step 25: the loss is ")
        and "none of 48 held-out dates were written right" in now.reading
    )
    for trace, run in zip(now.figures[1]["data"], (kept, part), strict=True):
        np.testing.assert_allclose(trace["y"], 100 * run.exact.numpy(), rtol=1e-6)
        assert trace["x"].tolist() == run.checked_at.tolist()
    np.testing.assert_allclose(now.figures[2]["data"][0]["customdata"], kept.alignment.numpy(), rtol=1e-6)
    for frame in (whole, now, first):
        assert not [*faults(frame.reading)]
        for figure in frame.figures:
            go.Figure(figure)


def test_the_card_is_the_hero_at_its_defaults() -> None:
    card, hero = drawings.card(), drawings.translation_frames(cross.EXAMPLE, 2, 1)[6]
    assert card.reading == hero.reading
    np.testing.assert_equal(card.figures[0]["data"][1]["x"], hero.figures[0]["data"][1]["x"])


@pytest.mark.parametrize(("step", "written"), [("0", ""), ("6", "1987-0"), ("10", "1987-05-03")])
def test_the_program_gets_what_is_written_before_the_chosen_step(step: str, written: str) -> None:
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["date_written"] = step
    app.session_state["cross_attention:program"] = True
    programs = [code.value for code in app.run().code]
    assert any(f"source, written = {cross.EXAMPLE!r}, {written!r}" in program for program in programs)
