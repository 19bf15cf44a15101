"""The equations against torch's own functions in float64, and the properties that shape types do not catch."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.ops import attention as ops
from core.ops import masks, positions

SIZES = st.integers(1, 7)
quick = settings(deadline=None, derandomize=True, max_examples=25)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@quick
@given(b=SIZES, q=SIZES, k=SIZES, d_k=SIZES, v=SIZES, seed=st.integers(0, 99), data=st.data())
def test_attention_is_torchs(b: int, q: int, k: int, d_k: int, v: int, seed: int, data: st.DataObject) -> None:
    query, key, value = (normal(b, q, d_k, seed=seed), normal(b, k, d_k, seed=seed + 1), normal(b, k, v, seed=seed + 2))
    visible = torch.rand(q, k, generator=torch.Generator().manual_seed(seed)) < 0.6
    visible[:, data.draw(st.integers(0, k - 1))] = True  # no empty row: there libraries disagree
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
    torch.testing.assert_close(ops.attention(query, key, value, visible), expected, atol=1e-12, rtol=1e-12)


@quick
@given(q=SIZES, k=SIZES, shift=st.floats(-700, 700))
def test_softmax(q: int, k: int, shift: float) -> None:
    x = normal(q, k) * 5
    p = ops.softmax(x)
    torch.testing.assert_close(p, F.softmax(x, -1), atol=1e-15, rtol=1e-13)
    torch.testing.assert_close(p.sum(-1), torch.ones(q, dtype=torch.float64))
    torch.testing.assert_close(ops.softmax(x + shift), p, atol=1e-12, rtol=1e-9)


def test_softmax_of_an_empty_row_is_nan() -> None:
    assert ops.softmax(torch.full((3,), -torch.inf)).isnan().all()


@quick
@given(n=st.integers(2, 8), scale=st.floats(0, 20), seed=st.integers(0, 99))
def test_jacobian_norm_is_that_of_the_jacobian(n: int, scale: float, seed: int) -> None:
    x = normal(n, seed=seed) * scale
    jacobian = torch.autograd.functional.jacobian(lambda s: F.softmax(s, -1), x)
    measured = ops.softmax_jacobian_norm(ops.softmax(x))
    torch.testing.assert_close(measured, torch.linalg.norm(jacobian), atol=1e-8, rtol=1e-6)


def test_the_jacobian_of_a_saturated_row_does_not_cancel() -> None:
    """One weight of 1 − δ and one of δ: J has four entries of ±δ(1 − δ). In power sums, float64 gives 0 from δ = 1e-9 on."""
    for small in (1e-3, 1e-9, 1e-15):
        row = torch.tensor([1 - small, small], dtype=torch.float64)
        assert float(ops.softmax_jacobian_norm(row)) == pytest.approx(2 * small * (1 - small), rel=1e-3)


@quick
@given(n=st.integers(2, 9))
def test_uniform_and_one_hot_rows(n: int) -> None:
    uniform, one_hot = (torch.full((n,), 1 / n, dtype=torch.float64), F.one_hot(torch.tensor(0), n).double())
    assert ops.softmax_jacobian_norm(uniform) == pytest.approx(math.sqrt(n - 1) / n)
    assert ops.softmax_jacobian_norm(one_hot) == 0


@quick
@given(n=st.integers(2, 8), d=SIZES, place=st.data())
def test_causality(n: int, d: int, place: st.DataObject) -> None:
    """Change a later token: what comes before it changes by exactly 0, and itself does change."""
    x = normal(n, d)
    changed = place.draw(st.integers(1, n - 1))
    y = x.clone()
    y[changed:] += 1
    before, after = (ops.attention(z, z, z, masks.causal(n)) for z in (x, y))
    assert torch.equal(before[:changed], after[:changed])
    assert not torch.equal(before[changed:], after[changed:])


@quick
@given(n=st.integers(2, 8), d=SIZES, seed=st.integers(0, 99))
def test_an_inverted_or_shifted_mask_breaks_causality(n: int, d: int, seed: int) -> None:
    """Shape types let these through; changing the last token does not."""
    x = normal(n, d, seed=seed)
    y = x.clone()
    y[-1] += 1
    causal = masks.causal(n)
    for wrong in (~causal, causal.mT, masks.causal(n, 1), masks.full(n)):
        before, after = (ops.attention(z, z, z, wrong)[:-1] for z in (x, y))
        assert not torch.equal(before.nan_to_num(), after.nan_to_num())


@quick
@given(q=SIZES, k=SIZES, d_k=SIZES)
def test_the_divisors(q: int, k: int, d_k: int) -> None:
    query, key = normal(q, d_k), normal(k, d_k, seed=1)
    plain = torch.einsum("qd,kd->qk", query, key)
    for divisor, number in (("none", 1), ("sqrt", math.sqrt(d_k)), ("d_k", d_k)):
        torch.testing.assert_close(ops.logits(query, key, divisor), plain / number)
    assert (ops.masked(plain, None) == plain).all()


@quick
@given(n=SIZES, d=SIZES, offset=st.integers(-9, 9), prefix=st.integers(0, 9))
def test_masks_entry_by_entry(n: int, d: int, offset: int, prefix: int) -> None:
    i, j = torch.arange(n)[:, None], torch.arange(n)
    assert torch.equal(masks.causal(n, offset), j <= i + offset)
    assert torch.equal(masks.prefix_lm(n, prefix), (j <= i) | (j < prefix))
    x = normal(1, n, d)
    expected = F.scaled_dot_product_attention(x, x, x, is_causal=True)
    torch.testing.assert_close(ops.attention(x, x, x, masks.causal(n)), expected, atol=1e-12, rtol=1e-12)


def test_masks() -> None:
    assert masks.causal(4, 1).sum() == 13 and masks.causal(4, -1)[0].sum() == 0
    assert masks.full(3).all()
    assert torch.equal(masks.prefix_lm(4, 0), masks.causal(4))
    assert torch.equal(masks.prefix_lm(4, 4), masks.full(4))
    assert masks.causal(3).tolist()[0] == [True, False, False], "row = query, column = key"


@quick
@given(n=SIZES, d=SIZES, seed=st.integers(0, 99))
def test_attention_without_positions_is_equivariant(n: int, d: int, seed: int) -> None:
    x = normal(n, d, seed=seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(ops.attention(x[order], x[order], x[order]), ops.attention(x, x, x)[order])


@quick
@given(d=st.integers(1, 8), offset=st.integers(0, 9), start=st.integers(0, 40))
def test_sinusoid_dot_products_depend_on_the_offset_only(d: int, offset: int, start: int) -> None:
    table = positions.sinusoidal(60, 2 * d)
    expected = torch.cos(offset * 10_000.0 ** (-torch.arange(d, dtype=torch.float64) / d)).sum()
    torch.testing.assert_close(table[start] @ table[start + offset], expected, atol=1e-10, rtol=1e-10)


@quick
@given(d=st.integers(1, 6), m=st.integers(0, 20), n=st.integers(0, 20), shift=st.integers(0, 1000))
def test_rope_scores_depend_on_the_offset_only(d: int, m: int, n: int, shift: int) -> None:
    q, k = normal(1, 2 * d), normal(1, 2 * d, seed=1)

    def score(a: int, b: int) -> Tensor:
        places = (torch.tensor([float(a)]), torch.tensor([float(b)]))
        return (positions.rotate(q, places[0]) * positions.rotate(k, places[1])).sum()

    torch.testing.assert_close(score(m, n), score(m + shift, n + shift), atol=1e-8, rtol=1e-8)


@quick
@given(n=SIZES, d=st.integers(1, 6), base=st.floats(2, 1e5), start=st.integers(0, 50))
def test_rope_turns_complex_numbers(n: int, d: int, base: float, start: int) -> None:
    x, place = normal(n, 2 * d), torch.arange(start, start + n, dtype=torch.float64)
    turned = torch.view_as_complex(x.unflatten(-1, (d, 2))) * torch.exp(
        1j * place[:, None] * base ** (-2 * torch.arange(d, dtype=torch.float64) / (2 * d))
    )
    expected = torch.view_as_real(turned).flatten(-2)
    torch.testing.assert_close(positions.rotate(x, place, base), expected, atol=1e-11, rtol=1e-11)


@quick
@given(n=SIZES, half=st.integers(1, 6), base=st.floats(2, 1e5), seed=st.integers(0, 99))
def test_rope_on_halves_is_rope_on_neighbours_in_another_order(n: int, half: int, base: float, seed: int) -> None:
    x, order = normal(3, n, 2 * half, seed=seed), positions.halves_order(2 * half)
    turned = positions.rotate(x, base=base)[..., order]
    torch.testing.assert_close(positions.rotate(x[..., order], base=base, pairs="halves"), turned)
    # As Hugging Face's Llama writes it: x cos + rotate_half(x) sin.
    angle = torch.arange(n).double()[:, None] * base ** (-torch.arange(half).double() / half)
    cos, sin = (torch.cat([y, y], -1) for y in (angle.cos(), angle.sin()))
    swapped = torch.cat([-x[..., half:], x[..., :half]], -1)
    torch.testing.assert_close(positions.rotate(x, base=base, pairs="halves"), x * cos + swapped * sin)


def test_halves_order_is_that_of_the_published_conversion() -> None:
    """Rows of a weight as torch's nn.Linear stores them, two heads of width 6."""
    w = torch.arange(12)[:, None].expand(12, 5)
    published = w.view(2, 3, 2, 5).transpose(1, 2).reshape(12, 5)[:, 0]
    assert torch.equal(torch.cat([positions.halves_order(6), 6 + positions.halves_order(6)]), published)


