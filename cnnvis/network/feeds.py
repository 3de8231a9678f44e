"""Arrays that a network is computed on: one input is explained, the others are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.network.graph import Input
from cnnvis.network.input_names import matched


@dataclass(frozen=True)
class Feeds:
    """Inputs of a network, one of which is explained.

    Attributes
    ----------
    inputs
        All inputs.
    number
        Number of the input that is explained.
    held
        The values at which the other inputs are held, by name: one entry for each sample.
    """

    inputs: tuple[Input, ...]
    number: int = 0
    held: Mapping[str, Array] = field(default_factory=dict)

    @property
    def explained(self) -> Input:
        """Input that is explained."""
        return self.inputs[self.number]

    def holding(self, samples: Samples) -> Feeds:
        """Explain the input that the samples name, and hold the others at the samples' values."""
        if samples.input is None:
            return self
        names = [one.name for one in self.inputs]
        held = {name: np.asarray(values[:]) for name, values in samples.others.items()}
        return replace(self, number=names.index(samples.input), held=held)

    def held_at(self, sample: int) -> Feeds:
        """Hold the other inputs at the values of a single sample."""
        return replace(self, held={name: values[[sample]] for name, values in self.held.items()})

    def arrays(self, x: Array, of: Sequence[int] | None = None) -> list[Array]:
        """List the arrays of all inputs, (n, ...) each.

        Parameters
        ----------
        x
            The values of the explained input, (n, ...).
        of
            The sample that each row of `x` belongs to; by default row i belongs to sample i.

        Raises
        ------
        UserError
            If there are no values for one of the other inputs.
        """
        arrays = self.others(len(x), of)
        arrays.insert(self.number, _floats(x, self.explained.dtype))
        return arrays

    def all_given(self, x: Array | Sequence[Array] | Mapping[str, Array]) -> list[Array]:
        """List the arrays of all inputs, which may be given together in a dict or a list.

        Raises
        ------
        UserError
            If there is no array for an input.
        """
        if isinstance(x, list | tuple) and len(x) == len(self.inputs) > 1:
            x = {str(number): one for number, one in enumerate(x)}
        if not isinstance(x, Mapping):
            return self.arrays(np.asarray(x))
        names = matched(self.inputs, x)
        return [np.ascontiguousarray(x[names[one.name]], one.dtype) for one in self.inputs]

    def others(self, count: int, of: Sequence[int] | None) -> list[Array]:
        """List the arrays of the inputs that are held, for that many rows; see `arrays`."""
        rows = np.arange(count) if of is None else np.asarray(of)
        arrays = []
        for number, one in enumerate(self.inputs):
            if number == self.number:
                continue
            held = self.held.get(one.name)
            if held is None:
                raise UserError(
                    f"the network takes {len(self.inputs)} inputs "
                    f"({', '.join(each.name for each in self.inputs)}), and the data hold none "
                    f"for {one.name!r}; give data for all inputs"
                )
            if len(rows) != count or (of is None and len(held) != count):
                raise ValueError(  # whoever wrote the technique can mend that, not its user
                    f"there are {count} inputs and {len(held)} samples to hold {one.name!r} at; "
                    "say with `of` which sample each belongs to"
                )
            arrays.append(np.ascontiguousarray(held[rows], one.dtype))
        return arrays


def _floats(x: Array, dtype: str) -> Array:
    return np.ascontiguousarray(x, np.float64 if dtype == "float64" else np.float32)
