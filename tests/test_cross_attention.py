"""Question 12: the equations against torch's modules, dates in words and back, and what the trained model does."""

import math
import random
from datetime import date

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from core.concepts.cross_attention import concept
from core.experiments import cross_attention as cross
from core.ops import dates, masks
from core.ops.cross import cross_attention, cross_weights
from core.ops.heads import multi_head
from core.training import cross_attention as model

EXAMPLES = settings(deadline=None, derandomize=True, max_examples=40)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- the equations


@EXAMPLES
@given(st.integers(1, 6), st.integers(1, 7), st.sampled_from([1, 2, 4]), st.booleans())
def test_cross_attention_is_torchs(q: int, k: int, heads: int, hidden: bool) -> None:
    """Another width for the memory than for the queries; the last key hidden, if there is another."""
    d, e = 8, 6
    x, memory = drawn(1, 2, q, d), drawn(2, 2, k, e)
    w_q, w_k, w_v, w_o = drawn(3, d, d), drawn(4, e, d), drawn(5, e, d), drawn(6, d, d)
    module = nn.MultiheadAttention(d, heads, bias=False, kdim=e, vdim=e, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for theirs, ours in (
            (module.q_proj_weight, w_q), (module.k_proj_weight, w_k), (module.v_proj_weight, w_v), (module.out_proj.weight, w_o),
        ):  # fmt: skip
            theirs.copy_(ours.T)
    visible = torch.ones(2, q, k, dtype=torch.bool)
    visible[:, :, -1] &= not (hidden and k > 1)
    expected, weights = module(x, memory, memory, key_padding_mask=~visible[:, 0], average_attn_weights=False)
    torch.testing.assert_close(cross_attention(x, memory, w_q, w_k, w_v, w_o, heads, visible), expected)
    ours = cross_weights(x, memory, w_q, w_k, heads, visible)
    torch.testing.assert_close(ours, weights)
    assert ours.shape == (2, heads, q, k)
    if hidden and k > 1:
        assert (ours[..., -1] == 0).all()


def test_with_itself_as_memory_it_is_self_attention() -> None:
    x, w = drawn(0, 5, 8), [drawn(i, 8, 8) for i in range(1, 5)]
    torch.testing.assert_close(cross_attention(x, x, *w, 2), multi_head(x, *w, 2))


@EXAMPLES
@given(st.integers(0, 99), st.integers(1, 7), st.integers(1, 9))
def test_the_order_of_the_memory_does_not_matter_and_that_of_the_queries_passes_through(
    seed: int, q: int, k: int
) -> None:
    x, memory, w = drawn(seed, q, 8), drawn(seed + 1, k, 8), [drawn(seed + i, 8, 8) for i in range(2, 6)]
    whole = cross_attention(x, memory, *w, 2)
    g = torch.Generator().manual_seed(seed)
    rows, order = torch.randperm(k, generator=g), torch.randperm(q, generator=g)
    torch.testing.assert_close(cross_attention(x, memory[rows], *w, 2), whole)
    torch.testing.assert_close(cross_attention(x[order], memory, *w, 2), whole[order])
    assert whole.shape == (q, 8)


# ---------------------------------------------------------------------------------------------- dates


@EXAMPLES
@given(st.dates(dates.FIRST, dates.LAST), st.sampled_from(range(len(dates.STYLES))))
def test_every_style_is_read_back(day: date, style: int) -> None:
    text = dates.STYLES[style](day)
    assert dates.read(text) == dates.read(text.upper()) == day
    assert len(text) <= dates.MOST and set(text.lower()) <= set(model.ALPHABET)


def test_the_styles_differ_and_the_longest_fills_the_limit() -> None:
    texts = [style(date(1987, 6, 3)) for style in dates.STYLES]
    assert len(set(texts)) == len(texts) == 16
    assert {"Wednesday 3 June 1987", "03-Jun-87", "3 June '87", "third of June 1987", "3 Jun 1987"} <= {*texts}
    assert max(len(style(day)) for style in dates.STYLES for day in dates.days()[::29]) <= dates.MOST
    assert len(dates.STYLES[3](date(1999, 9, 27))) == dates.MOST


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Sunday, May 3rd, '87", date(1987, 5, 3)), ("twenty-first of June 2005", date(2005, 6, 21)), ("3 sept 29", date(2029, 9, 3)),
        ("twenty first of June 2005", date(2005, 6, 21)), ("Thirty  first of May 1999", date(1999, 5, 31)), ("twenty of May 1999", None),
        ("3 sep 30", date(1930, 9, 3)), ("first of may '05", date(2005, 5, 1)), ("3 May 1850", date(1850, 5, 3)),
        ("31 February 1987", None), ("3 May", None), ("May 1987", None), ("3 4 May 1987", None), ("3 May June 1987", None),
        ("3 May 187", None), ("3 May 19871", None), ("3 1987", None), ("0 May 1987", None), ("hello world", None), ("", None),
    ],
)  # fmt: skip
def test_what_a_text_means(text: str, day: date | None) -> None:
    assert dates.read(text) == day


