"""Question 20: programs against Python's own means on every text, their weights by hand, the ceiling, and the limits."""

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.concepts import universality as concept
from core.experiments import universality as machines
from core.ops import programs as ops
from core.ops.positions import sinusoidal
from core.ops.retrieval import match_weight
from core.training import universality as training

quick = settings(deadline=None, derandomize=True, max_examples=50)
every_program = pytest.mark.parametrize("program", machines.PROGRAMS)
points = st.lists(st.integers(-20, 20), min_size=2, max_size=8, unique=True)


# ---------------------------------------------------------------------------------------------- equations


@quick
@given(points, st.randoms(use_true_random=False))
def test_relu_units_bend_through_all_points_and_straight_between(x, random) -> None:
    y = [random.uniform(-3, 3) for _ in x]
    knots, slopes = (torch.tensor(v, dtype=torch.float64) for v in ops.interpolated(x, y))

    def f(at: float) -> float:
        return float(slopes[0] + (slopes[1:] * (at - knots[1:]).clamp(min=0)).sum())

    pairs = sorted(zip(x, y, strict=True))
    assert [f(a) for a, _ in pairs] == pytest.approx([b for _, b in pairs], abs=1e-9)
    for (a, left), (b, right) in itertools.pairwise(pairs):
        assert f(0.25 * a + 0.75 * b) == pytest.approx(0.25 * left + 0.75 * right, abs=1e-9)
    assert f(pairs[0][0] - 5) == pytest.approx(pairs[0][1]), "left of the first point it stays"


@pytest.mark.parametrize("bad", [(1,), (1, 1), (1, 2, 1)])
def test_a_function_needs_different_points(bad) -> None:
    with pytest.raises(ValueError, match="at least two points"):
        ops.interpolated(bad, bad)


@pytest.mark.parametrize("seed", [0, 1, 2, 77])
def test_the_ceiling_is_what_the_best_function_of_a_token_and_its_company_reaches(seed: int) -> None:
    tokens, answers = training.texts(), training.table(seed)
    classes: dict[tuple, Counter] = {}
    for text, due in zip(tokens.tolist(), answers.tolist(), strict=True):
        for i, one in enumerate(due):
            classes.setdefault((text[i], *sorted(text[:i] + text[i + 1 :])), Counter())[one] += 1
    right = ops.equivariant_most(tokens, answers)
    assert len(classes) == 80 and int(right.sum()) == sum(max(c.values()) for c in classes.values())
    found = machines.ceiling(seed)
    assert found.most == int(right.sum()) and int(found.asked.sum()) == training.ANSWERS
    entropy = sum(
        c.total() * torch.distributions.Categorical(torch.tensor(list(c.values())).double()).entropy()
        for c in classes.values()
    )
    assert found.loss == pytest.approx(float(entropy) / training.ANSWERS, abs=1e-12)


def test_the_ceiling_by_kinds() -> None:
    found = machines.ceiling(0)
    # 4 texts of one token; 4·3·4, C(4,2)·6, 4·3·12 and 4! of the others, four answers each.
    assert found.asked.tolist() == [16, 192, 144, 576, 96] and found.most == 404
    assert (found.right <= found.asked).all() and (found.right > found.asked / 4).all()
    kinds = [tuple(sorted(Counter(k).values())) for k in machines.KINDS]
    right = ops.equivariant_most(training.texts(), training.table(0)).sum(1)
    for text, one in zip(training.texts().tolist()[:1], right.tolist()[:1], strict=True):
        assert kinds.index(tuple(sorted(Counter(text).values()))) == 0 and one <= 4


@quick
@given(st.permutations(range(4)), st.integers(0, 99))
def test_a_table_that_treats_every_order_alike_has_no_ceiling(order, seed: int) -> None:
    """An equivariant table: the answer is a function of the token and the bag."""
    tokens = training.texts()
    answers = (tokens * (seed + 1) + (tokens**2).sum(1, keepdim=True)) % 4
    assert int(ops.equivariant_most(tokens, answers).sum()) == answers.numel()
    shuffled = tokens[:, list(order)]
    assert torch.equal(ops.equivariant_most(shuffled, answers[:, list(order)]), torch.ones_like(answers))


# ---------------------------------------------------------------------------------------------- programs


@every_program
def test_every_text_up_to_the_stated_length_comes_out_right(program: machines.Program) -> None:
    """Exhaustively: all texts of 1 to 7 letters, or of 1 to 12 brackets or bits."""
    lengths = range(1, machines.MOST[program] + 1)
    assert {n: machines.wrong(program, n) for n in lengths} == dict.fromkeys(lengths, 0)


