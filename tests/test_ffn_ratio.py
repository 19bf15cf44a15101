"""Question 18: widths, published models, what the trained runs are compared by, facts, and operations."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from core.concepts import ffn_ratio as concept
from core.experiments import ffn_ratio as experiment
from core.ops.widths import equal_ratio, llama_width, matrix_parameters, planted
from core.presets import PRESETS, preset
from core.training import ffn_ratio as training

few = settings(deadline=None, derandomize=True, max_examples=50)

# ---------------------------------------------------------------------------------------------- equations


@few
@given(st.integers(1, 64), st.integers(1, 256), st.sampled_from((2, 3)))
def test_weights_are_those_of_torchs_layers(d: int, d_ff: int, matrices: int) -> None:
    layers = [nn.Linear(d, d_ff, bias=False, device="meta") for _ in range(matrices - 1)]
    layers.append(nn.Linear(d_ff, d, bias=False, device="meta"))
    there = sum(p.numel() for layer in layers for p in layer.parameters())
    assert matrix_parameters(d, d_ff, matrices) == there == concept.weights_of(matrices, d, d_ff)


@pytest.mark.parametrize("matrices", [0, 1, 4])
def test_two_matrices_or_three(matrices: int) -> None:
    with pytest.raises(ValueError, match="two matrices, or three"):
        matrix_parameters(4, 16, matrices)


@few
@given(st.integers(1, 20), st.integers(1, 100))
def test_equal_ratios_have_equally_many_weights(ratio: int, third: int) -> None:
    d = 3 * third
    three = equal_ratio(ratio) * d
    assert three == pytest.approx(round(three))
    assert matrix_parameters(d, round(three), 3) == matrix_parameters(d, ratio * d, 2)


@pytest.mark.parametrize("name", experiment.LLAMAS)
def test_llamas_are_rounded_to_what_was_published(name: str) -> None:
    multiple_of, multiplier = experiment.LLAMAS[name]
    assert (
        llama_width(preset(name).d_model, multiple_of, multiplier) == preset(name).d_ff == experiment.rounded(name).d_ff
    )


@few
@given(st.integers(1, 20_000), st.integers(1, 4096), st.floats(1, 2), st.integers(1, 8))
def test_rounding_goes_up_and_by_less_than_one_multiple(d: int, multiple: int, multiplier: float, ratio: int) -> None:
    width = llama_width(d, multiple, multiplier, ratio)
    cut = math.floor(multiplier * math.floor(2 * ratio * d / 3))
    assert width % multiple == 0 and 0 <= width - cut < multiple


def test_the_first_cut_comes_before_the_multiplier() -> None:
    """2/3 · 4 · 2 = 5.33: cut first, 5 · 1.2 = 6; cut last only, 6.4 would be 6 too, but 1.5 · 5.33 = 8, not 7."""
    assert (llama_width(2, 1, 1.0), llama_width(2, 1, 1.5), llama_width(2, 1, 1.2)) == (5, 7, 6)
    r = experiment.rounded("Llama 2 70B")
    assert (r.cut, r.multiplied, r.d_ff) == (21845, 28398, 28672) and r.ratio == 3.5


def test_planted_is_torchs_two_layers() -> None:
    g = torch.Generator().manual_seed(3)
    keys, values, x = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((5, 4), (5, 3), (2, 7, 4)))
    up, down = nn.Linear(4, 5, dtype=torch.float64), nn.Linear(5, 3, bias=False, dtype=torch.float64)
    with torch.no_grad():
        up.weight.copy_(keys)
        up.bias.fill_(-0.3)
        down.weight.copy_(values.mT)
        torch.testing.assert_close(planted(x, keys, values, 0.3), down(torch.relu(up(x))))


# ---------------------------------------------------------------------------------------------- published


def test_published_models_are_the_presets_without_experts() -> None:
    found = experiment.published()
    wanted = {n: p.architecture for n, p in PRESETS.items() if p.architecture.experts == 1}
    assert found.names == tuple(wanted) and "Mixtral 8x7B" not in wanted
    for i, a in enumerate(wanted.values()):
        assert (int(found.d_model[i]), int(found.d_ff[i]), bool(found.gated[i])) == (a.d_model, a.d_ff, a.gated)
    assert len(found.of(True)) + len(found.of(False)) == len(wanted)
    assert float(found.ratio[found.names.index("Gemma 7B")]) == 8


def test_near_is_two_percent() -> None:
    assert experiment.near(torch.tensor([3.9, 3.93, 4.0, 4.07, 4.1]), 4.0) == 3


# ---------------------------------------------------------------------------------------------- trained


@pytest.mark.parametrize("activation", training.ACTIVATIONS)
def test_each_ratio_takes_the_rate_of_its_least_mean(activation: training.Activation) -> None:
    found, every = experiment.tuned(activation), experiment.ends(activation)
    for i, ratio in enumerate(training.RATIOS):
        runs = training.trained(activation, ratio)
        torch.testing.assert_close(every[i], runs.excess)
        means = runs.excess.mean(0)
        best = int(means.argmin())
        assert float(found.rate[i]) == training.RATES[best] and float(found.mean[i]) == pytest.approx(
            float(means.min())
        )
        torch.testing.assert_close(found.excess[i], runs.excess[:, best])
        assert bool(found.edge[i]) == (best in (0, len(training.RATES) - 1))
        assert found.ratio[i] == runs.shape.ratio
        assert float(found.error[i]) == pytest.approx(float(runs.excess[:, best].std()) / math.sqrt(5))
    for rate in training.RATES:
        one = experiment.at_one_rate(activation, rate)
        assert (one.mean >= found.mean - 1e-12).all() and not one.edge.any() and (one.rate == rate).all()
        torch.testing.assert_close(one.excess, every[..., training.RATES.index(rate)])


def test_parameters_differ_by_less_than_a_percent() -> None:
    sizes = [training.shape_of(a, r).parameters for a in training.ACTIVATIONS for r in training.RATIOS]
    assert experiment.parameter_spread() == max(sizes) / min(sizes) - 1 < 0.01


def test_an_edge_is_the_lowest_rate_or_the_highest(monkeypatch: pytest.MonkeyPatch) -> None:
    best = torch.tensor([0, 1, 2, 3, 4, 5])  # one rate after the other
    each = 1 - torch.nn.functional.one_hot(best, 6).double()[:, None].expand(-1, 5, -1)
    monkeypatch.setattr(experiment, "ends", lambda activation: each)
    assert experiment.tuned.__wrapped__("gelu").edge.tolist() == [True, False, False, False, False, True]


def test_standard_errors_are_those_of_a_difference() -> None:
    """By hand: seed by seed the second lies 2, 3 and 4 above the first."""
    excess = torch.tensor([[1.0, 2, 3], [3, 5, 7]], dtype=torch.float64)
    found = experiment.Ratios(torch.ones(2), torch.ones(2), excess, torch.zeros(2, dtype=torch.bool))
    assert found.apart(0).tolist() == pytest.approx([0, 3 * math.sqrt(3)]) and found.apart(1)[1] == 0
    assert found.whole.tolist() == pytest.approx([2 + experiment.least_loss(), 5 + experiment.least_loss()])


def test_the_least_loss_is_what_the_text_costs_who_knows_it() -> None:
    """512 texts of 8 tokens: the mean of −ln of their true probabilities, within four standard errors."""
    texts, chain = training.texts(512, 5), training.chain()
    costs = -chain[texts[:, :-2], texts[:, 1:-1], texts[:, 2:]].log().mean(-1)
    assert float(costs.mean()) == pytest.approx(experiment.least_loss(), abs=4 * float(costs.std()) / math.sqrt(512))


def test_what_the_page_says_of_the_runs() -> None:
    """A half leaves 1.6 to 2.2 times as much as four; and how many rates pick what tuning picks."""
    worse = [float(found.mean[0] / found.mean[3]) for found in map(experiment.tuned, training.ACTIVATIONS)]
    assert [round(min(worse), 1), round(max(worse), 1)] == [1.6, 2.2]
    for activation, agreeing in (("swiglu", [0, 1, 2, 3]), ("gelu", [3])):
        best = [experiment.at_one_rate(activation, rate).best for rate in training.RATES]
        assert [i for i, b in enumerate(best) if b == experiment.tuned(activation).best] == agreeing
    rates = training.RATES
    assert all(1.95 < b / a < 2.1 for a, b in itertools.pairwise(rates))  # “about twice the one before”


@pytest.mark.parametrize("seed", range(5))
def test_the_basin_and_the_trap_do_not_hang_on_one_seed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one of the five: 8 and 16 stay near 4, 2 and below stay behind it."""
    left = {a: experiment.ends(a)[:, [s for s in range(5) if s != seed]] for a in training.ACTIVATIONS}
    for excess in left.values():
        found = excess[torch.arange(6), :, excess.mean(1).argmin(-1)]
        ratios = experiment.Ratios(torch.ones(6), torch.ones(6), found, torch.zeros(6, dtype=torch.bool))
        beside = ratios.mean / ratios.mean[3]
        assert (beside[:3] > 1.1).all() and (beside[4:] < 1.13).all() and (beside[4:] > 0.96).all()
    lowest, highest = left["gelu"][..., 0], left["gelu"][..., -1]
    assert int(lowest.argmin(0).max()) <= 2 and int(highest.mean(-1).argmin()) == 5


