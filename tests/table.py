"""`make table`: the course in one table, a row a lesson, into docs/course.md. A test says when it is old."""

import importlib
import sys

from core.course import Concept, course
from core.syllabus import SYLLABUS
from tests.browser.conftest import ROOT

TABLE = ROOT / "docs" / "course.md"
HEAD = """# The course, a row a lesson

In the order of the course, written by `make table` from the lessons themselves. “Picture” is what the reader moves first; “corrected”
is what is often said less exactly; a proof is a claim that is measured when the page opens.

| | question, and the answer in one sentence | picture | corrected | proofs | sources |
|---|---|---|---|---|---|
"""


def cell(text: str) -> str:
    """A text that stays within its cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def picture(slug: str) -> str:
    """What a lesson's drawings say that they draw first: `Question 4: a row under the mask; who influences whom; …`."""
    said = importlib.import_module(f"ui.drawings.{slug}").__doc__ or ""
    return said.partition(": ")[2].split(";")[0].rstrip(".")


def row(lesson: Concept) -> str:
    topic, short = lesson.topic, lesson.short
    assert short is not None
    verdicts = " · ".join(judged.verdict.removesuffix(" …") for judged in lesson.judgements)
    corrected = "<br>".join(f"“{correction.said}”" for correction in lesson.corrections)
    cells = (
        str(topic.number),
        f"**{topic.question}**<br>{short.text}",
        picture(topic.slug),
        f"{corrected}<br>*Usual answer: {verdicts}*",
        f"{sum(claim.proof is not None for claim in lesson.claims)}",
        "; ".join(dict.fromkeys(source.authors for source in lesson.reading)),
    )
    return f"| {' | '.join(map(cell, cells))} |\n"


def table() -> str:
    """All lessons of the course; a question that somebody added needs no row."""
    return HEAD + "".join(row(lesson) for lesson in course() if lesson.topic in SYLLABUS)


def main() -> int:
    TABLE.write_text(table(), "utf-8")
    print(f"{TABLE.relative_to(ROOT)} is written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
