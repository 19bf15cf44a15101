"""What Python packs is what the browser draws: this unpacks as sweep.js does."""

import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ui import figures
from ui.figures import Series
from ui.sweep import served
from ui.sweep.packing import Frame, pack

ROOT = Path(__file__).parent.parent


def unpacked(data: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    size = struct.unpack("<I", data[:4])[0]
    assert size % 4 == 0, "the numbers must begin at a multiple of 4"
    head = json.loads(data[4 : 4 + size])
    flat = np.frombuffer(data[4 + size :], "<f4")
    arrays = [flat[e["at"] // 4 : e["at"] // 4 + int(np.prod(e["shape"]))].reshape(e["shape"]) for e in head["arrays"]]
    return head, arrays


def resolve(node: Any, arrays: list[np.ndarray], frame: int) -> Any:
    if isinstance(node, list):
        return [resolve(child, arrays, frame) for child in node]
    if not isinstance(node, dict):
        return node
    if "$a" in node:
        return arrays[node["$a"]]
    if "$v" in node:
        return resolve(node["$v"][frame], arrays, frame)
    return {name: resolve(child, arrays, frame) for name, child in node.items()}


def frames(n: int, size: int = 5) -> list[Frame]:
    x = np.arange(size)
    return [
        Frame(
            (
                figures.lines(
                    [Series("a", x * k), Series("same", x + 0.5)], x=x, title=f"k = {k}", x_title="x", y_title="y"
                ),
                figures.heatmap(
                    np.full((k + 1, 2), k), title="grows", rows=list("abcdefgh"[: k + 1]), columns=["p", "q"]
                ),
            ),
            f"k is {k}",
        )
        for k in range(n)
    ]


def test_every_frame_comes_back() -> None:
    made = frames(4)
    head, arrays = unpacked(pack(made, label="k"))
    assert head["label"] == "k" and head["readings"] == [f"k is {k}" for k in range(4)]
    for k in range(4):
        line, heat = (resolve(panel, arrays, k) for panel in head["panels"])
        assert line["layout"]["title"]["text"] == f"k = {k}"
        np.testing.assert_array_equal(line["data"][0]["y"], np.arange(5) * k)
        np.testing.assert_array_equal(line["data"][1]["y"], np.arange(5) + 0.5)
        assert heat["data"][0]["z"].shape == (k + 1, 2)


def test_what_is_the_same_is_sent_once() -> None:
    one, many = len(pack(frames(1, 1000))), len(pack(frames(5, 1000)))
    assert many < one + 4 * 4 * 1000 + 4 * 900, "only the moving line may be sent for every frame"


def test_no_nan_in_the_header() -> None:
    with pytest.raises(ValueError):
        pack(frames(1), bad=float("nan"))


def page() -> None:
    import numpy as np

    from ui import figures
    from ui.figures import Series
    from ui.sweep import Frame, sweep

    def draw(size: int) -> list[Frame]:
        rng = np.random.default_rng(0)
        return [
            Frame(
                (
                    figures.lines(
                        [Series("a", rng.random(size))], x=np.arange(size), title="t", x_title="x", y_title="y"
                    ),
                ),
                "r",
            )
            for _ in range(3)
        ]

    import streamlit as st

    size = int(st.query_params.get("size", "10"))
    labels = ("one", "two", "four")
    st.write(f"value {sweep('t_key', 'Size', (1, 2, 4), draw, size, default=2, labels=labels)}")


@pytest.mark.parametrize(
    ("asked", "shown", "noted"),
    [
        ("4", 4, False),
        ("2", 2, False),
        ("3.5", 4, True),
        ("1e99", 4, True),
        ("-7", 1, True),
        ("nan", 2, True),
        ("<b>", 2, True),
        ("", 2, True),
    ],
)
def test_the_value_in_the_address(asked: str, shown: int, noted: bool) -> None:
    app = AppTest.from_function(page, default_timeout=30)
    app.query_params["t_key"] = asked
    app.run()
    assert not app.exception
    assert app.markdown[0].value == f"value {shown}"
    words = {1: "one", 2: "two", 4: "four"}
    assert [text.value for text in app.text] == (
        [f"The link asked for Size = {asked or '(nothing)'}; showing {words[shown]}."] if noted else []
    )


def test_more_than_a_megabyte_falls_back_to_an_ordinary_slider() -> None:
    app = AppTest.from_function(page, default_timeout=30)
    app.query_params["size"] = "120000"
    app.query_params["t_key"] = "4"
    app.run()
    assert not app.exception
    assert app.select_slider[0].value == 4
    assert app.markdown[0].value == "value 4"
    app.select_slider[0].set_value(1).run()
    assert app.markdown[0].value == "value 1"


def test_a_folder_that_nobody_may_write_to(tmp_path: Path) -> None:
    """Nothing is written beside the code at import, so the folder may be read-only, full, or somebody else's."""
    for folder in ("ui", "core", "pages", "assets"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    program = "import ui.sweep, ui.lesson, core.course; core.course.course()"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert sorted(tmp_path.rglob("*")) == before


def test_plotly_is_served_as_the_installed_package_has_it() -> None:
    first, plain = served.addresses()
    assert served._folder is not None and first.split("?")[0].endswith("/plotly.min.js.gz")
    packed = (Path(served._folder.name) / "plotly.min.js.gz").read_bytes()
    assert gzip.decompress(packed) == (served._PACKAGE / "plotly.min.js").read_bytes()
    assert plain.endswith(f"plotly.min.js?{version('plotly')}")


def test_without_room_for_temporary_files_the_plain_file_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "_folder", None)
    assert [address.split("?")[0].endswith("plotly.min.js") for address in served.addresses()] == [True]
