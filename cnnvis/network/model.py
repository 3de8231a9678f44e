"""Model: a network and a target in it, as techniques see them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.data.samples import Samples
from cnnvis.network.cache import traced_network
from cnnvis.network.class_evidence import ClassEvidence, labels_number_units
from cnnvis.network.deprecation import deprecated_alias
from cnnvis.network.differentiated import DifferentiatedNetwork
from cnnvis.network.feeds import Feeds
from cnnvis.network.file import NetworkFile
from cnnvis.network.permutation import answering_layer, are_same, permuted, with_sigmoid
from cnnvis.network.request import TargetRequest
from cnnvis.network.resolution import ranked, resolve

T = TypeVar("T")


class Model(DifferentiatedNetwork):
    """Network for techniques, cut at its target: no layer behind the target ever runs.

    Parameters
    ----------
    network
        A Keras network, of Keras 3 or tf_keras: Functional, Sequential, nested, or a subclassed
        network whose call can be followed with symbolic inputs; or a `LoadedNetwork`. The network
        is not changed.
    layer
        The target: a layer, ``output`` or ``backbone/block5_conv3``; an output of a layer,
        ``output:3`` or ``output[AI]``; or a sum or difference of outputs, ``head[3]-head[5]``; also
        a Keras layer of the network, or its place among ``network.layers``: -1 for the last. By
        default the layer named ``output``, if the layers behind it have no weights and leave the
        classes as they are, else the last layer.
    filters
        Outputs of the target to explain, by number or by name: classes of the last layer, filters
        of a layer in between. Several outputs are added up. By default the class that the network
        predicts for each input if the target is the default target, else output 0. A single sigmoid
        stands for two classes: for the first class, the score counts negatively.
    class_names
        The names of the target's classes.
    path
        File that the network was loaded from, for the provenance.
    sha256
        The SHA-256 of the loaded file; by default computed at first use.
    output
        Output of the network to explain, of several outputs and if no layer is named: its name or
        its place among the outputs.
    region
        For a target with spatial axes, such as the classes of every pixel: the positions over which
        outputs are averaged; a position (7) or a range ("10:20", a slice) for each spatial axis.
        By default all.

    Attributes
    ----------
    network
        The Keras network, whole.

    Raises
    ------
    UserError
        If the network has no layer of this name, or no graph of layers to cut.
    """

    def __init__(
        self,
        network: Any,
        *,
        layer: str | int | Any | None = None,
        filters: int | str | Sequence[int | str] | None = None,
        class_names: ClassNames | None = None,
        path: Path | None = None,
        sha256: str | None = None,
        output: str | int | None = None,
        region: str | int | slice | Sequence[str | int | slice] | None = None,
    ) -> None:
        loaded = network if isinstance(network, LoadedNetwork) else LoadedNetwork(network)
        traced = traced_network(loaded.network)
        request = TargetRequest.of(
            loaded.network,
            tuple(traced.outputs),
            layer=layer,
            filters=filters,
            output=output,
            region=region,
        )
        evidence = ClassEvidence(names_in_order(class_names))
        super().__init__(
            resolution=resolve(traced, loaded, request, evidence),
            feeds=Feeds(traced.graph.inputs),
            file=NetworkFile.of(loaded, path, sha256),
        )

    def loaded_with(self, options: Mapping[str, Any]) -> Model:
        """Return a model that holds the options of its file's loader, to load the file again."""
        return self._changed(_file=replace(self._file, loading=options))

    # The same network in another way

    def with_target(
        self,
        layer: str | int | Any | None = None,
        filters: int | str | Sequence[int | str] | None = None,
        class_names: ClassNames | None = None,
        *,
        output: str | int | None = None,
        region: str | int | slice | Sequence[str | int | slice] | None = None,
    ) -> Model:
        """Return a model of the same network with another target, by default the default target."""
        old = self._resolution
        request = TargetRequest.of(
            self.network,
            self.output_names,
            layer=layer,
            filters=filters,
            output=output,
            region=region,
        )
        evidence = replace(old.evidence, decided=None)
        if class_names is not None:
            evidence = replace(evidence, names=names_in_order(class_names))
        return self._changed(_resolution=resolve(old.traced, old.loaded, request, evidence))

    at = deprecated_alias("at", with_target)

    def with_rank(self, rank: int) -> Model:
        """Return a model that explains, of each input, a class with a place by its score.

        Parameters
        ----------
        rank
            The place: 0 for the class with the largest score, 1 for the class after it. Of equal
            scores, the first one is larger.

        Raises
        ------
        UserError
            If the target's outputs are not known to be classes, are too few, or were asked for.
        """
        return self._changed(_resolution=ranked(self._resolution, rank))

    def with_inputs_held(self, samples: Samples) -> Model:
        """Return a model that explains one of several inputs and holds the other inputs.

        Parameters
        ----------
        samples
            The input to explain, by its name, and the other inputs; see `shaped`.
        """
        return self._changed(_feeds=self._feeds.holding(samples))

    def with_labels(self, samples: Samples | None, class_names: tuple[str, ...] | None) -> Model:
        """Return a model whose outputs are classes if labels or class names say so.

        Parameters
        ----------
        samples
            The data with their labels; None if there are no data.
        class_names
            The names of the classes; None without names.
        """
        evidence = replace(self._resolution.evidence, names=class_names)
        answer = replace(self._resolution, evidence=evidence).answer
        units = None if answer is None else answer.traced.channels(answer.target)
        evidence = replace(
            evidence,
            labels_are_classes=samples is not None and labels_number_units(samples, units),
            labels_are_several=samples is not None and samples.label_kind == "several",
        )
        return self._changed(_resolution=replace(self._resolution, evidence=evidence))

    def with_classes_decided(self, has_classes: bool) -> Model:
        """Return a model whose outputs are classes, or not, as another process decided."""
        evidence = replace(self._resolution.evidence, decided=has_classes)
        return self._changed(_resolution=replace(self._resolution, evidence=evidence))

    def with_blank_reasons(self, reasons: list[str]) -> Model:
        """Return a model that lists the reasons for blank gradients instead of raising an error.

        For many images: a batch may hold blank gradients alone.
        """
        return self._changed(_blank_reasons=reasons)

    def with_permuted_weights(self, seeds: Sequence[int]) -> Iterator[Model]:
        """Yield models of a copy of the network up to the target, its weights permuted.

        The values of each tensor are permuted among themselves, in every layer: the network that is
        left knows nothing of what was learned, and its activations keep their sizes. There is a
        single copy, so that it is compiled once: a model holds until the next is taken. A
        permutation that leaves all weights as they are, since they are all alike, yields none.

        Parameters
        ----------
        seeds
            A permutation for each of them.

        Raises
        ------
        UserError
            As for `keras_model`.
        """
        everywhere = self.with_target(
            self.asked_layer, self.asked_filters, output=self.asked_output
        )
        network = everywhere.keras_model()
        learned = network.get_weights()
        whole = network
        if self.has_classes and self.target_units == 1:  # a sigmoid, which stands for two classes
            whole = with_sigmoid(network)
        for seed in seeds:
            other = permuted(learned, seed)
            if not are_same(learned, other):
                network.set_weights(other)
                yield Model(whole, layer=answering_layer(whole), region=self.asked_region)

    def _changed(self, **attributes: Any) -> Model:
        other = copy.copy(self)
        vars(other).update(attributes)
        return other

    @property
    def answer(self) -> Model | None:
        """Model with the network's answer as its target; None if the answer was cut off."""
        answer = self._resolution.answer
        return None if answer is None else self._changed(_resolution=answer)