# ---------------------------------------------------------------------------------------------- facts


def test_what_is_written_in_comes_back_and_nothing_else() -> None:
    widths = torch.tensor(training.WIDTHS, dtype=torch.float64)
    for seed in training.SEEDS:  # but for a fact that is near one of its own class
        extra = experiment.planted_recall(0.0, seed) * 512 - widths
        assert (extra[:5].abs() < 1e-9).all() and (extra > -1e-9).all() and extra.max() < 1.01 and abs(extra[-1]) < 1e-9
    assert (experiment.planted_recall(0.0, 0, threshold=1.5) == 0).all()  # nothing fires, nothing is right
    assert experiment.planted_recall(2.0, 0)[-1] < 0.5 < experiment.planted_recall(1.0, 0)[-1]


def test_each_width_is_a_layer_of_its_own() -> None:
    """Added up unit by unit, and counted by argmax where any unit fires: the slow way."""
    keys, classes = training.facts(3)
    asked = training.queries(keys, 1.0, 3)[0]
    fired = (asked @ keys[:64].mT - experiment.THRESHOLD).relu()
    logits = fired @ torch.nn.functional.one_hot(classes[:64], training.CLASSES).double()
    right = (logits.argmax(-1) == classes) & (fired.sum(-1) > 0)
    assert float(experiment.planted_recall(1.0, 3)[4]) == pytest.approx(float(right.double().mean()), abs=1e-12)


