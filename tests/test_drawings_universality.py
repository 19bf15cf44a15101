"""Question 20's frames and readings: the matrices drawn are those that ran, and each sentence is true of its figure."""

import itertools
from collections import Counter

import plotly.graph_objects as go
import pytest
import torch

from core.experiments import universality as machines
from core.say import percent
from core.training import universality as training
from tests.test_readings import faults
from ui.drawings import universality as drawings
from ui.figures import Figure
from ui.palette import WITH, WITHOUT

every_program = pytest.mark.parametrize("program", machines.PROGRAMS)


def words(reading: str) -> str:
    return reading.replace("\u00a0", " ")


def usual(program: machines.Program) -> str:
    return machines.USUAL[machines.READS[program]]


def matrix(chart: Figure) -> torch.Tensor:
    return torch.from_numpy(chart["data"][0]["z"]).double()


def ticks(chart: Figure, axis: str) -> list[str]:
    return chart["layout"][axis]["ticktext"]


# ---------------------------------------------------------------------------------------------- programs


@every_program
def test_each_step_shows_the_weights_written_and_what_they_make(program: machines.Program) -> None:
    text, built = usual(program), machines.machine(program)
    run, names = machines.passed(program, text), drawings.steps(program)
    frames = drawings.program_frames(program, text, machines.GAP)
    assert len(frames) == len(names)
    columns = list(built.columns)
    for step, frame in zip(names, frames, strict=True):
        _, hand, made = frame.figures
        for chart in frame.figures:
            go.Figure({k: v for k, v in chart.items() if k in ("data", "layout")})
        k = int(step[6]) - 1 if step.startswith("layer") else 0
        if step.endswith(": attention"):
            assert torch.allclose(matrix(made), run.weights[k][0], atol=1e-6)
            assert ticks(made, "yaxis") == ticks(made, "xaxis") == drawings.labels_of(text)
            query = built.layers[k].query
            if query.any():
                for (i, row), (j, column) in itertools.product(
                    enumerate(ticks(hand, "yaxis")), enumerate(ticks(hand, "xaxis"))
                ):
                    assert float(matrix(hand)[i, j]) == float(query[columns.index(row), columns.index(column)])
                assert (matrix(hand) != 0).sum() == (query != 0).sum(), "no entry is cut away"
            else:
                assert "all zeros" in hand["layout"]["title"]["text"] and not matrix(hand).any()
        if step.endswith("fetched"):
            shown = [columns.index(c) for c in ticks(made, "xaxis")]
            assert torch.allclose(matrix(made), run.fetched[k][0][:, shown], atol=1e-5)
            left = [i for i in range(len(columns)) if i not in shown]
            assert not run.fetched[k][0][:, left].any(), "what is left out is 0"
        if step.endswith("feed-forward"):
            layer = built.layers[k]
            before = run.embedded[0] if k == 0 else run.stream[k - 1][0]
            added = torch.relu((before + run.fetched[k][0]) @ layer.up) @ layer.down
            assert torch.allclose(matrix(made), added[:, [columns.index(c) for c in ticks(made, "xaxis")]], atol=1e-5)
            sources = [c for c in ticks(hand, "xaxis") if c.startswith("in: ")]
            assert matrix(hand).shape[0] == layer.up.shape[1]
            into = layer.up[[columns.index(c[4:]) for c in sources]].T
            out = layer.down[:, [columns.index(c[5:]) for c in ticks(hand, "xaxis")[len(sources) :]]]
            assert torch.allclose(matrix(hand), torch.cat([into, out], 1), rtol=1e-6)
        if step == "embedding":
            shown = [columns.index(c) for c in ticks(made, "xaxis")]
            assert torch.equal(matrix(made), run.embedded[0][:, shown])
            assert float(matrix(hand).sum()) == float(built.embed.sum() + built.place.sum())
        if step == "read out":
            assert torch.allclose(matrix(made), run.logits[0, 1:], atol=1e-5)
            assert ticks(made, "xaxis") == list(built.answers) and ticks(made, "yaxis") == drawings.labels_of(text)[1:]


