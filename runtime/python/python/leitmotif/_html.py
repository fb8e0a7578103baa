"""Answers as notebooks show them: a strip of the recording over time, and the ranking as bars.

`_answers` imports this module, so that what it shows has no types here.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

# The command's, of its strips and plots.
PALETTE = (
    "#00afff", "#ff8700", "#5fd700", "#ff5faf", "#ffd700", "#af87ff", "#00afaf", "#ff5f5f", "#d7af5f", "#bcbcbc",
)  # fmt: skip
MOST_ROWS = 5


def answer(found: Any, remark: str) -> str:
    """Of an `Answer`: the heading, with a remark where there is one, the strip and the best artists."""
    strip, colors = _strip(found)
    heading = f"{escape(found.source or 'samples')} ({_clock(found.seconds)})"
    if remark:
        heading += f" — <b>{escape(remark)}</b>"
    rows = [(a.artist, a.probability, f"{100 * a.probability:.1f} %", colors.get(a.index)) for a in found.artists]
    return f"<div><div>{heading}</div>{strip}{_bars(rows)}</div>"


def gallery(found: Any) -> str:
    """Of a `GalleryAnswer`: the most similar artists."""
    heading = "<div><b>none of these artists</b></div>" if found.unknown else ""
    rows = [(a.artist, max(a.similarity, 0.0), f"{a.similarity:.2f}", None) for a in found.artists]
    return f"<div>{heading}{_bars(rows)}</div>"


def _strip(found: Any) -> tuple[str, dict[int, str]]:
    """The most probable artist over time, and each one's colour in the order of appearance."""
    timeline, colors = found.timeline, dict[int, str]()
    stretches: list[tuple[float, float, int]] = []
    for start, end, best in zip(timeline.start_seconds, timeline.end_seconds, timeline.best(), strict=True):
        if stretches and stretches[-1][2] == best:
            stretches[-1] = (stretches[-1][0], float(end), int(best))
            continue
        if stretches:  # Where segments overlap, the later one begins.
            first, last, before = stretches[-1]
            stretches[-1] = (first, min(last, float(start)), before)
        stretches.append((float(start), float(end), int(best)))
    if not stretches:
        return "", colors
    parts = []
    for start, end, best in stretches:
        color = colors.setdefault(best, PALETTE[len(colors) % len(PALETTE)])
        x, width = 100 * start / found.seconds, 100 * (end - start) / found.seconds
        title = f"{escape(timeline.artists[best])}, {_clock(start)} – {_clock(end)}"
        parts.append(
            f'<rect x="{x:.3f}%" width="{width:.3f}%" height="20" fill="{color}"><title>{title}</title></rect>'
        )
    return f'<svg width="100%" height="20" style="max-width:48em;margin:4px 0">{"".join(parts)}</svg>', colors


def _bars(rows: Sequence[tuple[str, float, str, str | None]]) -> str:
    lines = []
    for name, share, text, color in rows[:MOST_ROWS]:
        bar = f"background:{color or '#999999'};width:{100 * min(share, 1.0):.1f}%;height:0.8em"
        lines.append(
            f'<tr><td style="text-align:left">{escape(name)}</td><td style="text-align:right">{text}</td>'
            f'<td style="width:16em"><div style="{bar}"></div></td></tr>'
        )
    more = f"<div>… and {len(rows) - MOST_ROWS} more</div>" if len(rows) > MOST_ROWS else ""
    return f"<table>{''.join(lines)}</table>{more}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
