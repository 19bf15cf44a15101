"""The front door's figure: the same attention with and without one division."""

from core.experiments import scaling
from core.say import percent
from ui import figures
from ui.drawings import corners
from ui.figures import Frame

SIZE = 24


@corners()
def frames() -> list[Frame]:
    """One frame for each width: random queries look at random keys."""
    maps = {
        "softmax(q·k)": scaling.attention_map("none", SIZE),
        "softmax(q·k / √d_k)": scaling.attention_map("sqrt", SIZE),
    }
    labels = [str(i) for i in range(SIZE)]
    return [
        Frame(
            tuple(
                figures.heatmap(weights[i], title=title, rows=labels, columns=labels, limits=(0, 1))
                for title, weights in maps.items()
            ),
            reading(d_k, *(percent(float(weights[i].amax(-1).mean())) for weights in maps.values())),
        )
        for i, d_k in enumerate(scaling.WIDTHS)
    ]


def reading(d_k: int, without: str, scaled: str) -> str:
    many = f"{SIZE} random queries look at {SIZE} random keys of width {d_k}."
    if d_k == 1:
        return (
            f"{many} At width 1 the factor divides by 1: the favourite key takes {without} of a row's weight in both."
        )
    return (
        f"{many} Without the factor of question 2 the favourite key takes {without} of a row's weight on average, with it "
        f"{scaled}. The difference is one division."
    )
