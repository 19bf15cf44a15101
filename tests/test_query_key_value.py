"""Question 8's equations and experiments, against plain torch and against what a dictionary must obey."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from core.concepts.query_key_value import concept
from core.experiments import query_key_value as qkv
from core.ops.attention import attention, logits, softmax
from core.ops.retrieval import kernel_average, lead_for, match_weight

lawful = settings(deadline=None, derandomize=True, max_examples=50)
numbers = st.floats(-4, 4, allow_nan=False).map(lambda x: round(x, 3))
points = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6)


def text(pairs: list[tuple[float, float]]) -> str:
    return ", ".join(f"{x} {y}" for x, y in pairs)


# ---------------------------------------------------------------------------------------------- equations


@lawful
@given(st.floats(-30, 30), st.integers(1, 300))
def test_the_weight_of_a_match_is_torchs_softmax(lead: float, n: int) -> None:
    scores = torch.zeros(n, dtype=torch.float64)
    scores[0] = lead
    assert float(match_weight(scores[:1], n)[0]) == pytest.approx(float(torch.softmax(scores, 0)[0]), rel=1e-12)


@lawful
@given(st.floats(0.001, 0.999), st.integers(2, 10_000))
def test_the_lead_gives_back_its_share(share: float, n: int) -> None:
    assert float(match_weight(torch.tensor(lead_for(share, n)).double(), n)) == pytest.approx(share, rel=1e-6)
    assert lead_for(share, 2 * n) > lead_for(share, n)


def test_refusals_of_the_equations() -> None:
    for share, n in ((0.0, 4), (1.0, 4), (0.5, 1)):
        with pytest.raises(ValueError, match="share"):
            lead_for(share, n)
    with pytest.raises(ValueError, match="entry"):
        match_weight(torch.zeros(1), 0)


def test_the_kernel_average_is_the_plain_one() -> None:
    g = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, n, 3, generator=g, dtype=torch.float64) for n in (4, 5, 5))
    kernel = torch.exp(-(torch.cdist(query, key) ** 2) / (2 * 1.7**2))
    plain = torch.einsum("bqk,bkv->bqv", kernel / kernel.sum(-1, keepdim=True), value)
    torch.testing.assert_close(kernel_average(query, key, value, 1.7), plain, atol=1e-12, rtol=0)
    far = kernel_average(query + 1e3, key, value, 1.7)
    assert far.isfinite().all(), "the nearest of far keys still counts"


def test_of_keys_of_one_length_attention_is_a_gaussian_kernel() -> None:
    g = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(n, 16, generator=g, dtype=torch.float64) for n in (4, 9, 9))
    same = 3 * F.normalize(key, dim=-1)
    ours = F.scaled_dot_product_attention(query, same, value)
    torch.testing.assert_close(kernel_average(query, same, value, 16**0.25), ours, atol=1e-12, rtol=0)
    assert (kernel_average(query, key, value, 2) - attention(query, key, value)).abs().max() > 0.01


# ---------------------------------------------------------------------------------------------- the reader's entries


@pytest.mark.parametrize(
    ("names", "keys", "values", "says"),
    [
        ("", "1 0", "0 1", "at least one name"),
        ("a b c d e f g", "1 0", "0 1", "7 names; the figures have room for 6"),
        ("a a", "1 0, 1 0", "0 1, 0 1", "a name of its own"),
        ("incomprehensible", "1 0", "0 1", "10 letters at most"),
        ("a b", "1 0", "0 1, 1 1", "2 names needs its key"),
        ("a", "1 0, 2 0", "0 1", "The name needs its key, with a comma between entries; there are 2"),
        ("a", "", "0 1", "there are none"),
        ("a", "1", "0 1", "two numbers with a space between"),
        ("a", "1 0 0", "0 1", "two numbers with a space between"),
        ("a", "x y", "0 1", "two numbers with a space between"),
        ("a", "nan 0", "0 1", "between −4 and 4"),
        ("a", "0 inf", "0 1", "between −4 and 4"),
        ("a", "1 0", "0 1e400", "numbers of a value lie between −4 and 4"),
        ("a", "4.001 0", "0 1", "numbers of a key lie between −4 and 4"),
        ("a", "1 0", "0", "A value is two numbers"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(names: str, keys: str, values: str, says: str) -> None:
    used, why = qkv.dictionary_of(names, keys, values)
    assert says in why and used == (qkv.NAMES, qkv.KEYS, qkv.VALUES)


def test_signs_and_separators_are_read_as_people_write_them() -> None:
    assert qkv.pairs("−1 .5;  4 -4 ,", 2, "key") == [(-1.0, 0.5), (4.0, -4.0)]
    assert qkv.dictionary_of("a, b", "1 0, 0 1", "1 1, 2 2")[1] == ""


@lawful
@given(st.text("ab1 ,;.−-e<", max_size=20), st.text("ab1 ,;.−-e<", max_size=20))
def test_nothing_that_is_typed_raises(names: str, keys: str) -> None:
    used, _ = qkv.dictionary_of(names, keys, qkv.VALUES)
    qkv.turn(*used, 1.0)


# ---------------------------------------------------------------------------------------------- the plane


@lawful
@given(points, st.data(), st.sampled_from([0.0, 0.5, 3.0, 6.0]))
def test_a_turn_is_torchs_attention_and_stays_in_the_hull(
    keys: list[tuple[float, float]], data: st.DataObject, length: float
) -> None:
    n = len(keys)
    values = data.draw(st.lists(st.tuples(numbers, numbers), min_size=n, max_size=n))
    found = qkv.turn(" ".join("abcdef"[:n]), text(keys), text(values), length)
    key, value = (torch.tensor(x, dtype=torch.float64) for x in (keys, values))
    torch.testing.assert_close(found.key, key)
    torch.testing.assert_close(found.value, value)
    for i in (0, 7, 18, 71):
        turned = math.radians(qkv.ANGLES[i])
        query = length * torch.tensor([[math.cos(turned), math.sin(turned)]], dtype=torch.float64)
        torch.testing.assert_close(found.query[i], query[0])
        torch.testing.assert_close(found.output[i : i + 1], F.scaled_dot_product_attention(query, key, value))
        torch.testing.assert_close(found.weights[i], torch.softmax(key @ query[0] / math.sqrt(2), 0))
    assert (found.weights > 0).all()
    corners = qkv.hull(found.value)
    if len(corners) > 2:
        assert max(qkv.outside(corners, output) for output in found.output) < 1e-9


def test_the_angles_go_once_round() -> None:
    assert qkv.ANGLES[0] == 0 and qkv.ANGLES[-1] == 355 and len(qkv.ANGLES) == 72
    answer = qkv.turn().at(90)
    torch.testing.assert_close(answer.query, torch.tensor([0, 3.0], dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(answer.weights @ qkv.turn().value, answer.output)


@lawful
@given(points)
def test_the_hull_holds_every_point(some: list[tuple[float, float]]) -> None:
    found = torch.tensor(some, dtype=torch.float64)
    corners = qkv.hull(found)
    assert set(corners) <= set(some) and len(set(corners)) == len(corners)
    if len(corners) > 2:
        assert max(qkv.outside(corners, point) for point in found) < 1e-9
        assert qkv.outside(corners, torch.tensor([9.0, 9.0])) > 1


def test_the_hull_of_a_square_of_a_line_and_of_a_point() -> None:
    square = torch.tensor([[0, 0], [1, 1], [0, 1], [1, 0], [0.5, 0.5], [0.5, 0]])
    assert qkv.hull(square) == [(0, 0), (1, 0), (1, 1), (0, 1)], "anticlockwise, without what lies on an edge"
    assert qkv.hull(torch.tensor([[0.0, 0], [2, 2], [1, 1]])) == [(0, 0), (2, 2)]
    assert qkv.hull(torch.zeros(3, 2)) == [(0, 0)]


# ---------------------------------------------------------------------------------------------- who does what


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_a_query_moves_its_row_a_key_its_column_a_value_no_weight(seed: int) -> None:
    query, key, value = (qkv.touched(part, seed) for part in ("query", "key", "value"))  # type: ignore[arg-type]
    assert (query.rows, query.weights, query.outputs) == (1, 1, 1)
    assert key.columns == 1 and key.rows >= 3 and key.weights == key.outputs == key.rows
    assert value == qkv.Touched(0, 0, 0, 5)


def test_the_small_head_is_exact() -> None:
    for seed in range(3):
        query, key, value = qkv.head(seed)
        for x in (query, key, value):
            assert x.shape == (5, 4) and (x == x.round()).all() and x.abs().max() <= 2
        assert (logits(query, key) == query @ key.T / 2).all()
    assert not torch.equal(qkv.head(0)[0], qkv.head(1)[0]) and not torch.equal(qkv.head(0)[0], qkv.head(0)[1])


def test_torchs_module_is_built_as_asked() -> None:
    theirs, x = qkv.module(0), torch.randn(5, 16, dtype=torch.float64)
    assert sum(p.numel() for p in theirs.parameters()) == 4 * 16**2
    w_q, w_k, w_v = theirs.in_proj_weight.chunk(3)
    assert not torch.equal(w_q, w_k) and not torch.equal(w_k, w_v)
    plain = F.scaled_dot_product_attention(x @ w_q.T, x @ w_k.T, x @ w_v.T) @ theirs.out_proj.weight.T
    torch.testing.assert_close(theirs(x, x, x)[0], plain)
    one = qkv.module(None, 4, add_zero_attn=True)
    y = torch.eye(4, dtype=torch.float64)
    padded = torch.cat([y, torch.zeros(1, 4, dtype=torch.float64)])
    torch.testing.assert_close(one(y, y, y)[0], F.scaled_dot_product_attention(y, padded, padded))


# ---------------------------------------------------------------------------------------------- soft, right, pure


@pytest.mark.parametrize("n", qkv.SIZES)
def test_softness_is_the_closed_form(n: int) -> None:
    torch.testing.assert_close(qkv.softness(n), match_weight(qkv.LEADS, n), atol=1e-12, rtol=1e-9)
    for share in (0.5, 0.9, 0.99):
        assert qkv.lead_needed(share, n) == pytest.approx(lead_for(share, n), abs=1e-9)


def test_softness_with_real_orthogonal_keys() -> None:
    key = torch.eye(16, dtype=torch.float64)
    for i in (0, 40, 112):
        weights = softmax(logits(float(qkv.LEADS[i]) * key[:1], key, "none"))
        assert float(weights[0, 0]) == pytest.approx(float(qkv.softness(16)[i]))


@pytest.mark.parametrize(("d_k", "n"), [(4, 2), (16, 64), (64, 1024)])
def test_recall_is_the_plain_one(d_k: int, n: int) -> None:
    key = torch.randn(1024, d_k, generator=torch.Generator().manual_seed(3)).double()
    right, weight = 0, 0.0
    for start in range(0, 1024, n):
        some = key[start : start + n]
        weights = torch.softmax(some @ some.T / math.sqrt(d_k), -1)
        right += sum(int(row.argmax()) == j for j, row in enumerate(weights))
        weight += float(weights.trace())
    recall, i = qkv.recall(d_k, 3), qkv.DICTIONARIES.index(n)
    assert float(recall.accuracy[i]) == right / 1024
    assert float(recall.purity[i]) == pytest.approx(weight / 1024, rel=1e-9)


def test_recall_grows_with_the_width_and_falls_with_the_dictionary() -> None:
    found = [qkv.recall(d_k, 0) for d_k in qkv.WIDTHS]
    for recall in found:
        assert (recall.purity.diff() < 0).all() and (recall.purity <= recall.accuracy).all()
    assert all((b.purity > a.purity).all() for a, b in itertools.pairwise(found))
    won, got = qkv.recall_of(qkv.random_keys(8, 0), 64, hard=True)
    assert won == got < 1
    each = [float(qkv.recall(64, seed).purity[-1]) for seed in range(4)]
    assert qkv.pooled()[1] == pytest.approx(sum(each) / 4) and max(each) - min(each) < 0.04
    assert len(set(each)) == 4
    assert qkv.pooled(unit=True)[1] < 0.01, "of keys of length 1 the right one hardly leads"


# ---------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("seed", range(6))
def test_the_laws(seed: int) -> None:
    query, key, value = qkv.head(seed)
    of = {name: qkv.law(name, seed) for name in qkv.LAWS}
    for changed in of.values():
        plain = torch.softmax(query @ key.T / 2, -1)
        torch.testing.assert_close(changed.before[1], plain)
        torch.testing.assert_close(changed.before[2], plain @ value)
    c = qkv.shift(seed)
    assert (c.abs() >= 1).all() and (c.abs() <= 3).all()
    # Each law by hand, with torch's own attention.
    by_hand = {
        "all_keys": (query, key + c, value),
        "all_queries": (query + c, key, value),
        "all_values": (query, key, value + c),
        "pairs": (query, key.roll(-1, 0), value.roll(-1, 0)),
        "keys": (query, key.roll(-1, 0), value),
        "twice": (query, torch.cat([key, key[:1]]), torch.cat([value, value[:1]])),
        "gauge": (query, key, value),
        "shared": (query, query, value),
    }
    for name, parts in by_hand.items():
        torch.testing.assert_close(of[name].after[2], F.scaled_dot_product_attention(*parts))  # type: ignore[index]
    logit, weight, output = of["all_keys"].most
    assert logit > 0 and weight == output == 0, "exactly 0, not to rounding"
    assert of["all_queries"].most[1] > 0.05
    assert of["all_values"].most[:2] == (0, 0) and of["all_values"].most[2] == pytest.approx(float(c.abs().max()))
    assert of["pairs"].most[0] == 0 and max(of["pairs"].most) < 1e-14 and of["keys"].most[2] > 0.05
    torch.testing.assert_close(of["keys"].after[1], of["keys"].before[1].roll(-1, 1))
    assert of["gauge"].most == (0, 0, 0)
    torch.testing.assert_close(qkv.MIX @ qkv.UNMIX, torch.eye(4, dtype=torch.float64))
    odds = of["twice"].after[1][:, 0] / of["twice"].after[1][:, 1]
    torch.testing.assert_close(odds, 2 * of["twice"].before[1][:, 0] / of["twice"].before[1][:, 1])
    scores, weights, _ = of["shared"].after
    assert (scores == scores.T).all() and not torch.allclose(weights, weights.T)


@pytest.mark.parametrize("seed", [0, 7])
def test_a_weight_written_out_is_the_heads(seed: int) -> None:
    query, key, _ = qkv.head(seed)
    scores, weights = logits(query, key), softmax(logits(query, key))
    for i in range(5):
        for j in range(5):
            w = qkv.term_by_term(i, j, seed)
            assert w.query == tuple(query[i].tolist()) and w.key == tuple(key[j].tolist())
            assert w.products == tuple((query[i] * key[j]).tolist())
            assert w.logit == float(scores[i, j]) == sum(w.products) / 2
            assert w.row == tuple(scores[i].tolist()) and w.weight == pytest.approx(float(weights[i, j]), rel=1e-12)
    assert qkv.term_by_term(0, 0, divide=False).logit == 2 * qkv.term_by_term(0, 0).logit


def test_the_prediction_and_the_program_use_the_pages_numbers() -> None:
    assert concept.prediction is not None and concept.snippet is not None
    assert concept.prediction.experiment() == qkv.pooled(64, 1024)[1]
    taken = qkv.settings(qkv.NAMES, qkv.KEYS, qkv.VALUES)
    assert concept.snippet.number(**taken, angle=30, length=3.0) == float(qkv.turn().at(30).weights.max())
    assert concept.snippet.filled(**taken, angle=30, length=3.0)
