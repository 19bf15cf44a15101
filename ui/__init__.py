"""The only shared code that knows Streamlit or Plotly.

Importing it prepares the process, in an order that matters (docs/decisions/0003):

* pandas and Plotly are imported here, synchronously. Plotly looks into `sys.modules["pandas"]`, and while another
  thread is still importing pandas, every figure fails: forty cold visitors met 48 such errors.
* PyTorch (1.2 s) is imported in a background thread, so that the first page is painted before it is there.
* Afterwards everything alive is frozen out of the garbage collector's sight: a full collection over PyTorch's
  objects costs 120-160 ms under the GIL.
"""

import gc
import threading

import pandas  # noqa: F401  (see above)
import plotly.graph_objects as go

go.Figure()


def _warm() -> None:
    import torch

    torch.set_num_threads(1)  # many sessions share two cores
    gc.collect()
    gc.freeze()


threading.Thread(target=_warm, name="import-torch", daemon=True).start()
