"""Question 6: who shares a mean, against torch's own layers in float64, and what follows from it."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.concepts.layer_norm import concept
from core.experiments import layer_norm as norms
from core.experiments.layer_norm import FEATURES, KINDS, TEXTS, WORDS
from core.ops.norms import layer_norm, moments, padded, rms_norm, running, scale, spread_of_mean
from core.say import number
from core.training import layer_norm as training

LAWFUL = settings(deadline=None, derandomize=True, max_examples=30)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def torchs(kind: str, x: Tensor) -> Tensor:
    """The same norm from torch, which wants [text, feature, word]."""
    swapped = x.transpose(1, 2)
    match kind:
        case "layer":
            return F.layer_norm(x, x.shape[-1:])
        case "rms":
            return F.rms_norm(x, x.shape[-1:], eps=1e-5)
        case "batch":
            return F.batch_norm(swapped, None, None, training=True).transpose(1, 2)
        case "place":
            return F.batch_norm(x.flatten(1), None, None, training=True).reshape(x.shape)
        case "group":
            return F.group_norm(swapped, norms.GROUPS).transpose(1, 2)
        case "instance":
            return F.instance_norm(swapped).transpose(1, 2)
        case "kept":
            return nn.BatchNorm1d(x.shape[-1], dtype=torch.float64).eval()(swapped).transpose(1, 2).detach()
    raise LookupError(kind)


# ------------------------------------------------------------------------------------------------ the equations


@pytest.mark.parametrize("kind", KINDS)
@given(
    b=st.integers(2, 4), n=st.integers(2, 5), groups=st.integers(1, 3), size=st.floats(1e-4, 1e4), at=st.floats(-9, 9)
)
@LAWFUL
def test_every_norm_is_torchs(kind: norms.Kind, b: int, n: int, groups: int, size: float, at: float) -> None:
    x = size * gaussian(b, n, 2 * groups) + at
    torch.testing.assert_close(norms.normalise(kind, x), torchs(kind, x), atol=1e-8, rtol=1e-8)


@given(st.floats(0.01, 1), st.integers(0, 99))
@LAWFUL
def test_running_statistics_are_torchs(momentum: float, seed: int) -> None:
    module = nn.BatchNorm1d(3, momentum=momentum, dtype=torch.float64)
    mean, variance = torch.zeros(3).double(), torch.ones(3).double()
    for i in range(3):
        x = 2 + gaussian(5, 3, seed=3 * seed + i)
        module(x)
        found = moments(x, (0,))
        mean = running(mean, found[0][0], momentum)
        variance = running(variance, found[1][0] * 5 / 4, momentum)
    torch.testing.assert_close((mean, variance), (module.running_mean, module.running_var))
    torch.testing.assert_close(scale(x, mean, variance), module.eval()(x).detach())


@given(st.integers(1, 5), st.integers(0, 99))
@LAWFUL
def test_rms_norm_divides_by_the_root_mean_square(d: int, seed: int) -> None:
    x = 3 + gaussian(4, d, seed=seed)
    torch.testing.assert_close(rms_norm(x, 0.0).square().mean(-1), torch.ones(4).double())
    torch.testing.assert_close(rms_norm(7 * x, 0.0), rms_norm(x, 0.0))


def test_epsilon_stands_inside_the_root() -> None:
    x = torch.tensor([1e-3, -1e-3], dtype=torch.float64)
    assert float(layer_norm(x)[0]) == pytest.approx(1e-3 / math.sqrt(1e-6 + 1e-5))
    assert float(rms_norm(x)[0]) == pytest.approx(1e-3 / math.sqrt(1e-6 + 1e-5))
    assert float(scale(x, x.mean(), x.var(correction=0))[0]) == pytest.approx(1e-3 / math.sqrt(1e-6 + 1e-5))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.floats(0, 1))
@LAWFUL
def test_the_spread_of_a_mean_is_that_of_its_covariance(lengths: list[int], rho: float) -> None:
    text = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    covariance = torch.where(text[:, None] == text, rho, 0.0).double()
    covariance.fill_diagonal_(1)
    expected = float(covariance.mean().sqrt())
    assert float(spread_of_mean(torch.tensor(lengths), rho)) == pytest.approx(expected, rel=1e-6)


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 99))
@LAWFUL
def test_pads_are_zeros_in_the_moments(real: int, zeros: int, seed: int) -> None:
    x = 2 + gaussian(real, seed=seed)
    mean, variance = (float(v) for v in moments(x, (0,)))
    found = moments(torch.cat([x, torch.zeros(zeros)]), (0,))
    assert padded(mean, variance, zeros / (real + zeros)) == pytest.approx([float(v) for v in found], abs=1e-12)


def test_the_first_pads_raise_the_variance_only_of_a_mean_far_from_0() -> None:
    for mean, rises in ((2.0, True), (-2.0, True), (1.0, False), (0.0, False)):
        assert (padded(mean, 2.25, 0.01)[1] > 2.25) == rises


# ------------------------------------------------------------------------------------------------ who shares, who moves

SHARED = {"layer": FEATURES, "rms": FEATURES, "batch": TEXTS * WORDS, "place": TEXTS, "instance": WORDS,
          "group": WORDS * FEATURES // 2, "kept": 1}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 3])
def test_who_shares_is_who_changes_the_number(kind: norms.Kind, seed: int) -> None:
    """The derivative finds what a nudge finds, by torch's own norms."""
    found, x = norms.shares(kind, seed), norms.block(seed)
    before = torchs(kind, x)
    assert bool((found.flatten(1).sum(1) == SHARED[kind]).all())
    for j in range(x.numel()):
        y = x.clone()
        y.view(-1)[j] += 0.5
        changed = (torchs(kind, y) - before).abs() > 1e-12
        assert torch.equal(changed.flatten(), found.flatten(1)[:, j] == 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_moves_as_torchs_does(kind: norms.Kind) -> None:
    found, x, other = norms.moves(kind, 3), norms.block(3), norms.block(3, salt=1)
    before = torchs(kind, x)
    for b, t in itertools.product(range(TEXTS), range(WORDS)):
        y = x.clone()
        y[[1, 2, 0][b]] = other[[1, 2, 0][b]]
        change = (torchs(kind, y) - before)[b, t].norm() / before[b, t].norm()
        assert float(found.text[b, t]) == pytest.approx(float(change), abs=1e-9)
        if t == WORDS - 1:
            assert math.isnan(found.after[b, t])
            continue
        y = x.clone()
        y[b, t + 1] = other[b, t + 1]
        change = (torchs(kind, y) - before)[b, t].norm() / before[b, t].norm()
        assert float(found.after[b, t]) == pytest.approx(float(change), abs=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2, 9999])
