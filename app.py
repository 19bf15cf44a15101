"""Transformer Twenty: `streamlit run app.py`."""

from ui import nav

nav.router().run()
