"""A plugin's keyword-only parameters as typed options, for help, the command line and Python alike."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cnnvis.errors import UserError, nearest, shown
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.arguments import Style
from cnnvis.registry.bounds import Bound, Form, Grant, Help, Named
from cnnvis.registry.failures import as_plugin_error
from cnnvis.registry.plugin import Plugin


@dataclass(frozen=True)
class Option:
    """Option of a plugin.

    Attributes
    ----------
    name
        The name of the parameter.
    annotation
        The type of the option, without the mark of options that let code run and without help.
    default
        The value if none is given.
    docstring
        The docstring of the function.
    grants
        True where the option lets code run: no file and no variable may set such an option.
    type_help
        The help that its type has; None for most types.
    """

    name: str
    annotation: Any
    default: Any
    docstring: str
    grants: bool = False
    type_help: Help | None = None

    @property
    def help(self) -> str:
        """Help for the option from the function's docstring and its type, in one line."""
        own = _parameter_texts(self.docstring).get(self.name, "")
        return own if self.type_help is None else self.type_help.after(own)

    @property
    def flag(self) -> str:
        """Flag of the option: ``grad_modifier`` is ``--grad-modifier``."""
        return "--" + self.name.strip("_").replace("_", "-")

    @property
    def is_on_by_default(self) -> bool:
        """True where the option is on unless somebody types ``--no-`` and its name."""
        return self.annotation is bool and bool(self.default)

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of the option, in all spellings."""
        off = f"--no-{self.flag.removeprefix('--')}"
        return (self.flag, off) if self.is_on_by_default else (self.flag,)

    @property
    def names_kind(self) -> str | None:
        """Kind of the plugins that the option names; None for other options."""
        marks = get_args(self.annotation) if get_origin(self.annotation) is Annotated else ()
        return next((one.kind for one in marks if isinstance(one, Named)), None)

    @property
    def choices(self) -> tuple[object, ...]:
        """Values that a Literal allows, None among them if the option may be None; else empty."""
        return _choices(self.annotation)

    @property
    def words(self) -> int | str | None:
        """Number of words of a typed value: one (None), that many, or ``+``."""
        for member in _members(self.annotation):
            if get_origin(member) is tuple:
                members = get_args(member)
                return "+" if Ellipsis in members else len(members)
        return None

    @property
    def default_text(self) -> str:
        """Default as it would be typed."""
        if isinstance(self.default, tuple):
            return " ".join(map(str, self.default))
        return "none" if self.default is None else str(self.default)

    @property
    def type(self) -> str:
        """Type in words: ``int``, ``int >= 1``, ``float float``, ``guided | none``."""
        return _type_name(self.annotation)


def options_of(plugin: Plugin) -> tuple[Option, ...]:
    """Return the options of a plugin, read from its function.

    Raises
    ------
    TypeError
        If a keyword-only parameter has no annotation or no default, or an annotation whose values
        cannot be typed: the plugin's author must correct it, since neither help nor checks could be
        made for the option.
    """
    return _options_of(plugin.function)


def flag_of(plugin: Plugin, option: Option) -> str:
    """Return the flag in ``cnnvis run``: a technique's own, or one with the plugin's name."""
    if not KINDS[plugin.kind].is_beside:
        return option.flag
    return f"--{plugin.name}.{option.flag.removeprefix('--')}"


def paper_text(plugin: Plugin) -> str:
    """Return the options that the paper's style stands for, as they would be typed."""
    return " and ".join(
        f"{option.flag} {replace(option, default=plugin.paper[option.name]).default_text}"
        for option in options_of(plugin)
        if option.name in plugin.paper
    )


