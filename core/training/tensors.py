"""Weights that a training ships, as a .safetensors file: a length, a header in JSON, then the numbers, one after the other.

The format is small enough (https://huggingface.co/docs/safetensors) that reading and writing one kind of number needs no
package; a test lets the package itself read the files where it is installed.
"""

import json
import struct

import torch
from torch import Tensor

from core.training.shipped import FOLDER


def save(name: str, weights: dict[str, Tensor]) -> None:
    """Write `assets/trained/<name>`, in float32."""
    header, data = {}, b""
    for key, weight in weights.items():
        piece = weight.detach().float().contiguous().numpy().astype("<f4").tobytes()
        header[key] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    said = json.dumps(header).encode()
    said += b" " * (-len(said) % 8)  # the numbers begin at a multiple of eight bytes
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / name).write_bytes(struct.pack("<Q", len(said)) + said + data)


def load(name: str) -> dict[str, Tensor]:
    """The tensors of `assets/trained/<name>`, in float32; raises FileNotFoundError with the command that makes them."""
    path = FOLDER / name
    if not path.exists():
        raise FileNotFoundError(f"{name} is missing: run `python -m core.training {path.stem}`.")
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header, data = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    return {
        key: torch.frombuffer(data, dtype=torch.float32, offset=start, count=(end - start) // 4)
        .reshape(one["shape"])
        .clone()
        for key, one in header.items()
        if key != "__metadata__"
        for start, end in [one["data_offsets"]]
    }
