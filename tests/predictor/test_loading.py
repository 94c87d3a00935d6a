"""Which predictor is loaded for many issues."""

from pathlib import Path

import pytest

from pipeline.lake.batches import Lake
from pipeline.networks.in_keras import Network, Shape, build
from pipeline.predictor.loading import has_accelerator, in_faster_library, load_predictor
from pipeline.predictor.predictor import LightPredictor, Predictor
from tests.predictor.small_predictors import SUBWORDS, word_predictor


@pytest.mark.parametrize(
    ("name", "expected"),
    [("nvidia0", True), ("kfd", True), ("accel0", True), ("nvidiactl", False), ("null", False)],
)
def test_an_accelerator_is_recognised_by_its_device_file(tmp_path: Path, name: str, expected: bool) -> None:
    (tmp_path / name).touch()
    assert has_accelerator(tmp_path) == expected


def test_a_folder_of_other_processors_is_no_accelerator(tmp_path: Path) -> None:
    """Linux puts Intel's NPU into /dev/accel, which Keras does not use."""
    (tmp_path / "accel").mkdir()
    (tmp_path / "accel" / "accel0").touch()
    assert not has_accelerator(tmp_path)


def stored(predictor: Predictor, folder: Path) -> tuple[Lake, str]:
    """The lake in `folder`, and the folder in it of a batch with the predictor."""
    predictor.save(folder / "m1")
    lake = Lake(str(folder / "lake"))
    draft = lake.draft("predictor", {"model": "m1"}, [], {})
    for path in sorted((folder / "m1").iterdir()):
        draft.write_file(path.name, path.read_bytes())
    return lake, draft.commit().folder


def copy_network() -> Network:
    size = SUBWORDS.body.size
    return build("copy", Shape(size, size, 8, 8, embedding_size=6, hidden_size=6), seed=1)


@pytest.mark.skipif(has_accelerator(), reason="this machine has an accelerator, which Keras uses")
def test_without_an_accelerator_a_predictor_of_copy_computes_in_numpy_and_one_of_gru_stays_in_keras() -> None:
    subwords, words = Predictor("m1", copy_network(), SUBWORDS, "titler", 0.2, 16), word_predictor()
    in_numpy = in_faster_library(subwords)
    assert isinstance(in_numpy, LightPredictor)
    assert (in_numpy.name, in_numpy.abstain_below) == ("m1", 0.2)
    assert in_faster_library(words) is words


@pytest.mark.skipif(has_accelerator(), reason="this machine has an accelerator, which Keras uses")
def test_without_an_accelerator_copy_is_loaded_in_numpy_and_gru_in_keras(tmp_path: Path) -> None:
    copy = copy_network()
    folders = (tmp_path / "copy", tmp_path / "gru")
    for folder in folders:
        (folder / "m1").mkdir(parents=True)
    subwords = stored(Predictor("m1", copy, SUBWORDS, "titler", 0.0, 16), folders[0])
    words = stored(word_predictor(), folders[1])
    assert [type(load_predictor(*batch)) for batch in (subwords, words)] == [LightPredictor, Predictor]
