"""Charts of the results, as SVG: bars of a figure beside its baseline, with the span of its rounds.

Invariant: a chart shows what is in bench/results/ and nothing else; the same results give the same
bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

Record = dict[str, Any]  # Any: JSON, as ground.Bench.finish writes it

WIDTH: Final = 760
LEFT, RIGHT, TOP, ROW, BAR = 300, 120, 56, 46, 15
OURS, THEIRS, INK, SPAN = "#0b6e99", "#b9c2c8", "#222", "#d9480f"


def written(records: Sequence[Record], folder: Path) -> list[Path]:
    """A chart for each claim that has figures; where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for record in records:
        if record["figures"]:
            paths.append(folder / f"{record['claim'].lower()}.svg")
            paths[-1].write_text(chart(record))
    return paths


def chart(record: Record) -> str:
    """The figures of one claim, in rows: ours above, the baseline below, on one scale a unit."""
    figures = record["figures"]
    most: dict[str, float] = {}
    for one in figures:
        seen = (*one["product"], *one["baseline"])
        most[one["unit"]] = max(most.get(one["unit"], 0.0), *seen)
    height = TOP + ROW * len(figures) + 14
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' font-family="sans-serif" font-size="12" role="img">'
        ),
        f"<title>{escape(record['claim'])}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(12, 22, f"{record['claim']}, {record['surroundings']['at'][:10]}", weight="bold"),
        _text(12, 40, "blue: Allotment; grey: its baseline; line: lowest to highest round"),
    ]
    for place, one in enumerate(figures):
        parts += _row(TOP + ROW * place, one, most[one["unit"]] or 1.0)
    return "\n".join([*parts, "</svg>", ""])


def _row(top: int, figure: Record, most: float) -> list[str]:
    scale = (WIDTH - LEFT - RIGHT) / most
    parts = [_text(LEFT - 8, top + 20, _short(figure["name"]), anchor="end")]
    for whose, at, colour in (("product", top + 4, OURS), ("baseline", top + 22, THEIRS)):
        median = figure[f"{whose}_median"]
        low, high = min(figure[whose]) * scale, max(figure[whose]) * scale
        parts += [
            (
                f'<rect x="{LEFT}" y="{at}" width="{median * scale:.1f}" height="{BAR}"'
                f' fill="{colour}"/>'
            ),
            f'<path d="M{LEFT + low:.1f} {at + BAR / 2:.1f}H{LEFT + high:.1f}" stroke="{SPAN}"/>',
            _text(LEFT + high + 6, at + 12, f"{_number(median)} {figure['unit']}"),
        ]
    return parts


def _text(x: float, y: float, words: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" fill="{INK}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def _short(name: str) -> str:
    return name if len(name) <= 42 else name[:40] + "…"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
