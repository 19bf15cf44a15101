"""Question 10's frames and readings: every mark is a measured number in the right place, and every sentence is true."""

import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import feed_forward as layers
from core.experiments import residuals
from core.experiments.feed_forward import PARTS, SHOWN
from core.experiments.masking import SENTENCE
from core.presets import preset
from core.say import number, percent
from core.training import feed_forward as training
from tests.test_pages import LESSONS, figures, opened
from tests.test_readings import faults
from ui.drawings import feed_forward as drawings
from ui.drawings.masking import SENTENCES
from ui.palette import KEY, OCHRE, SIGNED, VALUE, WITH, WITHOUT, faded

PAGE = next(p for p in LESSONS if p.stem == "10_feed_forward")
PART = list(PARTS)


def words(text: str) -> str:
    return text.replace("\u00a0", " ")


# ---------------------------------------------------------------------------------------------- who acts on whom


def drawn_pairs(figure: dict, level: int, n: int) -> set[tuple[int, int]]:
    """(output, input) of the lines that begin at one height."""
    at = torch.linspace(0, drawings.ACROSS, n)

    def word(x: float) -> int:
        return int((at - x).abs().argmin())

    pairs = set()
    for trace in figure["data"]:
        if trace["mode"] != "lines":
            continue
        x, y = trace["x"].reshape(-1, 3), trace["y"].reshape(-1, 3)
        pairs |= {(word(b), word(a)) for (a, b, _), (low, *_) in zip(x, y, strict=True) if low == level}
    return pairs


@pytest.mark.parametrize("sees", list(drawings.SEES))
@pytest.mark.parametrize("sentence", [SENTENCE, "yes no", "a b c d e f g h i j k l"])
def test_lines_and_cells_are_the_pairs_that_act(sees: layers.Sees, sentence: str) -> None:
    found = layers.reach(sentence, sees, 3)
    n = len(found.words)
    for part, frame in zip(PARTS, drawings.reach_frames(sentence, sees, 3), strict=True):
        wires, grid = frame.figures
        depth = 4 if part == "two blocks" else 2
        for k in range(depth):
            acting = {tuple(pair) for pair in (found.sublayers[k] != 0).nonzero().tolist()}
            assert drawn_pairs(wires, k, n) == acting
        assert not drawn_pairs(wires, depth, n)
        cells, zeros = grid["data"]
        torch.testing.assert_close(torch.from_numpy(cells["customdata"]), found.strength[part].float())
        empty = {(int(r), int(c)) for r, c in zip(zeros["y"], zeros["x"], strict=True)}
        assert empty == {tuple(pair) for pair in (found.strength[part] == 0).nonzero().tolist()}
        assert zeros["text"] == "0" and np.isnan(cells["z"]).sum() == len(empty)
        assert grid["layout"]["title"]["text"] == f"{part.capitalize()}: {found.pairs(part)} of {n * n} pairs act"
        assert cells["zmin"] == 0 and cells["zmax"] >= float(found.strength["two blocks"].max()) - 1e-6
        assert grid["layout"]["yaxis"]["title"]["text"] == "output of this word"
        assert grid["layout"]["xaxis"]["title"]["text"] == "moved by the input of this word"
        for figure in frame.figures:
            go.Figure(figure)


def test_the_chosen_part_is_purple_and_the_rest_is_grey() -> None:
    for part, frame in zip(PARTS, drawings.reach_frames(SENTENCE, "all", 0), strict=True):
        notes = frame.figures[0]["layout"]["annotations"]
        chosen = {"attention": {0}, "feed-forward": {1}, "one block": {0, 1}, "two blocks": {0, 1, 2, 3}}[part]
        assert [note["font"]["color"] == WITH for note in notes] == [k in chosen for k in range(len(notes))]
        for k, note in enumerate(notes):
            assert note["y"] == k + 0.5 and note["text"].endswith(f"{(36, 6)[k % 2]} of 36 pairs")
            assert ("Attention", "Feed-forward")[k % 2] in note["text"]
            colours = {
                t["line"]["color"]
                for t in frame.figures[0]["data"]
                if t["mode"] == "lines" and len(t["y"]) and t["y"][0] == k
            }
            assert colours == {faded(WITH, 0.9) if k in chosen else faded(WITHOUT, 0.45)}
        shapes = frame.figures[0]["layout"]["shapes"]
        assert len(shapes) == 6 * len(notes) // 2, "a box for each word in each feed-forward layer"
        assert {int(s["y0"]) % 2 for s in shapes} == {1}


