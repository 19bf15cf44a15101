"""What the search of the front door finds, and that it reads every lesson without importing it."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import search
from core.course import concept, slugs, topics
from core.glossary import GLOSSARY

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("slug", slugs())
def test_everything_that_a_lesson_says_is_found_in_its_source(slug: str) -> None:
    """The source is read by its form (`@concept.says("…")`), so this compares with what the concept itself says."""
    said = concept(slug)
    shown = [(s.text,) for s in said.sentences] + [(look.claim.text,) for look in said.looks]
    judged = {j.proof for j in said.judgements}
    corrections = [c for c in said.corrections if c.proof not in judged]  # the others have no place of their own
    shown += [(text,) for c in corrections for text in (c.said, c.better)]
    shown += [(p.question, p.answer) for p in said.push_backs]
    shown += [(text,) for j in said.judgements for text in (j.usual, j.better) if text]
    if said.prediction:
        options = (t for o in said.prediction.options for t in (o.text, o.why))
        shown.append((said.prediction.question, *options))
    # What is said wrongly and what is right are told apart.
    wrong = {p.text for p in search.passages(said.topic) if p.where == "Often said wrongly"}
    assert not wrong & {search.plain(c.better) for c in said.corrections}
    # A number that a sentence fills in itself stands as an ellipsis in what was read.
    read = [re.escape(p.text).replace("…", ".+?") for p in search.passages(said.topic)]
    for parts in shown:
        whole = search.plain(" ".join(filter(None, parts)))
        assert any(re.fullmatch(one, whole) for one in read), f"core/search.py does not find, in {slug}.py: {whole}"
    words = [p.text.partition(":")[0] for p in search.passages(said.topic) if p.where == "Words"]
    assert words == list(said.words)


@pytest.mark.parametrize("slug", slugs())
def test_the_one_sentence_is_the_concepts_own(slug: str) -> None:
    short = concept(slug).short
    assert search.one_sentence(slug) == (search.plain(short.text) if short else None)


def test_nothing_of_it_needs_pytorch() -> None:
    program = (
        "import sys; from core import search; search.find('variance'); search.one_sentence('scaling');"
        "sys.exit(bool({'torch', 'pandas', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("query", "number", "where"),
    [
        ("variance", 2, None), ("RoPE", 13, None), ("gradient", 2, None), ("sqrt", 2, "Question"), ("d_k", 2, "Question"),
        ("dₖ", 2, "Question"), ("√dₖ", 2, "Question"), ("$\\sqrt{d_k}$", 2, "Question"), ("DK", 2, "Question"),
        ("O(N^2)", 1, "Question"), ("n²", 1, "Question"), ("7", 7, "Question"), ("question 13", 13, "Question"),
        ("pre norm", 7, "Question"), ("prenorm", 7, "Question"), ("warmup", 17, "Question"), ("warm up", 17, "Question"),
        ("layer norm", 6, "Question"), ("batch normalization", 6, "Question"), ("what is GELU?", 19, "Question"),
        ("multi-head attention", 3, "Question"), ("multihead", 3, "Question"), ("why use multiple heads?", 3, None),
        ("pre-norm vs post-norm", 7, "Question"), ("12d^2", 15, None), ("12d²", 15, None), ("weight tying", 15, None),
        ("difference between encoder and decoder", 5, "Question"), ("layernorm vs batchnorm", 6, "Question"),
        ("information retrieval", 8, "The usual answer"), ("training", 16, "Theme"), ("Ⅰnformation retrieval", 8, None),
    ],
)  # fmt: skip
def test_what_people_type_finds_its_question(query: str, number: int, where: str | None) -> None:
    hits = search.find(query)
    assert number in [hit.topic.number for hit in hits if hit.topic], [hit.text for hit in hits]
    found = next(hit for hit in hits if hit.topic and hit.topic.number == number)
    assert where is None or found.where == where
    assert any(marked for _, marked in found.excerpt), "the words that were asked for are marked"
    if where == "Question":
        assert hits[0].where == "Question", "titles and questions come first"


def test_a_word_is_found_where_it_begins() -> None:
    assert not any("property" in hit.text and not hit.text.count("RoPE") for hit in search.find("rope"))
    assert search.find("ariance") == []
    first = search.find("1")[0].topic
    assert first and first.number == 1, "1 is not the beginning of 10"


def test_all_words_must_match() -> None:
    both = {hit.topic.number for hit in search.find("gradient warm-up") if hit.topic}
    assert both <= {h.topic.number for h in search.find("gradient") if h.topic}
    assert both <= {h.topic.number for h in search.find("warm-up") if h.topic}
    assert search.find("variance zeppelin") == []


@pytest.mark.parametrize("word", GLOSSARY)
def test_every_word_of_the_glossary_is_found(word: str) -> None:
    """With the lesson that needs it, or alone while there is none."""
    assert any(word.casefold() in hit.text.casefold() or hit.where == "Question" for hit in search.find(word))


@pytest.mark.parametrize("try_this", search.TRIES)
def test_what_it_says_to_try_finds_something(try_this: str) -> None:
    assert search.find(try_this)


def test_nothing_found_says_what_to_try() -> None:
    assert search.tries("varience softmaks")[:1] == ["variance"] and "softmax" in search.tries("varience softmaks")
    assert search.tries("\u202exyzzy") == list(search.TRIES)
    for word in search.tries("gradiant"):
        assert search.find(word)


@pytest.mark.parametrize("topic", topics(), ids=lambda t: t.slug)
def test_an_excerpt_is_short_and_readable(topic: search.Topic) -> None:
    for passage in search.passages(topic):
        assert not set("$\\{}") & set(search.plain(passage.text)) or not passage.where.startswith("The usual answer"), (
            passage.text
        )
        for word in re.findall(r"[^\W\d_]{4,}", passage.text)[-1:]:
            excerpt = search._excerpt(passage.text, [search._pattern(search._folded(word)[0].replace("\x1f", ""))])
            assert sum(len(piece) for piece, _ in excerpt) <= 155
            assert any(mark for _, mark in excerpt), passage.text


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", "\u202e\x00", "(" * 200, "[a-", "\\", "𝒳" * 5000, " " * 99, "1e99", "’", "_", "$$"],
)
def test_hostile_words_are_only_words(hostile: str) -> None:
    search.find("variance")  # the first one reads the lessons
    began = time.thread_time()
    for hit in search.find(hostile):
        assert hit.text
    search.tries(hostile)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("$N \\times N$", "N × N"), ("d_k and d_kv", "dₖ and d_kv"), ("√d_k, $d_k$", "√dₖ, dₖ"), ("a *b* c", "a b c"),
        ("2*3*4", "2*3*4"), ("**bold** `code`", "bold code"), ("$12 d^2$", "12 d²"), ("$-\\infty$", "-∞"), ("[a](http://b)", "a"),
    ],
)  # fmt: skip
def test_markdown_and_latex_are_read_as_text(written: str, read: str) -> None:
    assert search.plain(written) == read


def test_an_edit_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CONCEPTS", tmp_path)
    file = tmp_path / "gelu.py"
    for words in ("The first.", "The second, longer."):
        file.write_text(f"@concept.in_one_sentence({words!r}\n    ' Really.', fails_if={{}})\ndef f(): ...\n", "utf-8")
        import os

        os.utime(file, ns=(0, len(words)))
        assert search.one_sentence("gelu") == f"{words} Really."
    assert search.one_sentence("../secrets") is None and search.one_sentence("scaling") is None


def test_what_a_loop_says_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CONCEPTS", tmp_path)
    loop = 'for q in ("And with one key?", "And with a mask?"):\n    concept.pushes_back(q, "Still equal.", BOOK.at("§3"))\n'
    (tmp_path / "gelu.py").write_text(loop, "utf-8")
    gelu = next(topic for topic in topics() if topic.slug == "gelu")
    said = [p.text for p in search.passages(gelu) if p.where == "Push-back"]
    assert said == ["And with one key? Still equal.", "And with a mask? Still equal."]
