"""One technique on a model and samples: batch by batch, checked at the border, with provenance.

A result is a stream of batches that is computed while somebody goes through it, so that a million
images take the memory of one batch, or of their maps if all of these are wanted.
"""

from __future__ import annotations

import functools
import math
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext as nothing
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis import demo
from cnnvis.compiling import BATCH, batch_size, is_mixed
from cnnvis.coordinates import Axis, axes_of
from cnnvis.errors import UserError, nearest
from cnnvis.explanation import Explanation
from cnnvis.files import sha256
from cnnvis.model import Model, units_kept
from cnnvis.plugin import BUILT_IN, Plugin
from cnnvis.registry import registry
from cnnvis.reporting import note, notes_kept, progress, quietly
from cnnvis.samples import Array, Samples
from cnnvis.sources import PluginOptions, model_of, samples_of

AT_ONCE, BYTES = 512, 2**26
"""How many images a technique is given at a time, at most, and how many bytes of them."""


class Stream:
    """A result on its way: batches of explanations, computed whenever somebody goes through them.

    Parameters
    ----------
    batches
        Gives the batches; called anew for each time through.
    samples
        What the batches explain together, where that is known before; some may be left out.
    """

    def __init__(
        self, batches: Callable[[], Iterable[Explanation]], samples: Samples | None = None
    ) -> None:
        self._batches = batches
        self._samples = samples

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self._batches())

    def first(self, count: int) -> tuple[Explanation, bool]:
        """The first so many maps, and whether there may be more: later batches are not computed."""
        parts: list[Explanation] = []
        for batch in self:
            parts.append(batch)
            if sum(map(len, parts)) > count:
                return Explanation.joined(parts)[range(count)], True
        self._batches = lambda: parts
        return self.whole(), False

    def whole(self) -> Explanation:
        """All batches as one explanation; from then on they are kept."""
        # A batch of which nothing was selected is none.
        filled = (batch for batch in self if len(batch))
        joined = _joined(filled) if self._samples is None else _placed(filled, self._samples)
        self._batches = lambda: [joined]
        return joined


def _joined(batches: Iterable[Explanation]) -> Explanation:
    parts = list(batches)
    if not parts:
        raise UserError("nothing is left of the images to show")
    return Explanation.joined(parts)


def _placed(batches: Iterable[Explanation], samples: Samples) -> Explanation:
    """Batches joined without a second copy of their maps, or one of the samples."""
    parts: list[Explanation] = []
    maps: Array | None = None
    indices: list[int] = []
    for batch in batches:
        if len(batch) == len(samples) or batch.maps is None or batch.indices is None:
            parts.append(batch)  # all in one, whatever it is
            continue
        if maps is None:
            maps = np.empty((len(samples), *batch.maps.shape[1:]), np.float32)
        place = slice(len(indices), len(indices) + len(batch))
        maps[place] = batch.maps
        parts.append(replace(batch, maps=maps[place], samples=None))
        indices += batch.indices.tolist()
    if maps is None:
        return _joined(parts)
    if len(indices) < len(samples):
        samples = samples[np.flatnonzero(np.isin(samples.indices, indices)).tolist()]
    return replace(Explanation.joined(parts, maps[: len(indices)]), samples=samples)


