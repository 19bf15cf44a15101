"""The front door: a map of the Transformer, and the twenty questions on it. Nothing here imports PyTorch."""

import streamlit as st

import ui
from ui import controls, nav

nav.ensure()
nav.sidebar()

st.title(nav.NAME, anchor=False)
said, search = st.columns([2.7, 1], gap="medium", vertical_alignment="bottom")
said.markdown(
    f"Twenty interview questions, answered by experiments that PyTorch runs while you watch; {len(nav.lessons())} are open. "
    f"Every number on the map is a question: point at it to read it; the filled ones can be entered. New here? Begin with {nav.lessons()[0].number}."
)
with search.container(key="on_screen_search"):  # not on paper
    asked = controls.words("Search", "find", "", max_chars=60, hint="Search: RoPE …")

from ui.map import front_door

front_door("map", asked)

ui.warm()
