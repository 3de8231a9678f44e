"""Results of a technique for the images of a piece, where some images may have none."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnnvis import host
from cnnvis.data.batches import Failure, Piece, Read, finite
from cnnvis.data.completeness import completeness_gap_of_maps
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Samples
from cnnvis.errors import DiskError, NothingUsable, ShortageError, UserError
from cnnvis.explain.several import images_in
from cnnvis.explain.tally import PROBES, Tally, constant_maps, extremes, finite_maps
from cnnvis.network.model import Model
from cnnvis.registry.plugin import BUILT_IN, Plugin
from cnnvis.reporting import note, notes_kept


def computed_piece(
    plugin: Plugin,
    explain: Callable[[list[str], Samples], Explanation],
    model: Model,
    tally: Tally,
    read: Read,
    *,
    is_kept: bool = False,
) -> Piece:
    """Compute a technique's result for some images; an image without a result costs no other.

    Parameters
    ----------
    is_kept
        True where a run folder keeps the result: then no image is left out for a lack of memory.

    Raises
    ------
    UserError
        If no single image is at fault.
    ShortageError
        If there is not enough memory, or another resource of the system is used up.
    """
    read = finite(read)
    attempts = _Attempts(plugin, explain, model, tally, dict(read.failed), is_kept)
    with notes_kept() as notes:
        if read.samples is not None:
            attempts.make(read.samples, read.good)
    found = Explanation.joined(attempts.parts) if attempts.parts else None
    failed = dict(sorted(attempts.failed.items()))
    return Piece(
        read.places,
        found,
        failed,
        tuple(notes),
        tuple(attempts.blank[:1]),
        attempts.constant if len(attempts.parts) == 1 else None,
    )


@dataclass
class _Attempts:
    """Attempts to explain the images of a piece, all together and then fewer.

    Not a function that calls itself: such a function refers to itself and to the maps, and only the
    garbage collector frees these then, which rarely looks at all that TensorFlow holds.
    """

    plugin: Plugin
    explain: Callable[[list[str], Samples], Explanation]
    model: Model
    tally: Tally
    failed: dict[int, Failure]
    is_kept: bool
    blank: list[str] = field(default_factory=list)
    parts: list[Explanation] = field(default_factory=list)
    constant: Mapping[int, float] | None = None

    def make(self, batch: Samples, places: list[int]) -> None:
        """Explain these images, and keep their maps or the reasons why they have none."""
        tally, images = self.tally, images_in(batch)
        try:
            found = self.explain(self.blank, batch)
        except (DiskError, NothingUsable):
            raise
        except UserError as error:
            if self.is_kept and host.shortage(error):
                raise ShortageError(
                    f"{error}. No image is left out for that, and --resume goes on where there is enough"
                ) from error
            if not tally.worked:
                alone = functools.partial(self._alone, batch, images)
                tally.require_single(error, alone, len(images))
            if len(images) == 1:
                self.failed.update(dict.fromkeys(places, Failure("no map", str(error))))
                return
            half = images[len(images) // 2].start
        else:
            self._keep(found, batch, images, places)
            return
        self.make(batch[:half], places[:half])
        self.make(batch[half:], places[half:])

    def _alone(self, batch: Samples, images: Sequence[range], place: int) -> None:
        self.explain([], batch[list(images[place])])

    def _keep(
        self, found: Explanation, batch: Samples, images: Sequence[range], places: list[int]
    ) -> None:
        """Keep the maps that are numbers."""
        tally, known = self.tally, None
        if found.maps is not None and found.samples is not None:
            known = extremes(found)
            is_bad = ~finite_maps(found, known)
            if is_bad.any():
                # An image has a map for each target, or none.
                bad = [row for image in images if is_bad[list(image)].any() for row in image]
                why = no_numbers(self.plugin, self.model.with_inputs_held(batch), batch)
                is_first = len(bad) == len(found) and not tally.worked
                if is_first and len(images) >= min(PROBES, tally.of):
                    raise why
                self.failed.update({places[i]: Failure("no map", str(why)) for i in bad})
                good = [i for i in range(len(found)) if i not in set(bad)]
                found, known = found[good], (known[0][good], known[1][good])
        if len(found):
            self.parts.append(found)
            self.constant = None if known is None else constant_maps(found, known)
            tally.worked = True


def with_targets(
    found: Explanation,
    plugin: Plugin,
    model: Model | None,
    samples: Samples | None,
    options: Mapping[str, Any],
) -> Explanation:
    """Return a technique's result with the targets, and with its completeness where it is due."""
    if found.maps is not None and found.samples is not None and model is not None:
        x, are_named = found.samples.x, bool(found.targets)
        if not are_named:
            found = replace(found, targets=model.targets(x))
            _say_strange_scores(found, plugin)
        if found.predictions is None and model.is_answer:  # which the units tell that named them
            found = replace(found, predictions=model.predicted_classes(x))
        claimed = plugin.claims.get("complete")
        if not are_named and claimed is not None and claimed.items() <= dict(options).items():
            found = _with_gap(found, model, samples, options.get("baseline", 0.0))
    if samples is not None:
        found = replace(found, input=samples.input)
    if model is not None and model.cut:
        names = ", ".join(map(repr, model.cut))
        note(f"{names} was cut off: {next(iter(model.cut.values()))}")
    return found


def _say_strange_scores(found: Explanation, plugin: Plugin) -> None:
    scores = [target.score for target in found.targets if target.score is not None]
    if not np.isfinite(scores).all() and "any-target" not in plugin.claims:
        note(
            f"the score that {plugin.name} explains is NaN or infinite for some images, as their titles "
            "show: their maps may mean nothing"
        )


def _with_gap(
    found: Explanation, model: Model, samples: Samples | None, baseline: Any
) -> Explanation:
    """Add the completeness gap of the maps to a result, unless it was measured or is unknown."""
    assert found.samples is not None
    is_known = isinstance(baseline, int | float | str) and samples is not None
    if "completeness_gap" in found.measures or not is_known or not finite_maps(found).all():
        return found
    x = np.asarray(found.samples.x, np.float32)
    weights = model.target_weights(x)
    start = np.broadcast_to(samples.baseline(baseline), x.shape)  # type: ignore[union-attr]
    at_baseline = model.scores(np.array(start), weights=weights)
    gap = completeness_gap_of_maps(found.array, model.scores(x, weights=weights), at_baseline)
    return replace(found, measures={**found.measures, "completeness_gap": gap})


def no_numbers(plugin: Plugin, model: Model | None, samples: Samples) -> UserError:
    """Return the error for maps that are no numbers; the network's answers may be the cause.

    Raises
    ------
    PluginError
        If the network's answers are finite, and the plugin is not built in.
    """
    built_in = plugin.distribution == BUILT_IN
    if not built_in and model is not None and np.isfinite(model.predict(samples.x)).all():
        raise plugin.failed(
            "its maps hold NaN or infinite values, and the network's answer is finite"
        )
    return UserError(
        f"{plugin.name} gave NaN or infinite values; the weights of the model, or constants in it "
        "such as a mask of -inf, may be NaN or infinite"
    )
