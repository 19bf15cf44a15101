"""Question 13: the encoder is what it says, words travel with their outputs, and what breaks that symmetry."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.concepts import positions as lesson
from core.ops import positions as ops
from core.ops.masks import causal
from core.ops.words import embed

quick = settings(deadline=None, derandomize=True, max_examples=12)
schemes = st.sampled_from(lesson.SCHEMES)
words = st.lists(st.sampled_from(["the", "dog", "man", "bites", "cat", "runs", "a", "not"]), min_size=2, max_size=12)


def reference(row: list[str], scheme: str, layers: int, seed: int, causal_mask: bool) -> Tensor:
    """The same encoder out of torch's own layer norm and attention, one head at a time."""
    g = torch.Generator().manual_seed(seed)

    def draw(a: int, b: int) -> Tensor:
        return torch.randn(a, b, generator=g, dtype=torch.float64) / a**0.5

    n, d = len(row), 16
    table = torch.randn(12, d, generator=g, dtype=torch.float64)
    x = embed(row, d)
    x = x + {"sinusoidal": ops.sinusoidal(n, d), "learned": table[:n]}.get(scheme, torch.zeros(1, d))
    distance = (torch.arange(n)[:, None] - torch.arange(n)).abs().double()
    for _ in range(layers):
        w_q, w_k, w_v, w_o, up, down = (*(draw(d, d) for _ in range(4)), draw(d, 64), draw(64, d))
        h, heads = F.layer_norm(x, (d,)), []
        for i, slope in enumerate((2**-4, 2**-8)):
            q, k, v = (h @ w[:, 8 * i : 8 * i + 8] for w in (w_q, w_k, w_v))
            if scheme == "rope":
                q, k = ops.rotate(q), ops.rotate(k)
            bias = -slope * distance if scheme == "alibi" else torch.zeros(n, n).double()
            if causal_mask:
                bias = bias.masked_fill(~causal(n), -math.inf)
            heads.append(F.scaled_dot_product_attention(q, k, v, attn_mask=bias))
        x = x + torch.cat(heads, -1) @ w_o
        x = x + F.relu(F.layer_norm(x, (d,)) @ up) @ down
    return F.layer_norm(x, (d,))


@quick
@given(row=words, scheme=schemes, layers=st.integers(1, 4), seed=st.integers(0, 99), mask=st.booleans())
def test_the_encoder_is_what_it_says(row: list[str], scheme: str, layers: int, seed: int, mask: bool) -> None:
    expected = reference(row, scheme, layers, seed, mask)
    for summation in ("sorted", "plain"):
        got = lesson.encode(row, scheme, layers, seed, mask, summation)
        torch.testing.assert_close(got, expected, atol=1e-11, rtol=1e-11)