@every_program
def test_lines_are_the_weights_and_answers_come_last(program: machines.Program) -> None:
    text, names = usual(program), drawings.steps(program)
    frames = drawings.program_frames(program, text, machines.GAP)
    found = machines.written(program, text)
    for step, frame in zip(names, frames, strict=True):
        flow = frame.figures[0]
        squares = [t for t in flow["data"] if t["mode"] == "markers+text"]
        assert squares[0]["text"] == ["BOS", *text] and squares[0]["y"][0] == 0
        assert squares[-1]["text"] == found
        assert flow["layout"]["yaxis"]["ticktext"][-1].endswith("to come") == (step != "read out")
        assert squares[-1]["marker"]["line"]["color"] == (WITH if step == "read out" else WITHOUT)
        levels = {float(y) for t in flow["data"] if t["mode"] == "lines" for y in t["y"][::3]}
        attended = sum(name.endswith(": attention") for name in names[: names.index(step) + 1])
        assert len(levels) == attended, f"{step}: lines of layers that have not run"
        strokes = sum(len(t["x"]) // 3 for t in flow["data"] if t["mode"] == "lines")
        run = machines.passed(program, text)
        assert strokes == sum(int((w[0, 1:] >= drawings.LEAST).sum()) for w in run.weights[:attended])


def test_a_wide_line_is_a_heavy_weight_from_its_key_to_its_query() -> None:
    flow = drawings.program_frames("reverse", "abc", machines.GAP)[-1].figures[0]
    heavy = [
        t
        for t in flow["data"]
        if t["mode"] == "lines" and t["line"]["width"] == drawings.WIDTHS_OF_LINES[-1] and len(t["x"])
    ]
    assert len(heavy) == 1
    ends = {(float(heavy[0]["x"][i]), float(heavy[0]["x"][i + 1])) for i in range(0, len(heavy[0]["x"]), 3)}
    assert ends == {(3.0, 1.0), (2.0, 2.0), (1.0, 3.0)}


def test_readings_of_a_right_and_of_a_wrong_answer() -> None:
    right = drawings.program_frames("sort", "decade", machines.GAP)[-1].reading
    assert right == (
        "“decade”, sorted in one pass by 115 weights written by hand: every answer is right, as for all texts of up to 7 tokens."
    )
    here = drawings.program_frames("sort", "ab", 5)[-1].reading
    assert here.endswith("every answer is right here, at a logit gap of 5; for all texts of up to 7 tokens at 50.")
    wrong = drawings.program_frames("sort", "decade", 1)[-1].reading
    missed = sum(a != b for a, b in zip(machines.written("sort", "decade", 1), sorted("decade"), strict=True))
    assert missed > 1 and wrong.endswith(f"at a logit gap of 1 instead of 50: {missed} of 6 answers are wrong.")
    count = drawings.program_frames("histogram", "aba", machines.GAP)
    assert "for a₃, count = 2" in count[3].reading and "equally much to 3 keys: weight 0.33" in count[1].reading


@every_program
def test_what_is_said_to_be_selected_is_what_weighs(program: machines.Program) -> None:
    """The words of each layer, taken literally, against the weights of a text."""
    text = usual(program)
    n, run = len(text), machines.passed(program, text)
    count, ranks = Counter(text), [sum(other < t for other in text) for t in text]
    chosen = {
        "the smaller letters, and BOS": lambda i, j: text[j] < text[i],
        "the highest rank that fits this place": lambda i, j: ranks[j] == max(r for r in ranks if r <= i),
        "every token alike": lambda i, j: True,
        "the place n + 1 − i": lambda i, j: i + j == n - 1,
        "the same letter, and BOS": lambda i, j: text[j] == text[i],
        "the highest count; of equal ones the first letter": lambda i, j: text[j] == min(count, key=lambda t: (-count[t], t)),
        "itself and what came before, and BOS": lambda i, j: j <= i,
        "the ones, and BOS": lambda i, j: text[j] == "1",
    }  # fmt: skip
    for layer, weights in zip(machines.machine(program).layers, run.weights, strict=True):
        bos = layer.said.endswith("BOS") or layer.said == "every token alike"
        for i in range(n):
            selected = torch.tensor([bos, *(chosen[layer.said](i, j) for j in range(n))]).double()
            torch.testing.assert_close(weights[0, i + 1], selected / selected.sum(), atol=1e-9, rtol=0)


@every_program
def test_the_largest_entry_fetched_is_named(program: machines.Program) -> None:
    built, run = machines.machine(program), machines.passed(program, usual(program))
    for k, frame in ((int(f[6]) - 1, drawings.program_frames(program, usual(program), machines.GAP)[i]) for i, f in enumerate(drawings.steps(program)) if f.endswith("fetched")):  # fmt: skip
        values = run.fetched[k][0, -1]
        name = words(frame.reading).partition("largest entry is ")[2].partition(" = ")[0]
        assert abs(float(values[built.columns.index(name)])) >= float(values.abs().max()) - 1e-12


def test_rounding_has_no_colour() -> None:
    """Brackets that balance: what the last ReLU layer writes is 0, up to rounding, and looks it."""
    made = drawings.program_frames("balanced", "(())()", machines.GAP)[drawings.steps("balanced").index("layer 2: feed-forward")].figures[2]  # fmt: skip
    assert not matrix(made).any() and made["data"][0]["zmax"] == 1
    assert {cell for row in made["data"][0]["text"] for cell in row} == {"0"}


def test_each_program_begins_where_it_chooses() -> None:
    for program in machines.PROGRAMS:
        step = drawings.steps(program)[drawings.telling(program)]
        assert step == ("layer 1" if program in ("histogram", "balanced", "parity") else "layer 2") + ": attention"


def test_nothing_of_the_readers_is_read_as_html() -> None:
    frames = drawings.program_frames("sort", "<b>", machines.GAP)
    assert "<b>" not in "".join(frame.reading for frame in frames) and "“decade”" in frames[-1].reading


def test_the_middle_row_says_what_was_found() -> None:
    for program, text, row in (("sort", "cab", ["2", "0", "1"]), ("reverse", "cab", ["3"] * 3), ("most frequent", "aba", ["2", "1", "2"]), ("balanced", "())", ["no", "no", "yes"])):  # fmt: skip
        squares = [
            t
            for t in drawings.program_frames(program, text, machines.GAP)[-1].figures[0]["data"]
            if t["mode"] == "markers+text"
        ]  # type: ignore[arg-type]
        assert squares[1]["text"] == row, program


# ---------------------------------------------------------------------------------------------- looks


def test_the_ceiling_is_drawn_beside_what_is_asked() -> None:
    (frame,) = drawings.ceiling_frame(0)
    asked, right = frame.figures[0]["data"]
    assert asked["y"].tolist() == machines.ceiling(0).asked.tolist() and right["y"].sum() == 404
    assert [asked["marker"]["color"], right["marker"]["color"]] == [WITHOUT, WITH]
    assert "at most 404 can be right, 39.5 %" in words(frame.reading)


def test_a_table_in_training() -> None:
    kept = training.trained()
    frame = drawings.table_frame(0, kept)
    right, loss = frame.figures
    assert len(right["data"]) == 10 and len(loss["data"]) == 10
    assert [t["line"]["color"] for t in right["data"]] == [WITHOUT] * 5 + [WITH] * 5
    assert [t["name"] for t in right["data"] if t["showlegend"]] == ["without positions", "with positions"]
    assert right["data"][0]["y"].tolist() == kept.right[0, 0].tolist()
    assert loss["data"][9]["y"].tolist() == pytest.approx(kept.loss[1, 4].tolist(), rel=1e-5)
    assert right["layout"]["shapes"][0]["y0"] == 404 and loss["layout"]["shapes"][0]["y0"] == machines.ceiling(0).loss
    assert frame.reading.endswith("have 1,024 of 1,024 answers right, those without 404, exactly the ceiling.")
    first = training.Progress(kept.at[:1], kept.loss[..., :1], kept.right[..., :1])
    early = drawings.table_frame(0, first)
    assert "After 1 step the" in early.reading and "(the ceiling is 404)" in early.reading
    assert not list(faults(frame.reading)) and not list(faults(early.reading))


def test_sizes_against_width_and_parameters() -> None:
    frames = drawings.size_frames()
    assert len(frames) == len(training.DEPTHS)
    right = 100 * training.sizes().double() / training.ANSWERS
    wide, deep = right.mean(-1), training.DEPTHS
    for i, frame in enumerate(frames):
        ends = [percent(float(wide[w, i]) / 100) for w in (0, -1)]
        assert words(frame.reading).startswith(f"With {deep[i]} layer") and f"end with {words(ends[0])} of" in words(
            frame.reading
        )
        assert words(frame.reading).endswith("every run has all." if i else f"at width 16, {words(ends[1])}.")
    at = {
        (w, d): sorted(right[i, j].round().int().tolist())
        for i, w in enumerate(training.WIDTHS)
        for j, d in enumerate(deep)
    }
    assert (at[8, 4][0], at[8, 4][-1], at[16, 1][0], at[16, 1][-1]) == (94, 99, 74, 89), "as the look says"
    for i, frame in enumerate(frames):
        for chart, x in zip(frame.figures, (list(training.WIDTHS), None), strict=True):
            assert len(chart["data"]) == 9
            for j, trace in enumerate(chart["data"]):
                depth, run = divmod(j, 3)
                assert trace["y"].tolist() == pytest.approx(right[:, depth, run].tolist(), rel=1e-5)
                assert (trace["line"]["color"] == WITH) == (depth == i)
                expected = x or [training.parameters(w, training.DEPTHS[depth]) for w in training.WIDTHS]
                assert trace["x"].tolist() == expected
    assert frames[0].figures[0]["layout"]["xaxis"]["title"]["text"] == "width d"
    assert frames[0].figures[1]["layout"]["xaxis"]["title"]["text"] == "parameters"


def test_limits_are_drawn_as_measured() -> None:
    frames = drawings.limit_frames(5, 0)
    moves = machines.influence(0).mean(-1)
    for n, frame in zip(drawings.STOPS, frames, strict=True):
        bit, means, weight = frame.figures
        assert bit["data"][0]["y"].tolist() == pytest.approx(moves.tolist(), rel=1e-5)
        inverse = [float(moves[0]) * machines.LENGTHS[0] / n for n in machines.LENGTHS]
        assert bit["data"][1]["y"].tolist() == pytest.approx(inverse, rel=1e-5)
        low, high = (10**e for e in bit["layout"]["yaxis"]["range"])
        assert low < float(moves.min()) and float(moves.max()) < high
        for trace in means["data"]:
            at = trace["x"].tolist().index(512)
            assert float(trace["y"][at]) == pytest.approx(100 * machines.merged(512, trace["name"]))
        at = weight["data"][0]["x"].tolist().index(8)
        assert float(weight["data"][0]["y"][at]) == pytest.approx(float(machines.hardness(5, (8,))[0]), rel=1e-5)
        marked = [len(chart["layout"].get("shapes", [])) for chart in frame.figures]
        assert marked == [int(n <= machines.LENGTHS[-1]), 1, 1]
        assert f"gets {words(percent(float(machines.hardness(5, (n,))[0])))}" in words(frame.reading)
        assert ("all three formats tell" in frame.reading) == (n < 512)
        assert ("all three formats can no" in frame.reading) == (n >= 2**25)


def test_parity_is_drawn_run_by_run() -> None:
    frames = drawings.parity_frames()
    for i, (n, frame) in enumerate(zip(training.READ_AT, frames, strict=True)):
        lines, bars = frame.figures
        for j, trace in enumerate(lines["data"]):
            scheme, run = training.SCHEMES[j // 5], j % 5
            assert trace["y"].tolist() == pytest.approx((100 * training.parities(scheme)[run]).tolist(), rel=1e-5)
            assert trace["x"].tolist() == list(training.READ_AT)
            assert trace["name"] == drawings.SCHEME_NAMES[scheme][0]
        for run, trace in enumerate(bars["data"]):
            assert trace["y"].tolist() == pytest.approx(
                [100 * float(training.parities(s)[run, i]) for s in training.SCHEMES], rel=1e-5
            )
        told = [training.parities(s)[:, i].tolist() for s in training.SCHEMES]
        low, high = zip(*((words(percent(min(one))), words(percent(max(one)))) for one in told), strict=True)
        a, b, c, d, e = (x if x == y else f"{x} to {y}" for x, y in zip(low, high, strict=True))
        assert words(frame.reading) == (
            f"Texts of {n} bit{'s' * (n > 1)} right, {'as in training' if n <= 6 else 'trained on at most 6'}: in one pass {a} with sinusoids, "
            f"{b} without positions, {c} with ALiBi. In steps written out {d} with ALiBi, {e} with sinusoids."
        )


def test_neither_remedy_does_it_alone_from_the_lengths_that_the_look_names() -> None:
    for scheme, n in (("steps, sinusoids", 9), ("one pass, ALiBi", 11)):
        found = training.parities(scheme)[:, training.READ_AT.index(n) :]  # type: ignore[arg-type]
        assert (
            float(found.max()) < 0.6 and float(training.parities(scheme)[:, training.READ_AT.index(n - 2)].max()) > 0.65
        )  # type: ignore[arg-type]


def test_the_card_is_the_hero() -> None:
    assert (
        drawings.card().reading
        == drawings.program_frames("sort", "decade", machines.GAP)[drawings.telling("sort")].reading
    )
