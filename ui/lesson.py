"""The form of a lesson: one screen, one equation, one line of thought. A page file contains only what is its own.

opening(__file__)                       # the question, painted before PyTorch is imported

with lesson(concept) as page:           # in one sentence · the equation and its words · predict
    side, stage = page.hero()           # the one picture with its one control; beside it the other controls
    ...
    if page.look("softer"):             # the usual answer, checked; then the second looks, of which one is open
        ...
    page.ran(scaling.attend)
    page.takes(d_k=d_k)                 # in 30 seconds · push-back · code · sources
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import ui
from core.course import Concept, Evidence, PushBack, Sentence, Source, Verdict, concept
from core.glossary import GLOSSARY
from core.memory import remember
from core.say import number
from core.syllabus import SYLLABUS
from ui import controls, nav, present, visit
from ui.palette import equation_colours
from ui.parts import clock
from ui.standing import standing

PARTS = {
    "predict": "Predict",
    "usual": "The usual answer, checked",
    "looks": "Look closer",
    "answer": "In 30 seconds",
    "push-back": "Push-back",
    "code": "Code",
    "sources": "Sources",
}
"""The parts of a lesson around its hero: their anchors, and their names in the sidebar."""

SECONDS = 30


def opening(file: str) -> None:
    """The question, as an interviewer asks it; and the frame around the page."""
    nav.ensure()
    topic = nav.topic_of(file)
    present.begin()
    if not present.on():
        nav.sidebar(topic, PARTS)
    before, after = nav.neighbours(topic)
    with st.container(horizontal=True, key="crumb", gap="medium", vertical_alignment="center"):
        st.caption(f"{topic.theme} · question {topic.number} of {max(len(SYLLABUS), topic.number)}", width="stretch")
        nav.link(before, ":material/arrow_back:")
        nav.link(after, ":material/arrow_forward:", icon_position="right")
        present.on_demand(topic.slug)
        present.button(f"{topic.slug}:present")
    st.title(topic.question, anchor=False)
    present.keys(nav.page_of(before), nav.page_of(after))
    ui.warm()


@dataclass
class Lesson:
    """What a page tells the parts around it."""

    concept: Concept
    functions: list[Callable[..., Any]] = field(default_factory=list)
    controls: dict[str, Any] = field(default_factory=dict)
    _open: str | None = None
    _asked: bool = False

    def hero(self) -> tuple[DeltaGenerator, DeltaGenerator]:
        """Where the hero stands: a narrow column for its other controls, and the stage for its picture and reading."""
        with st.container(key="hero"):
            side, stage = st.columns([1, 5], gap="medium")
        return side, stage

    def look(self, name: str) -> bool:
        """Whether the reader has opened this second look; only then is anything of it computed."""
        place, found = next((i, one) for i, one in enumerate(self.concept.looks) if one.name == name)
        self._ask()
        if self._open != name:
            return False
        with st.container(horizontal=True, key="claim", vertical_alignment="center"):
            st.subheader(found.claim.text, anchor=False, width="content")
            with standing("This proof"):
                _measured_behind("look", place, self.concept.topic.slug)
        return True

    @staticmethod
    def says(text: str) -> None:
        """What the lesson says between its figures: Markdown, in which “question 14” leads there."""
        st.markdown(nav.linked(text))

    def _ask(self) -> None:
        """The usual answer, then the row of looks: drawn before the first look."""
        if self._asked:
            return
        self._asked = True
        if present.on():
            _keep_look(self.concept)  # for who leaves the presentation, and for the phones
            return
        with standing("The usual answer"):
            _usual(self.concept)
        if self.concept.looks:
            self._open = _chosen_look(self.concept)

    def ran(self, *functions: Callable[..., Any]) -> None:
        """The functions that made the figures; the part “Code” prints their source."""
        self.functions.extend(functions)

    def takes(self, **controls: Any) -> None:
        """The current values of the controls, for the program to take away."""
        self.controls.update(controls)


@contextmanager
def lesson(concept: Concept) -> Iterator[Lesson]:
    """Everything around the hero and the looks that the page draws inside. Each part may fail without the others."""
    page = Lesson(concept)
    with standing("The head of this lesson"):
        _head(concept)
    with standing("The prediction"):
        _prediction(concept)
    with standing("What follows in the lab"):
        yield page
    page._ask()
    if present.on():
        with standing("The answer"):
            _answer_asked_for(concept)
        with standing("The code for phones"):
            present.code_for_phones()
        return
    with standing("The answer"):
        _answer(concept)
    with standing("The push-back"):
        _push_back(concept)
    with standing("The program"):
        _code(page)
    with standing("The list of sources"):
        _sources(concept)


# ------------------------------------------------------------------------------------------------ the head


def _head(concept: Concept) -> None:
    """In one sentence, and the equation beside its words."""
    if concept.short is not None:
        visit.describe(concept.short.text)
        with st.container(key="short"):
            st.markdown(nav.linked(concept.short.text))
    with st.container(horizontal=True, key="equation", vertical_alignment="center", gap="medium"):
        if concept.equation:
            st.markdown(f"${equation_colours(concept.equation)}$", width="content")
        if concept.words:
            st.caption(
                nav.linked(" · ".join(f"**{word}** {GLOSSARY[word]}" for word in concept.words)), width="stretch"
            )


# ------------------------------------------------------------------------------------------------ predict


@remember
def _outcome(slug: str) -> float:
    prediction = concept(slug).prediction
    assert prediction is not None
    return prediction.experiment()


def _prediction(concept: Concept) -> None:
    prediction, slug = concept.prediction, concept.topic.slug
    if prediction is None:
        return
    texts = [option.text for option in prediction.options]
    with st.container(border=True, key="predict", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(PARTS["predict"], anchor="predict", width="content")
            st.markdown(prediction.question, width="content")
            chosen = st.pills(
                prediction.question,
                texts,
                key=f"{slug}:prediction",
                label_visibility="collapsed",
                persist_state="session",
                width="content",
                wrap=True,
            )
        if chosen is None or not present.shown("What is measured", f"{slug}:outcome"):
            return
        measured = _outcome(slug)
        right, mine = prediction.right(measured), texts.index(chosen)
        verdict = "As you predicted." if mine == right else f"It is {texts[right]}."
        tempts = "" if mine == right else f"  \n**{texts[mine]}**: {prediction.options[mine].why}"
        whys = "\n".join(
            f"- {':material/check:' if i == right else ':material/close:'} **{option.text}**: {option.why}"
            for i, option in enumerate(prediction.options)
        )
        # The others are told over the picture when asked for: what pushes it down would hide what was predicted.
        with st.container(horizontal=True, key="outcome", vertical_alignment="center", gap="small"):
            (st.success if mine == right else st.info)(nav.linked(f"{verdict} {prediction.outcome(measured)}{tempts}"))
            st.popover("Why each tempts", type="tertiary", width="content").markdown(whys)
        _on_paper("predicted", whys)


# ------------------------------------------------------------------------------------------------ the usual answer, checked

VERDICTS = {
    Verdict.HOLDS: (":material/check: holds", "holds"),
    Verdict.HOLDS_IF: (":material/airwave: holds if …", "if"),
    Verdict.OTHERWISE: (":material/close: measured otherwise", "otherwise"),
    Verdict.CONTESTED: (":material/balance: contested", "if"),
}
"""A verdict is told by its words and by the shape of its chip (`ui.nav.STYLE`): colours mean other things."""


def _usual(concept: Concept) -> None:
    """The bullets that people learn, each with its verdict; then what else is often said."""
    st.header(PARTS["usual"], anchor="usual")
    with st.container(border=True, key="usual", gap="small"):
        for i, judged in enumerate(concept.judgements):
            _row(concept, judged.usual, judged.better, judged.verdict, judged.sources, judged.proof, f"usual{i}")
    decided = {judged.proof for judged in concept.judgements}
    others = [(i, one) for i, one in enumerate(concept.corrections) if one.proof not in decided]
    if not others:
        return
    slug = concept.topic.slug
    _on_paper("said", "\n\n".join(f"*“{one.said}”* {one.better}" for _, one in others))
    with st.container(key="on_screen_said"):
        shown = st.expander("Also often said, more exactly", key=f"{slug}:said", on_change="rerun")
    if shown.open:
        with shown:
            for i, one in others:
                _row(concept, one.said, one.better, one.verdict, one.sources, one.proof, f"said{i}")


def _row(
    concept: Concept,
    said: str,
    better: str,
    verdict: Verdict,
    sources: tuple[Source, ...],
    proof: Callable[..., Evidence],
    key: str,
) -> None:
    """What is said, and the better sentence; beside it the verdict, which opens its measurement."""
    words, shape = VERDICTS[verdict]
    with st.container(horizontal=True, key=f"verdict_{shape}_{key}", gap="medium", vertical_alignment="top"):
        text = f"*“{said}”*" + (f"  \n{nav.linked(better)}" if better else "")
        st.markdown(f"{text} *({_cited(sources)})*" if sources else text, width="stretch")
        shown = st.popover(words, key=f"{concept.topic.slug}:{key}", on_change="rerun", width="content")
        if shown.open:
            with shown, standing("This proof"):
                _proof(concept.topic.slug, *concept.place(proof))


# ------------------------------------------------------------------------------------------------ look closer


def _asked_look(concept: Concept) -> str | None:
    names = [one.name for one in concept.looks]
    key = f"{concept.topic.slug}:look"
    return visit.start(key, lambda text: (text if text in names else None, text in ("", *names)), None)


def _keep_look(concept: Concept) -> None:
    visit.uses(f"{concept.topic.slug}:look", _asked_look(concept) or "", "")


def _chosen_look(concept: Concept) -> str | None:
    """The row of claims, of which one may be open; which one, the address says."""
    claims, key = {one.name: one.claim.text.rstrip(".") for one in concept.looks}, f"{concept.topic.slug}:look"
    start, refused = _asked_look(concept), visit.refused(key)
    with st.container(key="looks"):
        st.header(PARTS["looks"], anchor="looks")
        chosen: str | None = st.pills(
            PARTS["looks"],
            list(claims),
            default=start,
            format_func=lambda name: claims[name],
            key=key,
            label_visibility="collapsed",
        )
        if refused is not None:
            controls.note("look", refused, chosen or "none")
        if chosen is None:
            st.caption("Each is an experiment, and each asks for the next. Choose one to run it.")
    visit.uses(key, chosen or "", "")
    return chosen


# ------------------------------------------------------------------------------------------------ proofs


@remember
def _measured(slug: str, kind: str, index: int, mistake: int | None = None) -> Evidence:
    """The evidence behind one claim, measured once per server; with a `mistake`, the check that must fail."""
    claim = concept(slug).of(kind)[index]
    return claim.evidence(**({} if mistake is None else claim.mistakes[mistake]))


@remember
def _source_of(function: Callable[..., Any]) -> str:
    return inspect.getsource(inspect.unwrap(function))


def _proof(slug: str, kind: str, index: int) -> None:
    """The numbers behind a claim, the mistakes that would fail, and the code; or where it can be read."""
    claim = concept(slug).of(kind)[index]
    if claim.proof is None:
        st.markdown(f":material/menu_book: cited: {_cited(claim.sources)}")
        return
    with st.spinner("Measuring …"):
        evidence = _measured(slug, kind, index)
    lines = [f"**{claim.text}**", ""]
    if not evidence.holds:
        lines.append(":material/error: This check fails on this machine.\n")
    lines += [f"- {p.what}: measured **{number(p.value)}**, promised {p.promise}" for p in evidence.parts]
    for i, mistake in enumerate(claim.mistakes):
        wrong = _measured(slug, kind, index, i)
        how = ", ".join(f"{name} = {value}" for name, value in mistake.items())
        failing = "; ".join(f"{p.what}: {number(p.value)}" for p in wrong.parts if not p.low <= p.value <= p.high)
        lines.append(f"\nThe check can fail: with {how} it measures {failing}.")
    st.markdown("\n".join(lines))
    st.code(_source_of(claim.proof), language="python", wrap_lines=True)


def _measured_behind(kind: str, index: int, slug: str) -> None:
    """A mark beside a claim; its proof is measured when it is opened."""
    shown = st.popover(":material/check: measured", type="tertiary", key=f"{slug}:{kind}{index}", on_change="rerun")
    if shown.open:
        with shown:
            _proof(slug, kind, index)


# ------------------------------------------------------------------------------------------------ in 30 seconds


def _on_paper(key: str, text: str) -> None:
    """Markdown that only a printed page shows (`ui.nav.STYLE`): a screen and those who hear it read the original."""
    with st.container(key=f"on_paper_{key}"):
        st.markdown(text)


def _marked(sentence: Sentence, place: int) -> str:
    return f"{nav.linked(sentence.text)} :small[:gray[{'✓' if sentence.proof else '§'}{place}]]"


def _answer_asked_for(concept: Concept) -> None:
    """In a presentation: when the room has tried."""
    if present.answer_shown(concept.topic.slug):
        with st.container(key="short_answer"):
            st.markdown(concept.answer)


def _answer(concept: Concept) -> None:
    """Say it aloud first; then flowing prose, and below it a mark for each sentence, which opens what stands behind it."""
    slug, sentences = concept.topic.slug, concept.sentences
    st.header(PARTS["answer"], anchor="answer")
    _on_paper("answer", " ".join(f"{s.text} *({_cited(s.sources)})*" if s.sources else s.text for s in sentences))
    with st.container(key="on_screen_answer"):
        clock(f"{slug}:clock", SECONDS)
        shown = st.expander("Say it aloud first, then open", key=f"{slug}:answer", on_change="rerun")
    if not shown.open:
        return
    with shown:
        st.markdown(" ".join(_marked(s, i) for i, s in enumerate(sentences, start=1)))
        marks = [f"{'✓ measured' if s.proof else '§ cited'} {i}" for i, s in enumerate(sentences, start=1)]
        chosen = st.pills("What stands behind each sentence", marks, key=f"{slug}:proofs")
        if chosen in marks:
            with standing("This proof"):
                _proof(slug, "sentence", marks.index(chosen))


# ------------------------------------------------------------------------------------------------ push-back


def _push_back(concept: Concept) -> None:
    if not concept.push_backs:
        return
    st.header(PARTS["push-back"], anchor="push-back")
    _on_paper("push_back", "\n\n".join(f"**{push.question}** {_replied(push)}" for push in concept.push_backs))
    asked = st.session_state.get(f"{concept.topic.slug}:asked")  # by the search of the front door
    with st.container(key="on_screen_push_back", gap="small"):
        for push in concept.push_backs:
            with st.expander(push.question, expanded=push.question == asked):
                st.markdown(nav.linked(_replied(push)))


def _replied(push: PushBack) -> str:
    return f"{push.answer} *({_cited(push.sources)})*" if push.sources else push.answer


# ------------------------------------------------------------------------------------------------ code


def _code(page: Lesson) -> None:
    snippet, slug = page.concept.snippet, page.concept.topic.slug
    with st.container(key="on_screen_code", gap="small"):
        st.header(PARTS["code"], anchor="code")
        if snippet is not None:
            program = "A program of its own, with the values that the controls have now. It needs only PyTorch"
            shown = st.expander(program, key=f"{slug}:program", on_change="rerun")
            if shown.open:
                filled = snippet.filled(**page.controls)
                with shown:
                    st.code(filled, language="python", wrap_lines=True)
                    st.download_button(
                        "Save the program", filled, f"{slug}.py", "text/x-python", icon=":material/download:"
                    )
        if page.functions:
            shown = st.expander("The functions that ran", key=f"{slug}:functions", on_change="rerun")
            if shown.open:
                with shown:
                    for function in page.functions:
                        st.code(_source_of(function), language="python", wrap_lines=True)


# ------------------------------------------------------------------------------------------------ sources


def _cited(sources: tuple[Source, ...]) -> str:
    return "; ".join(f"[{source}]({source.url})" if source.url else str(source) for source in sources)


def _sources(concept: Concept) -> None:
    st.header(PARTS["sources"], anchor="sources")
    rows = []
    for source in concept.reading:
        section = f", {source.section}" if source.section else ""
        label = f"{source.authors}, *{source.title}*{section}"
        rows.append(f"- {label}, [{source.place}]({source.url})" if source.url else f"- {label}")
    st.markdown("\n".join([*rows, "", "This page in exactly this state:"]))
    st.code(visit.link(), language=None, wrap_lines=True)