def test_every_day_of_a_century_once() -> None:
    every = dates.days()
    assert len(set(every)) == len(every) == 36_525 and every[0] == dates.FIRST and every[-1] == dates.LAST


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "Write a date"), ("   ", "Write a date"), ("3. Mai 1987", "never seen “.”"), ("3 Mär 1987", "never seen “ä”"),
        ("x" * 33, "33 characters; the model was trained on at most 32"), ("İ", "never seen “İ”"), ("<b>", "never seen “<”"),
        ("3 May\n1987", "never seen"),
    ],
)  # fmt: skip
def test_what_it_cannot_read_is_refused_in_words(text: str, refusal: str) -> None:
    source, reason = cross.source_of(text)
    assert source == cross.EXAMPLE and refusal in reason
    assert cross.source_of(text, "x")[0] == "x"


@EXAMPLES
@given(st.text(alphabet=model.ALPHABET + model.ALPHABET[:26].upper() + "’‑–", min_size=1, max_size=32))
def test_whatever_is_not_refused_can_be_read(text: str) -> None:
    source, reason = cross.source_of(text)
    assert reason or source == text.translate(cross.ALIKE).strip()
    assert len(model.code(source)) == len(source)


# ---------------------------------------------------------------------------------------------- one date


@pytest.mark.parametrize("seed", range(3))
def test_the_shipped_model_writes_held_out_dates(seed: int) -> None:
    draw = random.Random(seed)
    for day in draw.sample(model.split()[1], 3):
        for style in draw.sample(dates.STYLES, 2):
            found = cross.translate(style(day))
            assert found.written == found.means == day.isoformat() and found.right


def test_the_example_was_held_out_and_looks_where_the_page_says() -> None:
    assert date(1987, 5, 3) in model.split()[1] and not set(model.split()[0]) & set(model.split()[1])
    found = cross.translate()
    looked = found.looked(2, 1)
    for step, character in ((2, 15), (3, 16), (6, 9), (8, 7)):  # 8, 7, M for 05, 3 for 03
        assert int(looked[step].argmax()) == character and float(looked[step, character]) > 0.7
    assert len(found.certainty) == 11 and float(found.certainty.min()) > 0.99
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(2, 2, 11, dtype=torch.float64))
    torch.testing.assert_close(found.looked(1, 0), found.weights[0].mean(0))
    assert torch.equal(found.looked(1, 2), found.weights[0, 1])


def test_all_steps_at_once_are_the_steps_one_by_one() -> None:
    """The weights that are drawn, from one pass over what was written, are those with which it was written."""
    found, weights = cross.translate(), model.trained()
    tokens = model.batch_of([cross.EXAMPLE])
    memory = model.encode(weights, tokens)
    begun = model.answers([date(1987, 5, 3)])[:, :6]
    blank = torch.cat([begun, torch.zeros(1, 1, dtype=torch.long)], -1)
    scores, askers, _ = model.decode(weights, blank, memory, tokens != model.PAD)
    now = model.alignments(weights, askers, memory, tokens != model.PAD)[:, 0, :, -1]
    torch.testing.assert_close(now, found.weights[:, :, 6])
    assert float(scores[0, -1].softmax(-1).max()) == pytest.approx(float(found.certainty[6]))


# ---------------------------------------------------------------------------------------------- the link


def test_the_link_decides() -> None:
    found = cross.link()
    assert found.under["whole"] == found.under["reordered"] == found.handed[10] == "1987-05-03"
    assert found.under["cut"] == cross.link("the 1st of April 2020").under["cut"] != found.under["whole"]
    assert found.under["shuffled"] != found.under["whole"]
    assert found.handed[0] == cross.translate(cross.OTHER).written == "2005-06-21"
    assert found.handed[4] == "1987-06-21" and found.handed[7] == "1987-05-21"


def test_a_swap_in_mid_sentence_is_decoding_from_the_other_memory() -> None:
    weights, tokens = model.trained(), model.batch_of([cross.OTHER])
    memory = model.encode(weights, tokens)
    for k in (1, 6, 9):
        begun = model.answers([date(1987, 5, 3)])[:, :k]
        assert model.spell(model.write(weights, memory, tokens != 0, begun)[0].tolist()) == cross.link().handed[k]


