"""Parameter files of a network of ten thousand populations: checked, and their schema written."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from ann_ckpt import AttributeInfo, NetworkState, PopulationState, TypeInfo
from ann_ckpt.params import Schema, load, save_parameters, schema_for, validate
from ann_ckpt.params.schema.generate import dump_json
from benchmarks.harness import Case, Contender, Goal, Role, Scale

__all__ = ["cases"]

_MEGABYTE = 1_000_000
_NAMES = ("tau", "a", "b", "c")
_PLAIN, _FAST = "ann_ckpt (jsonschema)", "ann_ckpt (jsonschema-rs)"
_WRITING = "ann_ckpt"


def cases(scale: Scale) -> list[Case]:
    """Checking a valid file against a generated schema, and generating that schema."""
    count = 100 if scale.name == "tiny" else 10_000
    what = f"{count:,} populations of {len(_NAMES)} parameters"
    return [
        Case(
            "parameters/validate",
            f"Parameter files: check a valid file and the schema itself, {what}",
            partial(_validating, count),
            goals=(
                Goal(text="under 5 s with jsonschema", what=_PLAIN, at_most=5.0),
                Goal(text="under 1 s with jsonschema-rs", what=_FAST, at_most=1.0),
                *(
                    Goal(text=f"under 500 MB of memory: {name}", what=name, of="memory", at_most=500e6)
                    for name in (_PLAIN, _FAST)
                ),
            ),
        ),
        Case(
            "parameters/schema",
            f"Parameter files: generate and write the schema, {what}",
            partial(_generating, count),
            goals=(Goal(text="at most 1 MB", what=_WRITING, of="file", at_most=_MEGABYTE),),
        ),
    ]


def _network(count: int) -> NetworkState:
    """Return populations of one type, every value of every parameter another."""
    declared = {name: AttributeInfo("double", "One of four", "mV", minimum=0.0) for name in _NAMES}
    neuron = TypeInfo("LIF", attributes=declared)
    return NetworkState(
        populations=[
            PopulationState(f"pop{i}", (10,), parameters=dict.fromkeys(_NAMES, i + 0.5), neuron_type=neuron)
            for i in range(count)
        ]
    )


def _validating(count: int, folder: Path) -> list[Contender]:
    schema, file = folder / "net.schema.json", folder / "params.json"

    @cache
    def prepare() -> None:
        network = _network(count)
        schema.write_text(dump_json(schema_for(network)))
        save_parameters(file, network=network)

    def ours(engine: str) -> Any:
        return validate(load(file), Schema.load(schema), engine=engine)

    def contender(name: str, run: Callable[[], Any], role: Role, *needs: str) -> Contender:
        return Contender(name, run, role=role, prepare=prepare, check=_nothing_found, needs=needs)

    return [
        contender(_PLAIN, partial(ours, "jsonschema"), Role.OURS),
        contender(_FAST, partial(ours, "jsonschema-rs"), Role.OURS, "jsonschema-rs"),
        contender(
            "check-jsonschema", partial(_check_jsonschema, schema, file), Role.PEER, "check-jsonschema"
        ),
    ]


def _check_jsonschema(schema: Path, file: Path) -> list[str]:
    """Run the program in this process, so that no start of Python is counted; [] if all is well."""
    from check_jsonschema import main
    from click.testing import CliRunner

    done = CliRunner().invoke(main, ["--schemafile", str(schema), str(file)])
    return [] if done.exit_code == 0 else [done.output]


def _nothing_found(found: Any) -> None:
    if found:
        raise ValueError(f"a valid file has findings: {found[:3]}")


def _generating(count: int, folder: Path) -> list[Contender]:
    network = cache(lambda: _network(count))
    schema = folder / "net.schema.json"
    return [
        Contender(
            _WRITING,
            lambda: schema.write_text(dump_json(schema_for(network()))),
            role=Role.OURS,
            before=network,
            product=schema,
        )
    ]
