"""Question 13: the encoder is what it says, words travel with their outputs, and what breaks that symmetry."""

import math
import platform

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.experiments import positions as lesson
from core.ops import positions as ops
from core.ops.masks import causal
from core.ops.words import embed, tokens
from tests.test_pages import LESSONS, opened

(PAGE,) = (path for path in LESSONS if path.stem.endswith("_positions"))
quick = settings(deadline=None, derandomize=True, max_examples=12)
schemes = st.sampled_from(lesson.SCHEMES)
# On x86 a number is computed alike wherever it stands, so sorted sums agree to the last bit; elsewhere up to rounding.
NOTHING = 0 if platform.machine() in ("x86_64", "AMD64") else lesson.ROUNDING
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


@pytest.mark.parametrize("scheme", lesson.SCHEMES)
@settings(quick, max_examples=6)
@given(row=words, layers=st.integers(1, 4), seed=st.integers(0, 99), mask=st.booleans())
def test_the_encoder_is_what_it_says(scheme: str, row: list[str], layers: int, seed: int, mask: bool) -> None:
    expected = reference(row, scheme, layers, seed, mask)
    for summation in ("sorted", "plain"):
        got = lesson.encode(row, scheme, layers, seed, mask, summation)
        assert got.shape == (layers, len(row), 16)
        torch.testing.assert_close(got[-1], expected, atol=1e-11, rtol=1e-11)


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
    deep = lesson.encode(row, "rope", 4, seed, mask)[:layers]
    assert torch.equal(deep, lesson.encode(row, "rope", layers, seed, mask))


@settings(quick, max_examples=40)
@given(row=words, layers=st.integers(1, 4), seed=st.integers(0, 99), data=st.data())
def test_without_positions_outputs_follow_their_words_to_the_last_bit(
    row: list[str], layers: int, seed: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(row))
    both = lesson.two_orders(" ".join(row), " ".join(order), "none", layers, seed)
    assert both.largest <= NOTHING and both.pooled <= NOTHING
    plain = lesson.two_orders(" ".join(row), " ".join(order), "none", layers, seed, "plain")
    assert plain.largest < lesson.ROUNDING


@quick
@given(order=st.permutations(["one", "two", "three", "four", "five"]), scheme=schemes, seed=st.integers(0, 99))
def test_with_positions_they_do_not(order: list[str], scheme: str, seed: int) -> None:
    row = ["one", "two", "three", "four", "five"]
    both = lesson.two_orders(" ".join(row), " ".join(order), scheme, 2, seed)
    blind = scheme == "none" or order == row or (scheme == "alibi" and order == row[::-1])
    assert (both.largest <= NOTHING) == blind
    assert (both.largest > lesson.ROUNDING) == (not blind)
    if blind:
        assert both.pooled <= NOTHING


@quick
@given(row=words)
def test_alibi_is_blind_to_any_reversal_also_with_repeated_words(row: list[str]) -> None:
    assert lesson.two_orders(" ".join(row), " ".join(row[::-1]), "alibi", 2).largest <= NOTHING


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
        assert shuffle.change.shape == (4, 8)
        assert shuffle.change[0, -1] <= NOTHING
        assert (lesson.shuffled_prefix(order_seed=seed, seed=seed, causal=False).change <= NOTHING).all()
        assert (shuffle.change[1:, -1] > 1e-3).all()  # facts: .083, .173, .345 for their encoder
        assert shuffle.words[-1] == shuffle.shuffled[-1] and shuffle.words != shuffle.shuffled
        assert sorted(shuffle.words) == sorted(shuffle.shuffled)
        told = lesson.shuffled_prefix(order_seed=seed, seed=seed, scheme="sinusoidal")
        assert told.shuffled == shuffle.shuffled and told.change[0, -1] > 1e-3
    for order_seed in range(8):  # two words: every second shuffle leaves them, and is drawn again
        assert lesson.shuffled_prefix("on off end", order_seed).shuffled == ("off", "on", "end")
    for useless in ("dog bites", "no no no no"):
        with pytest.raises(ValueError, match="two different words"):
            lesson.shuffled_prefix(useless)


