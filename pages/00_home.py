"""The front door: a map of the Transformer, and the twenty questions on it. Nothing here imports PyTorch."""

import streamlit as st

import ui
from ui import controls, nav

nav.ensure()
nav.sidebar()

st.title(nav.NAME, anchor=False)
said, search = st.columns([2.7, 1], gap="medium", vertical_alignment="top")
said.markdown(
    "Twenty interview questions about Transformers, each answered by experiments that PyTorch runs while you watch. "
    "Every number on the map is a question: choose it to read it and to enter its lesson."
)
with search.container(key="on_screen_search", gap="small"):  # not on paper
    nav.link(
        nav.lessons()[0],
        ":material/arrow_forward:",
        "right",
        label=f"New here? Begin with question {nav.lessons()[0].number}",
    )
    asked = controls.words("Search", "find", "", max_chars=60, hint="Search: RoPE …")

from ui.map import front_door

front_door("map", asked)

ui.warm()
