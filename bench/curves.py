"""Lines in a plane, as SVG: what the simulation of a fleet says.

Invariant: the same points give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

Points = Sequence[tuple[float, float]]

WIDTH: Final = 760
HEIGHT: Final = 360
LEFT, RIGHT, TOP, BOTTOM = 80, 190, 24, 48
COLOURS: Final = ("#0b6e99", "#d9480f", "#2b8a3e", "#862e9c", "#5c940d", "#495057")
STEPS: Final = 5


def chart(lines: Mapping[str, Points], across: str, up: str) -> str:
    """Each line with its name, from zero."""
    most_x = max(x for points in lines.values() for x, _ in points)
    most_y = max(y for points in lines.values() for _, y in points)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            f' font-family="sans-serif" font-size="12" role="img">'
        ),
        f"<title>{escape(up)} by {escape(across)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 16, up, "start"),
        _text(LEFT + _wide(1.0) / 2, HEIGHT - 8, across, "middle"),
    ]
    for step in range(STEPS + 1):
        share = step / STEPS
        y = _place(0, share)[1]
        parts += [
            f'<path d="M{LEFT} {y:.1f}h{_wide(1.0):.1f}" stroke="#ddd"/>',
            _text(LEFT - 6, y + 4, _number(most_y * share), "end"),
            _text(LEFT + _wide(share), HEIGHT - BOTTOM + 18, _number(most_x * share), "middle"),
        ]
    for (name, points), colour in zip(lines.items(), COLOURS, strict=False):
        places = [_place(x / most_x, y / most_y) for x, y in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path d="M{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        at = TOP + 18 * (list(lines).index(name) + 1)
        parts.append(_text(WIDTH - RIGHT + 22, at, name, "start", colour))
    return "\n".join([*parts, "</svg>", ""])


def _wide(share: float) -> float:
    return (WIDTH - LEFT - RIGHT) * share


def _place(across: float, up: float) -> tuple[float, float]:
    return LEFT + _wide(across), HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * up


def _text(x: float, y: float, words: str, anchor: str, colour: str = "#222") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(words)}</text>"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