@quick
@given(row=words.filter(lambda row: len(set(row[:-1])) > 1), order_seed=st.integers(0, 9))
def test_every_words_change_is_its_own(row: list[str], order_seed: int) -> None:
    """Word by word, with repeated words in the order in which they occur, and the last one with itself."""
    seen = lesson.shuffled_prefix(" ".join(row), order_seed, 2)
    assert seen.words == tuple(row) and seen.place[-1] == len(row) - 1
    assert [seen.shuffled[i] for i in seen.place] == row
    assert sorted(seen.place.tolist()) == list(range(len(row)))
    for layer in range(4):
        for word in range(len(row)):
            moved = (seen.after[layer, seen.place[word]] - seen.before[layer, word]).abs().max()
            assert seen.change[layer, word] == moved
    # What a word sees in one layer is a set: its output moves only if that set is another.
    for word in range(len(row)):
        before, after = sorted(row[: word + 1]), sorted(seen.shuffled[: int(seen.place[word]) + 1])
        assert (seen.change[0, word] > lesson.ROUNDING) == (before != after)


def test_the_counting_head_knows_words_and_not_places() -> None:
    assert lesson.counting_head(["⟨s⟩", "a", "b", "a", "c"]).tolist() == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    assert lesson.counting_head(["⟨s⟩", "a", "b", "a", "c"], causal=False).tolist() == [0.2] * 5
    assert lesson.counting_head(["a", "b", "a", "c"]).tolist() == [1, 1 / 2, 2 / 3, 2 / 4]


@pytest.mark.parametrize(("offset", "product"), [(0, 256), (1, 249.102), (2, 231.734), (5, 189.597), (10, 173.790)])
def test_dot_products_of_sinusoids(offset: int, product: float) -> None:
    seen = lesson.pattern(512)
    column = seen.raw[:, seen.offsets.tolist().index(offset)] * 256
    torch.testing.assert_close(column, torch.full_like(column, product), atol=5e-4, rtol=0)  # 3 decimals in the facts
    torch.testing.assert_close(seen.raw, seen.raw.flip(-1), atol=1e-11, rtol=0)  # later or earlier: the same


@quick
@given(d=st.integers(1, 12), seed=st.integers(0, 99))
def test_every_curve_of_the_pattern_is_what_it_says(d: int, seed: int) -> None:
    """Each number again, one by one and in another way: with complex clock hands."""
    width = 2 * d
    seen = lesson.pattern(width, seed)
    g = torch.Generator().manual_seed(seed)
    w_q, w_k = (torch.randn(width, width, generator=g, dtype=torch.float64) / width**0.5 for _ in range(2))
    word = torch.randn(width, generator=g, dtype=torch.float64)
    word = word * (d**0.5 / word.norm())
    speed = 10_000 ** (-torch.arange(d, dtype=torch.float64) / d)

    def encoding(p: int) -> Tensor:
        return torch.stack([(p * speed).sin(), (p * speed).cos()], -1).flatten()

    def turned(row: Tensor, p: int) -> Tensor:
        return torch.view_as_complex(row.unflatten(-1, (d, 2))) * torch.polar(torch.ones_like(speed), p * speed)

    assert seen.offsets.tolist() == list(range(-24, 25))
    assert lesson.STARTS[0] == 24 and lesson.STARTS[-1] == 96 and 60 in lesson.STARTS
    for i in range(0, len(lesson.STARTS), 6):
        p = lesson.STARTS[i]
        for o in (0, 1, 20, 24, 25, 48):
            there = p + int(seen.offsets[o])
            rope = (turned(word @ w_q, p) * turned(word @ w_k, there).conj()).real.sum()
            for got, expected in (
                (seen.raw[i, o], encoding(p) @ encoding(there)),
                (seen.projected[i, o], (encoding(p) @ w_q) @ (encoding(there) @ w_k)),
                (seen.turned[i, o], rope),
            ):
                torch.testing.assert_close(got, expected / d, atol=1e-11, rtol=0)
    spread = [float((y.amax(0) - y.amin(0)).max()) for y in (seen.raw, seen.projected, seen.turned)]
    assert list(seen.spread) == spread
    assert spread[0] < lesson.ROUNDING and spread[2] < lesson.ROUNDING
    assert list(seen.variation) == [
        float((y.amax(1) - y.amin(1)).max()) for y in (seen.raw, seen.projected, seen.turned)
    ]
    for i in (0, 7, 24):
        assert list(seen.moved(i)) == [
            float((y[i] - y[0]).abs().max()) for y in (seen.raw, seen.projected, seen.turned)
        ]


