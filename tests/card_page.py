"""What `make cards` photographs: the card of one lesson and nothing else, drawn as the app draws its figures."""

import streamlit as st

from tests.cards import card
from ui.figures import Frame
from ui.sweep import show

st.set_page_config(layout="wide")
show("card", Frame(card(st.query_params["of"]), "The small picture of a lesson."))
