"""The only shared code that knows Streamlit or Plotly.

Importing it imports nothing heavy. `warm()` is called once the question is on its way to the browser: it leaves the
browser a moment to fetch what it paints with, and imports PyTorch in a background thread (docs/decisions/0003).
"""

import gc
import sys
import threading
import time

_HEAD_START = 0.3  # seconds; on a cold server only
_once = threading.Lock()
_done = threading.Event()


def _import() -> None:
    # Whoever answers the browsers waits for the GIL at every step of it: half a millisecond instead of five.
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        import torch
    finally:
        sys.setswitchinterval(usual)
    torch.set_num_threads(1)  # many sessions share two cores
    # A full collection over PyTorch's objects costs 120-160 ms under the GIL: it shall not see them.
    gc.collect()
    gc.freeze()
    _done.set()


def warm() -> None:
    """Import PyTorch, once per process, in the background. Called when the question has been sent; whoever comes while
    the browser of the first is still painting waits as long, since a page goes on by importing PyTorch."""
    if _done.is_set():
        return
    if "torch" not in sys.modules:
        time.sleep(_HEAD_START)
    if _once.acquire(blocking=False):
        threading.Thread(target=_import, name="import-torch", daemon=True).start()
