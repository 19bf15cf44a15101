"""The eight parts of a lesson, in their order, so that a page file contains only its lab.

opening(__file__)                       # 1 the question, painted before PyTorch is imported

from core.concepts import scaling

with lesson(scaling.concept) as page:   # 2 the prediction, above the lab
    ...                                 # 3 the lab: the page's own
    page.ran(scaling.attend)
    page.takes(d_k=d_k)                 # 4-8 answer, corrections, push-back, code, sources: below it
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.course import Concept, Correction, Evidence, PushBack, Sentence, Source, concept
from core.memory import remember
from core.say import number
from core.syllabus import SYLLABUS
from ui import nav, visit
from ui.standing import standing


def opening(file: str) -> None:
    """Part 1: the question, as an interviewer asks it; and the frame around the page."""
    nav.ensure()
    topic = nav.topic_of(file)
    before, after = nav.neighbours(topic)
    st.caption(f"Question {topic.number} of {max(len(SYLLABUS), topic.number)} · {topic.theme}")
    st.title(topic.question, anchor=False)
    with st.container(horizontal=True, gap="medium"):
        _link(before, ":material/arrow_back:")
        st.page_link(nav.HOME, label="All questions", icon=":material/apps:")
        _link(after, ":material/arrow_forward:")


def _link(topic: Any, icon: str) -> None:
    path = nav.page_of(topic) if topic else None
    if path:
        st.page_link(path, label=f"{topic.number} · {topic.title}", icon=icon)


@dataclass
class Lesson:
    """What a lab tells the parts below it."""

    concept: Concept
    functions: list[Callable[..., Any]] = field(default_factory=list)
    controls: dict[str, Any] = field(default_factory=dict)

    def ran(self, *functions: Callable[..., Any]) -> None:
        """The functions that made the figures; the part “Code” prints their source."""
        self.functions.extend(functions)

    def takes(self, **controls: Any) -> None:
        """The current values of the controls, for the program to take away."""
        self.controls.update(controls)


@contextmanager
def lesson(concept: Concept) -> Iterator[Lesson]:
    """Parts 2 and 4 to 8 around the lab that the page draws inside. Each of them may fail without the others."""
    page = Lesson(concept)
    with standing("The prediction"):
        _prediction(concept)
    st.header("Lab", anchor="lab")
    with standing("What follows in the lab"):
        yield page
    with standing("The answer"):
        _answer(concept)
    with standing("What is said more exactly"):
        _corrections(concept)
    with standing("The push-back"):
        _push_back(concept)
    with standing("The program"):
        _code(page)
    with standing("The list of sources"):
        _sources(concept)


# ------------------------------------------------------------------------------------------------ 2 predict


@remember
def _outcome(slug: str) -> float:
    prediction = concept(slug).prediction
    assert prediction is not None
    return prediction.experiment()


def _prediction(concept: Concept) -> None:
    prediction = concept.prediction
    if prediction is None:
        return
    st.header("Predict", anchor="predict")
    texts = [option.text for option in prediction.options]
    with st.container(border=True):
        chosen = st.radio(
            prediction.question, texts, index=None, key=f"{concept.topic.slug}:prediction", persist_state="session"
        )
        if chosen is None:
            st.caption("Choose before you look at the numbers; nothing is locked.")
            return
        measured = _outcome(concept.topic.slug)
        right = prediction.right(measured)
        mine = texts.index(chosen)
        verdict = "As you predicted." if mine == right else f"It is {texts[right]}."
        (st.success if mine == right else st.info)(f"{verdict} {prediction.outcome(measured)}")
        for i, option in enumerate(prediction.options):
            mark = ":material/check:" if i == right else ":material/close:"
            st.markdown(f"{mark} **{option.text}**{' (your choice)' if i == mine else ''}: {option.why}")


# ------------------------------------------------------------------------------------------------ 4 the answer


@remember
def _measured(slug: str, kind: str, index: int, mistake: int | None = None) -> Evidence:
    """The evidence behind one claim, measured once per server; with a `mistake`, the check that must fail."""
    claim: Sentence | Correction = getattr(concept(slug), kind)[index]
    return claim.evidence(**({} if mistake is None else claim.mistakes[mistake]))


def _proof(slug: str, kind: str, index: int, claim: Sentence | Correction) -> None:
    """One click away from a sentence: its numbers, the mistakes that would fail, and the code."""
    evidence = _measured(slug, kind, index)
    mark = ":material/check: measured" if evidence.holds else ":material/error: fails"
    with st.popover(mark, type="tertiary"):
        for part in evidence.parts:
            st.markdown(f"**{part.what}**")
            st.markdown(f"measured **{number(part.value)}**, the sentence promises {part.promise}")
        for i, mistake in enumerate(claim.mistakes):
            wrong = _measured(slug, kind, index, i)
            how = ", ".join(f"{name} = {value}" for name, value in mistake.items())
            got = ", ".join(number(part.value) for part in wrong.parts)
            st.markdown(f"The same check with the usual mistake ({how}) gives {got}, and fails as it should.")
        assert claim.proof is not None
        st.code(inspect.getsource(claim.proof), language="python", wrap_lines=True)


def _on_paper(key: str, text: str) -> None:
    """Markdown that only a printed page shows (`ui.nav.STYLE`): a screen and those who hear it read the original."""
    with st.container(key=f"on_paper_{key}"):
        st.markdown(text)


def _said(sentence: Sentence) -> str:
    return f"{sentence.text} *({_cited(sentence.sources)})*" if sentence.sources else sentence.text


def _answer(concept: Concept) -> None:
    st.header("The answer in 30 seconds", anchor="answer")
    slug = concept.topic.slug
    _on_paper("answer", "\n\n".join(map(_said, concept.sentences)))
    with st.container(key="on_screen_answer"):
        shown = st.expander("Say it aloud first, then open", key=f"{slug}:answer", on_change="rerun")
    if not shown.open:
        return
    with shown:
        for i, sentence in enumerate(concept.sentences):
            st.markdown(sentence.text)
            if sentence.proof is None:
                st.caption(f"§ cited: {_cited(sentence.sources)}")
            else:
                with standing("This proof"):
                    _proof(slug, "sentences", i, sentence)


# ------------------------------------------------------------------------------------------------ 5 corrections


def _corrections(concept: Concept) -> None:
    if not concept.corrections:
        return
    st.header("Often said, more exactly", anchor="corrections")
    for i, correction in enumerate(concept.corrections):
        with st.container(border=True):
            st.markdown(f":material/format_quote: *{correction.said}*")
            st.markdown(correction.better)
            with standing("This proof"):
                for part in _measured(concept.topic.slug, "corrections", i).parts:
                    st.caption(f"{part.what}: **{number(part.value)}**")
                _proof(concept.topic.slug, "corrections", i, correction)
            if correction.sources:
                st.caption(_cited(correction.sources))


# ------------------------------------------------------------------------------------------------ 6 push-back


def _push_back(concept: Concept) -> None:
    if not concept.push_backs:
        return
    st.header("Push-back", anchor="push-back")
    _on_paper("push_back", "\n\n".join(f"**{push.question}** {_replied(push)}" for push in concept.push_backs))
    with st.container(key="on_screen_push_back"):
        st.caption("What an interviewer asks next. Answer first, then open.")
        for push in concept.push_backs:
            with st.expander(push.question):
                st.markdown(push.answer)
                if push.sources:
                    st.caption(_cited(push.sources))


def _replied(push: PushBack) -> str:
    return f"{push.answer} *({_cited(push.sources)})*" if push.sources else push.answer


# ------------------------------------------------------------------------------------------------ 7 code


def _code(page: Lesson) -> None:
    st.header("Code", anchor="code")
    snippet, slug = page.concept.snippet, page.concept.topic.slug
    if snippet is not None:
        st.markdown("A program of its own, with the values that the controls have now. It needs only PyTorch.")
        filled = snippet.filled(**page.controls)
        st.code(filled, language="python", wrap_lines=True)
        st.download_button("Save the program", filled, f"{slug}.py", "text/x-python", icon=":material/download:")
    if page.functions:
        with st.expander("The functions that made the figures above"):
            for function in page.functions:
                st.code(inspect.getsource(inspect.unwrap(function)), language="python", wrap_lines=True)


# ------------------------------------------------------------------------------------------------ 8 sources


def _cited(sources: tuple[Source, ...]) -> str:
    return "; ".join(f"[{source}]({source.url})" if source.url else str(source) for source in sources)


def _sources(concept: Concept) -> None:
    st.header("Sources", anchor="sources")
    for source in concept.reading:
        section = f", {source.section}" if source.section else ""
        label = f"{source.authors}, *{source.title}*{section}"
        st.markdown(f"- {label}, [{source.identifier}]({source.url})" if source.url else f"- {label}")
    st.markdown("This page in exactly this state:")
    st.code(visit.link(), language=None, wrap_lines=True)