@quick
@given(seed=st.integers(0, 99), width=st.sampled_from([8, 16, 64]))
def test_only_a_turn_after_the_projections_keeps_the_offset(seed: int, width: int) -> None:
    assert lesson.pattern(width, seed, "before").spread[2] > 1e-3
    assert lesson.pattern(width, seed).spread[1] > 1e-3
    asked = lesson.pattern(width, seed).turned
    assert (asked - asked.flip(-1)).abs().max() > 1e-3, "W_Q and W_K differ: later is not earlier"
    tied = lesson.pattern(width, seed, tied=True).turned
    assert (tied - tied.flip(-1)).abs().max() < lesson.ROUNDING, "one matrix for both: later is as earlier"


def test_the_last_word_is_compared_with_itself_also_where_the_shuffle_reads_backwards() -> None:
    for order_seed in range(20):
        seen = lesson.shuffled_prefix("a b c a", order_seed, 0)
        if seen.shuffled == ("a", "c", "b", "a"):
            assert seen.place.tolist() == [0, 2, 1, 3]
            return
    raise AssertionError("none of the shuffles is the sentence backwards")


@pytest.mark.parametrize("width", [2, 6, 8, 64, 512])
def test_the_waves_are_columns_of_the_encoding(width: int) -> None:
    seen, table = lesson.waves(width), ops.sinusoidal(121, width)
    assert seen.pairs.tolist()[0] == 0 and seen.pairs.tolist()[-1] == width // 2 - 1
    assert len(set(seen.pairs.tolist())) == min(6, width // 2)
    assert seen.places[0] == 0 and seen.places[-1] == 120, "as far as the last position that is used"
    torch.testing.assert_close(seen.sines[:, ::4], table[:, 2 * seen.pairs].T, atol=1e-11, rtol=0)
    assert seen.lengths[0] == pytest.approx(2 * math.pi)
    assert seen.lengths[-1] == pytest.approx(2 * math.pi * 10_000 ** ((width - 2) / width))
    if width == 64:
        assert seen.pairs.tolist() == [0, 6, 12, 19, 25, 31]
    if len(seen.pairs) > 2:  # evenly spread
        steps = seen.pairs.diff()
        assert steps.max() - steps.min() <= 1


@pytest.mark.parametrize("scheme", ["rope", "alibi"])
def test_rope_and_alibi_touch_the_scores_only(scheme: str) -> None:
    """Where all words are the same, all values are, and no attention can tell where it stands."""
    for seed in range(3):
        bare, got = (lesson.encode(["no"] * 7, s, 4, seed)[-1] for s in ("none", scheme))
        torch.testing.assert_close(got, bare, atol=1e-12, rtol=0)
        torch.testing.assert_close(got, got[:1].expand(7, -1), atol=1e-12, rtol=0)


def test_torchs_own_encoder_leaves_rounding_in_either_precision() -> None:
    """The numbers of the last push-back: about 1e-15 in float64, 1e-6 in float32."""
    twelve = "one two three four five six seven eight nine ten eleven twelve"
    mixed = "six two three ten five one seven twelve nine four eleven eight"
    for dtype, low, high in ((torch.float64, 1e-16, 1e-14), (torch.float32, 1e-7, 1e-5)):
        left = max(lesson.torch_encoder(twelve, mixed, "none", seed, dtype) for seed in range(3))
        assert low < left < high
    assert lesson.torch_encoder(twelve, mixed, "sinusoidal") > 1e-2
    assert lesson.torch_encoder(twelve, mixed, causal=True) > 1e-2
    assert lesson.torch_encoder("a b c", "c a b", matched="the wrong way") > 1e-2
    assert lesson.torch_encoder(seed=3) == lesson.torch_encoder(seed=3)


@pytest.mark.parametrize("scheme", ["none", "sinusoidal"])
def test_what_is_measured_on_torchs_encoder(scheme: str) -> None:
    """The same two Post-Norm layers by hand, weights drawn in the order in which torch stores them."""
    first, second, g = ["a", "b", "c", "d"], ["c", "a", "d", "b"], torch.Generator().manual_seed(5)

    def draw(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=g, dtype=torch.float64) / columns**0.5

    layers = [(draw(48, 16), draw(16, 16), draw(64, 16), draw(16, 64)) for _ in range(2)]

    def out(row: list[str]) -> Tensor:
        x = embed(row, 16) + (ops.sinusoidal(4, 16) if scheme == "sinusoidal" else 0)
        for w_qkv, w_o, up, down in layers:
            q, k, v = ((x @ w.mT).unflatten(-1, (2, 8)).transpose(0, 1) for w in w_qkv.chunk(3))
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(-2)
            x = F.layer_norm(x + mixed @ w_o.mT, (16,))
            x = F.layer_norm(x + F.relu(x @ up.mT) @ down.mT, (16,))
        return x

    expected = (out(second)[lesson.matching(first, second)] - out(first)).abs().max()
    got = lesson.torch_encoder("a b c d", "c a d b", scheme, 5)
    assert got == pytest.approx(float(expected), abs=1e-12)


def test_how_far_products_move_at_an_offset() -> None:
    for offset in (1, 10, 100):
        pe = torch.zeros(300, 2, dtype=torch.float64)
        assert lesson.spread_at_an_offset(pe) == 0
        pe[150, 1] = 3
        assert lesson.spread_at_an_offset(pe) == 0, "the products of a row with itself are not asked for"
        pe[150 + offset, 1] = 2
        assert lesson.spread_at_an_offset(pe) == 6


@quick
@given(half=st.integers(2, 40), seed=st.integers(0, 99))
def test_pairings(half: int, seed: int) -> None:
    """The scores again with complex numbers; neighbours are real and imaginary parts, or halves are."""
    seen = lesson.pairings(2 * half, seed)
    g = torch.Generator().manual_seed(seed)
    shapes = ((16, 64), (64, 2 * half), (64, 2 * half))
    x, w_q, w_k = (torch.randn(*shape, generator=g, dtype=torch.float64) for shape in shapes)
    angle = torch.arange(16.0).double()[:, None] * 10_000 ** (-torch.arange(half).double() / half)
    hands = torch.polar(torch.ones_like(angle), angle)
    q, k = (x @ w / 8 for w in (w_q, w_k))
    for got, (q_pairs, k_pairs) in (
        (seen.neighbours, (torch.complex(y[:, 0::2], y[:, 1::2]) for y in (q, k))),
        (seen.mixed, (torch.complex(y[:, :half], y[:, half:]) for y in (q, k))),
    ):
        expected = ((q_pairs * hands) @ (k_pairs * hands).conj().T).real / (2 * half) ** 0.5
        torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(seen.converted, seen.neighbours, atol=1e-12, rtol=0)
    torch.testing.assert_close(seen.mixed.diagonal(), seen.neighbours.diagonal(), atol=1e-12, rtol=0)  # at offset 0
    assert (seen.mixed - seen.neighbours).abs().max() > 1e-2
    assert (seen.neighbours - seen.neighbours.mT).abs().max() > 1e-2, "W_Q is not W_K"
    wrong = lesson.pairings(2 * half, seed, "queries only")
    assert torch.equal(wrong.neighbours, seen.neighbours) and torch.equal(wrong.mixed, seen.mixed)
    assert (wrong.converted - seen.neighbours).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("words", "order", "shown", "said"),
    [
        ("a  b", "b a ", ("a b", "b a"), ""),
        ("a b", "b c", ("dog bites man", "man bites dog"), "add a; take out c"),
        ("a", "a", ("dog bites man", "man bites dog"), "at least two"),
        ("a b", "a " * 13, ("dog bites man", "man bites dog"), "13 words"),
    ],
)
def test_what_is_shown_until_the_words_fit(words: str, order: str, shown: tuple[str, str], said: str) -> None:
    sentences, refusal = lesson.comparable(words, order)
    assert sentences == shown
    assert bool(refusal) == bool(said) and said in refusal
    if said:
        assert "“dog bites man” and “man bites dog”" in refusal


