"""Old names of methods and arguments, which warn and go on working for a while."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def deprecated_alias(old: str, method: Callable[P, T]) -> Callable[P, T]:
    """Make a method under its old name, which warns and calls the new one."""
    new = method.__name__

    @functools.wraps(method)
    def alias(*args: P.args, **kwargs: P.kwargs) -> T:
        warnings.warn(f"{old}() is now called {new}()", DeprecationWarning, stacklevel=2)
        return method(*args, **kwargs)

    alias.__name__ = old
    alias.__qualname__ = f"{method.__qualname__.rpartition('.')[0]}.{old}"
    alias.__doc__ = f"Call `{new}`. This name is deprecated."
    return alias


def renamed_arguments(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Take keyword arguments under their old names too, with a warning.

    Parameters
    ----------
    names
        The new name of each argument, by its old name.
    """

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def renaming(*args: Any, **kwargs: Any) -> T:
            for old in names.keys() & kwargs.keys():
                warnings.warn(
                    f"the argument {old} of {function.__name__}() is now called {names[old]}",
                    DeprecationWarning,
                    stacklevel=2,
                )
                kwargs[names[old]] = kwargs.pop(old)
            return function(*args, **kwargs)

        return renaming

    return decorated