@functools.cache
def _options_of(function: Callable[..., Any]) -> tuple[Option, ...]:
    docstring = inspect.getdoc(function) or ""
    options = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        annotation, default = _evaluated(function, parameter), parameter.default
        annotation, marks = _unmarked(annotation)
        if annotation is inspect.Parameter.empty or default is inspect.Parameter.empty:
            raise TypeError(f"option {name!r} of {function.__module__} needs a type and a default")
        if not _is_typable(annotation):
            raise TypeError(
                f"option {name!r} has the type {_type_name(annotation)}, and an option is a bool, "
                "int, float or str, a Literal or a tuple of these types, or one of these types or "
                "None"
            )
        grants = any(isinstance(mark, Grant) for mark in marks)
        helps = (mark for mark in marks if isinstance(mark, Help))
        options.append(Option(name, annotation, default, docstring, grants, next(helps, None)))
    return tuple(options)


def _unmarked(annotation: Any) -> tuple[Any, list[Grant | Help]]:
    """Return a type without what is no matter of its values, also of ``... | None``, and what that was."""
    if get_origin(annotation) in (Union, UnionType):
        members, marks = zip(*map(_unmarked, get_args(annotation)), strict=True)
        return Union[tuple(members)], [mark for some in marks for mark in some]  # noqa: UP007
    if get_origin(annotation) is not Annotated:
        return annotation, []
    base, *every = get_args(annotation)
    taken = [mark for mark in every if isinstance(mark, Grant | Help)]
    left = [mark for mark in every if not isinstance(mark, Grant | Help)]
    return Annotated.__class_getitem__((base, *left)) if left else base, taken


def _is_typable(annotation: Any) -> bool:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_typable(parts[0])
    if origin is Literal:
        return all(isinstance(value, str | int | float) for value in parts)
    if origin is tuple:
        return all(part is ... or _is_typable(part) for part in parts)
    if origin in (Union, UnionType):
        return all(_is_typable(part) for part in parts)
    return annotation in (bool, int, float, str, NoneType)


