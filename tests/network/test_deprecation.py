"""Old names warn and go on working."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.deprecation import deprecated_alias, renamed_arguments


class _Thing:
    def new(self, value: int) -> int:
        """Give it back."""
        return value

    old = deprecated_alias("old", new)

    @renamed_arguments(before="after")
    def both(self, *, after: int = 0) -> int:
        return after


def test_an_old_method_warns_and_works() -> None:
    with pytest.warns(DeprecationWarning, match=r"old\(\) is now called new\(\)"):
        assert _Thing().old(3) == 3
    assert _Thing.old.__name__ == "old"


def test_an_old_argument_warns_and_works() -> None:
    assert _Thing().both(after=2) == 2
    with pytest.warns(DeprecationWarning, match=r"before of both\(\) is now called after"):
        assert _Thing().both(before=2) == 2  # type: ignore[call-arg]


def test_old_names_of_the_model_work(three_heads: Any, x: Any) -> None:
    model = cnnvis.Model(three_heads)
    with pytest.warns(DeprecationWarning, match="with_target"):
        assert model.at("sizes", 1).filters == (1,)
    with pytest.warns(DeprecationWarning, match="has_channels_first"):
        assert model.channels_first("conv") is False
    with pytest.warns(DeprecationWarning, match="cached"):
        assert model.kept("key", lambda: 3) == 3
    mean: Any = model.with_target("sizes", 1).mean_gradient
    with pytest.warns(DeprecationWarning, match="perturbation_args"):
        found = mean(
            x, varied=_same, told=lambda some: [np.zeros(len(some), np.float32)], parts=[1.0]
        )
    assert found.shape == x.shape
    with pytest.warns(DeprecationWarning, match=r"mean_gradient\(\) takes cnnvis\.Perturbations"):
        apart = mean(x, _same, lambda some: [np.zeros(len(some), np.float32)], [1.0])
    perturbations = cnnvis.Perturbations(_same, lambda some: [np.zeros(len(some), np.float32)], 1)
    for one in (apart, mean(x, perturbations), mean(x=x, perturbations=perturbations)):
        np.testing.assert_array_equal(one, found)


def _same(x: Any, nothing: Any) -> Any:
    return x + nothing
