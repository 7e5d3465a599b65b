"""Every rule by its id: what is wrong, why it matters, an example, and what to do.

Rule ids are stable: scripts match them, baselines store them, and an id that a release
has given out is never used for anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ann_ckpt.errors import OptionError

__all__ = ["RULES", "Rule", "Severity"]


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    """Nothing in the file is applied."""
    WARNING = "warning"
    """The file is applied; somebody should look."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong."""

    id: str
    name: str
    """Short and stable, in lower case with hyphens."""
    title: str
    """One sentence for lists of rules."""
    why: str
    """Why it matters."""
    wrong: str
    """An example of what is reported."""
    mend: str
    """What to do about it."""
    severity: Severity = Severity.ERROR
    status: int = 1
    """Exit status of an error of this rule."""


def _table(*rules: Rule) -> dict[str, Rule]:
    table: dict[str, Rule] = {}
    for rule in rules:
        if rule.id in table:
            raise OptionError(f"the rule {rule.id} is defined twice")
        table[rule.id] = rule
    return table


RULES = _table(
    Rule(
        "P001",
        "syntax",
        "The text is not well formed.",
        "Readers disagree on what a broken file says, and none reads what comes after the fault.",
        '{"network": {"seed": 7,}}',
        "Mend the text at the place named; one fault can hide others behind it.",
    ),
    Rule(
        "P002",
        "encoding",
        "The bytes are not UTF-8.",
        "Names with other letters than ASCII would differ from machine to machine.",
        "a file saved as UTF-16 or Latin-1",
        "Save the file as UTF-8.",
    ),
    Rule(
        "P003",
        "byte-order-mark",
        "The file begins with a byte-order mark.",
        "Many readers, Python's among them, refuse the file or read a wrong first name.",
        "a file that Windows Notepad saved as 'UTF-8 with BOM'",
        "Save the file as UTF-8 without a byte-order mark.",
    ),
    Rule(
        "P004",
        "empty",
        "The file holds nothing.",
        "An empty file is what a failed download or an interrupted editor leaves.",
        "a file of 0 bytes",
        "Write the sections, or {} for a file that changes nothing.",
    ),
    Rule(
        "P005",
        "too-large",
        "The file is larger than any parameter file needs to be.",
        "It is more likely another kind of file, and reading it would take memory for nothing.",
        "a file of more than 32 MiB",
        "Keep values per neuron or synapse in a checkpoint.",
    ),
    Rule(
        "P006",
        "too-deep",
        "Objects and arrays are nested too deeply.",
        "Parameters need five levels; thousands make readers fail.",
        '{"network": [[[[ ... 33 levels ... ]]]]}',
        "Remove levels; values stand at the third level, arrays have the axes of their population.",
    ),
    Rule(
        "P007",
        "duplicate-key",
        "A name stands twice in one object.",
        "Most readers silently keep the last value, people read the first.",
        '{"tau": 10.0, "tau": 20.0}',
        "Remove one of them.",
    ),
    Rule(
        "P008",
        "not-finite",
        "NaN and Infinity are no JSON numbers.",
        "Other readers refuse the file, and NaN passes every comparison with a bound.",
        '{"tau": NaN}',
        "Give a finite number, or leave the name out.",
    ),
    Rule(
        "P009",
        "number-overflow",
        "A number is beyond the range of a double.",
        "It would be read as infinity.",
        '{"tau": 1e999}',
        "Give a number below 1.8e308.",
    ),
    Rule(
        "P010",
        "number-too-long",
        "A number has more digits than any number needs.",
        "Time to convert it grows with the square of its length.",
        "a number of more than 400 characters",
        "17 digits hold every double exactly.",
    ),
    Rule(
        "P011",
        "not-an-object",
        "The top level, or what --at names, is not an object.",
        "Values are found by the names of sections.",
        "[1, 2, 3]",
        'Write an object: {"populations": {...}}.',
    ),
    Rule(
        "P012",
        "broken-text",
        "A text holds half of a surrogate pair.",
        "It cannot be written as UTF-8, so no report and no file could repeat it.",
        r'{"network": {"name": "\ud800"}}',
        r"Write both halves (\ud83d\ude00) or the character itself.",
    ),
    Rule(
        "P013",
        "yaml-feature",
        "An alias, anchor, tag, merge key or second document in YAML.",
        "With them one place of a file changes another, and JSON has no such thing.",
        "base: &base {tau: 10}",
        "Write the values out; compose files before, with hydra or OmegaConf.",
    ),
    Rule(
        "P014",
        "xml-structure",
        "The XML does not have the form of a parameter file.",
        "Only <database><parameter><name/><value/></parameter></database> is known.",
        "<database><tau>10</tau></database>",
        "Write one parameter element with name and value for each value.",
    ),
    Rule(
        "P015",
        "xml-entity",
        "A document type or entity in XML.",
        "Entities read other files and can grow to gigabytes.",
        '<!DOCTYPE d [<!ENTITY x "10">]>',
        "Remove the document type and write the values out.",
    ),
    Rule(
        "P016",
        "schema-file",
        "The file is a JSON Schema, not a parameter file.",
        "A glob or a hook has caught the wrong file, and nothing of it was checked.",
        "ann-ckpt params validate params.schema.json",
        "Name the parameter files; globs leave out *.schema.json by themselves.",
    ),
    Rule(
        "P017",
        "too-many",
        "The file has more names, objects and arrays, or values in arrays, than any parameter file needs.",
        "They take many times as much memory as they do text.",
        '{"network": [[],[],[], ... ]}',
        "Split the file, or keep such values in a checkpoint.",
    ),
    Rule(
        "P101",
        "unknown-section",
        "The file has a section that there is not.",
        "Nothing in it would ever reach the network.",
        '{"population": {"input": {"tau": 10.0}}}',
        "Sections are populations, projections, network and constants.",
    ),
    Rule(
        "P102",
        "unknown-population",
        "The network has no population of that name.",
        "ANNarchy would give the values to another population.",
        '{"populations": {"inptu": {"tau": 10.0}}}',
        "Mend the name; after renaming in the model, write the schema again.",
    ),
    Rule(
        "P103",
        "unknown-projection",
        "The network has no projection of that name.",
        "The values would be lost or reach another projection.",
        '{"projections": {"foward": {"eta": 0.1}}}',
        "Mend the name; give projections a name in the model, numbers change.",
    ),
    Rule(
        "P104",
        "unknown-parameter",
        "The population or projection has no parameter of that name.",
        "The simulation would run with the model's own value.",
        '{"populations": {"input": {"tua": 10.0}}}',
        "Mend the name; a variable of the model is not a parameter.",
    ),
    Rule(
        "P105",
        "unknown-constant",
        "The network has no constant of that name.",
        "The simulation would run with the model's own value.",
        '{"constants": {"baselin": 0.5}}',
        "Mend the name, or move a value for your script to the section network.",
    ),
    Rule(
        "P106",
        "missing-name",
        "The schema requires a name that is missing.",
        "A group asked for it to be given in every file.",
        '{"network": {}} where the schema requires network.seed',
        "Add the name.",
    ),
    Rule(
        "P107",
        "unknown-name",
        "The schema allows no such name there.",
        "It would not be read by anybody.",
        '{"network": {"sede": 7}} where the schema lists the names',
        "Mend the name, or add it to the schema.",
    ),
    Rule(
        "P201",
        "type",
        "The value has another type; nothing is converted.",
        "What a simulator makes of a text or bool in place of a number differs from version to version.",
        '{"tau": "1e3"}',
        "Write numbers without quotes, and true or false for a bool.",
    ),
    Rule(
        "P202",
        "length",
        "An array has another length than the network.",
        "Values would belong to other neurons than meant.",
        '{"noise": [0.1, 0.2]} for a population of 4',
        "Give one number for all, one value each, or an array with the axes of the population.",
    ),
    Rule(
        "P203",
        "c-range",
        "The value is beyond the range of the parameter's C type.",
        "The generated code would store another number.",
        '{"refractory": 3000000000} for an int',
        "Give a number within the range, or change the type in the model.",
    ),
    Rule(
        "P204",
        "bounds",
        "The value is beyond the bounds that the model declares.",
        "The model says that it means nothing there.",
        '{"tau": -5.0} where the model has min=0.1',
        "Give a value within the bounds.",
    ),
    Rule(
        "P205",
        "not-allowed",
        "The value is none of those allowed.",
        "The schema lists what is known.",
        '{"format_version": 2}',
        "Give one of the values that the message lists.",
    ),
    Rule(
        "P206",
        "schema",
        "The schema asks for something else.",
        "A schema written by hand asks for more than types and names.",
        'a text shorter than "minLength"',
        "Look at the keyword of the schema that the message names.",
    ),
    Rule(
        "P207",
        "unit",
        "A quantity whose unit is unknown, does not fit, or is not stated by the model.",
        "10 s and 10 ms differ by a thousand, and a conductance is not a time.",
        '{"tau": "10 mV"} where the model says ms',
        "Give a unit of the model's dimension, or a plain number in the model's unit.",
    ),
    Rule(
        "P208",
        "model-rule",
        "A rule between values does not hold.",
        "Each value is fine, and together they mean nothing.",
        '{"w_min": 2.0, "w_max": 1.0} with the rule w_min <= w_max',
        "Change one of the values that the message names.",
    ),
    Rule(
        "P301",
        "locality",
        "The parameter has one value per neuron, dendrite or synapse.",
        "With global_only=True, ANNarchy's default, it is not loaded.",
        '{"noise": 0.5} with --global-only',
        "Leave it out, or load the file with global_only=False.",
    ),
    Rule(
        "P401",
        "inexact",
        "The number changes when the network stores it.",
        "The network runs with another number than the file shows.",
        '{"refractory": 16777217} for a float, or 1e-400',
        "Write the number that the type can hold.",
        Severity.WARNING,
    ),
    Rule(
        "P402",
        "looks-like",
        "A YAML text that other readers take for a number or bool.",
        "YAML 1.1 reads on, yes, 0x10 and 1_000 in its own way.",
        "armed: yes",
        "Write true or false, a plain number, or quote the text.",
        Severity.WARNING,
    ),
    Rule(
        "P403",
        "variable",
        "The name is a variable, which no parameter file sets.",
        "ANNarchy writes global variables into its files and never reads them back.",
        '{"populations": {"input": {"phase": 0.3}}}',
        "Remove it; set variables in the script.",
        Severity.WARNING,
    ),
    Rule(
        "P404",
        "general-form",
        "The file was checked against the general form only: no schema of a network.",
        "A misspelt population or parameter passes.",
        '{"populations": {"inptu": {"tau": 10.0}}} without "$schema"',
        'Name the schema under "$schema", in the first line of YAML, or with --schema or --checkpoint.',
        Severity.WARNING,
    ),
    Rule(
        "P405",
        "constants-unknown",
        "The source of the network kept no constants, so their names are not checked.",
        "Old files of ANNarchy hold none; the checkpoint was converted from one.",
        '{"constants": {"gain": 2.0}} against a converted checkpoint',
        "Save a checkpoint from the running network and take its schema.",
        Severity.WARNING,
    ),
    Rule(
        "P501",
        "schema-unusable",
        "The schema cannot be used.",
        "Nothing of the network was checked.",
        '{"$schema": "./missing.schema.json"}',
        "Mend the path or the schema; nothing is fetched from the net.",
        status=4,
    ),
    Rule(
        "P502",
        "checkpoint-unusable",
        "The checkpoint cannot be used.",
        "Nothing of the network was checked.",
        "--checkpoint old.data",
        "Name a checkpoint; ann-ckpt convert makes one from an old file.",
        status=4,
    ),
    Rule(
        "P503",
        "rule-unusable",
        "A rule between values cannot be evaluated.",
        "A rule that is never evaluated checks nothing.",
        'check = "tau >" or a name that the network does not have',
        "Mend the rule in the configuration or the schema.",
        status=4,
    ),
    Rule(
        "P601",
        "unreadable",
        "The file is missing or cannot be read.",
        "Nothing of it was checked.",
        "ann-ckpt params validate missing.json",
        "Mend the name; a quoted glob has to match at least one file.",
        status=3,
    ),
)
"""Every rule by its id, in order."""