def _evaluated(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return a parameter's annotation, also if ``from __future__ import annotations`` made it text.

    Only options are evaluated: the other annotations may have names that are imported for types
    alone.
    """
    annotation = parameter.annotation
    if isinstance(annotation, str):
        names = vars(sys.modules[function.__module__])
        annotation = eval(annotation, dict(names))  # the plugin's own source text, nothing else's
    return annotation


@functools.cache  # read only when help is wanted: the parser takes its time to import
def _parameter_texts(docstring: str) -> dict[str, str]:
    """Return the text about each parameter in a NumPy-style docstring, in one line each."""
    from docstring_parser import DocstringStyle, parse

    texts: dict[str, str] = {}
    for entry in parse(docstring, DocstringStyle.NUMPYDOC).params:
        text = " ".join((entry.description or "").split())
        for name in entry.arg_name.split(","):
            texts[name.strip()] = text
    return texts


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _choices(annotation: Any) -> tuple[object, ...]:
    members = _members(annotation)
    found: list[object] = []
    for member in members:
        if get_origin(member) is Literal:
            found.extend(get_args(member))
    return (*found, None) if found and NoneType in members else tuple(found)


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        base, *bounds = get_args(annotation)
        form = next((one.words for one in bounds if isinstance(one, Form)), None)
        if form is not None:
            return form
        named = next((one.kind for one in bounds if isinstance(one, Named)), None)
        if named is not None:
            return " | ".join(
                f"{named} name" if one is str else _type_name(one) for one in _members(base)
            )
        signs = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
        within = [
            f"{sign} {getattr(bound, name):g}"
            for bound in bounds
            for name, sign in signs
            if getattr(bound, name, None) is not None
        ]
        return " ".join([_type_name(base), " and ".join(within)]).strip()
    if annotation is NoneType:
        return "none"
    if get_origin(annotation) is Literal:
        return " | ".join(str(value) for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        members = get_args(annotation)
        if members[-1] is Ellipsis:
            return f"{_type_name(members[0])} ..."
        return " ".join(_type_name(member) for member in members)
    members = _members(annotation)
    if len(members) > 1:
        return " | ".join(_type_name(member) for member in members)
    return str(getattr(annotation, "__name__", annotation))


def grants_of(plugin: Plugin) -> frozenset[str]:
    """Return the names of the options of a plugin that let code run."""
    return frozenset(option.name for option in options_of(plugin) if option.grants)


def not_default(plugin: Plugin, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options of a plugin, checked, but for those that have their default.

    Raises
    ------
    UserError
        As `checked` does.
    """
    defaults = checked(plugin, {})
    return {
        name: value for name, value in checked(plugin, values).items() if value != defaults[name]
    }


def checked(plugin: Plugin, values: Mapping[str, Any], style: Style = "default") -> dict[str, Any]:
    """Return all options of a plugin: the given values, checked and converted, and the defaults.

    Values may be text, as they are typed or stand in a variable: ``"3"`` for 3, ``"none"`` for None.

    Parameters
    ----------
    style
        The style in which techniques compute, on which defaults depend.

    Raises
    ------
    UserError
        If an option does not exist, a value is not of its type, or the plugin's own check refuses.
    """
    import msgspec

    options = {option.name: option for option in options_of(plugin)}
    for name in values:
        if name not in options:
            there = ", ".join(options) or "none"
            raise UserError(
                f"{plugin.name} has no option {name!r}.{nearest(name, options)} It has: {there}."
            )
    result = {name: option.default for name, option in options.items()}
    if style == "paper":
        result |= plugin.paper
    for name, value in values.items():
        option = options[name]
        try:
            kind = checkable(option.annotation)
            result[name] = msgspec.convert(
                _as_typed(_plain(value, option), option), kind, strict=False
            )
        except msgspec.ValidationError as error:
            hint = nearest(
                str(value), ["none" if one is None else str(one) for one in option.choices]
            )
            raise UserError(
                f"option {name} of {plugin.name} cannot be {shown(value)}: it takes {option.type}.{hint}"
            ) from error
    if plugin.check is not None:
        with as_plugin_error(plugin):
            plugin.check(**result)
    return result


def checkable(annotation: Any) -> Any:
    """Replace the bounds in a type, which do not need msgspec, by those of msgspec."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        metas = [_checkable_mark(one) for one in parts[1:]]
        return Annotated.__class_getitem__((checkable(parts[0]), *metas))
    if origin in (Union, UnionType):
        return Union[tuple(checkable(part) for part in parts)]  # noqa: UP007
    if origin is tuple:
        return GenericAlias(
            tuple, tuple(part if part is ... else checkable(part) for part in parts)
        )
    return annotation


def _checkable_mark(mark: Any) -> Any:
    """Return the mark of a type as msgspec has it."""
    import msgspec

    if isinstance(mark, Bound):
        return msgspec.Meta(**{key: one for key, one in vars(mark).items() if one is not None})
    return msgspec.Meta(pattern=mark.pattern) if isinstance(mark, Form) else mark


def _plain(value: Any, option: Option) -> Any:
    """Convert NumPy's values to plain numbers and lists, and the word none to None."""
    if (
        isinstance(value, str)
        and value.lower() == "none"
        and NoneType in _members(option.annotation)
    ):
        return None
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item, option) for item in value]
    return value


_NUMBER = re.compile(r"(?!-?\d+$)[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def _as_typed(value: Any, option: Option) -> Any:
    """Return a number as it would be typed: a single word for several, or a text of a form.

    What is typed like ``.5`` or ``+2`` is a number, which msgspec does not read.
    """
    kinds = {_kind(member) for member in _members(_bare(option.annotation))}
    if isinstance(value, str) and float in kinds and str not in kinds and _NUMBER.fullmatch(value):
        return float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    if tuple in kinds and not kinds & {int, float}:
        return [value]
    if str in kinds and not kinds & {int, float, tuple}:
        return str(value)  # such as PASSES | 30s
    return value


def _bare(annotation: Any) -> Any:
    """Return a type without its marks."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _kind(annotation: Any) -> Any:
    """Return the plain type of a member of a type, such as tuple for ``tuple[int, ...]``."""
    bare = _bare(annotation)
    return get_origin(bare) or bare
