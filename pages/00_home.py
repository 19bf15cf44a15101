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
    "Every number on the map is a question: choose one to read it, and to enter where it is filled."
)
with search.container(key="on_screen_search"):  # not on paper
    asked = controls.words("Search", "find", "", max_chars=60, hint="Search: RoPE …")

from ui.map import front_door

front_door("map", asked)

ui.warm()
