"""Question 1's experiments against theory and against plain torch: products counted, blocks, bytes, seconds, writing."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.concepts.quadratic_cost import concept
from core.experiments import quadratic_cost as cost
from core.experiments.quadratic_cost import BLOCKS, LENGTHS, MODELS, TOKENS, Timings
from core.ops.attention import attention, blockwise_attention
from core.ops.counting import kv_cache_bytes, score_bytes, written_scores
from core.presets import CONTEXTS, PRESETS, preset

# ---------------------------------------------------------------------------------------------- the equations


def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return nn.functional.scaled_dot_product_attention(query, key, value)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    n_keys=st.integers(1, 20),
    queries=st.integers(1, 5),
    block=st.integers(1, 25),
    size=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 1e3]),
    seed=st.integers(0, 99),
)
def test_blocks_give_torchs_attention(n_keys: int, queries: int, block: int, size: float, seed: int) -> None:
    """Whatever the block, also one that does not divide the keys; equal logits and very large ones."""
    g = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(2, n, d, generator=g).double() for n, d in ((queries, 3), (n_keys, 3), (n_keys, 4)))
    found = blockwise_attention(size * q, k, v, block)
    torch.testing.assert_close(found, plain(size * q, k, v), atol=1e-12, rtol=1e-9)
    assert found.shape == (2, queries, 4)


def test_the_factor_is_forgotten_where_a_maximum_moves() -> None:
    key, value = torch.tensor([[0.0], [5.0]]).double(), torch.tensor([[1.0], [0.0]]).double()
    query = torch.ones(1, 1).double()
    right = float(blockwise_attention(query, key, value, 1))
    assert right == pytest.approx(1 / (1 + math.exp(5)))
    assert float(blockwise_attention(query, key, value, 1, rescale=False)) == pytest.approx(1 / 2)
    # The maximum comes first, or all keys at once: nothing is ever rescaled.
    assert float(blockwise_attention(query, key.flip(0), value.flip(0), 1, rescale=False)) == pytest.approx(right)
    assert float(blockwise_attention(query, key, value, 2, rescale=False)) == pytest.approx(right)
    with pytest.raises(RuntimeError):
        blockwise_attention(query, key, value, 0)


def test_no_more_than_a_block_of_scores_exists() -> None:
    """The largest tensor that a product makes is [queries, block] or an output."""
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and not result._is_view():
                largest = max(largest, result.numel())
            return result

    q, k, v = (torch.randn(64, 2) for _ in range(3))
    with Watch():
        blockwise_attention(q, k, v, 4)
    assert largest == 64 * 4
    largest = 0
    with Watch():
        attention(q, k, v)
    assert largest == 64 * 64


def test_scores_of_a_text_and_their_bytes() -> None:
    for n in (1, 2, 7, 40):
        assert written_scores(n) == sum(range(1, n + 1))
        assert written_scores(n, cached=False) == sum(t * (t + 1) // 2 for t in range(1, n + 1))
        assert score_bytes(n, 3, 4) == torch.empty(3, n, n).nbytes == 2 * score_bytes(n, 3)
    assert cost.bytes_stored(4096, 32) == score_bytes(4096, 32) == 2**30
    assert cost.bytes_stored(131_072, 1) == 32 * 2**30


# ---------------------------------------------------------------------------------------------- one layer


@pytest.mark.parametrize(("n", "d"), [(1, 16), (32, 64), (96, 16), (384, 64)])
def test_a_real_layer_makes_the_products_of_the_formula(n: int, d: int) -> None:
    for heads in (1, 4, 16):
        assert cost.counted(n, d, heads) == cost.work(n, d)
    made = cost.work(n, d)
    assert (made.weights, made.attention) == (24 * n * d**2, 4 * n**2 * d)
    assert cost.counted(n, d, gated=True).weights == 32 * n * d**2  # a third matrix of d × 4 d


def test_torchs_own_counter_agrees() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        q, k, v = torch.randn(3, 1, 128, 64)
        (q @ k.mT).softmax(-1) @ v
    assert counter.get_total_flops() == cost.work(128, 64).attention == 4_194_304


def test_the_numbers_of_the_books() -> None:
    def share(n: int, d: int) -> float:
        made = cost.work(n, d)
        return made.attention / made.total

    assert cost.work(384, 64).total == 75_497_472 and share(384, 64) == 0.5
    assert share(4096, 4096) == pytest.approx(1 / 7) and share(131_072, 4096) == pytest.approx(0.842, abs=5e-4)
    assert share(2048, 12288) == pytest.approx(0.0270, abs=5e-5)
    assert LENGTHS[0] == 32 and LENGTHS[-1] == 131_072 and list(LENGTHS) == sorted(set(LENGTHS))
    assert all(6 * d in LENGTHS for d in cost.WIDTHS), "the slider stops at every crossover"


@pytest.mark.parametrize(("seen", "pairs"), [("all", 100), ("causal", 55), ("window", 1 + 2 + 3 + 7 * 4)])
def test_scores_that_are_computed(seen: cost.Seen, pairs: int) -> None:
    """A mask alone saves nothing; a kernel that skips what is hidden gives the same outputs from fewer products."""
    assert cost.computed(10, seen).scores == cost.exponentials(10, seen) == pairs
    assert cost.computed(10, seen, skips=False).scores == 100
    assert cost.computed(10, seen).difference < 1e-14


def test_a_causal_kernel_moves_the_crossing() -> None:
    """“Below about 12 d”, and “2 of 26” at N = d."""
    d = 16
    for n, ratio in ((12 * d, 1), (d, 2 / 24)):
        half = cost.work(n, d).attention * cost.computed(n, "causal").scores / n**2
        assert half / cost.work(n, d).weights == pytest.approx(ratio * (n + 1) / n)


# ---------------------------------------------------------------------------------------------- block by block


@pytest.mark.parametrize("seed", [0, 1, 9999])
def test_blocks_differ_by_rounding_and_without_the_factor_by_a_bug(seed: int) -> None:
    """“Bug or noise?”: rounding falls by eight orders of magnitude in float64, the missing factor stays."""
    assert BLOCKS[-1] == TOKENS
    for precision in ("float64", "float32"):
        right, wrong = (cost.blockwise_errors(seed, rescale, precision) for rescale in (True, False))
        assert right.max() < cost.rounding_bound(seed, precision) < {"float64": 1e-11, "float32": 1e-2}[precision]
        assert wrong[:-1].min() > 0.1 and wrong[-1] == right[-1]
    assert cost.blockwise_errors(seed, True, "float32").max() > 1e5 * cost.blockwise_errors(seed).max()
    assert not torch.equal(cost.blockwise_errors(seed), cost.blockwise_errors(seed + 1))


@pytest.mark.parametrize("n", [128, 512, 2048])
def test_what_autograd_keeps(n: int) -> None:
    """Plain: queries, keys, values and the N × N weights. Fused: the output and a number per row instead of the square."""
    assert cost.saved_for_backward("plain", n) == 4 * (3 * n * 64 + n**2)
    assert cost.saved_for_backward("fused", n) == 4 * (4 * n * 64 + n)


def test_a_loop_over_blocks_under_autograd_keeps_the_square_too() -> None:
    """As the page says: what saves the memory in training is computing the scores once more, not the loop."""
    inputs, kept = [x.requires_grad_() for x in cost.drawn(256)], {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        blockwise_attention(*inputs, 32)
    assert sum(t.untyped_storage().nbytes() for t in kept.values()) > 8 * 256**2


def test_both_ways_are_attention() -> None:
    inputs = [x[None, None] for x in cost.drawn(64)]
    for way in ("plain", "fused"):
        torch.testing.assert_close(cost.torchs(way)(*inputs), attention(*inputs))  # type: ignore[arg-type]


def test_the_clock_runs_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(cost, "torchs", lambda way: lambda q, k, v: called.append((way, len(q[0, 0]))))
    list(cost.timings((16, 32), 1))
    assert called == [("fused", 16), ("fused", 32)] * 2


def test_products_of_blocks_and_in_the_other_order() -> None:
    assert all(cost.products_of_blocks(block) == 1 for block in (1, 7, 256))
    assert cost.products_of_blocks(32, kept=0.25) == 0.25
    for n in (32, 64, 256):
        assert cost.keys_meet_values_first(n).flops == 64 / n
        assert cost.keys_meet_values_first(n).difference < 1e-12
        assert cost.keys_meet_values_first(n, with_softmax=True).difference > 1e-3


# ---------------------------------------------------------------------------------------------- on the clock


def test_slopes_are_fitted_to_the_shortest_runs() -> None:
    lengths = (8, 16, 64)
    n = torch.tensor(lengths).double()
    best = torch.stack([3e-6 * n**2, 1e-6 * n**1.5, 5e-6 * n])
    seconds = torch.stack([4 * best, best, 1.5 * best, 2 * best, 1.5 * best], dim=-1)
    t = Timings(lengths, seconds, 10)
    assert t.share == 0.5
    for name, power in zip(cost.LAYERS, (2, 1.5, 1), strict=True):
        slope, error = t.slope(name)
        assert slope == pytest.approx(power) and error == pytest.approx(0, abs=1e-6)
    crooked = best * torch.tensor([1.0, 1.3, 1.0])
    x, y = n.log().numpy(), crooked[0].log().numpy()
    (slope, _), covariance = __import__("numpy").polyfit(x, y, 1, cov=True)
    found = Timings(lengths, crooked[..., None], 1).slope("plain")
    assert found == pytest.approx((slope, math.sqrt(covariance[0, 0])))


def test_timings_come_run_by_run() -> None:
    runs = list(cost.timings((16, 32), 3))
    assert [t.seconds.shape for t in runs] == [(3, 2, k) for k in (1, 2, 3)]
    assert [t.share for t in runs] == [pytest.approx(k / 3) for k in (1, 2, 3)]
    assert (runs[-1].seconds > 0).all() and (runs[-1].best <= runs[0].best).all()
    assert torch.equal(runs[-1].seconds[..., :1], runs[0].seconds)


# ---------------------------------------------------------------------------------------------- published models


def test_published_lengths_are_those_of_dense_decoders_and_of_their_tables() -> None:
    assert set(CONTEXTS) <= set(PRESETS)
    assert [CONTEXTS[name].tokens for name in MODELS] == sorted(c.tokens for c in CONTEXTS.values())
    for name, context in CONTEXTS.items():
        a = preset(name)
        assert a.kind == "decoder" and context.source
        assert a.positions in (0, context.tokens), "learned positions end where the text does"
        assert not a.relative_buckets


def test_sizes_are_bytes_of_16_bits() -> None:
    s = cost.sizes("Llama 2 7B", (4096, 8192))
    assert s.cache.tolist() == [2 * 2**30, 4 * 2**30] and s.scores.tolist() == [2**30, 4 * 2**30]
    assert s.weights == 2 * preset("Llama 2 7B").parameters == 13_476_831_232
    llama = preset("Llama 3.1 405B")
    assert llama.n_heads // llama.kv_heads == 16, "“grouped heads shrink the KV cache sixteen times”"
    assert kv_cache_bytes(llama) * CONTEXTS["Llama 3.1 405B"].tokens == cost.sizes("Llama 3.1 405B", (131_072,)).cache


def test_learned_positions_end_and_attention_does_not() -> None:
    assert cost.runs_over(300) and cost.runs_over(300, learned=300)
    assert not cost.runs_over(301, learned=300)


# ---------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_a_cache_changes_the_count_and_not_the_text(n: int) -> None:
    kept, anew = cost.write(n, True), cost.write(n, False)
    torch.testing.assert_close(kept.text, anew.text, atol=1e-13, rtol=0)
    rows = torch.arange(n)
    assert torch.equal(kept.times, torch.ones(n, n).tril())
    assert torch.equal(anew.times, (n - rows)[:, None] * torch.ones(n, n).tril())
    assert (kept.through, anew.through) == (n, n * (n + 1) // 2)
    assert kept.times.sum() == written_scores(n) and anew.times.sum() == written_scores(n, cached=False)


def test_the_text_is_that_of_causal_attention_over_all_of_it() -> None:
    """One pass over the written text with a causal mask gives every token again."""
    n, d, layers = 6, 8, 2
    g = torch.Generator().manual_seed(0)
    weights = torch.randn(layers, 3, d, d, generator=g, dtype=torch.float64) / math.sqrt(d)
    start = torch.randn(d, generator=g, dtype=torch.float64)
    text = cost.write(n, True).text
    x = torch.cat([start[None], text[:-1]])
    for w_q, w_k, w_v in weights:
        x = x + nn.functional.scaled_dot_product_attention(x @ w_q, x @ w_k, x @ w_v, is_causal=True)
    torch.testing.assert_close(nn.functional.normalize(x, dim=-1), text, atol=1e-12, rtol=0)


# ---------------------------------------------------------------------------------------------- what is said


def test_the_options_say_the_growth_of_the_formula() -> None:
    assert concept.prediction is not None
    measured = concept.prediction.experiment()
    right = concept.prediction.options[concept.prediction.right(measured)]
    assert float(right.text) == measured == 3
    for d in (512, 4096):  # at any width
        one, two = cost.work(6 * d, d), cost.work(12 * d, d)
        assert one.attention == one.weights and two.total / one.total == measured
        assert (two.weights / one.weights, two.attention / one.attention) == (2, 4)


def test_the_answer_names_what_is_counted() -> None:
    lengths = list(itertools.pairwise(cost.TIMED))
    assert all(a < b for a, b in lengths) and len(cost.TIMED) >= 4
