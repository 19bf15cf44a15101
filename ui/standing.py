"""When a part fails, the rest stands: each figure, training, proof and the lab itself is caught by itself."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import streamlit as st

from ui import visit

LOG = logging.getLogger("transformer_twenty")
FAILED = "could not be computed for these values."


@contextmanager
def standing(part: str = "This figure") -> Iterator[None]:
    """What is drawn inside may fail: then one sentence stands in its place, and the traceback goes to the log.

    Streamlit's own signals (stop, rerun) are no exceptions of this kind and pass through.
    """
    try:
        yield
    except Exception:
        LOG.exception("%s failed at %s", part, visit.link())
        # The path is the visitor's, who may have made it up: quoted, it is no Markdown.
        st.warning(f"{part} {FAILED} [Open the lesson with its defaults]({quote(visit.path(), safe='/%')}).")