@quick
@given(n=st.integers(1, 70), width=st.integers(1, 70), seed=st.integers(0, 99))
def test_a_sum_does_not_depend_on_where_it_stands(n: int, width: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    x, w = (torch.randn(a, width, generator=g).double() for a in (n, 16))
    order = torch.randperm(n, generator=g)
    got = lesson.multiply(x, w.mT, "sorted")
    assert torch.equal(lesson.multiply(x[order], w.mT, "sorted"), got[order])
    torch.testing.assert_close(got, x @ w.mT)
    # Laid out the other way round in memory: the same bits.
    assert torch.equal(lesson.add_up(x.mT.contiguous().mT), lesson.add_up(x))


@quick
@given(row=words, layers=st.integers(1, 4), seed=st.integers(0, 99), mask=st.booleans())
def test_a_deep_encoder_starts_as_a_shallow_one(row: list[str], layers: int, seed: int, mask: bool) -> None:
    deep = lesson.stack(row, "rope", 4, seed, mask)[layers - 1]
    assert torch.equal(deep, lesson.encode(row, "rope", layers, seed, mask))


@settings(quick, max_examples=40)
@given(row=words, layers=st.integers(1, 4), seed=st.integers(0, 99), data=st.data())
def test_without_positions_outputs_follow_their_words_to_the_last_bit(
    row: list[str], layers: int, seed: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(row))
    both = lesson.two_orders(" ".join(row), " ".join(order), "none", layers, seed)
    assert both.largest == 0 and both.pooled == 0
    plain = lesson.two_orders(" ".join(row), " ".join(order), "none", layers, seed, "plain")
    assert plain.largest < lesson.ROUNDING


@quick
@given(order=st.permutations(["one", "two", "three", "four", "five"]), scheme=schemes, seed=st.integers(0, 99))
def test_with_positions_they_do_not(order: list[str], scheme: str, seed: int) -> None:
    row = ["one", "two", "three", "four", "five"]
    both = lesson.two_orders(" ".join(row), " ".join(order), scheme, 2, seed)
    blind = scheme == "none" or order == row or (scheme == "alibi" and order == row[::-1])
    assert (both.largest == 0) == blind
    assert (both.largest > lesson.ROUNDING) == (not blind)
    if blind:
        assert both.pooled == 0


@quick
@given(row=words)
def test_alibi_is_blind_to_any_reversal_also_with_repeated_words(row: list[str]) -> None:
    assert lesson.two_orders(" ".join(row), " ".join(row[::-1]), "alibi", 2).largest == 0


@quick
@given(row=words, data=st.data())
def test_matching_finds_every_word_once(row: list[str], data: st.DataObject) -> None:
    order = data.draw(st.permutations(row))
    place = lesson.matching(row, order)
    assert sorted(place.tolist()) == list(range(len(row)))
    assert [order[i] for i in place] == row
    assert lesson.matching(row, row).tolist() == list(range(len(row)))


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("dog bites man", "man bites cat", "add dog; take out cat"),
        ("dog bites man", "man bites", "add dog"),
        ("a b", "a b b", "take out b"),
        ("Dog bites", "bites dog", "add Dog; take out dog"),
        ("dog", "dog", "at least two"),
        ("a " * 13, "a " * 13, "13 words"),
    ],
)
def test_other_words_are_refused_in_words(first: str, second: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        lesson.two_orders(first, second)


def test_one_causal_layer_is_blind_to_the_order_of_the_prefix_and_two_are_not() -> None:
    for seed in range(5):
        shuffle = lesson.shuffled_prefix(order_seed=seed, seed=seed)
        assert shuffle.change[0] == 0
        assert (lesson.shuffled_prefix(order_seed=seed, seed=seed, causal=False).change == 0).all()
        assert (shuffle.change[1:] > 1e-3).all()  # facts: .083, .173, .345 for their encoder
        assert shuffle.words[-1] == shuffle.shuffled[-1] and shuffle.words != shuffle.shuffled
        assert sorted(shuffle.words) == sorted(shuffle.shuffled)
    for useless in ("dog bites", "no no no no"):
        with pytest.raises(ValueError, match="two different words"):
            lesson.shuffled_prefix(useless)


def test_the_counting_head() -> None:
    assert lesson.counting_head(5).tolist() == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    assert lesson.counting_head(5, causal=False).tolist() == [0.2] * 5


@pytest.mark.parametrize(("offset", "product"), [(0, 256), (1, 249.102), (2, 231.734), (5, 189.597), (10, 173.790)])
def test_dot_products_of_sinusoids(offset: int, product: float) -> None:
    seen = lesson.pattern(512)
    column = seen.raw[:, seen.offsets.tolist().index(offset)] * 256
    torch.testing.assert_close(column, torch.full_like(column, product), atol=5e-4, rtol=0)  # 3 decimals in the facts
    torch.testing.assert_close(seen.raw, seen.raw.flip(-1), atol=1e-11, rtol=0)  # later or earlier: the same
    assert (seen.projected.amax(0) - seen.projected.amin(0)).max() > 1e-3


@pytest.mark.parametrize(("width", "base"), [(2, 10.0), (64, 100.0), (512, 10_000.0)])
def test_the_longest_wavelength_is_that_of_the_last_pair(width: int, base: float) -> None:
    sine, cosine = ops.sinusoidal(2, width, base)[1, -2:].tolist()
    assert lesson.pattern(width, base).longest == pytest.approx(2 * math.pi / math.atan2(sine, cosine))
    assert int(lesson.pattern(512).longest) == 60_611
