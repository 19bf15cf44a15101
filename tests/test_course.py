"""The laws of the course, over every sentence that exists: proved or cited; true; able to be false."""

import inspect
import itertools
import unicodedata
from pathlib import Path

import pytest

from core.course import Concept, Correction, Sentence, course, topics
from core.syllabus import SYLLABUS

ROOT = Path(__file__).parent.parent
CONCEPTS = course()
CLAIMS = [
    pytest.param(claim, id=f"{concept.topic.slug}-{kind}-{i}")
    for concept in CONCEPTS
    for kind in ("sentences", "corrections")
    for i, claim in enumerate(getattr(concept, kind))
    if claim.proof
]
each = pytest.mark.parametrize("concept", CONCEPTS, ids=lambda c: c.topic.slug)


@each
def test_every_sentence_is_proved_or_cited(concept: Concept) -> None:
    for sentence in concept.sentences:
        assert (sentence.proof is None) == bool(sentence.sources), sentence.text


@pytest.mark.parametrize("claim", CLAIMS)
def test_it_holds(claim: Sentence | Correction) -> None:
    evidence = claim.evidence()
    assert evidence.holds, f"“{claim.text}” is not true: {evidence}"


@pytest.mark.parametrize("claim", CLAIMS)
def test_it_could_have_failed(claim: Sentence | Correction) -> None:
    """With each mistake the check fails, and each measurement of a proof fails with one of them."""
    assert claim.mistakes, f"“{claim.text}” names no mistake that would refute it: give it `fails_if`."
    assert claim.proof is not None
    parts, able = claim.evidence().parts, []
    for mistake in claim.mistakes:
        unknown = set(mistake) - set(inspect.signature(claim.proof).parameters)
        assert not unknown, f"“{claim.text}”: {claim.proof.__name__} takes no {unknown}"
        evidence = claim.evidence(**mistake)
        assert not evidence.holds, f"“{claim.text}” also holds with {dict(mistake)}: {evidence}"
        able.append([not part.holds for part in evidence.parts])
    for part, failures in zip(parts, zip(*able, strict=True), strict=True):
        assert any(failures), f"“{claim.text}”: no mistake makes “{part.what}” fail; name one in `fails_if`"


@each
def test_a_lesson_is_complete(concept: Concept) -> None:
    assert 3 <= len(concept.sentences) <= 8
    assert len(concept.corrections) >= 2
    assert 3 <= len(concept.push_backs) <= 5
    assert concept.reading
    assert concept.prediction is not None
    assert concept.snippet is not None and len(concept.snippet.examples) >= 2


@each
def test_the_experiment_decides_the_prediction(concept: Concept) -> None:
    prediction = concept.prediction
    assert prediction is not None
    assert 3 <= len(prediction.options) <= 5
    measured = prediction.experiment()
    prediction.right(measured)  # raises unless exactly one option covers the number
    assert "{0" not in prediction.outcome(measured)
    ordered = sorted(prediction.options, key=lambda o: o.low)
    assert all(a.high <= b.low for a, b in itertools.pairwise(ordered)), "two options overlap"
    assert all(option.why for option in prediction.options)


def test_every_concept_has_a_page_and_every_page_a_concept() -> None:
    wanted = {f"pages/{c.topic.number:02}_{c.topic.slug}.py" for c in CONCEPTS}
    there = {f"pages/{p.name}" for p in (ROOT / "pages").glob("*.py")} - {"pages/00_home.py"}
    assert not (wanted - there), f"write these pages: {sorted(wanted - there)}"
    assert not (there - wanted), f"write the concepts of these pages: {sorted(there - wanted)}"


def test_the_syllabus_has_twenty_questions() -> None:
    assert [row.number for row in SYLLABUS] == list(range(1, 21))
    assert len({row.slug for row in topics()}) == len(topics())


@each
def test_no_latex_backslash_was_eaten(concept: Concept) -> None:
    """`"\\theta"` outside a raw string is a tab and "heta"; no linter complains."""
    shown = [s.text for s in concept.sentences] + [c.said + c.better for c in concept.corrections]
    shown += [p.question + p.answer for p in concept.push_backs] + [concept.topic.question]
    if concept.prediction:
        shown += [concept.prediction.question, *(o.text + o.why for o in concept.prediction.options)]
    for text in shown:
        assert not [c for c in text if unicodedata.category(c) == "Cc"], text


def test_equations_keep_their_backslashes() -> None:
    for path in (ROOT / "core" / "ops").glob("*.py"):
        module = __import__(f"core.ops.{path.stem}", fromlist=["_"])
        for name, function in inspect.getmembers(module, inspect.isfunction):
            text = function.__doc__ or ""
            assert not [c for c in text if unicodedata.category(c) == "Cc" and c != "\n"], f"{path.stem}.{name}"
