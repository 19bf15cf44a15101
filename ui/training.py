"""Training while you watch, without freezing anybody else.

A training is a generator in the session's state. While it runs, a fragment is called several times a second; each
call draws what there is and then advances the generator for a short slice. So there is no thread to stop: who presses
Stop, leaves the page or closes the browser ends the calls, and with them the computation. A server runs few at a time
and says so.

It draws first, since a call that comes while another one still computes cuts that one off at its next element: under
load, a figure drawn last would never arrive.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import streamlit as st

from ui.figures import Frame
from ui.standing import LOG, standing
from ui.sweep import show

SLICE = 0.2  # seconds of computation per call; between calls the server is free for others
EVERY = 0.35  # seconds between calls
AT_ONCE = 2  # trainings that one server runs at the same time
CLOCK = time.monotonic  # the tests put their own in its place
_PATIENCE = 3.0  # a training that has not called for so long has been left

_lock = threading.Lock()
_running: dict[str, float] = {}  # training → when it last called


def _admitted(ticket: str) -> bool:
    """Whether this training may compute now; its place is free again when it stops calling."""
    with _lock:
        now = CLOCK()
        for other in [t for t, seen in _running.items() if now - seen > _PATIENCE]:
            del _running[other]
        if ticket not in _running and len(_running) >= AT_ONCE:
            return False
        _running[ticket] = now
        return True


def _left(ticket: str) -> None:
    with _lock:
        _running.pop(ticket, None)


@standing("This training")
def live(
    key: str,
    label: str,
    train: Callable[..., Iterator[Any]],
    draw: Callable[[Any], Frame],
    *arguments: Any,
    share: Callable[[Any], float],
    shipped: Any = None,
) -> None:
    """A button that runs `train(*arguments)` and draws its progress; `share` says how far it is, from 0 to 1.

    The result stays until other arguments are chosen. The same arguments give the same curve. Before the first run
    the figure shows `shipped`, the end of a training that was run beforehand, if there is one.
    """
    state = st.session_state.setdefault(f"{key}:state", {"arguments": arguments})
    if state["arguments"] != arguments:
        state.clear()
        state["arguments"] = arguments
    ticket = f"{key}:{id(state)}"
    active = "run" in state
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(label, key=f"{key}:start", icon=":material/play_arrow:", disabled=active):
            if _admitted(ticket):
                state.pop("failed", None)
                state["run"] = train(*arguments)
                _next(state)  # so that what is drawn at 0 % is the beginning of this training
                st.rerun()
            st.warning(f"This server is already training for {AT_ONCE} other visitors. Try again in a few seconds.")
        if st.button("Stop", key=f"{key}:stop", icon=":material/stop:", disabled=not active):
            state.pop("run", None)
            _left(ticket)
            st.rerun()

    @st.fragment(run_every=EVERY if active else None)
    @standing("This training")
    def progress() -> None:
        runs = "run" in state and _admitted(ticket)
        latest = state.get("progress")
        if "run" in state:
            done = min(max(share(latest), 0.0), 1.0)
            st.progress(done, f"{'Training' if runs else 'Waiting for a free place'}: {done:.0%}")
        elif "failed" in state:
            st.warning(f"The training stopped with an error: {state['failed']}. What was computed so far stays.")
        elif latest is None and shipped is not None:
            st.caption(
                "Trained beforehand by the same program and shipped with this page; press the button to train it again, now."
            )
        if latest is not None or shipped is not None:
            with standing():
                show(f"{key}:figure", draw(shipped if latest is None else latest))
        if runs:
            _advance(state)
        if "run" not in state and active:
            _left(ticket)
            st.rerun()

    progress()


def _advance(state: dict[str, Any]) -> None:
    """Compute for one slice of time."""
    end = CLOCK() + SLICE
    while CLOCK() < end and "run" in state:
        _next(state)


def _next(state: dict[str, Any]) -> None:
    """One more result of the training; at its end, and when it fails, there is no run any more."""
    try:
        state["progress"] = next(state["run"])
    except StopIteration:
        del state["run"]
    except Exception as error:
        LOG.exception("a training failed")
        state["failed"] = type(error).__name__
        del state["run"]
