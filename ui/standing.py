"""When a part fails, the rest stands: each figure, training, proof and the lab itself is caught by itself."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import streamlit as st

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
        LOG.exception("%s failed at %s", part, st.context.url)
        st.warning(
            f"{part} {FAILED} [Open the lesson with its defaults]({urlsplit(st.context.url or '/').path or '/'})."
        )
