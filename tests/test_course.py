"""The laws of the course, over every sentence that exists: proved or cited; true; able to be false."""

import inspect
import itertools
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from core.course import KINDS, Concept, Correction, Sentence, Verdict, course, topics
from core.glossary import GLOSSARY
from core.syllabus import SYLLABUS
from tests.table import TABLE, table

ROOT = Path(__file__).parent.parent
CONCEPTS = course()
CLAIMS = [
    pytest.param(claim, id=f"{concept.topic.slug}-{kind}-{i}")
    for concept in CONCEPTS
    for kind in KINDS
    for i, claim in enumerate(concept.of(kind))
    if claim.proof
]
each = pytest.mark.parametrize("concept", CONCEPTS, ids=lambda c: c.topic.slug)


def test_the_table_of_the_course_is_fresh() -> None:
    assert TABLE.read_text("utf-8") == table(), "run `make table`"


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
    """Each missing part says what to write."""
    slug = concept.topic.slug
    assert concept.short is not None, f"{slug}: write @concept.in_one_sentence(…), the answer to the title"
    assert concept.equation, (
        f"{slug}: give Concept(…) its `equation`, one line of KaTeX, the disputed term in \\disputed{{…}}"
    )
    assert 2 <= len(concept.words) <= 5, f"{slug}: give Concept(…) its two to five `words` that a newcomer lacks"
    unknown = set(concept.words) - set(GLOSSARY)
    assert not unknown, f"{slug}: say in core/glossary.py what {unknown} mean, in half a line each"
    assert 3 <= len(concept.sentences) <= 8, (
        f"{slug}: the answer has three to eight sentences, not {len(concept.sentences)}"
    )
    words = len(concept.answer.split())
    assert words <= 75, (
        f"{slug}: the answer has {words} words; 75 are 30 seconds. A look or a correction can take the rest"
    )
    assert 1 <= len(concept.looks) <= 4, f"{slug}: write one to four second looks with @concept.looks_closer(…)"
    for look in concept.looks:
        assert len(look.claim.text) <= 96, f"{slug}: “{look.claim.text}” stands on a button: 96 letters at most"
        assert look.name.isidentifier(), f"{slug}: {look.name!r} stands in the address: one plain word"
    assert len({look.name for look in concept.looks}) == len(concept.looks), f"{slug}: two looks share a name"
    assert len(concept.corrections) >= 2, f"{slug}: write at least two corrections of what is often said"
    assert 3 <= len(concept.push_backs) <= 5, f"{slug}: three to five push-backs, not {len(concept.push_backs)}"
    assert concept.reading, f"{slug}: name what there is to read with concept.reads(…)"
    assert concept.prediction is not None, f"{slug}: write @concept.predicts(…), about the question in the title"
    assert concept.snippet is not None, f"{slug}: write @concept.writes(…), a program to take away"
    assert len(concept.snippet.examples) >= 2, (
        f"{slug}: two examples of the program’s controls, so that it can be tested"
    )


@each
def test_every_bullet_of_the_usual_answer_has_its_verdict_and_its_measurement(concept: Concept) -> None:
    judged = [judgement.usual for judgement in concept.judgements]
    missing = [bullet for bullet in concept.topic.usual if bullet not in judged]
    assert not missing, f"{concept.topic.slug}: concept.judges(…) is missing for {missing}"
    assert judged == list(concept.topic.usual), "bullets stand in the order in which people learn them, word for word"
    for judgement in concept.judgements:
        concept.place(judgement.proof)  # raises if the measurement is not one of this concept's
        assert judgement.better or judgement.verdict is Verdict.HOLDS, f"“{judgement.usual}”: write the better sentence"


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
    # The words of the right option agree with the number, as it is rounded on the page.
    claimed = re.findall(r"\d+(?:\.\d+)?", prediction.options[prediction.right(measured)].text.replace(",", ""))
    shown = re.findall(r"\d+(?:\.\d+)?", prediction.outcome(measured).replace(",", ""))
    assert not claimed or set(claimed) & set(shown), f"the right option says {claimed}, the page measures {shown}"


def test_no_two_questions_share_a_number() -> None:
    numbers = Counter(row.number for row in topics())
    twice = [f"{n}: {[r.slug for r in topics() if r.number == n]}" for n, many in numbers.items() if many > 1]
    assert not twice, f"give one of these questions another number: {twice}"


def test_every_concept_has_a_page_and_every_page_a_concept() -> None:
    wanted = {f"pages/{c.topic.number:02}_{c.topic.slug}.py" for c in CONCEPTS}
    there = {f"pages/{p.name}" for p in (ROOT / "pages").glob("*.py")} - {"pages/00_home.py"}
    assert not (wanted - there), f"write these pages: {sorted(wanted - there)}"
    assert not (there - wanted), f"write the concepts of these pages: {sorted(there - wanted)}"


def test_the_syllabus_has_twenty_questions() -> None:
    assert sorted(row.number for row in SYLLABUS) == list(range(1, 21))
    assert all(row.usual for row in SYLLABUS)
    assert len({row.slug for row in topics()}) == len(topics())


@each
def test_no_latex_backslash_was_eaten(concept: Concept) -> None:
    """`"\\theta"` outside a raw string is a tab and "heta"; no linter complains."""
    shown = (
        [claim.text for claim in concept.claims]
        + [s.text for s in concept.sentences]
        + [c.said + c.better for c in concept.corrections]
    )
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
