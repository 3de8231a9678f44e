"""Assignment of the data's arrays to the inputs of a network: by name, as Keras itself does it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from cnnvis.errors import UserError
from cnnvis.network.graph import Input


def matched(inputs: Sequence[Input], held: Collection[str]) -> dict[str, str]:
    """Find for each input of a network the array that belongs to it.

    The keys of the dict that the network was built with decide; else the places in its structure,
    which in a list are numbers; else the names of the InputLayers. An array's order among the
    others never does.

    Parameters
    ----------
    held
        The names of the arrays. Arrays in a list have their numbers as names: ``"0"``, ``"1"``.

    Returns
    -------
    dict
        The name of the array, by the name of the input.

    Raises
    ------
    UserError
        If there is an input that no array is named after; the message lists both.
    """
    for naming in _NAMINGS:
        names = [naming(one) for one in inputs]
        if len(set(names)) == len(names) and set(names) <= set(held):
            return {one.name: name for one, name in zip(inputs, names, strict=True)}
    raise UserError(_mismatch(inputs, held))


_NAMINGS: tuple[Callable[[Input], str], ...] = (
    lambda one: "/".join(part for part in one.place if isinstance(part, str)),
    lambda one: "/".join(map(str, one.place)),
    lambda one: one.layer,
)


def _mismatch(inputs: Sequence[Input], held: Collection[str]) -> str:
    wanted = _listed([one.name for one in inputs])
    takes = f"the network takes {len(inputs)} inputs, {wanted}"
    if len(inputs) == 1:
        takes = f"the network takes one input, {wanted}"
    if not held:
        there = "the data are one array"
    elif list(held) == [str(number) for number in range(len(held))]:
        there = f"the data are a list of {len(held)} arrays, which have no names"
    else:
        there = f"the data hold {_listed(held)}"
    return (
        f"{takes}, and {there}; give an array for each input under its name, as a dict or in an .npz "
        "file"
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(map(repr, names))
