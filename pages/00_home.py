"""The front door: what this is, one figure to drag, and the twenty questions."""

import streamlit as st

from core.course import topics
from core.syllabus import Theme, Topic
from ui import nav

nav.ensure()

st.title("Transformer Twenty", anchor=False)
st.markdown(
    "##### Twenty interview questions about Transformers, each answered by an experiment that PyTorch runs while you "
    "watch, and every sentence backed by a number measured just now, or by a source."
)

asked = st.text_input("Find a question", key="find", placeholder="mask, variance, position …", max_chars=60)


def card(topic: Topic) -> None:
    path = nav.page_of(topic)
    with st.container(border=True, height="stretch"):
        if path:
            st.page_link(path, label=f"**{topic.number} · {topic.title}**")
            st.markdown(topic.question)
        else:
            st.markdown(f":gray[**{topic.number} · {topic.title}**]")
            st.markdown(f":gray[{topic.question}]")
            st.caption("No lesson yet")


def matches(topic: Topic) -> bool:
    return all(
        word in f"{topic.number} {topic.title} {topic.question} {topic.theme}".casefold()
        for word in asked.casefold().split()
    )


figure_place = st.container()
found = [topic for topic in topics() if matches(topic)]
if not found:
    st.info("No question has these words. Try one of: mask, key, norm, position, parameter.")
for theme in Theme:
    row = [topic for topic in found if topic.theme is theme]
    if row:
        st.subheader(str(theme), anchor=False)
        for start in range(0, len(row), 3):
            for column, topic in zip(st.columns(3), row[start : start + 3], strict=False):
                with column:
                    card(topic)

# Last in the script, though not on the page: the questions are painted before PyTorch is imported.
with figure_place:
    from core.experiments.scaling import WIDTHS
    from ui.drawings.home import frames
    from ui.sweep import sweep

    sweep("home_d_k", "Drag the width d_k", WIDTHS, frames, default=256)
