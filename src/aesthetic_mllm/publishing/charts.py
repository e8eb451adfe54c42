"""Charts as inline SVG: colours come from the page's style sheet, every chart says in words what it shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

WIDTH, HEIGHT = 360, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 44
MOST_DOTS = 1_500  # more only make a chart heavy
MOST_BINS, LEAST_IN_BIN = 8, 5


@dataclass(frozen=True)
class Interval:
    """A value with its interval; the ends are the value itself where there is none."""

    label: str
    group: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class _Axis:
    """Values on a line of pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """About five round values."""
        rough = (self.high - self.low) / 5
        power = 10 ** math.floor(math.log10(rough))
        step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda step: abs(step - rough))
        first = math.ceil(self.low / step - 1e-9)
        return [round(place * step, 10) for place in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scatter(rated: Sequence[float], labels: Sequence[float], score_range: tuple[float, float], subject: str) -> Markup:
    """Ratings above people's means, a dot a photo; over them, of each stretch, the median and the middle 80%.

    Args:
        subject: what was rated, such as "quality, biq2021", for the description.
    """
    low, high = min(score_range[0], *rated), max(score_range[1], *rated)
    x = _Axis(*score_range, LEFT, WIDTH - RIGHT)
    y = _Axis(low, high, HEIGHT - BOTTOM, TOP)
    step = math.ceil(len(rated) / MOST_DOTS)
    dots = [
        Markup('<circle cx="{}" cy="{}" r="2.2"/>').format(x(label), y(mean))
        for mean, label in list(zip(rated, labels, strict=True))[::step]
    ]
    bars = []
    for members in _bins(np.asarray(labels)):
        place = x(float(np.mean(np.asarray(labels)[members])))
        least, middle, most = (y(float(value)) for value in np.quantile(np.asarray(rated)[members], (0.1, 0.5, 0.9)))
        bars.append(
            Markup('<path d="M{0} {1}V{3}M{4} {1}h8M{4} {3}h8"/><circle cx="{0}" cy="{2}" r="4"/>').format(
                place, least, middle, most, place - 4
            )
        )
    described = f"{len(rated):,} photos, each a dot: its rating above the mean of people's ratings. Bars hold the middle 80%."
    body = Markup("").join(
        [
            _frame(x, y, "people's mean", "rating"),
            _diagonal(x, y),
            Markup('<g class="dots">') + Markup("").join(dots) + Markup("</g>"),
            Markup('<g class="bars">') + Markup("").join(bars) + Markup("</g>"),
        ]
    )
    return _svg(HEIGHT, f"Ratings and people's means: {subject}", described, body)


def calibration(bins: Sequence[tuple[float, float, int]], subject: str, axes: tuple[str, str]) -> Markup:
    """What people gave above what was rated, a dot a bin; larger dots hold more photos.

    Args:
        bins: mean of the ratings, mean of what people gave, number of photos.
        axes: what is written at them, x first.
    """
    values = [value for rated, given, _ in bins for value in (rated, given)]
    margin = 0.06 * (max(values) - min(values)) or 0.5
    low, high = min(values) - margin, max(values) + margin
    x, y = _Axis(low, high, LEFT, WIDTH - RIGHT), _Axis(low, high, HEIGHT - BOTTOM, TOP)
    most = max(count for _, _, count in bins)
    dots = [
        Markup('<circle cx="{}" cy="{}" r="{}"/>').format(x(rated), y(given), round(2.5 + 6 * math.sqrt(count / most), 1))
        for rated, given, count in bins
    ]
    line = Markup('<polyline points="{}"/>').format(" ".join(f"{x(rated)},{y(given)}" for rated, given, _ in bins))
    described = f"{len(bins)} bins. On the diagonal both are equal."
    marks = Markup('<g class="curve">') + line + Markup("").join(dots) + Markup("</g>")
    body = _frame(x, y, *axes) + _diagonal(x, y) + marks
    return _svg(HEIGHT, f"Calibration: {subject}", described, body)


def intervals(rows: Sequence[Interval], measure: str, subject: str) -> Markup:
    """A line a label, on it a mark with its interval for each group; the first group is the filled one."""
    labels = list(dict.fromkeys(row.label for row in rows))
    groups = list(dict.fromkeys(row.group for row in rows))
    pitch = 14 * len(groups) + 12
    height = TOP + pitch * len(labels) + BOTTOM
    left = min(150, 20 + 7 * max(len(label) for label in labels))
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    margin = 0.05 * (high - low) or 0.05
    x = _Axis(low - margin, high + margin, left, WIDTH - RIGHT)
    parts = [_x_axis(x, measure, height - BOTTOM, TOP)]
    for place, label in enumerate(labels):
        middle = TOP + pitch * (place + 0.5)
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="end" class="label">{}</text>').format(left - 8, middle + 4, _short(label))
        )
    for row in rows:
        group = groups.index(row.group)
        line = TOP + pitch * (labels.index(row.label) + 0.5) + 14 * (group - (len(groups) - 1) / 2)
        parts.append(
            Markup('<g class="group{0}"><path d="M{1} {2}H{3}"/><circle cx="{4}" cy="{2}" r="4"/></g>').format(
                min(group, 3), x(row.low), line, x(row.high), x(row.value)
            )
        )
    described = "; ".join(f"{row.label}, {row.group}: {row.value:.2f}" for row in rows)
    return _svg(height, f"{measure} by part: {subject}", described, Markup("").join(parts))


def _bins(labels: np.ndarray) -> list[np.ndarray]:
    """Places of the photos in stretches of the labels that hold equally many."""
    count = min(MOST_BINS, len(labels) // LEAST_IN_BIN)
    return [part for part in np.array_split(np.argsort(labels, kind="stable"), count) if len(part)] if count > 1 else []


def _svg(height: float, title: str, described: str, body: Markup) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title><desc>{}</desc>{}</svg>').format(
        WIDTH, round(height), f"{title}. {described}", title, described, body
    )


def _frame(x: _Axis, y: _Axis, x_label: str, y_label: str) -> Markup:
    lines = [_x_axis(x, x_label, HEIGHT - BOTTOM, TOP)]
    for tick in y.ticks():
        lines.append(
            Markup('<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" text-anchor="end">{}</text>').format(
                LEFT, y(tick), WIDTH - RIGHT, LEFT - 6, y(tick) + 4, f"{tick:g}"
            )
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    lines.append(
        Markup('<text x="14" y="{0}" text-anchor="middle" transform="rotate(-90 14 {0})">{1}</text>').format(middle, y_label)
    )
    return Markup("").join(lines)


def _x_axis(x: _Axis, label: str, bottom: float, top: float) -> Markup:
    lines = [
        Markup('<path class="grid" d="M{0} {1}V{2}"/><text x="{0}" y="{3}" text-anchor="middle">{4}</text>').format(
            x(tick), top, bottom, bottom + 17, f"{tick:g}"
        )
        for tick in x.ticks()
    ]
    middle = (x.start + x.end) / 2
    lines.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(middle, bottom + 36, label))
    return Markup("").join(lines)


def _diagonal(x: _Axis, y: _Axis) -> Markup:
    low, high = max(x.low, y.low), min(x.high, y.high)
    return Markup('<path class="diagonal" d="M{} {}L{} {}"/>').format(x(low), y(low), x(high), y(high))


def _short(label: str, most: int = 18) -> Markup:
    return escape(label if len(label) <= most else label[: most - 1] + "…")