def test_only_what_shares_moves(seed: int) -> None:
    for kind in KINDS:
        found = norms.moves(kind, seed)
        for values, moves in ((found.text, kind in ("batch", "place")),
                              (found.after[:, :-1], kind in ("batch", "group", "instance"))):  # fmt: skip
            assert bool((values > 0.005).all()) if moves else bool((values == 0).all()), (kind, values)


def test_seeds_and_salts_never_meet() -> None:
    drawn = [norms.block(seed, salt) for seed in range(3) for salt in range(2)]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(drawn, 2))


# ------------------------------------------------------------------------------------------------ noise


def test_the_pool_sums_words() -> None:
    g = torch.Generator().manual_seed(5)
    own, chance = torch.randn(norms.POOL, generator=g), torch.rand(norms.POOL, generator=g).double()
    words = torch.randn(norms.POOL, 2 * norms.LONGEST, generator=g).double()
    found = norms.pool(5)
    torch.testing.assert_close(found.own, own.double())
    for i, t in enumerate(norms.LENGTHS):
        torch.testing.assert_close(found.equal[i], words[:, :t].sum(1), atol=1e-3, rtol=0)
        assert int(found.drawn[i].min()) >= 1 and int(found.drawn[i].max()) <= 2 * t - 1
        assert float(found.drawn[i].double().mean()) == pytest.approx(t, rel=0.05)
        for row in (0, 77):
            length = 1 + math.floor(float(chance[row]) * (2 * t - 1))
            assert int(found.drawn[i, row]) == length
            assert float(found.mixed[i, row]) == pytest.approx(float(words[row, :length].sum()), abs=1e-3)


