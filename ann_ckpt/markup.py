"""Pieces of HTML for notebooks and pages; every text in them is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from ann_ckpt.errors import printable

__all__ = ["STYLE", "card", "details", "escaped", "facts", "preformatted", "table"]

STYLE = """
.ac{font:13px/1.45 system-ui,sans-serif;max-width:860px;color:inherit}
.ac table{border-collapse:collapse;margin:.3em 0;font-size:inherit}
.ac th,.ac td{text-align:left;padding:.15em .9em .15em 0;vertical-align:top;border:0;background:none}
.ac.ac th,.ac.ac td{text-align:left}
.ac thead th{font-weight:600;border-bottom:1px solid rgba(128,128,128,.5)}
.ac.ac td.n,.ac.ac th.n{text-align:right;font-variant-numeric:tabular-nums}
.ac .ac-title{font-weight:600;margin:.2em 0}
.ac .ac-note{opacity:.8}
.ac pre{font:12px/1.4 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0}
.ac pre{background:none;color:inherit}
.ac .ac-figs{display:flex;flex-wrap:wrap;gap:.4em 1em}
.ac .ac-fig{margin:.3em 0;max-width:400px}
.ac figcaption{font-size:12px;padding-left:.3em;overflow-wrap:anywhere}
.ac summary{cursor:pointer}
""".strip()
"""Style of everything in a notebook. Colours are those of the text around it, so it suits dark and light."""


def escaped(text: object, limit: int = 200) -> str:
    r"""Return text from anywhere as HTML: no markup, no control characters, of bounded length.

    Examples
    --------
    >>> escaped("<script>\x1b[31m")
    '&lt;script&gt;\\x1b[31m'
    """
    return html.escape(printable(text, limit))


def card(title: str, *parts: str) -> str:
    """Return what a notebook shows of an object: a title, which is text, and pieces of HTML."""
    head = f'<style>{STYLE}</style><div class="ac-title">{escaped(title, 400)}</div>'
    return f'<div class="ac">{head}{"".join(parts)}</div>'


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> str:
    """Return a table of texts, None as nothing; the columns in ``right`` align to the right."""
    kinds = [' class="n"' if column in right else "" for column in columns]
    head = "".join(f'<th scope="col"{k}>{escaped(c, 60)}</th>' for k, c in zip(kinds, columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{_cell(cell)}</td>" for k, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return "" if value is None else escaped(value, 200)


def facts(lines: Mapping[str, object]) -> str:
    """Return labelled lines."""
    body = "".join(
        f'<tr><th scope="row">{escaped(label, 60)}</th><td>{escaped(value, 600)}</td></tr>'
        for label, value in lines.items()
    )
    return f"<table><tbody>{body}</tbody></table>"


def details(title: str, *parts: str, is_open: bool = False) -> str:
    """Return pieces of HTML that unfold below a title, which is text."""
    state = " open" if is_open else ""
    return f"<details{state}><summary>{escaped(title, 200)}</summary>{''.join(parts)}</details>"


def preformatted(text: str, limit: int = 20_000) -> str:
    """Return lines of text as they are."""
    shown = text if len(text) <= limit else text[:limit] + "\n..."
    return f"<pre>{html.escape(chr(10).join(printable(line, 2000) for line in shown.split(chr(10))))}</pre>"
