"""Forty visitors over the real websocket: each opens a page and moves a control every two seconds. Part of `make bench`.

A visitor speaks Streamlit's own protocol: it asks for a run of the page's script with the states of its widgets, and is
answered when the script has finished. Large messages that a browser has already are sent as a hash, as to a browser.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

VISITORS, EVERY, DURING = 40, 2.0, 90.0  # how many, seconds between moves, seconds in all


@dataclass
class Visitor:
    """One browser tab."""

    label: str  # of the slider that it moves
    values: Sequence[int]
    page: str = ""
    slider: str = ""
    words: bool = False  # a slider over given values sends their words, an ordinary one its number
    hashes: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    opened: float = float("nan")
    errors: int = 0

    async def run(self, socket: ClientConnection, path: str, value: int | None = None) -> float:
        """Ask for a run of the script and wait until it has finished; returns the seconds."""
        message = BackMsg()
        state = message.rerun_script
        state.page_script_hash = self.page
        state.page_name = path.strip("/") if not self.page else ""
        state.cached_message_hashes.extend(self.hashes)
        state.context_info.url = f"http://127.0.0.1{path}"
        if value is not None:
            widget = state.widget_states.widgets.add()
            widget.id = self.slider
            if self.words:
                widget.string_array_value.data.append(str(value))
            else:
                widget.double_array_value.data.append(value)
        begin = time.perf_counter()
        await socket.send(message.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(await socket.recv())  # type: ignore[arg-type]
            kind = answer.WhichOneof("type")
            if answer.hash and answer.metadata.cacheable and answer.hash not in self.hashes:
                self.hashes.append(answer.hash)
            if kind == "navigation":
                self.page = answer.navigation.page_script_hash or self.page
            elif kind == "delta":
                element = answer.delta.new_element
                if element.WhichOneof("type") == "slider" and element.slider.label == self.label:
                    self.slider, self.words = element.slider.id, bool(element.slider.options)
                self.errors += element.WhichOneof("type") == "exception"
            elif kind == "script_finished":
                return time.perf_counter() - begin

    async def stay(self, url: str, path: str, start: float, moves: int) -> None:
        await asyncio.sleep(start)
        rng = random.Random(start)
        address = url.replace("http", "ws") + "/_stcore/stream"
        try:
            async with connect(address, subprotocols=["streamlit"], max_size=None, compression=None) as socket:  # type: ignore[list-item]
                self.opened = await self.run(socket, path)
                self.opened += await self.run(socket, path)  # a cold deep link begins again through app.py
                for _ in range(moves if self.slider else 0):
                    due = time.perf_counter() + EVERY
                    self.waited.append(await self.run(socket, path, rng.choice(self.values)))
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
        except (OSError, WebSocketException):
            self.errors += 1


@dataclass(frozen=True)
class Crowd:
    """What a crowd waited for, in milliseconds; `opened` in seconds."""

    waited: tuple[float, ...]
    opened: tuple[float, ...]
    errors: int
    lost: int  # visitors who did not find the control

    def __str__(self) -> str:
        trouble = f"{self.errors} errors, {self.lost} visitors without the control"
        opened = f"opened p50 {statistics.median(self.opened):.2f} s, last {max(self.opened):.2f} s"
        if not self.waited:
            return f"{opened} ({trouble})"
        p50, p95 = statistics.median(self.waited), self.waited[int(0.95 * len(self.waited))]
        return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms ({len(self.waited)} moves; {opened}; {trouble})"


async def _crowd(url: str, path: str, label: str, values: Sequence[int], during: float, arrive: float) -> list[Visitor]:
    visitors = [Visitor(label, values) for _ in range(VISITORS)]
    moves = round(during / EVERY)
    await asyncio.gather(*(v.stay(url, path, i * arrive / VISITORS, moves) for i, v in enumerate(visitors)))
    return visitors


def crowd(
    url: str, path: str, label: str, values: Sequence[int], during: float = DURING, arrive: float = EVERY
) -> Crowd:
    """Forty visitors who arrive within `arrive` seconds and stay for `during`; 0: they only open the page."""
    with ThreadPoolExecutor(1) as own:  # the browser of `make bench` has a loop of its own in this thread
        visitors = own.submit(lambda: asyncio.run(_crowd(url, path, label, values, during, arrive))).result()
    return Crowd(
        tuple(sorted(1000 * w for v in visitors for w in v.waited)),
        tuple(v.opened for v in visitors if v.opened == v.opened) or (float("nan"),),
        sum(v.errors for v in visitors),
        sum(not v.slider for v in visitors),
    )