@every_program
def test_two_ways_to_the_truth_agree(program: machines.Program) -> None:
    symbols, names = machines.READS[program], machines.machine(program).answers
    for n in (1, 2, 3, 4):
        every = list(itertools.product(range(len(symbols)), repeat=n))
        due = machines.due(program, torch.tensor(every)).tolist()
        for text, answers in zip(every, due, strict=True):
            assert [names[a] for a in answers] == machines.truth(program, "".join(symbols[i] for i in text))


def test_the_truth_is_what_the_words_say() -> None:
    assert machines.truth("most frequent", "ebbe") == list("bbbb"), "of equally frequent ones the first letter"
    assert machines.truth("balanced", "())(") == ["no"] * 4 and machines.truth("balanced", "()(())") == ["yes"] * 6
    assert machines.truth("parity", "1011") == ["odd"] * 4


@every_program
def test_a_small_gap_is_too_soft(program: machines.Program) -> None:
    gap = 0.01 if program in ("reverse", "balanced") else 1  # their logits lie whole positions apart, or decide little
    assert machines.wrong(program, 6, gap) > 0


@every_program
def test_the_pass_is_a_transformers(program: machines.Program) -> None:
    """Rows of weights sum to 1; torch's own attention and ReLU give the same stream."""
    text = machines.USUAL[machines.READS[program]]
    built, run = machines.machine(program), machines.passed(program, text)
    x = run.embedded
    assert float(x[0, 0, built.columns.index("BOS")]) == 1 and not x[0, 1:, built.columns.index("BOS")].any()
    for k, layer in enumerate(built.layers):
        torch.testing.assert_close(run.weights[k].sum(-1), torch.ones(1, len(text) + 1).double())
        heard = torch.nn.functional.scaled_dot_product_attention(x @ layer.query, x, x @ layer.value, scale=1.0)
        torch.testing.assert_close(run.fetched[k], heard, atol=1e-9, rtol=0)
        x = x + heard
        x = x + torch.relu(x @ layer.up) @ layer.down
        torch.testing.assert_close(run.stream[k], x, atol=1e-6, rtol=0)
    assert built.parameters == sum(
        int((w != 0).sum())
        for w in (
            built.embed,
            built.place,
            built.head,
            *(w for y in built.layers for w in (y.query, y.value, y.up, y.down)),
        )
    )


@every_program
def test_layers_do_not_depend_on_the_length(program: machines.Program) -> None:
    symbol = machines.READS[program][0]
    depths = {len(machines.passed(program, symbol * n).weights) for n in (1, 5)}
    assert depths == {1 if program in ("histogram", "parity") else 2}


def test_texts_are_read_or_refused_in_words() -> None:
    assert machines.text_of("sort", " De CADE ") == ("decade", "")
    for text, why in (
        ("xyz", "reads only the letters a to e"),
        ("a" * 8, "8 tokens"),
        ("  ", "at least one"),
        ("<b>", "only"),
    ):
        used, refused = machines.text_of("sort", text)
        assert used == "decade" and why in refused
    assert machines.text_of("balanced", "abc") == ("(())()", "This program reads only ( and ).")
    assert (
        machines.text_of("parity", "1" * 13)[1].endswith("at most 12.")
        and machines.text_of("parity", "1" * 12)[1] == ""
    )


@every_program
@pytest.mark.parametrize("gap", [1, 2, 5, machines.GAP])
def test_the_program_to_take_away_answers_as_the_page(program: machines.Program, gap: float, capsys) -> None:
    """At soft gaps too, where BOS has a rank and a count of its own."""
    g = torch.Generator().manual_seed(round(gap))
    code = concept.concept.snippet  # type: ignore[union-attr]
    for text in ("aebd", *("".join(machines.READS[program][i] for i in torch.randint(len(machines.READS[program]), (n,), generator=g)) for n in (1, 3, 5, 7))):  # fmt: skip
        if set(text) <= set(machines.READS[program]):
            exec(code.filled(program=program, text=text, gap=gap), {})
            said = capsys.readouterr().out.splitlines()[0].removeprefix("answers: ").split()
            assert said == machines.written(program, text, gap), text


def test_one_layer_looks_up_every_cup_and_swap() -> None:
    """All 50 look-ups; then 40 swaps at another gap, and the two mistakes."""
    layer, columns = machines.ball_layer(), list(machines.BALL_COLUMNS)
    for c, (a, b) in itertools.product(range(machines.CUPS), machines.PAIRS):
        x = torch.zeros(len(columns), dtype=torch.float64)
        x[[columns.index(name) for name in (f"was {c}", f"swap {a}{b}", "const")]] = 1
        now = torch.relu(x @ layer.up) @ layer.down
        assert columns[int(now.argmax())] == f"now {({a: b, b: a}).get(c, c)}" and float(now.sum()) == 1
    assert machines.astray(gap=10, swaps=40) == 0 < machines.astray(steps=False, swaps=40)
    assert machines.astray(relative=False, swaps=40) > 0
    assert machines.astray(steps=False, swaps=1) == 0, "one swap needs no steps"


