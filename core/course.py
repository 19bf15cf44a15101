"""The answer is its claims: a sentence, and the check that it is true, in the same ten lines.

    concept = Concept(__name__)

    @concept.says("Dividing by √d_k brings the variance back to 1.", fails_if={"divisor": "none"})
    def scaling_restores_unit_variance(divisor: Divisor = "sqrt") -> Evidence:
        ...
        return Evidence.near("Var[q·k/√d_k]", measured, 1, within=4 * standard_error)

A sentence is proved by a function, or cited from a source, never neither. `fails_if` names arguments under
which the same check must *not* hold: the mistake that people really make. The page, `python -m core`, and the
tests all read these objects, so there is one copy of every sentence.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from string import Template
from typing import Any
from urllib.parse import urlsplit

from core.memory import remember
from core.say import number, percent
from core.syllabus import SYLLABUS, Theme, Topic, topic

Proof = Callable[..., "Evidence"]


@dataclass(frozen=True)
class Evidence:
    """What was measured, the number, and the interval that the sentence promises for it.

    The interval is derived, never tuned: rounding error for an identity, standard errors of independent draws
    for a sample mean, the sentence's own words for an inequality.

    >>> Evidence.near("mean", 1.02, 1, within=0.05).holds
    True
    >>> Evidence.exactly("difference", math.nan, 0).holds
    False
    >>> print(Evidence.below("loss", 0.25, 0.2))
    loss = 0.25, promised < 0.2

    A sentence with two halves is proved by two measurements, and holds if both do:

    >>> (Evidence.above("without", 0.7, 0.5) & Evidence.below("with", 0.6, 0.2)).holds
    False
    """

    what: str
    value: float
    low: float
    high: float
    promise: str
    also: tuple["Evidence", ...] = ()

    def __and__(self, other: "Evidence") -> "Evidence":
        return replace(self, also=(*self.also, *other.parts))

    @property
    def parts(self) -> tuple["Evidence", ...]:
        """The measurements one by one."""
        return (replace(self, also=()), *self.also)

    @property
    def holds(self) -> bool:
        """False for NaN, since no comparison with NaN is true."""
        return all(part.low <= part.value <= part.high for part in self.parts)

    def __str__(self) -> str:
        return "; ".join(f"{part.what} = {number(part.value)}, promised {part.promise}" for part in self.parts)

    @classmethod
    def near(cls, what: str, value: float, target: float, within: float) -> "Evidence":
        """`target` ± `within`; `within` is a rounding bound or a multiple of a standard error."""
        return cls(what, float(value), target - within, target + within, f"{number(target)} ± {number(within)}")

    @classmethod
    def exactly(cls, what: str, value: float, target: float) -> "Evidence":
        return cls(what, float(value), target, target, f"exactly {number(target)}")

    @classmethod
    def between(cls, what: str, value: float, low: float, high: float) -> "Evidence":
        return cls(what, float(value), low, high, f"{number(low)} to {number(high)}")

    @classmethod
    def below(cls, what: str, value: float, high: float) -> "Evidence":
        return cls(what, float(value), -math.inf, math.nextafter(high, -math.inf), f"< {number(high)}")

    @classmethod
    def above(cls, what: str, value: float, low: float) -> "Evidence":
        return cls(what, float(value), math.nextafter(low, math.inf), math.inf, f"> {number(low)}")


@dataclass(frozen=True)
class Source:
    """Where a statement can be read: `Source("Vaswani et al. 2017", "Attention Is All You Need", "arXiv 1706.03762")`.

    >>> Source("Xiong et al. 2020", "On Layer Normalization", "arXiv 2002.04745").at("§3.2").url
    'https://arxiv.org/abs/2002.04745'
    """

    authors: str
    title: str
    identifier: str
    section: str = ""

    def at(self, section: str) -> "Source":
        return Source(self.authors, self.title, self.identifier, section)

    @property
    def url(self) -> str:
        if self.identifier.startswith("arXiv "):
            return "https://arxiv.org/abs/" + self.identifier.removeprefix("arXiv ")
        return self.identifier if self.identifier.startswith("https://") else ""

    @property
    def place(self) -> str:
        """The identifier; of an address, the host."""
        return urlsplit(self.identifier).netloc or self.identifier

    def __str__(self) -> str:
        """In a sentence: what has no number of a preprint is known by its title."""
        address = self.place != self.identifier
        parts = (self.authors, self.title if address else "", self.section, "" if address else self.identifier)
        return ", ".join(filter(None, parts))


KINDS = ("sentence", "correction", "look", "short")
"""The places where a concept makes a claim."""

Mistake = Mapping[str, Any]
Mistakes = Mistake | tuple[Mistake, ...]
Sources = Source | tuple[Source, ...]


def _each(one_or_more: Any) -> tuple[Any, ...]:
    return one_or_more if isinstance(one_or_more, tuple) else (one_or_more,) if one_or_more else ()


@dataclass(frozen=True)
class Sentence:
    """One sentence of the answer with its proof, or with the sources that it rests on."""

    text: str
    proof: Proof | None = None
    mistakes: tuple[Mistake, ...] = ()
    sources: tuple[Source, ...] = ()

    def evidence(self, **mistake: Any) -> Evidence:
        if self.proof is None:
            raise TypeError(f"“{self.text}” is cited, not proved: there is nothing to measure.")
        return self.proof(**mistake)


class Verdict(StrEnum):
    """What the measurement says of a bullet that people learn."""

    HOLDS = "holds"
    HOLDS_IF = "holds if …"
    OTHERWISE = "measured otherwise"
    CONTESTED = "contested"


@dataclass(frozen=True)
class Correction:
    """What is often said, what is true instead, and the measurement that decides between them."""

    said: str
    better: str
    proof: Proof
    mistakes: tuple[Mistake, ...]
    sources: tuple[Source, ...] = ()
    verdict: Verdict = Verdict.OTHERWISE

    @property
    def text(self) -> str:
        return self.better

    def evidence(self, **mistake: Any) -> Evidence:
        return self.proof(**mistake)


@dataclass(frozen=True)
class Judgement:
    """One bullet of the usual answer, its verdict, the better sentence, and the claim whose measurement decides."""

    usual: str
    verdict: Verdict
    better: str
    proof: Proof
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Look:
    """A second look, called by its claim, which is a sentence like any other; its `name` stands in the address."""

    name: str
    claim: Sentence


@dataclass(frozen=True)
class PushBack:
    """A follow-up question, its crisp answer, and where that can be read."""

    question: str
    answer: str
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Option:
    """A possible prediction: right if the measured number falls into [low, high)."""

    text: str
    low: float
    high: float
    why: str

    def covers(self, measured: float) -> bool:
        return self.low <= measured < self.high


@dataclass(frozen=True)
class Prediction:
    """A multiple-choice question whose right option is decided by an experiment, not by the author.

    `shows` says what was measured, with `{0}` or, for a share, `{percent}` where the number belongs.
    """

    question: str
    options: tuple[Option, ...]
    experiment: Callable[[], float]
    shows: str

    def right(self, measured: float) -> int:
        """The index of the option that the measurement confirms; it is an error if that is not exactly one."""
        hits = [i for i, option in enumerate(self.options) if option.covers(measured)]
        if len(hits) != 1:
            raise ValueError(f"{measured} falls into {len(hits)} options of “{self.question}”, it must be one.")
        return hits[0]

    def outcome(self, measured: float) -> str:
        return self.shows.format(number(measured, 2), percent=percent(measured))


@dataclass(frozen=True)
class Snippet:
    """A self-contained program with `$names` for the controls, and the function whose number it must print last."""

    template: str
    number: Callable[..., float]
    examples: tuple[Mapping[str, Any], ...]

    def filled(self, **controls: Any) -> str:
        """The program with the control values as Python literals; raises KeyError if one is missing.

        >>> Snippet("print($x)", float, ({"x": 1},)).filled(x="a'b")
        'print("a\\'b")'
        """
        return Template(self.template).substitute({name: repr(value) for name, value in controls.items()})


class Concept:
    """One question of the course. Its slug is its module's name; for the twenty, the syllabus knows the rest.

    >>> Concept("core.concepts.scaling").topic.number
    2
    >>> Concept("core.concepts.mine", number=21, theme=Theme.ATTENTION, title="Mine", question="Why?").topic.slug
    'mine'
    >>> Concept("core.concepts.mine")
    Traceback (most recent call last):
    ...
    TypeError: 'mine' is not one of the twenty: give Concept its number, theme, title and question.
    """

    def __init__(
        self,
        module: str,
        *,
        number: int | None = None,
        theme: Theme | None = None,
        title: str | None = None,
        question: str | None = None,
        equation: str = "",
        words: tuple[str, ...] = (),
    ) -> None:
        slug = module.rpartition(".")[2]
        given = topic(slug)
        if given is None:
            if number is None or theme is None or title is None or question is None:
                raise TypeError(
                    f"{slug!r} is not one of the twenty: give Concept its number, theme, title and question."
                )
            given = Topic(number, slug, theme, title, question)
        self.topic = given
        self.equation = equation
        self.words = words
        self.short: Sentence | None = None
        self.looks: list[Look] = []
        self.judgements: list[Judgement] = []
        self.sentences: list[Sentence] = []
        self.corrections: list[Correction] = []
        self.push_backs: list[PushBack] = []
        self.reading: list[Source] = []
        self.prediction: Prediction | None = None
        self.snippet: Snippet | None = None

    def __repr__(self) -> str:
        return f"Concept({self.topic.number}, {self.topic.slug!r})"

    # -- writing an answer -------------------------------------------------------------------------------------

    def in_one_sentence(self, text: str, *, fails_if: Mistakes) -> Callable[[Proof], Proof]:
        """The answer to the title, plainly, in one sentence that stands above everything else; proved below it.

        One proof may carry several of these decorators: the short sentence, a sentence of the answer, a look.
        """

        def bind(proof: Proof) -> Proof:
            self.short = Sentence(text, proof, _each(fails_if))
            return proof

        return bind

    def looks_closer(self, name: str, claim: str, *, fails_if: Mistakes) -> Callable[[Proof], Proof]:
        """The next second look: `name` in the address, its claim on the button and above its figures, proved below it."""

        def bind(proof: Proof) -> Proof:
            self.looks.append(Look(name, Sentence(claim, proof, _each(fails_if))))
            return proof

        return bind

    def judges(
        self, usual: str, verdict: Verdict, better: str = "", *, by: Proof, source: Sources | None = None
    ) -> None:
        """What to think of a bullet of the usual answer; `by` is the proof of this concept that measures it."""
        self.judgements.append(Judgement(usual, verdict, better, by, _each(source)))

    def says(self, text: str, *, fails_if: Mistakes) -> Callable[[Proof], Proof]:
        """The next sentence of the answer, proved by the function below it.

        `fails_if` is the mistake, or the mistakes, with which the same check must not hold. A sentence with several
        halves names a mistake for each: every measurement of the proof must fail under one of them.
        """

        def bind(proof: Proof) -> Proof:
            self.sentences.append(Sentence(text, proof, _each(fails_if)))
            return proof

        return bind

    def cites(self, text: str, *, source: Sources) -> None:
        """The next sentence of the answer, resting on one source or several."""
        self.sentences.append(Sentence(text, sources=_each(source)))

    def corrects(
        self,
        said: str,
        *,
        better: str,
        fails_if: Mistakes,
        source: Sources | None = None,
        verdict: Verdict = Verdict.OTHERWISE,
    ) -> Callable[[Proof], Proof]:
        """What is often said, and the measurement below that asks for a better sentence."""

        def bind(proof: Proof) -> Proof:
            self.corrections.append(Correction(said, better, proof, _each(fails_if), _each(source), verdict))
            return proof

        return bind

    def pushes_back(self, question: str, answer: str, source: Sources | None = None) -> None:
        self.push_backs.append(PushBack(question, answer, _each(source)))

    def reads(self, *sources: Source) -> None:
        self.reading.extend(sources)

    def predicts(
        self, question: str, *options: Option, shows: str
    ) -> Callable[[Callable[[], float]], Callable[[], float]]:
        """The question before the numbers; the experiment below decides which option is right."""

        def bind(experiment: Callable[[], float]) -> Callable[[], float]:
            self.prediction = Prediction(question, options, experiment, shows)
            return experiment

        return bind

    def writes(
        self, template: str, *examples: Mapping[str, Any]
    ) -> Callable[[Callable[..., float]], Callable[..., float]]:
        """A program to take away; it must print last what the function below returns for the same controls."""

        def bind(page_number: Callable[..., float]) -> Callable[..., float]:
            self.snippet = Snippet(template.strip() + "\n", page_number, examples)
            return page_number

        return bind

    # -- reading it --------------------------------------------------------------------------------------------

    @property
    def answer(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    def of(self, kind: str) -> "list[Sentence | Correction]":
        """The claims of one kind, in their order; also those that are cited and not measured."""
        match kind:
            case "sentence":
                return list(self.sentences)
            case "correction":
                return list(self.corrections)
            case "look":
                return [look.claim for look in self.looks]
            case "short":
                return [self.short] if self.short else []
        raise LookupError(f"there are no claims of kind {kind!r}, only {', '.join(KINDS)}")

    @property
    def claims(self) -> "list[Sentence | Correction]":
        """Everything of this concept that a measurement backs."""
        return [claim for kind in KINDS for claim in self.of(kind) if claim.proof]

    def place(self, proof: Proof) -> tuple[str, int]:
        """The kind and the index of the claim that a proof belongs to; raises LookupError if it is not of this concept."""
        for kind in KINDS:
            for i, claim in enumerate(self.of(kind)):
                if claim.proof is proof:
                    return kind, i
        raise LookupError(f"{proof.__name__} proves no sentence, correction or look of {self.topic.slug}.")


def concept(slug: str) -> Concept:
    """The concept of one module in `core/concepts`.

    >>> concept("nonsense")
    Traceback (most recent call last):
    ...
    LookupError: core/concepts has no 'nonsense'.
    """
    if slug not in slugs():
        raise LookupError(f"core/concepts has no {slug!r}.")
    found = getattr(importlib.import_module(f"core.concepts.{slug}"), "concept", None)
    if not isinstance(found, Concept):
        raise TypeError(f"core/concepts/{slug}.py must define `concept = Concept(__name__)`.")
    return found


@remember
def slugs() -> list[str]:
    """The names of the modules in `core/concepts`; importing none of them."""
    import core.concepts

    return sorted(m.name for m in pkgutil.iter_modules(core.concepts.__path__) if not m.name.startswith("_"))


def course() -> list[Concept]:
    """All answered questions, in the order of the course. The folder is the registry.

    >>> [c.topic for c in course()] == [t for t in topics() if t.slug in slugs()]
    True
    """
    return [concept(row.slug) for row in topics() if row.slug in slugs()]


def topics() -> list[Topic]:
    """The twenty, and after those of its theme whatever was added; imports PyTorch only if something was added."""
    known = {row.slug for row in SYLLABUS}
    added = sorted((concept(slug).topic for slug in slugs() if slug not in known), key=lambda row: row.number)
    return [row for theme in Theme for row in (*SYLLABUS, *added) if row.theme is theme]
