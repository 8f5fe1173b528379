"""Lines of figures with their 95 % intervals, in `report` and `learn`."""

from collections.abc import Sequence

WIDTH = 14  # columns of a figure's name
WIDE = 0.5  # an interval that is wider says next to nothing

Interval = Sequence[float]


def format_figure(name: str, value: float | None, interval: Interval | None) -> str:
    """precision      50.00 %   95 %: 9.45 to 90.55 (too few to say)."""
    text = "no value" if value is None else f"{100 * value:6.2f} %"
    if interval is None:
        return f"{name:{WIDTH}}{text}"
    few = " (too few to say)" if interval[1] - interval[0] > WIDE else ""
    return f"{name:{WIDTH}}{text}   95 %: {100 * interval[0]:.2f} to {100 * interval[1]:.2f}{few}"


def format_share(value: float | None) -> str:
    return "no value" if value is None else f"{100 * value:.1f} %"


def format_interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
