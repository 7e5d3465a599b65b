"""Evaluating a schema: jsonschema says what is wrong, jsonschema-rs whether anything is.

The fast engine answers the common question, whether a file is clean, in a hundredth of
the time. Only where it says no is the file evaluated again by jsonschema, which alone
decides what a finding is about. So both find the same, by construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from ann_ckpt.errors import MissingExtraError, OptionError
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.params.text.document import Path

__all__ = ["ENGINES", "Engine", "Failure"]

ENGINES = ("auto", "jsonschema", "jsonschema-rs")
"""Names of the engines; ``auto`` is the fast one where it is installed."""


class Failure(NamedTuple):
    """A value that a keyword of the schema refuses."""

    path: Path
    keyword: str
    """Empty where the schema is plainly false."""
    schema: Any
    """The subschema that the keyword stands in."""
    value: Any


class Engine:
    """Evaluates one schema, any number of times.

    Parameters
    ----------
    schema : Schema
        Vetted; nothing in it leads out of it.
    name : {"auto", "jsonschema", "jsonschema-rs"}
        Which library answers first.

    Raises
    ------
    MissingExtraError
        If ``jsonschema-rs`` is asked for and not installed.
    """

    def __init__(self, schema: Schema, name: str = "auto") -> None:
        if name not in ENGINES:
            raise OptionError(f"engine is {name!r}", details={"expected": ", ".join(ENGINES)})
        self._document = {k: v for k, v in schema.document.items() if k != "$id"}
        self._draft = schema.draft
        self._fast = None if name == "jsonschema" else self._fast_validator(required=name != "auto")

    def failures(self, value: Any) -> Iterator[Failure]:
        """Yield everything in ``value`` that the schema refuses, in the schema's order."""
        if self._fast is None or not self._fast.is_valid(value):
            yield from map(_failure, self._thorough.iter_errors(value))

    def failures_under(self, schema: Any, value: Any) -> Iterator[Failure]:
        """Yield what one subschema of the document refuses in ``value``."""
        yield from map(_failure, self._thorough.evolve(schema=schema).iter_errors(value))

    @cached_property
    def _thorough(self) -> Any:
        # Importing jsonschema takes longer than checking a clean file.
        from ann_ckpt.params.schema.thorough import validator_for

        return validator_for(self._document, self._draft)

    def _fast_validator(self, *, required: bool) -> Any:
        try:
            import jsonschema_rs
        except ImportError as error:
            if not required:
                return None
            raise MissingExtraError(
                "the engine jsonschema-rs is not installed",
                details={"install": "pip install 'ann_ckpt[fast]'"},
            ) from error
        drafts = {"7": jsonschema_rs.Draft7Validator, "2020-12": jsonschema_rs.Draft202012Validator}
        return drafts[self._draft](self._document)


def _failure(error: Any) -> Failure:
    keyword = error.validator if isinstance(error.validator, str) else ""
    return Failure(tuple(error.path), keyword, error.schema, error.instance)