@dataclass(frozen=True)
class Subject:
    """What is explained: a model and images, and which of the model's inputs.

    Attributes
    ----------
    model
        The model at its target, if any technique takes one.
    samples
        By the names of the model's inputs, the samples shaped for the model and explaining that
        input; under None where there is no model to shape them for; empty where there are none.
    inputs
        The inputs that a map was asked for; None for all that the target depends on.
    axes
        What positions along the maps' axes stand for.
    """

    model: Model | None
    samples: Mapping[str | None, Samples]
    inputs: tuple[str, ...] | None
    axes: Mapping[str, Axis] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Any,
        data: Any,
        images: int | Sequence[int] | None,
        target: dict[str, Any],
        class_names: Sequence[str] | None,
        options: PluginOptions,
        lacking: Mapping[str, Any],
        inputs: str | Sequence[str] | None,
        axes: Mapping[str, Any] | None,
        plugins: Sequence[Plugin],
    ) -> Subject:
        """What the arguments of `cnnvis.run` and `cnnvis.chain` stand for.

        Parameters
        ----------
        options
            Those of readers and loaders, by their names.
        plugins
            The techniques that will explain it; what none of them takes is not read.

        Raises
        ------
        UserError
            If anything is missing, cannot be read, or does not fit.
        """
        described = axes_of(axes or {})
        takes_model = any(plugin.takes("model") for plugin in plugins)
        if takes_model and isinstance(model, str | PathLike) and model != demo.NAME:
            registry().for_path("loader", Path(model))  # there is one, before data are read
        is_demo = isinstance(model, str) and model == demo.NAME
        data = demo.NAME if data is None and is_demo else data
        samples = None
        if data is None:
            for plugin in plugins:
                if plugin.needs("samples"):
                    raise UserError(
                        f"{plugin.name} explains images and needs some: add --data FILE"
                    )
        elif any(plugin.takes("samples") for plugin in plugins):
            every = samples_of(data, options, class_names)
            samples = every.chosen(images)
            if len(samples) == 0:
                raise UserError(
                    "there are no images to explain" if len(every) else "the data hold no images"
                )
        asked = (inputs,) if isinstance(inputs, str) else None if inputs is None else tuple(inputs)
        if not takes_model:
            return cls(None, {} if samples is None else {None: samples}, asked, described)
        names = class_names or (samples.class_names if samples else None)
        handle = model_of(model, target, names, options, lacking)
        handle.say_defaults()
        if class_names is not None:
            _require_fitting(class_names, handle)
        shaped = _shaped(handle, samples, asked) if samples else {}
        return cls(handle, dict(shaped.items()), asked, described)

    def explained(
        self, plugin: Plugin, options: Mapping[str, Any], *, strict: bool = True
    ) -> dict[str | None, Stream]:
        """A technique's result for each of the inputs that are to get a map, by their names.

        Parameters
        ----------
        strict
            Raise if the maps of all images are blank, rather than say so.
        """
        model = self.model if plugin.takes("model") else None
        samples = self.samples if plugin.takes("samples") else {}
        if model is None or not samples:
            only = next(iter(samples.values()), None)
            return {None: Stream(lambda: [self._at_once(plugin, options, model, only)])}
        results: dict[str | None, Stream] = {}
        for name in self.inputs or model.explainable_inputs:
            of = samples[name]
            if (plugin.gives or "images") == "images":
                results[name] = self._stream(plugin, options, model, of, strict=strict)
            else:
                one = functools.partial(self._at_once, plugin, options, model.on(of), of)
                results[name] = Stream(lambda one=one: [one()])  # type: ignore[misc]
        return results

    def tried(self, plugin: Plugin, options: Mapping[str, Any], name: str | None) -> None:
        """Run a technique for one of the inputs on a single image, whatever comes out.

        Raises
        ------
        UserError
            If that input cannot have what the technique gives.
        """
        assert self.model is not None
        one = self.samples[name][:1]
        with notes_kept(), quietly():
            plugin(model=self.model.tallying([]).on(one), samples=one, **options)

    def _at_once(
        self,
        plugin: Plugin,
        options: Mapping[str, Any],
        model: Model | None,
        samples: Samples | None,
    ) -> Explanation:
        if model is not None and samples is not None:
            samples.require_finite()
        tally = _Tally(plugin)
        with units_kept():
            found = plugin(
                **({"model": model} if plugin.takes("model") else {}),
                **({"samples": samples} if plugin.takes("samples") else {}),
                **options,
            )
            done = _completed(found, plugin, model, samples, tally).described(self.axes)
        tally.close(strict=True)
        return _with_facts(done, _provenance(plugin, options, model, samples))

    def _stream(
        self,
        plugin: Plugin,
        options: Mapping[str, Any],
        model: Model,
        samples: Samples,
        *,
        strict: bool,
    ) -> Stream:
        facts = _provenance(plugin, options, model, samples)
        size = _size(samples)

        def batches() -> Iterator[Explanation]:
            tally = _Tally(plugin)
            with progress(plugin.name, len(samples)) if len(samples) > size else nothing() as done:
                for batch in _read_ahead(samples, size):
                    whole = tally.finite(batch)
                    if len(whole):
                        at = model.tallying(tally.blank).on(whole)
                        with units_kept():
                            found = plugin(model=at, samples=whole, **options)
                            found = _completed(found, plugin, at, whole, tally)
                        yield _with_facts(found.described(self.axes), facts)
                    if done is not None:
                        done(len(batch))
            tally.close(strict=strict)

        return Stream(batches, samples)


