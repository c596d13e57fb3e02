"""Options of commands: made from the declarations in `gmm_dask.settings`, and a few beside these.

    @takes(Configuration, RowOptions)
    def command(source: str, json: Json = False, **given: Any) -> None: ...

has an option for every field of both; what was given of them is in `given`, by name.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from functools import cache, partial, wraps
from math import isfinite
from typing import Annotated, Any

import typer

from gmm_dask.settings.declaration import NONE, Option, options_of, sections_of
from gmm_dask.settings.job import Job

LogFormat = StrEnum("LogFormat", ["text", "json"])

Source = Annotated[
    str, typer.Argument(help="Path or URL of a Zarr array or group, or a .npy file.")
]
Model = Annotated[
    str, typer.Argument(help="A model, a run folder that holds one, or a folder of versions.")
]
Run = Annotated[str, typer.Argument(help="A run folder: a path or URL.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
ChunkRows = Annotated[
    int | None, typer.Option(min=1, help="Rows per chunk (default about 8 MB of them).")
]
Restart = Annotated[bool, typer.Option("--restart", help="Begin anew; an old run is kept aside.")]
Config = Annotated[
    str | None,
    typer.Option(help="TOML file of a fit, or a run folder; other options override it."),
]

PANELS: Mapping[str, str] = {
    "Job": "Run",
    "Configuration": "Mixture",
    "RowOptions": "Rows",
    "ClusterOptions": "Cluster",
    "RefitOptions": "Decision",
}
"""Headings of the help, by the class of a section."""

Command = Callable[..., None]

EXAMPLE = """'{"queue": "long"}'"""


def takes(
    *sections: type, but: Collection[str] = (), only: Collection[str] | None = None
) -> Callable[[Command], Command]:
    """Options of these sections for a command, in place of its `**given`."""

    def made(command: Command) -> Command:
        @wraps(command)
        def run(**values: Any) -> None:
            command(**values)

        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.kind is not p.VAR_KEYWORD]
        parameters += _parameters(sections, but, only)
        parameters.sort(key=lambda p: p.name == "json")  # last, as everywhere
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return made


def _parameters(
    sections: Collection[type], but: Collection[str], only: Collection[str] | None
) -> Iterator[inspect.Parameter]:
    made = set(but)
    for section in sections:
        for option in options_of(section):
            if option.name not in made and (only is None or option.name in only):
                made.add(option.name)
                yield inspect.Parameter(
                    option.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=None,
                    annotation=_annotated(section, option.name),
                )


@cache
def _annotated(section: Any, name: str) -> Any:
    """An option as Typer takes it, made once for all commands that have it."""
    (option,) = (one for one in options_of(section) if one.name == name)
    return _annotation(option, PANELS.get(section.__name__))


def _annotation(option: Option, panel: str | None) -> Any:
    flags = (f"--{option.name.replace('_', '-')}", *filter(None, [option.help.flag]))
    shown: Any = partial(typer.Option, *flags, help=_help(option), rich_help_panel=panel)
    if option.kind is bool:
        switch = typer.Option(help=_help(option), rich_help_panel=panel)
        return Annotated[bool | None, switch]
    none_is_said = option.optional and option.default is not None
    if option.kind in (int, float) and not none_is_said:
        return Annotated[option.kind | None, shown(**limits(option))]
    kind: Any = list[str] | None if option.several else str | None
    words = Words(option)
    return Annotated[kind, shown(parser=words, metavar=words.metavar)]


def _help(option: Option) -> str:
    text, value = option.help.sentence, option.default
    if option.required or value is None or value is False or value == {}:
        return f"{text}."
    shown = f"{value:g}" if isinstance(value, float) else value
    return f"{text} (default {','.join(shown) if isinstance(shown, tuple) else shown})."


def limits(option: Option) -> dict[str, Any]:
    """The bounds of a number, as Typer takes them: whether they are in is for the check to say."""
    bounds = {name: value for name, value in option.bounds.items() if isfinite(value)}
    ends = {"min": ("ge", "gt"), "max": ("le", "lt")}
    return {end: bounds[n] for end, names in ends.items() for n in names if n in bounds}


class Words:
    """What a person writes for an option: text, names with commas, "none", or a JSON object."""

    def __init__(self, option: Option) -> None:
        self.option = option
        words = [*option.choices, *[NONE] * (option.optional and bool(option.choices))]
        kinds = {float: f"NUMBER|{NONE}", str: "TEXT"}
        usual = "NAMES" if option.several else kinds.get(option.kind, "JSON")
        self.metavar = (",".join(words) if option.several else "|".join(words)) or usual
        self.__name__ = self.metavar

    def __call__(self, text: str) -> Any:
        """The value as a TOML file would have it; refused at once where it is none."""
        option = self.option
        if option.several:
            return ",".join(self._known(name) for name in names(text))
        if text == NONE and option.optional:
            return text
        if option.kind is float:
            return self._number(text)
        return self._object(text) if self.metavar == "JSON" else self._known(text)

    def _known(self, text: str) -> str:
        if self.option.choices and text not in self.option.choices:
            raise typer.BadParameter(f"{text!r} is not one of {self.metavar}")
        return text

    def _number(self, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            expected = self.option.expected(NONE)
            raise typer.BadParameter(f"{text!r} is not {expected}") from None

    def _object(self, text: str) -> dict[str, Any]:
        try:
            made = json.loads(text)
        except ValueError:
            made = None
        if not isinstance(made, dict):
            raise typer.BadParameter(f"{text!r} is no JSON object: write {EXAMPLE}")
        return made


def names(text: str) -> tuple[str, ...]:
    """`a,b,c` as three names."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def given_of(section: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of a section's options; lists as often as they were."""
    return {
        option.name: names(",".join(value)) if option.several else value
        for option in options_of(section)
        if (value := given.get(option.name)) not in (None, [])
    }


def job_values(given: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What was given of a job, by section; `more` are values of the job itself."""
    sections = {name: given_of(section, given) for name, section in sections_of(Job).items()}
    return {**given_of(Job, given), **more, **sections}