@quick
@given(n=st.integers(1, 200))
def test_alibi_slopes_are_a_geometric_series_for_any_number_of_heads(n: int) -> None:
    slopes = positions.alibi_slopes(n)
    assert len(slopes) == n and slopes[-1] == 2.0**-8 and float(slopes[0]) == pytest.approx(2.0 ** (-8 / n))
    torch.testing.assert_close(slopes[1:] / slopes[:-1], slopes[0].expand(n - 1))


def released(n: int) -> list[float]:
    """The recursion of the authors' code, with its own way to write 2^(−8/n)."""
    if math.log2(n).is_integer():
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start**i for i in range(n)]
    lower = 2 ** math.floor(math.log2(n))
    return released(lower) + released(2 * lower)[0::2][: n - lower]


def test_alibi_slopes_as_released() -> None:
    for n in range(1, 130):
        got = positions.alibi_slopes_as_released(n)
        torch.testing.assert_close(got, torch.tensor(released(n), dtype=torch.float64))
        equal = torch.allclose(got, positions.alibi_slopes(n), rtol=1e-12, atol=0)
        assert equal == (n & (n - 1) == 0), "the two differ just where n is no power of two"
    assert positions.alibi_slopes_as_released(12)[-4:].log2().tolist() == pytest.approx([-0.5, -1.5, -2.5, -3.5])
    assert len(positions.alibi_slopes_as_released(112)) == 112


