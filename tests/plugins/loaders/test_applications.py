"""The networks of `keras.applications`, of Keras 3 and of Keras 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from applications import HOMES, applications, rows, tried
from quick import slow_are

OF_BOTH = [
    *("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2"),
    *("InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Small", "NASNetMobile", "ResNet50"),
    *("ResNet50V2", "VGG16", "Xception"),
]
OF_KERAS_2 = ["RegNetX002", "RegNetY002", "ResNetRS50"]
"""One of each family, the smallest there is."""

SOME = [
    *(("keras", name) for name in ("ConvNeXtTiny", "EfficientNetB0", "MobileNetV2", "ResNet50")),
    *(("keras", name) for name in ("VGG16", "Xception")),
    *(("tf_keras", name) for name in ("MobileNetV3Small", "RegNetX002")),
]
"""Those that stand for all: plain ones, ones with branches, with separable convolutions, with attention to channels."""

DEFAULT = {"keras": "keras", "tf_keras": "h5"}


def test_the_page_is_complete() -> None:
    """Of every application of the installed Keras it says that all formats work."""
    every = {one.title for home in HOMES for one in applications(home)}
    found = rows()
    assert set(found) == every
    of_keras_3 = {one.title for one in applications("keras")}
    for title, row in found.items():
        cells = [cell.strip() for cell in row.strip("|").split("|")][1:5]
        expected = ["works"] * 2 if title in of_keras_3 else ["-"] * 2
        assert cells == [*expected, "works", "works"], row


def test_every_family_is_tried() -> None:
    """A family that a later Keras brings is tried, too."""
    families = {
        "".join(letter for letter in one.name.replace("XLarge", "") if not letter.isdigit())
        for home in HOMES
        for one in applications(home)
    }
    tried_ = {
        "".join(letter for letter in name if not letter.isdigit()) for name in OF_BOTH + OF_KERAS_2
    }
    sizes = ("Tiny", "Small", "Base", "Large", "Mobile", "B", "S", "M", "L")

    def stem(name: str) -> str:
        return next((name.removesuffix(one) for one in sizes if name.endswith(one)), name)

    assert set(map(stem, families)) == set(map(stem, tried_))


@pytest.mark.parametrize(
    ("home", "name"),
    slow_are(
        SOME,
        [
            *(("keras", name) for name in OF_BOTH),
            *(("tf_keras", name) for name in [*OF_BOTH, *OF_KERAS_2]),
        ],
    ),
)
def test_one_of_each_family(home: str, name: str, tmp_path: Path) -> None:
    """In the format that its Keras writes by default; the page has the others, too."""
    every = [one for one in applications(home) if one.name == name]
    assert every
    for application in every:
        for suffix, result in tried(application, home, tmp_path, [DEFAULT[home]]).items():
            assert result.is_right, (application, suffix, result)