def test_a_stronger_pair_has_a_wider_line() -> None:
    found = layers.reach(SENTENCE, "all", 0).sublayers[0]
    wires = drawings.reach_frames(SENTENCE, "all", 0)[0].figures[0]
    at, strongest = torch.linspace(0, drawings.ACROSS, 6), int(found.argmax())
    widths = {}
    for trace in wires["data"][:4]:
        for a, b, _ in trace["x"].reshape(-1, 3):
            widths[int((at - b).abs().argmin()) * 6 + int((at - a).abs().argmin())] = trace["line"]["width"]
    assert widths[strongest] == drawings.WIDTHS[-1] and widths[int(found.argmin())] == drawings.WIDTHS[0]
    table = wires["layout"]["meta"]["table"]
    assert table["columns"] == ["sublayer", "output of", "input of", "strength"] and len(table["rows"]) == 72
    assert table["rows"][strongest][3] == float(found.max()) and table["rows"][36][0] == "feed-forward 1"
    # A width is a quarter of the sublayer’s own strongest; rows of the table name output and input.
    for k, strength in enumerate(layers.reach(SENTENCE, "all", 0).sublayers[:2]):
        drawn = [len(t["x"]) // 3 for t in wires["data"][4 * k : 4 * k + 4]]
        quarter = (4 * strength / strength.max()).ceil()
        assert drawn == [int(((strength != 0) & (quarter == i)).sum()) for i in (1, 2, 3, 4)]
    assert table["rows"][1][1:] == ["0 the", "1 cat", float(found[0, 1])] != [*table["rows"][6][1:]]


def test_a_cell_is_named_input_to_output() -> None:
    cells = drawings.reach_frames(SENTENCE, "causal", 0)[0].figures[1]["data"][0]
    assert cells["hovertemplate"].startswith("input %{x} → output %{y}:")
    assert np.isnan(cells["z"][0]).tolist() == [False, *[True] * 5], (
        "across stand the inputs: the first word hears itself only"
    )


def test_what_the_hero_says() -> None:
    said = [words(f.reading) for f in drawings.reach_frames(SENTENCE, "all", 0)]
    assert said[1] == (
        "Through the feed-forward layer 6 of 36 pairs act: each word’s output answers to its own input and to nothing else. "
        "Through attention 36 do."
    )
    assert said[0].startswith("Through attention all 36 pairs act: each word’s output answers to every word.")
    assert "just those that act through its attention" in said[2]
    assert said[3].startswith("Through two blocks all 36 pairs act, as many as through one.")
    near = [words(f.reading) for f in drawings.reach_frames(SENTENCE, "near", 0)]
    assert "16 of 36" in near[0] and "24 of 36 pairs act, 16 through one" in near[3]
    causal = [words(f.reading) for f in drawings.reach_frames(SENTENCE, "causal", 0)]
    assert "21 of 36" in causal[0] and "to itself and to what came before" in causal[0]
    assert "21 of 36 pairs act, as many as through one" in causal[3]
    assert "would leave it at 4." in drawings.reach_frames("a b c d", "all", 0)[3].reading
    assert "answers to both words." in drawings.reach_frames("yes no", "near", 0)[0].reading
    assert drawings.card().reading == drawings.reach_frames(SENTENCE, "all", 0)[1].reading


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("sees", list(drawings.SEES))
def test_what_is_said_of_blocks_holds_for_every_sentence(sentence: str, sees: layers.Sees) -> None:
    for seed in drawings.RANDOM[:2]:
        found = layers.reach(sentence, sees, seed)
        assert torch.equal(found.acts("one block"), found.acts("attention")), "just those"
        alone = torch.eye(len(found.words), dtype=torch.bool)
        assert torch.equal(found.acts("feed-forward"), alone) and torch.equal(found.sublayers[3] != 0, alone)


# ---------------------------------------------------------------------------------------------- XOR


@pytest.mark.parametrize("sees", training.SEEING)
def test_the_training_is_drawn_run_by_run(sees: training.Sees) -> None:
    progress = training.trained(sees)
    frame = drawings.training_frame(sees, progress)
    loss, right, answers = frame.figures
    traces = loss["data"]
    assert len(traces) == 15 and [t["showlegend"] for t in traces] == [True, *[False] * 4] * 3
    for k, trace in enumerate(traces):
        v, r = divmod(k, 5)
        np.testing.assert_array_equal(trace["y"], progress.losses[v, r].float().numpy())
        assert trace["line"]["color"] == (WITHOUT, OCHRE, WITH)[v]
    for v, trace in zip((0, 2), right["data"], strict=True):
        np.testing.assert_array_equal(trace["y"], 100 * progress.right[v, 0].float().numpy())
        assert trace["line"]["color"] == (WITHOUT, OCHRE, WITH)[v] and trace["line"]["shape"] == "hv"
        assert trace["line"]["width"] == (1, 0, 2)[v]
    for v, trace in enumerate(answers["data"]):
        np.testing.assert_allclose(trace["y"], progress.answers[v].mean(0), rtol=1e-6)
        assert list(trace["x"]) == ["0 and 0", "0 and 1", "1 and 0", "1 and 1"]
        assert trace["name"] == ("attention alone", "+ linear layer", "+ ReLU layer")[v]
    assert [f["layout"]["yaxis"]["title"]["text"] for f in frame.figures] == [
        "loss, nats", "of the four, %", "probability given to 1",
    ]  # fmt: skip
    (level,) = (s for s in loss["layout"]["shapes"])
    assert level["y0"] == pytest.approx(training.FLOOR)
    for figure in frame.figures:
        go.Figure(figure)


def test_what_a_training_says() -> None:
    said = words(drawings.training_frame("itself", training.trained("itself")).reading)
    assert said == (
        "After 300 steps so many of 5 runs have learned XOR (loss below 0.01 nats): attention alone 0, with a linear layer 0, with "
        "ReLU 5. Attention alone had up to 3 of 4 cases right, and its best loss is 0.693; always ½ costs 0.693."
    )
    both = words(drawings.training_frame("all", training.trained("all")).reading)
    assert "attention alone 4, with a linear layer 3, with ReLU 5." in both
    assert both.endswith("for a softmax over several tokens is not linear; one run more or less says little.")
    normed = words(drawings.training_frame("itself, normed", training.trained("itself, normed")).reading)
    assert normed.endswith(
        "attention alone 5, with a linear layer 5, with ReLU 5. Attention can here, for the norm before it is not linear."
    )
    # The best loss and the most cases right are attention’s, at the end of what was trained.
    early = training.trained("itself")
    early = replace(early, right=torch.cat([early.right[:1], torch.ones_like(early.right[1:])]))
    cut = replace(early, at=early.at[:3], losses=early.losses[..., :3], right=early.right[..., :3])
    best = number(float(early.losses[0, :, 2].min()))
    most = round(4 * float(early.right[0, :, :3].max()))
    assert f"up to {most} of 4 cases right, and its best loss is {best};" in words(
        drawings.training_frame("itself", cut).reading
    )


@pytest.mark.parametrize("sees", training.SEEING)
def test_every_state_of_a_training_is_read_lawfully(sees: training.Sees) -> None:
    whole = training.trained(sees)
    for t in (1, 2, 3, 10, 40, len(whole.at) - 1, len(whole.at)):
        progress = replace(whole, at=whole.at[:t], losses=whole.losses[..., :t], right=whole.right[..., :t])
        frame = drawings.training_frame(sees, progress)
        assert not list(faults(frame.reading)), frame.reading
        assert f"After {int(whole.at[t - 1])} step" in frame.reading
        learned = (progress.losses[..., -1] < drawings.LEARNED).sum(-1).tolist()
        assert [int(x) for x in re.findall(r"(?:alone|layer|ReLU) (\d)", frame.reading)] == learned


# ---------------------------------------------------------------------------------------------- neurons


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("source", drawings.DATES)
def test_the_neurons_that_are_drawn_are_the_strongest(source: str, layer: int) -> None:
    found, firing = layers.memories(source, layer), layers.firing(layer)
    frames = drawings.memory_frames(source, layer)
    assert len(frames) == len(found.written) == len(drawings.steps(found))
    tokens = list(layers.TOKENS)
    for t, frame in enumerate(frames):
        sizes, raised, when = frame.figures
        order = found.sizes[t].sort(descending=True).values[:8]
        np.testing.assert_allclose(sizes["data"][0]["y"], order, rtol=1e-6)
        numbers = [int(m) for m in sizes["data"][0]["x"]]
        assert numbers == found.strongest(t).tolist()
        np.testing.assert_allclose(raised["data"][0]["z"], found.promotes[numbers][:, tokens], rtol=1e-5, atol=1e-6)
        assert raised["data"][0]["colorscale"] == SIGNED
        assert raised["layout"]["yaxis"]["ticktext"] == [str(m) for m in numbers]
        assert raised["layout"]["xaxis"]["ticktext"] == [*"0123456789-", "end"]
        other, mine = (trace["y"] for trace in when["data"])
        np.testing.assert_allclose(other + mine, firing.by_token[numbers[0]][tokens], rtol=1e-5, atol=1e-7)
        written = found.written[t]
        if written in tokens:
            k = tokens.index(written)
            (frame_of,) = raised["layout"]["shapes"]
            assert (frame_of["x0"], frame_of["x1"]) == (k - 0.5, k + 0.5) and frame_of["line"]["color"] == VALUE
            assert np.flatnonzero(mine).tolist() in ([k], []) and not other[k]
        assert when["data"][1]["marker"]["color"] == KEY and f"neuron {numbers[0]} " in when["layout"]["title"]["text"]
        assert not list(faults(frame.reading)), frame.reading


def test_what_is_said_of_a_neuron() -> None:
    found, firing = layers.memories(), layers.firing()
    frames = drawings.memory_frames(found.source, 2)
    assert words(frames[2].reading) == (
        f"When “8” is written, {int((found.fires[2] > 0).sum())} of 256 neurons fire; the most comes from number "
        f"{int(found.strongest(2, 1))}. Its key fires most strongly before that very character, and its value speaks for it most."
    )
    assert frames[-1].reading.startswith("When the end is written")
    # One whose key and value differ from what is written.
    t, first = 2, int(found.strongest(2, 1))
    swapped = found.promotes.clone()
    swapped[first] = swapped[first].roll(1)
    said = drawings.memory_reading(replace(found, promotes=swapped), firing, t)
    assert said.endswith("Its key fires most strongly before that character, and its value speaks for “9” most.")
    moved = firing.by_token.clone()
    moved[first] = moved[first].roll(1)
    said = drawings.memory_reading(found, replace(firing, by_token=moved), t)
    assert said.endswith("Its key fires most strongly before “9”, and its value speaks for that character most.")


# ---------------------------------------------------------------------------------------------- shares and collapse


def test_shares_are_those_of_the_models() -> None:
    for name, frame in zip(SHOWN, drawings.share_frames(), strict=True):
        bars, lines = frame.figures
        other, mine = bars["data"]
        assert list(other["x"]) == list(SHOWN)
        for k, model in enumerate(SHOWN):
            share = 100 * layers.share(preset(model)).weights
            assert (mine if model == name else other)["y"][k] == pytest.approx(share, rel=1e-6)
            assert (other if model == name else mine)["y"][k] == 0
            assert bars["layout"]["annotations"][k]["text"] == f"{share:.0f}"
        assert (mine["marker"]["color"], other["marker"]["color"]) == (WITH, WITHOUT)
        share_ = layers.share(preset(name))
        window, lengths = layers.WINDOWS[name], np.asarray(layers.LENGTHS)
        for k, part, dash in ((0, lengths <= window, "solid"), (2, lengths >= window, "dot")):
            forward, attention = lines["data"][k : k + 2]
            np.testing.assert_array_equal(forward["x"], lengths[part])
            np.testing.assert_allclose(forward["y"], 100 * share_.flops[torch.from_numpy(part)], rtol=1e-5)
            np.testing.assert_allclose(forward["y"] + attention["y"], 100, rtol=1e-5)
            assert (forward["line"]["color"], forward["line"]["dash"]) == (WITH, dash)
            assert ((forward["y"] > 50) == (lengths[part] < share_.even)).all()
        (rule,) = lines["layout"]["shapes"]
        assert rule["x0"] == share_.even and lines["layout"]["title"]["text"].endswith(f"{name}, window {window:,}")
        assert f"{window:,}" in frame.reading and ("would cost" in frame.reading) == (share_.even > window)
        assert words(percent(share_.weights)) in words(frame.reading) and number(share_.even) in frame.reading
        assert ("2 experts" in frame.reading) == (name == "Mixtral 8x7B")


@pytest.mark.parametrize("norm", list(drawings.PLACES))
def test_the_collapse_is_that_of_question_14s_stacks(norm: residuals.Norm) -> None:
    (frame,) = drawings.collapse_frame(norm, 0)
    every, with_skips = frame.figures
    wanted = {
        "skips and feed-forward": ("both", True, WITH, "solid"),
        "skips only": ("both", False, WITH, "dash"),
        "feed-forward only": ("none", True, WITHOUT, "solid"),
        "neither": ("none", False, WITHOUT, "dash"),
    }
    assert [t["name"] for t in every["data"]] == list(wanted)
    assert [t["name"] for t in with_skips["data"]] == list(wanted)[:2]
    for trace in (*every["data"], *with_skips["data"]):
        skips, thinks, colour, dash = wanted[trace["name"]]
        expected = residuals.stack(norm, skips, 16, thinks, 0).distinct.clamp_min(drawings.LEAST)
        np.testing.assert_allclose(trace["y"], expected, rtol=1e-5)
        assert (trace["line"]["color"], trace["line"]["dash"]) == (colour, dash)
    (level,) = every["layout"]["shapes"]
    assert level["y0"] == 1e-13, "as the reading counts rounding"
    (both, both_late), (skips_only, late) = (
        [number(float(residuals.stack(norm, "both", 16, thinks, 0).distinct[k]), 2) for k in (4, 16)]
        for thinks in (True, False)
    )
    assert (
        f"With skips it is {both} of their length with feed-forward layers and {skips_only} without; after 16 blocks {both_late} and {late}."
        in frame.reading
    )
    assert "without skips what tells the tokens apart is no more than rounding" in frame.reading


def test_sides_are_named_where_they_differ() -> None:
    found = [torch.full((17,), value) for value in (0.7, 0.8, 1e-5, 1e-14)]
    said = drawings.collapse_reading("pre", found)
    assert "is 1·10⁻⁵ of their length with feed-forward layers and no more than rounding without" in said.replace(
        "1.0·", "1·"
    )


# ---------------------------------------------------------------------------------------------- the page


def test_the_page_hands_its_controls_on() -> None:
    def readings(**query: str) -> dict[str, list[str]]:
        return {head["key"]: head["readings"] for head, _ in figures(opened(PAGE, **query))}

    hero = readings(ff_sentence="a b c d", ff_sees="its neighbours", ff_seed="3")["ff_part"]
    assert hero == [f.reading for f in drawings.reach_frames("a b c d", "near", 3)]
    step = readings(look="memory", ff_date="3 May '87", ff_layer="1")["ff_step"]
    assert step == [f.reading for f in drawings.memory_frames("3 May '87", 1)]
    assert readings(look="share")["ff_model"] == [f.reading for f in drawings.share_frames()]
    assert readings(look="collapse", ff_norm="no norm", ff_seed="3")["collapse"] == [
        f.reading for f in drawings.collapse_frame("none", 3)
    ]
    (xor,) = (texts for key, texts in readings(look="xor", xor_sees="all four cases").items() if key.startswith("xor"))
    assert xor == [drawings.training_frame("all", training.trained("all")).reading]


def test_what_the_page_says_of_layers_left_out() -> None:
    text = " ".join(str(m.value) for m in opened(PAGE, look="memory").markdown)
    whole, last, first, both = (percent(layers.right_without(which)) for which in ((), (2,), (1,), (1, 2)))
    assert (
        f"the model has {whole} of the characters (and ends) right; without the last feed-forward layer of the decoder {last}, "
        f"without the first {first}, without both {both}."
    ) in text


def test_a_refused_sentence_and_date_say_why() -> None:
    app = opened(PAGE, ff_sentence="one", look="memory", ff_date="3. Mai")
    said = [w.value for w in app.warning]
    assert any("two words" in w for w in said) and any("never seen “.”" in w for w in said)
