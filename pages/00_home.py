"""The front door: a map of the Transformer, and the twenty questions on it. Nothing here imports PyTorch."""

import streamlit as st

from ui import nav

nav.ensure()
nav.sidebar()

st.title(nav.NAME, anchor=False)
said, search = st.columns([3, 1], gap="large", vertical_alignment="bottom")
said.markdown(
    "##### Twenty interview questions, each answered by an experiment that PyTorch runs while you watch. Every number on "
    "the map is a question: point at it to read it, open it to enter."
)
asked = search.text_input(
    "Search",
    key="find",
    bind="query-params",
    placeholder="Search: variance, RoPE, KV cache",
    max_chars=60,
    label_visibility="collapsed",
)

from ui.map import front_door

front_door("map", asked)
