"""All figures of a sweep as one run of bytes: what is the same in every frame is sent once, numbers as float32.

Layout: 4 bytes little-endian length of the header, the JSON header, padding to 4 bytes, the float32 numbers.
In the header, `{"$a": i}` stands for array i of the table, `{"$v": [...]}` for a value that differs by frame.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from ui import palette
from ui.figures import Frame


class _Table:
    """The arrays of a sweep, each different one stored once."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.blobs: list[bytes] = []
        self.offset = 0
        self.known: dict[tuple[bytes, tuple[int, ...]], int] = {}

    def add(self, array: np.ndarray) -> int:
        blob = array.astype("<f4").tobytes()
        found = self.known.setdefault((blob, array.shape), len(self.entries))
        if found == len(self.entries):
            self.entries.append({"at": self.offset, "shape": array.shape})
            self.blobs.append(blob)
            self.offset += len(blob)
        return found


def _encode(node: Any, table: _Table) -> Any:
    if isinstance(node, dict):
        return {name: _encode(child, table) for name, child in node.items()}
    if isinstance(node, (list, tuple)):
        return [_encode(child, table) for child in node]
    if isinstance(node, np.ndarray):
        return {"$a": table.add(node)}
    return node.item() if isinstance(node, np.generic) else node


def _merge(versions: Sequence[Any]) -> Any:
    """One tree out of the trees of all frames."""
    first = versions[0]
    if all(version == first for version in versions[1:]):
        return first
    if all(isinstance(v, dict) and v.keys() == first.keys() and "$a" not in v for v in versions):
        return {name: _merge([v[name] for v in versions]) for name in first}
    if all(isinstance(v, list) and len(v) == len(first) for v in versions) and isinstance(first, list):
        return [_merge(column) for column in zip(*versions, strict=True)]
    return {"$v": list(versions)}


def pack(frames: Sequence[Frame], **header: Any) -> bytes:
    """Bytes for the component; `header` is passed on to it (label, labels, key …)."""
    table = _Table()
    trees = [[_encode(figure, table) for figure in frame.figures] for frame in frames]
    content = {
        **header,
        "panels": [_merge([tree[i] for tree in trees]) for i in range(len(trees[0]))],
        "readings": [frame.reading for frame in frames],
        "arrays": table.entries,
        "twins": palette.twins(),
    }
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + b"".join(table.blobs)