def test_what_is_shown_until_the_story_can_be_shuffled() -> None:
    assert lesson.shufflable("  on off   end ") == ("on off end", "")
    story, refusal = lesson.shufflable("no no yes")
    assert story == lesson.STORY and "two different words" in refusal and lesson.STORY in refusal
    for second in (f"{lesson.START} dog bit man", f"dog bit {lesson.START}\u200d man"):
        story, refusal = lesson.shufflable(second)
        assert story == lesson.STORY and "is the start token" in refusal and lesson.STORY in refusal


def test_accents_typed_in_another_way_are_the_same_word() -> None:
    one, two = "caf\u00e9 a b", "b a cafe\u0301"
    sentences, refusal = lesson.comparable(one, two)
    assert not refusal and sentences == (one, "b a caf\u00e9")
    assert lesson.two_orders(one, two).largest <= NOTHING
    assert lesson.two_orders(one, two, "rope").largest > lesson.ROUNDING
    assert lesson.torch_encoder(one, two) <= lesson.ROUNDING
    assert lesson.shuffled_prefix(two).words == ("b", "a", "caf\u00e9")


def test_training_finds_no_order_that_is_not_there() -> None:
    """The same training again by hand, and one that can find it."""
    assert lesson.trained(3).sure == pytest.approx(0.5, abs=1e-9) and lesson.trained(3).largest <= NOTHING
    told = lesson.trained(3, causal=True)
    assert told.sure > 0.99 and told.largest > 1
    reader = torch.randn(16, generator=torch.Generator().manual_seed(3), dtype=torch.float64) / 4
    weights = [*lesson.draw(2, 3), reader]
    adam = torch.optim.Adam([w.requires_grad_() for w in weights], lr=0.03)
    rows, first = (["dog", "bites", "man"], ["man", "bites", "dog"]), torch.tensor([1.0, 0.0], dtype=torch.float64)

    def logits() -> Tensor:
        outputs = [
            lesson.encode(row, "none", 2, causal=True, summation="plain", weights=weights[:-1])[-1] for row in rows
        ]
        return torch.stack(outputs).mean(1) @ weights[-1]

    for _ in range(lesson.STEPS):
        adam.zero_grad()
        F.binary_cross_entropy_with_logits(logits(), first).backward()
        adam.step()
    sure = (logits().sigmoid() - (1 - first)).abs().mean().detach()
    assert told.sure == pytest.approx(sure.item(), abs=1e-6)
    assert torch.equal(
        lesson.encode(rows[0], "rope", 2, 7), lesson.encode(rows[0], "rope", 2, weights=lesson.draw(2, 7))
    )


