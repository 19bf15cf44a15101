"""plotly.js for the browser: compressed once per process, so that a visitor costs the server hardly more than a copy.

Streamlit compresses whatever it serves anew for every visitor, except what is compressed already. So the file lies in a
temporary folder as `.gz`, served by a component of the old kind, and the browser unpacks it (docs/decisions/0010).
Where that cannot be, it takes the file of the installed package as it is.
"""

import contextlib
import gzip
import tempfile
import threading
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from streamlit.components.v1 import declare_component

_NAME = "plotly.min.js"
_found = find_spec("plotly")  # finds the package without importing it
assert _found is not None and _found.origin is not None, "pip install -r requirements.txt"
_PACKAGE = Path(_found.origin).parent / "package_data"
_lock = threading.Lock()

declare_component("plotly", path=str(_PACKAGE))
_PLAIN = f"component/{__name__}.plotly/{_NAME}?{version('plotly')}"
_PACKED = f"component/{__name__}.plotly_gz/{_NAME}.gz?{version('plotly')}"

_folder: tempfile.TemporaryDirectory | None = None  # deleted when the process ends
with contextlib.suppress(OSError):  # no place for temporary files
    _folder = tempfile.TemporaryDirectory(prefix="transformer-twenty-", ignore_cleanup_errors=True)
    declare_component("plotly_gz", path=_folder.name)


def addresses() -> list[str]:
    """Where the browser gets plotly.js, the best first. The first call compresses it: 0.2 s, without the GIL."""
    if _folder is None:
        return [_PLAIN]
    packed = Path(_folder.name) / f"{_NAME}.gz"
    with _lock:
        if not packed.exists():
            try:
                packed.write_bytes(gzip.compress((_PACKAGE / _NAME).read_bytes(), 6, mtime=0))
            except OSError:  # no room
                packed.unlink(missing_ok=True)
                return [_PLAIN]
    return [_PACKED, _PLAIN]