def test_the_layer_reads_what_it_wrote_itself(monkeypatch) -> None:
    """Told a wrong cup once, all five answers stay wrong for good: nobody corrects what is written."""
    whole, calls = machines.feed_forward, []

    def once_wrong(x, up, down):
        calls.append(x)
        return whole(x, up, down).roll(1, 0) if len(calls) == 1 else whole(x, up, down)

    monkeypatch.setattr(machines, "feed_forward", once_wrong)
    assert machines.astray(gap=40, swaps=30) == machines.CUPS * 30


# ---------------------------------------------------------------------------------------------- limits


def by_hand(seed: int, lengths: tuple[int, ...]) -> torch.Tensor:
    """Encoder by encoder, every place to the end, as the docstring says; the draws in the same order."""
    g, d, many = torch.Generator().manual_seed(seed), machines.WIDTH, machines.ENCODERS

    def drawn(a: int, b: int) -> torch.Tensor:
        return torch.randn(many, 1, a, b, generator=g, dtype=torch.float64)[:, 0] / a**0.5

    embed = torch.randn(many, 2, d, generator=g, dtype=torch.float64)
    layers = [[drawn(*s) for s in ((d, d), (d, d), (d, d), (d, 4 * d), (4 * d, d))] for _ in range(2)]
    moves = []
    for n in lengths:
        bits = torch.randint(0, 2, (many, n), generator=g)
        where = torch.randint(1, n, (many,), generator=g).tolist()
        assert len(set(where)) > 1
        moves.append([])
        for e in range(many):
            ends = []
            for flip in (0, 1):
                text = bits[e].clone()
                text[where[e]] ^= flip
                x = embed[e][text] + sinusoidal(n, d)
                for q, k, v, up, down in layers:
                    x = x + ((x @ q[e]) @ (x @ k[e]).T / d**0.5).softmax(-1) @ (x @ v[e])
                    x = x + (x @ up[e]).relu() @ down[e]
                ends.append(x[0])
            moves[-1].append(float((ends[1] - ends[0]).square().sum().sqrt()))
    return torch.tensor(moves, dtype=torch.float64)


def test_a_flipped_bit_moves_ever_less_and_its_own_does_not() -> None:
    moves, own = machines.influence(3), machines.influence(3, own=True)
    assert moves.shape == (len(machines.LENGTHS), machines.ENCODERS) and float(moves.min()) > 0
    short = machines.influence(3, (8, 16))
    torch.testing.assert_close(short, by_hand(3, (8, 16)))
    slopes = [machines.slope(machines.LENGTHS, m.mean(-1).tolist()) for m in (moves, own)]
    assert -1.5 < slopes[0] < -0.6 and abs(slopes[1]) < 0.3
    assert machines.slope((1, 10, 100), (5.0, 0.5, 0.05)) == pytest.approx(-1)


def test_where_averages_become_one_number() -> None:
    """From ½ upwards a format with p bits has a grid of 2⁻ᵖ: at n = 2ᵖ⁺¹ half a step is rounded away, before it is not."""
    for form, kind in machines.FORMATS.items():
        grid = torch.finfo(kind).eps / 2
        n = machines.first_merged(form)
        assert n == round(1 / grid) * 2 and machines.merged(n // 2, form) == 0 < machines.merged(n, form) <= 1
    assert machines.merged(2**40, "float32") == 1


def test_hardness_is_a_softmax() -> None:
    found = machines.hardness(5, (1, 2, 100))
    for n, weight in zip((1, 2, 100), found.tolist(), strict=True):
        logits = torch.zeros(n, dtype=torch.float64)
        logits[0] = 5
        assert weight == pytest.approx(float(logits.softmax(0)[0]), abs=1e-12)
        assert weight == pytest.approx(float(match_weight(torch.tensor(5.0).double(), n)))


# ---------------------------------------------------------------------------------------------- proofs


def test_a_guess_is_excluded_on_both_sides() -> None:
    """The bound of one pass: four standard errors above a half, far below what the steps have."""
    evidence = concept.steps_carry_on()
    guess = evidence.parts[1].high
    assert 0.5 + 3.9 * 0.5 / math.sqrt(training.FEW) < guess < 0.75