def test_what_is_no_rounding_error() -> None:
    """The bound under which a difference counts as none: far below every difference that is shown."""
    assert 1e-14 < lesson.ROUNDING < 1e-12


def test_every_words_difference() -> None:
    both = lesson.two_orders("dog bites man", "bites man dog", "rope", 2)
    assert both.by_word.shape == (3,) and both.largest == float(both.by_word.max())
    for i, j in enumerate((2, 0, 1)):
        assert both.by_word[i] == (both.second[j] - both.first[i]).abs().max()


FAMILY, I_WANT = "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"


def test_joiners_hold_words_together() -> None:
    """👩 joined to 👩 and 👧 is one word, and so is the Persian for “I want”; a joiner by itself is none."""
    assert tokens(f"{FAMILY}  {I_WANT} dog") == [FAMILY, I_WANT, "dog"]
    assert tokens("\u200d dog \u200c man\u200d") == ["dog", "man"]
    one, without, again = embed([FAMILY, FAMILY.replace("\u200d", ""), FAMILY], 16)
    assert torch.equal(one, again) and not torch.equal(one, without)
    both = lesson.two_orders(f"{FAMILY} {I_WANT} a", f"a {FAMILY} {I_WANT}", "none", 2)
    assert both.place.tolist() == [1, 2, 0] and both.largest <= NOTHING
    assert lesson.two_orders(f"{FAMILY} {I_WANT} a", f"a {FAMILY} {I_WANT}", "rope").largest > lesson.ROUNDING
    with pytest.raises(ValueError, match="at least two"):
        tokens(f"{FAMILY} \u200d")


@pytest.mark.parametrize(
    ("look", "control", "value"),
    [
        ("", "words", "man bites dog"),
        ("", "order", "bites man dog"),
        ("", "encoder_layers", "3"),
        ("", "positions_seed", "1"),
        ("causal", "story", "a b c d"),
        ("causal", "order_seed", "4"),
        ("causal", "positions_seed", "1"),
        ("offsets", "pe_width", "8"),
        ("offsets", "positions_seed", "1"),
        ("pairs", "positions_seed", "1"),
    ],
)
def test_every_control_moves_its_picture(look: str, control: str, value: str) -> None:
    before, after = (
        [
            element.proto.bytes
            for element in opened(PAGE, look=look, **asked).get("bidi_component")
            if element.proto.bytes
        ]
        for asked in ({}, {control: value})
    )
    where = slice(1, None) if look else slice(0, 1)  # the hero comes first
    assert before[where] and before[where] != after[where]


def test_the_pooled_output_is_the_mean() -> None:
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(lesson.pool(x), x.mean(0))