def test_an_own_date_that_ends_early_can_be_handed_over() -> None:
    assert len(cross.link("a", "b").handed) == len(cross.link("zzz", cross.OTHER).handed) == 11


# ---------------------------------------------------------------------------------------------- who acts


def test_influence_is_the_derivative() -> None:
    """Beside torch's own Jacobian of the same logits, for two characters of the source and of the target."""
    weights, tokens = model.trained(), model.batch_of(["3 May '87"])
    found = cross.influence("3 May '87")
    written = model.write(weights, model.encode(weights, tokens), tokens != 0)

    def scores(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        memory = model.encode_embedded(weights, x, None)[-1]
        return model.decode_embedded(weights, y, memory, None).logits[0].gather(-1, written[0, :, None])[:, 0]

    x, y = model.embed(weights, tokens), model.embed(weights, model.shifted(written))
    by_source, by_target = torch.autograd.functional.jacobian(scores, (x, y))
    torch.testing.assert_close(found.source, by_source[:, 0].norm(dim=-1))
    torch.testing.assert_close(found.target, by_target[:, 0].norm(dim=-1))


def test_who_acts_on_whom() -> None:
    found, cut = cross.influence(), cross.influence(linked=False)
    assert (found.source > 0).all() and torch.equal(found.target > 0, masks.causal(11))
    assert (found.queries_source[0] == 0).all() and (found.queries_source[1] > 0).all()
    assert torch.equal(found.queries_target > 0, masks.causal(11).expand(2, -1, -1))
    assert (found.memory_target == 0).all() and (found.memory_source > 0).all()
    assert (cut.source == 0).all() and (cut.queries_source == 0).all() and torch.equal(cut.target > 0, masks.causal(11))


@pytest.mark.parametrize("matrix", [1, 2])
def test_keys_and_values_each_count(matrix: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without W_K the values still come from the source, and without W_V the keys."""
    weights = {name: weight.clone() for name, weight in model.trained().items()}
    weights["decoder.cross"][:, matrix] = 0
    monkeypatch.setattr(model, "trained", lambda: weights)
    found = cross.influence.__wrapped__("3 May '87")
    assert (found.memory_source > 0).all() and (found.memory_target == 0).all()


def test_what_every_layer_reads_is_the_memory() -> None:
    weights, tokens = model.trained(), model.batch_of([cross.EXAMPLE])
    layers = model.encode_embedded(weights, model.embed(weights, tokens), tokens != 0)
    written = model.answers([date(1987, 5, 3)])
    assert all(torch.equal(read, layers[-1]) for read in model.decode(weights, written, layers[-1], None).reads)
    beside = model.decode(weights, written, layers, None).reads
    assert len(beside) == len(layers) == 2 and all(torch.equal(a, b) for a, b in zip(beside, layers, strict=True))


def test_a_cache_that_is_kept_does_not_hold_on_to_its_source() -> None:
    """Without a swap it is greedy decoding; with one it goes on with the other's month and day, or its day."""
    assert cross.kept_cache("own", after=0) < 0.05 < 0.95 < cross.kept_cache("other", after=0)
    assert cross.kept_cache("other", after=4) > 0.95 and cross.kept_cache("other", after=7) > 0.95


def test_hiding_is_counted_by_hand_on_one_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Character by character, beside both counts: the lesson's and that of the shipped outcomes."""
    weights, text, right = model.trained(), "3 May '87", model.answers([date(1987, 5, 3)])
    tokens = model.batch_of([text])
    memory, n = model.encode(weights, tokens), len(text)

    def written(seen: torch.Tensor, memory: torch.Tensor | None = memory) -> list[int]:
        return model.decode(weights, right, memory, seen).logits[0, :-1].argmax(-1).tolist()

    everything = torch.ones(1, n, dtype=torch.bool)
    whole, cut = written(everything), written(everything, None)
    askers = model.decode(weights, right, memory, everything).askers
    looked = model.alignments(weights, askers, memory, everything)[:, 0].mean((0, 1))
    hits, others, needing = [], [], [a != b for a, b in zip(whole, cut, strict=True)]
    each = [written(everything & (torch.arange(n) != j)) for j in range(n)]
    for t in range(10):
        first = int(looked[t].argmax())
        hits.append(each[first][t] != whole[t])
        others.append(sum(each[j][t] != whole[t] for j in range(n) if j != first) / (n - 1))
    monkeypatch.setattr(model, "groups", lambda: iter([(tokens, right)]))
    found = cross.hidden.__wrapped__(1)
    assert found.dates == 1 and found.needing == pytest.approx(sum(needing) / 10)
    needed = [i for i in range(10) if needing[i]]
    assert found.favourite == pytest.approx(sum(hits[i] for i in needed) / len(needed))
    assert found.others == pytest.approx(sum(others[i] for i in needed) / len(needed))
    assert found.unneeding == pytest.approx(sum(hits[i] for i in range(10) if not needing[i]) / (10 - len(needed)))
    shipped = model.hiding(weights, most=1)
    assert shipped["favourite"] == pytest.approx(sum(hits) / 10)
    assert shipped["others"] == pytest.approx(sum(others) / 10)


# ---------------------------------------------------------------------------------------------- masks and caches


def test_hidden_padding_changes_nothing_and_seen_padding_does() -> None:
    whole = cross.translate().looked(2, 0)
    for pads in (0, 3, 16):
        found = cross.padded(pads=pads)
        torch.testing.assert_close(found.masked[:, :17], whole)
        assert (found.masked[:, 17:] == 0).all() and found.masked.shape == (11, 17 + pads)
        assert (found.forgotten[:, 17:] > 0).all() and found.written[0] == "1987-05-03"
    assert torch.equal(cross.padded(pads=0).masked, cross.padded(pads=0).forgotten)


def test_nothing_to_see_is_not_a_number() -> None:
    assert cross.nothing_seen(0).isnan().all() and not cross.nothing_seen(1).isnan().any()
    assert (cross.nothing_seen(0, weights=False) == 0).all()
    torch.testing.assert_close(cross.nothing_seen(1, weights=False), cross.nothing_seen(1))
    assert cross.torch_blind().isfinite().all(), "nn.Transformer goes on in silence"


def test_a_cache_of_each_kind() -> None:
    found, wasteful = cross.caches(), cross.caches(recompute=True)
    assert found.own.tolist() == [2 * 2 * 64 * (i + 1) for i in range(11)]
    assert found.source.tolist() == [2 * 2 * 64 * 17] * 11 == wasteful.source.tolist()
    assert found.multiplied.tolist() == [4] * 11 and wasteful.multiplied.tolist() == [4 * (i + 1) for i in range(11)]
    assert found.apart < 1e-10 and wasteful.apart < 1e-10


def test_the_layers_are_matrices_only() -> None:
    assert cross.layer_parameters("encoder") == 12 * 64**2 and cross.layer_parameters("decoder") == 16 * 64**2


# ---------------------------------------------------------------------------------------------- what torch does, and the lesson


def test_torchs_decoder_reads_the_last_layer() -> None:
    """Keys and values of each of its three cross-attentions, as they enter it."""
    assert cross.torch_reads(3) == pytest.approx([0] * 3, abs=1e-12) and min(cross.torch_reads(2)) > 1e-3
    assert cross.torch_shapes(5, 9) == ((5, 8), (5, 9)) and cross.torch_shapes(9, 5) == ((9, 8), (9, 5))


def test_the_program_says_what_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert concept.snippet is not None
    exec(concept.snippet.filled(source="3 May '87", written="19"), {})
    printed = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert printed["outputs, one for each query"] == "(3, 64)"
    assert printed["in one layer, keys and values of the source, kept once"] == f"{2 * 9 * 64} numbers"
    assert printed["in one layer, of the target, kept so far by self-attention"] == f"{2 * 3 * 64} numbers"
    assert float(printed["largest change if the memory stands in another order"]) < 1e-12
    assert printed["weights of a head, target × source"] == "27"


def test_the_prediction_is_about_all_shipped_runs() -> None:
    assert concept.prediction is not None
    measured = concept.prediction.experiment()
    assert measured == pytest.approx(float(cross.shipped("other", "handed over").mean()))
    assert concept.prediction.options[concept.prediction.right(measured)].text == "practically always"


def test_what_is_shipped_of_all_runs() -> None:
    for what in ("exact", "other"):
        for name in model.CONDITIONS:
            share = cross.shipped(what, name)
            assert share.shape == (3,) and (share >= 0).all() and (share <= 1).all()
    assert cross.shipped_padded(True).shape == cross.shipped_padded(False).shape == (3, len(model.PADS))
    torch.testing.assert_close(cross.shipped_padded(False)[:, 0], cross.shipped("exact", "whole"))
    assert math.isclose(cross.held_out(), 3652)
