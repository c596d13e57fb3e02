"""How an option is declared, and read from its declaration: once, as an annotated field.

    n_init: Annotated[int, Ge(1), Help("Starts", "raced on a sample of rows")] = 1

Bounds are those of `annotated_types`, which pydantic and others know. Whatever shows or takes
options (files, the command line, forms, the estimator) goes over `options_of` a section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

BOUNDS = {"ge": " from {} up", "gt": " above {}", "le": " up to {}", "lt": " below {}"}
"""In words, by the name that `annotated_types` has for them."""
NONE = "none"
"""What stands for None where people write it: neither TOML nor a command line has a word for it."""


@dataclass(frozen=True)
class Help:
    """A title, for forms, and a sentence; `flag` is a short one of the command line."""

    title: str
    text: str
    flag: str | None = None

    @property
    def sentence(self) -> str:
        """The text, as it begins where it stands alone."""
        return self.text[:1].upper() + self.text[1:]


@dataclass(frozen=True)
class Sklearn:
    """What scikit-learn calls it, and its default there where that is another."""

    name: str
    default: Any = ...


@dataclass(frozen=True)
class Said:
    """Values of other types that may be given for text, and the text that they stand for."""

    text: Callable[[Any], str | None]
    kinds: tuple[type, ...]


@dataclass(frozen=True)
class OneOf:
    """One of some names, which are asked for when they are needed: more may be registered.

    With `others`, also what these words say; `also` are words that a form takes beside them.
    """

    names: Callable[[], tuple[str, ...]]
    others: str | None = None
    also: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """All words that are taken, where these are all."""
        return (*self.names(), *self.also)

    def __str__(self) -> str:
        return f"one of {', '.join([*self.known, *filter(None, [self.others])])}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        shown = handler(schema)
        if self.others is None:
            words = next((one for one in shown.get("anyOf", ()) if "type" in one), shown)
            words["enum"] = list(self.known)
        return shown

    def _checked(self, value: str | None) -> str | None:
        if value is not None and self.others is None and value not in self.known:
            raise ValueError(str(self))
        return value


@dataclass(frozen=True)
class Option:
    """A field of a section, with all that its declaration says."""

    name: str
    hint: Any
    default: Any
    help: Help
    bounds: Mapping[str, Any]
    one_of: OneOf | None
    sklearn: Sklearn
    said: Said | None = None

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING

    @property
    def optional(self) -> bool:
        """Whether None is a value of it."""
        return NoneType in _alternatives(self.hint)

    @property
    def kind(self) -> Any:
        """Its type, beside None."""
        (kind,) = (one for one in _alternatives(self.hint) if one is not NoneType)
        return kind

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it can be, where these are all; none where there is no end of them."""
        kind, one_of = self.kind, self.one_of
        if self.several:
            kind = get_args(kind)[0]
        if get_origin(kind) is Annotated:
            one_of = next(_of(OneOf, kind.__metadata__), None)
        if get_origin(kind) is Literal:
            return get_args(kind)
        return () if one_of is None or one_of.others is not None else one_of.known

    @property
    def several(self) -> bool:
        """Whether it is a list of words."""
        return get_origin(self.kind) is tuple

    def expected(self, none: str) -> str:
        """What it must be; `none` is what None is called where it is said."""
        return " or ".join([_told(self), *[none] * self.optional])


@cache
def options_of(section: Any) -> tuple[Option, ...]:
    """The options of a section, in order: the fields that are annotated."""
    hints = get_type_hints(section, include_extras=True)
    return tuple(_option(one, hints[one.name]) for one in fields(section) if _is_option(hints, one))


def sections_of(whole: type) -> Mapping[str, type]:
    """The sections of which something is made, by the names of their fields."""
    hints = get_type_hints(whole, include_extras=True)
    return {f.name: hints[f.name] for f in fields(whole) if is_dataclass(hints[f.name])}


def default_of(one: Field[Any]) -> Any:
    """The default of a field of a dataclass; MISSING where it has none."""
    return one.default if one.default_factory is MISSING else one.default_factory()


def not_default(section: Any) -> dict[str, Any]:
    """The values of a section that are not as they are without a word."""
    return {
        one.name: value
        for one in fields(section)
        if (value := getattr(section, one.name)) != default_of(one)
    }


def _is_option(hints: Mapping[str, Any], field: Field[Any]) -> bool:
    return get_origin(hints[field.name]) is Annotated


def _option(field: Field[Any], annotated: Any) -> Option:
    hint, *said = get_args(annotated)
    named = next(_of(Sklearn, said), Sklearn(field.name))
    return Option(
        field.name,
        hint,
        default_of(field),
        next(_of(Help, said)),
        {name: getattr(one, name) for one in said for name in BOUNDS if hasattr(one, name)},
        next(_of(OneOf, said), None),
        named,
        next(_of(Said, said), None),
    )


def _of(kind: type, said: Iterable[Any]) -> Iterator[Any]:
    return (one for one in said if isinstance(one, kind))


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _told(option: Option) -> str:
    if option.one_of is not None:
        return str(option.one_of)
    kind, origin = option.kind, get_origin(option.kind)
    if option.several:
        return f"a list of {', '.join(option.choices) or 'names'}"
    if origin is Literal:
        return " or ".join(get_args(kind))
    plain = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    if kind in plain:
        bounds = (BOUNDS[name].format(value) for name, value in option.bounds.items())
        return plain[kind] + " and".join(bounds)
    return "a table of names and values"