def _shaped(model: Model, samples: Samples, wanted: Sequence[str] | None) -> Mapping[str, Samples]:
    """The samples for each input of the network, as it wants them.

    Raises
    ------
    UserError
        If they do not fit the network, or there is no input of a name that was asked for.
    """
    shapes = {one.name: (one.shape, model.channel_axis_of(one.name)) for one in model.inputs}
    shaped = samples.shaped_for_inputs(shapes)
    for name in wanted or ():
        if name not in shaped:
            raise UserError(
                f"the network has no input {name!r}.{nearest(name, shaped)} "
                f"It has: {', '.join(shaped)}."
            )
    return shaped


def _require_fitting(class_names: Sequence[str], model: Model) -> None:
    # A layer in between has none.
    units = model.target_units
    if model.asked_layer is None and units > 1 and len(class_names) != units:
        raise UserError(
            f"there are {len(class_names)} class names, and {model.layer!r} has {units} outputs"
        )


def _size(samples: Samples) -> int:
    """How many images a technique is given at a time."""
    sources = samples.inputs.values() or (samples.source,)
    each = sum(4 * math.prod(source.shape[1:]) for source in sources)
    size = min(max(BYTES // max(each, 1), 1), AT_ONCE)
    return batch_size(size - size % BATCH if size > BATCH else size)


def _read_ahead(samples: Samples, size: int) -> Iterator[Samples]:
    """The samples, so many at a time, each batch read while the one before it is computed."""
    with ThreadPoolExecutor(1, "reading") as reader:
        coming: Future[Samples] | None = None
        for start in range(0, len(samples), size):
            before = coming
            # In the reader's thread, too, notes go to whoever listens here.
            read = copy_context().run
            coming = reader.submit(read, samples.__getitem__, slice(start, start + size))
            if before is not None:
                yield before.result()
        if coming is not None:
            yield coming.result()


def _completed(
    found: Explanation,
    plugin: Plugin,
    model: Model | None,
    samples: Samples | None,
    tally: _Tally,
) -> Explanation:
    """A technique's result with the targets, its maps looked at."""
    if found.maps is not None and found.samples is not None:
        if not tally.judge(found):
            raise _not_finite(plugin, model, found.samples)
        if not found.targets and model is not None:
            found = replace(found, targets=model.targets(found.samples.x))
    if samples is not None:
        found = replace(found, input=samples.input)
    if model is not None and model.cut:
        names = ", ".join(map(repr, model.cut))
        note(f"{names} was cut off: {next(iter(model.cut.values()))}")
    return found


def _not_finite(plugin: Plugin, model: Model | None, samples: Samples) -> Exception:
    """Whose fault it is that maps are no numbers: the network's, unless what it answers is finite."""
    built_in = plugin.distribution == BUILT_IN
    if not built_in and model is not None and np.isfinite(model.predict(samples.x)).all():
        return plugin.failed(
            "its maps hold NaN or infinite values, and what the network answers is finite"
        )
    return UserError(f"{plugin.name} came out as NaN or infinite; the model's weights may be so")


@dataclass
class _Tally:
    """What is to be said of many batches together: blank maps, images left out."""

    plugin: Plugin
    images: int = 0
    blank: list[str] = field(default_factory=list)
    zero: list[int] = field(default_factory=list)
    alike: int = 0
    broken: list[int] = field(default_factory=list)

    def finite(self, batch: Samples) -> Samples:
        """The samples of a batch without those that hold NaN: one must not cost all others."""
        x = batch.x
        if not np.issubdtype(x.dtype, np.inexact):
            return batch
        flat = x.reshape(len(x), -1)
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(flat.sum(axis=1)).all():  # takes a fraction of the time
                return batch
        good = np.isfinite(flat).all(axis=1)
        if good.all():
            return batch
        self.broken += batch.indices[~good].tolist()
        return batch[np.flatnonzero(good).tolist()]

    def judge(self, found: Explanation) -> bool:
        """Count the maps that show nothing; whether all are numbers at all."""
        assert found.maps is not None and found.samples is not None
        flat = found.maps.reshape(len(found), -1)
        low, high = flat.min(axis=1, initial=np.inf), flat.max(axis=1, initial=-np.inf)
        if flat.size and not (np.isfinite(low).all() and np.isfinite(high).all()):
            return False
        self.images += len(found)
        zero = (low == 0) & (high == 0)
        self.zero += found.samples.indices[zero].tolist()
        if flat.shape[1] > 1:
            self.alike += int(((low == high) & ~zero).sum())
        return True

    def close(self, *, strict: bool) -> None:
        """Say what there is to say.

        Raises
        ------
        UserError
            If there is not one map that shows anything, and that is not to be a note.
        """
        if self.broken:
            note(f"image {_listed(self.broken)} was left out: NaN or infinite values in it")
            if not self.images:
                raise UserError(
                    f"image {_listed(self.broken)} holds values that are NaN or infinite, and there "
                    "is no other; put a number in their place"
                )
        if not self.images:
            return
        why = self.blank[0] if self.blank else "nothing in it speaks for this target"
        about = f"{self.plugin.name} is zero everywhere in"
        if len(self.zero) == self.images and strict:
            raise UserError(
                f"{about} every image: {why}. Another layer, filter or modifier may say more."
            )
        if self.zero:
            note(
                f"{about} {len(self.zero)} of {self.images} images ({_listed(self.zero)}), and a "
                f"blank map is no finding: {why}"
            )
        if self.alike:
            note(
                f"{self.plugin.name} is the same everywhere in {self.alike} of {self.images} "
                "images, so no place in them counts more than another"
            )


def _listed(images: Sequence[int]) -> str:
    more = f" and {len(images) - 8} more" if len(images) > 8 else ""
    return ", ".join(map(str, images[:8])) + more


def _with_facts(found: Explanation, facts: Mapping[str, Any]) -> Explanation:
    whole = {**found.provenance, **facts, "target": found.target}
    return replace(found, provenance=whole)


def _provenance(
    plugin: Plugin, options: Mapping[str, Any], model: Model | None, samples: Samples | None
) -> dict[str, Any]:
    """How a technique's result is made: plain JSON values."""
    return {
        "technique": plugin.name,
        "options": dict(options),
        "plugin": {"distribution": plugin.distribution, "version": plugin.version},
        "reference": plugin.reference,
        "model": _model_facts(model),
        "data": _data_facts(samples),
        "versions": _versions(),
        **({"mixed_precision": True} if is_mixed() else {}),
    }


def _model_facts(model: Model | None) -> dict[str, Any] | None:
    if model is None:
        return None
    return {
        "file": None if model.path is None else model.path.name,
        "sha256": model.sha256,
        "layer": model.asked_layer,
        "filters": model.asked_filters,
        "output": model.asked_output,
        "region": None if model.asked_region is None else [str(one) for one in model.asked_region],
        "repairs": model.repairs,
        "cut": dict(model.cut),
    }


def _data_facts(samples: Samples | None) -> dict[str, Any] | None:
    if samples is None:
        return None
    return {
        "file": None if samples.path is None else samples.path.name,
        "sha256": None if samples.path is None else sha256(samples.path),
        "images": samples.indices.tolist(),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("cnnvis", "tensorflow", "keras", "numpy"):
        try:
            # What was never imported had no part in the result.
            if name == "cnnvis" or name in sys.modules:
                versions[name] = _version(name)
        except PackageNotFoundError:
            versions[name] = "not installed as a package"
    return versions


_version = functools.cache(version)  # which reads the whole of a distribution's metadata