def test_recall_is_of_all_widths_and_seeds() -> None:
    found = experiment.recall(0.5)
    assert found.planted.shape == found.trained.shape == (8, 5)
    torch.testing.assert_close(found.trained[3], training.recalled(32)[training.NOISES.index(0.5)])
    torch.testing.assert_close(found.planted[:, 1], experiment.planted_recall(0.5, 1))


def test_trained_units_hold_several_facts() -> None:
    exact = experiment.recall(0.0)
    assert float(exact.trained[3].min()) > 0.98 and float(exact.trained[0].max()) < 0.3
    assert (exact.trained[:5] >= exact.planted[:5]).all()
    assert experiment.chance() == 1 / 32


# ---------------------------------------------------------------------------------------------- operations


def test_work_by_hand() -> None:
    held = experiment.work(1000, "width")
    four = experiment.LINE.index(4)
    assert float(held.weights[four]) == 24 * 4096**2 and (held.attention == 4 * 1000 * 4096).all()
    equal = experiment.work(1000, "parameters")
    torch.testing.assert_close(equal.weights, torch.full_like(equal.weights, 24 * 4096**2))
    assert float(equal.d_model[four]) == pytest.approx(4096) and float(equal.cache[four]) == pytest.approx(8192)
    assert (equal.attention.diff() < 0).all() and (held.total.diff() > 0).all()


def test_pytorch_counts_the_same() -> None:
    weights, flops = experiment.counted(48, 96, 200)
    assert weights == (4 + 2 * 2) * 48**2 and flops == 2 * weights + 4 * 200 * 48


def test_settings_are_what_the_code_is_given() -> None:
    assert experiment.settings("Llama 3 8B") == {"d_model": 4096, "multiple_of": 1024, "multiplier": 1.3}
