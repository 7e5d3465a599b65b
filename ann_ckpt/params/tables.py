"""The parameters of a network as a table: for a paper's appendix, or to look at."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import printable
from ann_ckpt.params.description import NetworkDescription, ParameterDescription
from ann_ckpt.params.plan import Change

__all__ = ["TABLES", "Row", "rows_of"]

Row = tuple[str, str, str, str, str]
"""Owner, parameter, value, unit and description."""

_HEAD: Row = ("Object", "Parameter", "Value", "Unit", "Description")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
}  # fmt: skip


def rows_of(network: NetworkDescription, changes: Sequence[Change] = ()) -> list[Row]:
    """Return a row for every parameter and constant, in the order of the network.

    Parameters
    ----------
    network : NetworkDescription
        Where names, units and descriptions come from, and the values that nobody changes.
    changes : sequence of Change
        Values of a parameter file, which go before those of the network.
    """
    changed = {change.path: change.values for change in changes}
    return [
        (
            printable(owner, 200),
            printable(parameter.name, 200),
            _value(parameter, np.asarray(changed.get(path, parameter.values))),
            printable(parameter.info.unit, 60),
            printable(parameter.info.description, 500),
        )
        for owner, path, parameter in _parameters(network)
    ]


def _parameters(network: NetworkDescription) -> Iterator[tuple[str, tuple[str, ...], ParameterDescription]]:
    for owner in network.objects():
        for parameter in owner.parameters.values():
            yield owner.name, (owner.section, owner.name, parameter.name), parameter
    for constant in network.constants.values():
        yield "constants", ("constants", constant.name), constant


def _value(parameter: ParameterDescription, values: NDArray[Any]) -> str:
    """Return one value as its digits, many by their range."""
    if not values.size:
        return "none"
    least, most = values.min(), values.max()
    if parameter.is_global or least == most:
        return _digits(parameter, values.reshape(-1)[0])
    return f"{_digits(parameter, least)} to {_digits(parameter, most)}"


def _digits(parameter: ParameterDescription, value: Any) -> str:
    plain = parameter.ctype.from_numpy(np.asarray(value))
    return str(value if plain is None else plain)


def _markdown(rows: Sequence[Row]) -> str:
    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row) + " |\n"

    return line(_HEAD) + "|" + " --- |" * len(_HEAD) + "\n" + "".join(map(line, rows))


def _latex(rows: Sequence[Row]) -> str:
    def line(row: Sequence[str]) -> str:
        return " & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in row) + r" \\" + "\n"

    body = "".join(map(line, rows))
    return (
        "\\begin{tabular}{lllll}\n\\hline\n" + line(_HEAD) + "\\hline\n" + body + "\\hline\n\\end{tabular}\n"
    )


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    # A spreadsheet takes a cell that begins so for a formula.
    writer.writerows([f"'{cell}" if cell[:1] in {"=", "@"} else cell for cell in row] for row in rows)
    return text.getvalue()


TABLES: Mapping[str, Callable[[Sequence[Row]], str]] = MappingProxyType(
    {"markdown": _markdown, "latex": _latex, "csv": _csv}
)
"""The text of a table in each form."""