@pytest.mark.parametrize("lengths", ["equal", "mixed"])
@pytest.mark.parametrize("texts", [1, 8, 32])
@pytest.mark.parametrize("rho", [0.0, 0.1, 0.5, 1.0])
def test_the_noise_keeps_its_law(texts: int, rho: float, lengths: norms.Lengths) -> None:
    found = norms.noise(texts, rho, lengths, 3)
    assert found.batches == norms.POOL // texts
    drawn = norms.pool(3).drawn if lengths == "mixed" else torch.tensor(norms.LENGTHS)[:, None].expand(-1, norms.POOL)
    variance = spread_of_mean(drawn.unflatten(1, (-1, texts)), rho).square()  # of each batch's mean, given its lengths
    error = ((3 * variance.square()).mean(1) - variance.mean(1).square()).sqrt() / math.sqrt(found.batches)
    assert bool(((found.measured.square() - found.law.square()).abs() < 4.5 * error).all())
    even = [1 / math.sqrt(texts * t) for t in norms.LENGTHS]
    assert found.independent.tolist() == pytest.approx(even)
    if lengths == "equal":
        expected = [math.sqrt((1 + (t - 1) * rho) / (texts * t)) for t in norms.LENGTHS]
        assert found.law.tolist() == pytest.approx(expected)


# ------------------------------------------------------------------------------------------------ pads


@pytest.mark.parametrize(("mean", "std"), [(2.0, 1.5), (-3.0, 0.5), (0.0, 3.0)])
def test_pads_are_counted_or_left_out(mean: float, std: float) -> None:
    found = norms.pads(mean, std, 4)
    words = mean + std * torch.randn(norms.PLACES, generator=torch.Generator().manual_seed(4)).double()
    for i, share in enumerate(norms.SHARES):
        real = words[: norms.PLACES - round(share * norms.PLACES)]
        every = torch.cat([real, torch.zeros(norms.PLACES - len(real))])
        assert float(found.mean[i]) == pytest.approx(float(every.mean()))
        assert float(found.variance[i]) == pytest.approx(float(every.var(correction=0)))
        assert found.own[i].tolist() == pytest.approx([float(real.mean()), float(real.var(correction=0))])
        m, v = found.own[i].tolist()
        assert padded(m, v, 1 - len(real) / norms.PLACES) == pytest.approx(
            (float(found.mean[i]), float(found.variance[i]))
        )
        assert found.law[i].tolist() == pytest.approx(padded(mean, std**2, share))
        out = (real - every.mean()) / (every.var(correction=0) + 1e-5).sqrt()
        assert found.output[i].tolist() == pytest.approx([float(out.mean()), float(out.std(correction=0))])
        inside = out[(out >= -norms.LIMIT) & (out <= norms.LIMIT)]
        assert float(found.counted[i].sum()) == pytest.approx(len(inside) / len(real))
        centre = torch.linspace(-norms.LIMIT, norms.LIMIT, 2 * norms.BINS + 1)[1::2].double()
        assert float((found.masked[i].double() * centre).sum()) == pytest.approx(0, abs=0.02)


# ------------------------------------------------------------------------------------------------ running