def test_rope_keeps_lengths_and_alibi_is_linear() -> None:
    x = normal(9, 8)
    torch.testing.assert_close(positions.rotate(x).norm(dim=-1), x.norm(dim=-1))
    assert positions.rotate(x.float(), torch.arange(9).double()).dtype == torch.float32, "places do not widen features"
    bias = positions.alibi(5, 0.5)
    assert bias[4].tolist() == [-2.0, -1.5, -1.0, -0.5, 0.0]
    distance = (torch.arange(5)[:, None] - torch.arange(5)).abs().double()
    torch.testing.assert_close(positions.alibi(5, 0.3), -0.3 * distance, rtol=1e-15, atol=0)
    assert positions.alibi_slopes(8)[0] == 0.5


@pytest.mark.parametrize(
    "call",
    [
        lambda: positions.sinusoidal(3, 3),
        lambda: positions.rotate(normal(2, 3)),
        lambda: positions.rotate(normal(2, 3), pairs="halves"),
        lambda: positions.alibi_slopes(0),
        lambda: positions.alibi_slopes_as_released(-3),
    ],
)
def test_wrong_sizes_are_refused_in_words(call: object) -> None:
    with pytest.raises(ValueError, match=r"must be even|at least one head"):
        call()  # type: ignore[operator]