@pytest.mark.parametrize(("momentum", "drift"), [(0.1, 0.0), (0.1, 0.5), (0.5, 0.05), (1.0, 0.5)])
def test_what_evaluation_goes_by_is_what_torch_keeps(momentum: float, drift: float) -> None:
    found, g = norms.follow(momentum, drift, 6), torch.Generator().manual_seed(6)
    module = nn.BatchNorm1d(1, momentum=momentum, affine=False, dtype=torch.float64)
    assert (
        found.kept[0].tolist() == [0, 1] and bool(found.batch[0].isnan().all()) and bool(found.output[0].isnan().all())
    )
    for k in range(1, norms.SEEN + 1):
        x = 5 + drift * k + 1.5 * torch.randn(norms.NUMBERS, generator=g).double()
        module.train()(x[:, None])
        kept = dict(module.named_buffers())
        assert found.kept[k].tolist() == pytest.approx([float(kept["running_mean"]), float(kept["running_var"])])
        assert found.batch[k].tolist() == pytest.approx([float(x.mean()), float(x.var(correction=0))])
        out = module.eval()(x[:, None])
        assert found.output[k].tolist() == pytest.approx([float(out.mean()), float(out.std(correction=0))])
        assert float(found.true[k]) == pytest.approx(5 + drift * k)
        q = 1 - momentum
        law = 5 * (1 - q**k) + drift * sum(momentum * q ** (k - i) * i for i in range(1, k + 1))
        assert float(found.law[k]) == pytest.approx(law)


# ------------------------------------------------------------------------------------------------ what a count would tell


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_leaked_count_is_worth_its_entropy(n: int) -> None:
    """By going through all texts: the best guess of every bit from those before it and the number of ones."""
    texts = list(itertools.product((0, 1), repeat=n + 1))  # n are read, n are predicted
    loss = 0.0
    for t in range(1, n + 1):
        seen: dict[tuple, list[int]] = {}
        for text in texts:
            seen.setdefault((text[:t], sum(text[:n])), []).append(text[t])
        for bits in seen.values():
            p = sum(bits) / len(bits)
            loss += -sum(math.log(p if bit else 1 - p) for bit in bits) / len(texts) / n
    assert norms.count_leak(n) == pytest.approx(loss)


# ------------------------------------------------------------------------------------------------ what is said


def test_the_options_say_the_numbers_that_are_measured() -> None:
    assert concept.prediction is not None
    cheats, hint, honest, _ = (float(o.text.split(",")[0]) for o in concept.prediction.options)
    measured = concept.prediction.experiment()
    assert f"{measured:.2f}" == f"{cheats:.2f}" and number(measured, 2) in concept.prediction.outcome(measured)
    assert honest == round(training.ENTROPY, 2) and hint == round(norms.count_leak(training.LENGTH), 2)
    assert concept.prediction.right(measured) == 0


def test_a_texts_variances_tell_its_tosses_before_anything_is_learnt() -> None:
    """At the first norm: linearly, from the 32 variances most of each toss, from the 32 means an eighth, the count."""
    tosses = training.texts(torch.Generator().manual_seed(1), 4096)[:, :-1]
    weights = training.first_weights(0)
    x = (weights["embed"][tosses] + weights["place"]).detach()
    told = tosses.double()
    for statistic, low, high in ((x.var(1, correction=0), 0.8, 0.95), (x.mean(1), 0.05, 0.2)):
        columns = torch.cat([statistic, torch.ones(len(x), 1).double()], 1)
        missed = told - columns @ torch.linalg.lstsq(columns, told).solution
        explained = 1 - missed.square().mean(0) / told.var(0, correction=0)
        assert bool(((low < explained) & (explained < high)).all()), explained


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_said_of_lengths_and_of_running_means_holds_for_other_seeds(seed: int) -> None:
    at, long = norms.LENGTHS.index(128), norms.LENGTHS.index(512)
    laws = {(r, k): float(norms.noise(8, r, k, seed).law[at]) for r in (0.0, 0.5) for k in ("equal", "mixed")}  # type: ignore[arg-type]
    assert 1 < laws[0.0, "mixed"] / laws[0.0, "equal"] < 1.05
    assert 1.1 < laws[0.5, "mixed"] / laws[0.5, "equal"] < 1.2
    alike, free = norms.noise(8, 0.5, "equal", seed), norms.noise(8, 0.0, "equal", seed)
    assert alike.measured[long] / alike.measured[at] > 0.8 > 0.65 > free.measured[long] / free.measured[at]
    moving = norms.follow(0.1, 0.5, seed)
    assert float(moving.true[-1] - moving.kept[-1, 0]) / 0.5 == pytest.approx(9, abs=0.4)
