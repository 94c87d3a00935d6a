"""The networks in NumPy give the same results as those in Keras."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import LakeError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.networks.in_keras import Network, Shape, build, saving
from pipeline.networks.in_keras.training import fit
from pipeline.networks.in_numpy.gru_cells import hard_sigmoid, sigmoid
from pipeline.networks.in_numpy.implementations import IMPLEMENTATIONS
from pipeline.networks.in_numpy.network import LightNetwork
from pipeline.networks.variants import variant_of
from pipeline.predictor.predictor import LightPredictor, Predictor
from pipeline.releases.current import point_to
from pipeline.text.engine import tokenizer
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary
from tests.networks.damage import add_title_word_to_shape, cut_file, set_weights_to_nan
from tests.support.checkpoint_folder import CheckpointFolder

ARTICLE_SHAPE = Shape(40, 30, body_length=9, title_length=7, embedding_size=8, hidden_size=12)
SHAPES = {
    "gru": ARTICLE_SHAPE,
    "gru_cudnn": ARTICLE_SHAPE,
    "copy": Shape(40, 40, body_length=9, title_length=7, embedding_size=12, hidden_size=12),
}
START, END = 2, 3


def random_network(variant: str, shape: Shape | None = None) -> Network:
    """All weights are random, and batch normalisation's averages, so that no term is hidden by a 0 or a 1."""
    network = build(variant, shape or SHAPES[variant], seed=3)
    rng = np.random.default_rng(3)
    for layer in network.model.layers:
        if layer.name.endswith("_norm"):
            size = len(layer.get_weights()[0])
            gamma, beta, mean, variance = (
                rng.normal(1, 0.3, size),
                *rng.normal(0, 0.2, (2, size)),
                rng.uniform(0.1, 1, size),
            )
            layer.set_weights([gamma, beta, mean, variance])
        else:
            layer.set_weights([rng.normal(0, 0.7, weight.shape) for weight in layer.get_weights()])
    make_end_more_probable(network, 3)
    return network


def make_end_more_probable(network: Network, by: float) -> None:
    """Raises the logit of _end_, so that titles end.

    `gru` has a bias per word; in `copy`, which has none, every state is moved towards the unit _end_.
    """
    if network.variant == "copy":
        kernel, bias = network.model.project.get_weights()
        units = network.model.units.get_weights()[0]
        bias += units[END] * by / (units[END] @ units[END])
        network.model.project.set_weights([kernel, bias])
    else:
        kernel, bias = network.model.get_layer("words").get_weights()
        bias[END] += by
        network.model.get_layer("words").set_weights([kernel, bias])


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Network, LightNetwork]:
    folder = tmp_path_factory.mktemp(request.param)
    network = random_network(request.param)
    saving.save(network, folder)
    return network, LightNetwork.load(folder)


def bodies(count: int, variant: str = "gru") -> np.ndarray:
    """Random ids, because the article's network reads padding as a word; for `copy` 0 to 9 units, then
    padding."""
    rng = np.random.default_rng(1)
    ids = rng.integers(0, ARTICLE_SHAPE.body_vocabulary, (count, ARTICLE_SHAPE.body_length)).astype(np.int32)
    if variant != "copy":
        return ids
    return np.where(
        np.arange(ARTICLE_SHAPE.body_length) < rng.integers(0, ARTICLE_SHAPE.body_length + 1, (count, 1)),
        ids,
        0,
    ).astype(np.int32)


def titles(count: int) -> np.ndarray:
    return np.hstack([np.full((count, 1), START), bodies(count, "copy")[:, :6] % 30]).astype(np.int32)


@pytest.mark.parametrize("title_ids", [None, titles(300)], ids=["bodies", "bodies and titles"])
def test_embeddings_equal_those_of_keras(pair, title_ids):
    in_keras, in_numpy = (
        network.encode(bodies(300, network.variant), 128, title_ids=title_ids) for network in pair
    )
    np.testing.assert_allclose(in_keras, in_numpy, atol=1e-5)


@pytest.mark.parametrize("beam_width", [1, 4])
def test_titles_and_their_probabilities_equal_those_of_keras(pair, beam_width):
    in_keras, in_numpy = (
        network.decode(bodies(300, network.variant), START, END, 128, beam_width) for network in pair
    )
    assert len(set(in_keras.lengths.tolist())) > 3
    assert len(np.unique(in_keras.ids, axis=0)) > 20
    assert (in_numpy.ids.tolist(), in_numpy.lengths.tolist()) == (
        in_keras.ids.tolist(),
        in_keras.lengths.tolist(),
    )
    np.testing.assert_allclose(in_numpy.log_probability, in_keras.log_probability, atol=1e-4)
    np.testing.assert_allclose(in_numpy.states, in_keras.states, atol=1e-5)
    for field in dataclasses.fields(in_numpy):
        assert getattr(in_numpy, field.name).dtype == getattr(in_keras, field.name).dtype


@pytest.mark.parametrize("beam_width", [1, 4])
def test_the_first_candidate_of_a_body_is_its_title(pair, beam_width):
    issues = bodies(40, pair[1].variant)
    decoded = pair[1].decode(issues, START, END, beam_width=beam_width)
    for row, body in enumerate(issues):
        candidates = pair[1].candidates(body[None], START, END, beam_width)
        scores = [score for _, score in candidates]
        assert candidates[0][0].tolist() == decoded.ids[row].tolist()
        assert scores[0] == pytest.approx(decoded.log_probability[row], abs=1e-5)
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(ids.tolist()) for ids, _ in candidates}) == len(candidates)


def test_only_units_of_the_body_are_copied(pair):
    title = np.array([5, 17, 30], np.int32)
    body = np.array([[17, 9, 5, 17, 0, 0, 0, 0, 0]], np.int32)
    shares = pair[1].copied_shares(body, title, START)
    if pair[1].variant != "copy":
        assert shares is None
        return
    assert (shares[:2] > 0).all()
    assert (shares[:2] < 1).all()
    assert shares[2] == 0


def test_both_decode_with_the_same_default_beam_width(pair):
    # these sizes are those of the test before, for which the network is compiled already
    in_keras, in_numpy = (network.decode(bodies(300), START, END, 128).ids.tolist() for network in pair)
    assert in_keras == in_numpy


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_title_of_an_issue_does_not_depend_on_the_rest_of_its_batch(pair, batch_size):
    issues = bodies(60, pair[1].variant)
    expected = pair[1].decode(issues, START, END)
    decoded = pair[1].decode(issues[:25], START, END, batch_size)
    assert decoded.ids.tolist() == expected.ids[:25].tolist()
    np.testing.assert_allclose(decoded.log_probability, expected.log_probability[:25], atol=1e-5)


def test_the_first_titles_of_a_network_are_the_same_as_those_after_many(tmp_path):
    saving.save(random_network("copy"), tmp_path)
    network, issues = LightNetwork.load(tmp_path), bodies(60, "copy")
    first = [network.decode(issues[row : row + 1], START, END).ids.tolist() for row in range(3)]
    network.decode(issues, START, END)
    assert [network.decode(issues[row : row + 1], START, END).ids.tolist() for row in range(3)] == first


@pytest.mark.parametrize("beam_width", [1, 3])
def test_titles_with_a_shortlist_equal_those_of_keras(tmp_path, beam_width):
    network = random_network("copy")
    network.shortlist = np.array([0, 1, START, END, 5, 11, 12, 30], np.int32)
    saving.save(network, tmp_path)
    issues = bodies(300, "copy")
    in_keras = network.decode(issues, START, END, 128, beam_width)
    in_numpy = LightNetwork.load(tmp_path).decode(issues, START, END, 128, beam_width)
    assert in_numpy.ids.tolist() == in_keras.ids.tolist()
    np.testing.assert_allclose(in_numpy.log_probability, in_keras.log_probability, atol=1e-4)
    titles = in_keras.ids.tolist()
    considered = [{*network.shortlist.tolist(), *body} for body in issues.tolist()]
    assert all(set(title) <= units for title, units in zip(titles, considered, strict=True))
    only_in_bodies = {unit for title in titles for unit in title} - set(network.shortlist.tolist())
    assert len(only_in_bodies) > 10


def test_titles_with_8_bits_have_nearly_the_probabilities_of_keras(tmp_path):
    network = random_network("copy", dataclasses.replace(SHAPES["copy"], embedding_size=300, hidden_size=300))
    for layer in network.model.layers:
        layer.set_weights([weight / 10 for weight in layer.get_weights()])
    network.eight_bits = True
    saving.save(network, tmp_path)
    assert saving.load(tmp_path).eight_bits
    in_keras, in_numpy = (
        loaded.decode(bodies(300, "copy"), START, END) for loaded in (network, LightNetwork.load(tmp_path))
    )
    assert (in_numpy.ids == in_keras.ids).all(axis=1).mean() > 0.8
    np.testing.assert_allclose(in_numpy.log_probability, in_keras.log_probability, atol=0.05)
    assert in_numpy.log_probability.tolist() != in_keras.log_probability.tolist()


def test_a_stored_choice_of_8_bits_must_be_true_or_false_and_is_false_in_earlier_models(tmp_path):
    saving.save(random_network("copy"), tmp_path)
    shape = tmp_path / "shape.json"
    content = json.loads(shape.read_text())
    assert "eight_bits" not in content
    assert not saving.load(tmp_path).eight_bits
    shape.write_text(json.dumps(content | {"eight_bits": "yes"}))
    for load in (saving.load, LightNetwork.load):
        with pytest.raises(LakeError, match="is damaged: eight_bits must be true or false"):
            load(tmp_path)


def test_a_shortlist_of_all_units_changes_nothing(tmp_path):
    network = random_network("copy")
    saving.save(network, tmp_path)
    expected = LightNetwork.load(tmp_path).decode(bodies(40, "copy"), START, END)
    network.shortlist = np.arange(40, dtype=np.int32)
    saving.save(network, tmp_path)
    for loaded in (network, LightNetwork.load(tmp_path)):
        decoded = loaded.decode(bodies(40, "copy"), START, END)
        assert decoded.ids.tolist() == expected.ids.tolist()
        np.testing.assert_allclose(decoded.log_probability, expected.log_probability, atol=1e-4)


def test_a_title_has_the_same_bits_in_a_new_process_and_after_many_titles(tmp_path):
    saving.save(random_network("copy"), tmp_path)
    issues = bodies(60, "copy")
    warm = LightNetwork.load(tmp_path)
    warm.decode(issues, START, END)
    for row in range(5):
        new = LightNetwork.load(tmp_path).decode(issues[row : row + 1], START, END)
        again = warm.decode(issues[row : row + 1], START, END)
        assert new.log_probability.tobytes() == again.log_probability.tobytes()


def test_padding_between_units_is_ignored(pair):
    if variant_of(pair[1].variant).trims_padding:
        body = np.array([[5, 0, 6, 7, 0, 0, 8, 0, 0], [5, 6, 7, 8, 0, 0, 0, 0, 0]], np.int32)
        ids = pair[1].decode(body, START, END).ids
        assert ids[0].tolist() == ids[1].tolist()


def test_zero_bodies_give_zero_titles(pair):
    decoded = pair[1].decode(bodies(0), START, END)
    assert [getattr(decoded, field.name).shape for field in dataclasses.fields(decoded)] == [
        (0, 6),
        (0,),
        (0,),
        (0, 12),
    ]
    assert pair[1].encode(bodies(0)).shape == (0, 12)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[1, 2]], r"\(1, 2\), but for n bodies this network needs the shape \(n, 9\)"),
        ([[40] * 9], "vocabulary of this network has the ids 0 to 39"),
    ],
)
def test_ids_that_do_not_fit_the_shape_are_refused(pair, ids, message):
    with pytest.raises(UsageError, match=message):
        pair[1].encode(ids)


def test_large_numbers_saturate_the_gates_without_a_warning():
    large = np.array([-1e30, 0, 1e30], np.float32)
    assert (sigmoid(large).tolist(), hard_sigmoid(large).tolist()) == ([0, 0.5, 1], [0, 0.5, 1])


@pytest.mark.parametrize("name", ["network.keras", "shape.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    saving.save(build("gru", ARTICLE_SHAPE, seed=5), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(LakeError, match=f"{name} is missing"):
        LightNetwork.load(tmp_path)


@pytest.mark.parametrize("name", ["network.keras", "shape.json"])
@pytest.mark.parametrize("size", [0, 10, 300, 20_000])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, size: int) -> None:
    saving.save(build("gru", ARTICLE_SHAPE, seed=5), tmp_path)
    cut_file(tmp_path / name, size)
    with pytest.raises(LakeError, match=f"{name} is damaged"):
        LightNetwork.load(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    saving.save(build("gru", ARTICLE_SHAPE, seed=5), tmp_path)
    add_title_word_to_shape(tmp_path)
    with pytest.raises(
        LakeError,
        match=r"does not fit the shape in shape.json: .* layer title_embedding .*\(30, 8\).*\(31, 8\)",
    ):
        LightNetwork.load(tmp_path)


def test_a_model_stored_without_the_number_of_layers_has_one_layer(tmp_path: Path) -> None:
    old = random_network("copy", dataclasses.replace(SHAPES["copy"], layers=1))
    saving.save(old, tmp_path)
    content = json.loads((tmp_path / "shape.json").read_text())
    assert content["shape"].pop("layers") == 1
    (tmp_path / "shape.json").write_text(json.dumps(content))
    expected = old.decode(bodies(50, "copy"), START, END).ids.tolist()
    in_keras, in_numpy = saving.load(tmp_path), LightNetwork.load(tmp_path)
    assert (in_keras.shape.layers, in_numpy.shape.layers) == (1, 1)
    for weight, stored in zip(in_keras.model.get_weights(), old.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, stored)
    assert in_numpy.decode(bodies(50, "copy"), START, END, 128, 4).ids.tolist() == expected


def test_weights_of_another_variant_are_refused(tmp_path: Path) -> None:
    saving.save(build("gru", ARTICLE_SHAPE, seed=5), tmp_path)
    content = json.loads((tmp_path / "shape.json").read_text())
    (tmp_path / "shape.json").write_text(json.dumps({**content, "variant": "gru_cudnn"}))
    with pytest.raises(LakeError, match=r"the layer encoder .*\(36,\).*\(2, 36\)"):
        LightNetwork.load(tmp_path)
    (tmp_path / "shape.json").write_text(json.dumps({**content, "variant": "lstm"}))
    with pytest.raises(LakeError, match=r"shape.json is damaged: 'lstm' is not a variant"):
        LightNetwork.load(tmp_path)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    network = build("gru", ARTICLE_SHAPE, seed=5)
    set_weights_to_nan(network)
    saving.save(network, tmp_path)
    with pytest.raises(LakeError, match="not finite numbers"):
        LightNetwork.load(tmp_path)


def small_predictor(variant: str) -> Predictor:
    words = ("crash", "window", "close", "number", "error", "theme", "open", "page")
    if variant_of(variant).units == "subwords":
        units = BytePairEncoding.fit(["the window crashed", "error close theme", "open page open page"], 280)
        vocabularies = Vocabularies(
            SubwordVocabulary(units, 9, start_end=False), SubwordVocabulary(units, 7, start_end=True)
        )
    else:
        vocabularies = Vocabularies(
            Vocabulary(words, 9, "pre", False), Vocabulary(("_start_", "_end_", *words), 7, "post", True)
        )
    shape = Shape(vocabularies.body.size, vocabularies.title.size, 9, 7, embedding_size=6, hidden_size=6)
    return Predictor("m1", random_network(variant, shape), vocabularies, "titler", 0.2, 16)


@pytest.mark.parametrize("variant", IMPLEMENTATIONS)
def test_a_light_predictor_predicts_the_same_as_the_predictor(tmp_path: Path, variant: str) -> None:
    predictor = small_predictor(variant)
    predictor.save(tmp_path)
    light_predictor = LightPredictor.load(tmp_path)
    texts = [
        "The window crashed.",
        None,
        "",
        "words outside the vocabulary",
        "error 404: crash!",
        "open page open page",
        "close theme",
    ]
    for light, full in zip(light_predictor.predict(texts), predictor.predict(texts), strict=True):
        assert (light.title, light.abstained) == (full.title, full.abstained)
        assert light.confidence == pytest.approx(full.confidence, abs=1e-4)
        np.testing.assert_allclose(light.embedding, full.embedding, atol=1e-5)


TITLE = """
import sys
from pipeline.cli import main
sys.argv = ["titler", "title", "The window crashed"]
try:
    main()
except SystemExit as exit:
    heavy = ("tensorflow", "keras", "mlflow", "pandas", "matplotlib", "dask")
    print(exit.code, [name for name in heavy if name in sys.modules])
"""


def test_titler_title_needs_neither_keras_nor_tensorflow(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small_predictor("gru").save(tmp_path / "m1")
    draft = lake.draft("predictor", {"model": "m1"}, [], {})
    for path in sorted((tmp_path / "m1").iterdir()):
        draft.write_file(path.name, path.read_bytes())
    Pinned(lake, "releases", "r1").open([], {"predictor": draft.commit().folder})
    point_to(lake, "r1")
    command = [sys.executable, "-c", TITLE]
    settings = {"TITLER_LAKE__ROOT": lake.root, "TITLER_SOURCE__HOURS": str(tmp_path)}
    output = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **settings}
    ).stdout.splitlines()
    assert output[0].startswith(Predictor.load(tmp_path / "m1").predict(["The window crashed"])[0].title)
    assert output[-1] == "0 []"


def real_issues(count: int) -> tuple[list[str], list[str]]:
    """Bodies and titles of real issues, equally many from each file. Skips the test if there are none."""
    if "TITLER_TEST_DATA" not in os.environ:
        pytest.skip("TITLER_TEST_DATA is not set: no real issues to title")
    files = sorted(Path(os.environ["TITLER_TEST_DATA"], "issues").glob("*.parquet"))
    rows = []
    for path in files:
        table = pq.read_table(path, columns=["title", "body"])
        rows += [row for row in table.slice(0, 3 * count).to_pylist() if row["title"] and row["body"]][
            : count // len(files) + 1
        ]
    order = np.random.default_rng(0).permutation(len(rows))[:count]
    return [rows[number]["body"][:2000] for number in order], [rows[number]["title"] for number in order]


def test_800_real_issues_get_the_same_titles(tmp_path: Path) -> None:
    texts, titles = real_issues(800)
    tokenize = tokenizer("titler")
    body_tokens, title_tokens = tokenize(texts), tokenize(titles)
    body = Vocabulary.fit(Counts.of(body_tokens), 2000, 40, "pre", start_end=False)
    title = Vocabulary.fit(Counts.of(title_tokens), 1000, 12, "post", start_end=True)
    vocabularies, ids = Vocabularies(body, title), (body.ids(body_tokens), title.ids(title_tokens))
    network = build(
        "gru",
        Shape(vocabularies.body.size, vocabularies.title.size, 40, 12, embedding_size=48, hidden_size=48),
        seed=1,
    )

    def batches(last: int):
        return iter([(ids[0][row : row + 32], ids[1][row : row + 32]) for row in range(0, last, 32)])

    fit(network, lambda _: batches(800), lambda _: batches(64), epochs=7, learning_rate=0.01, patience=7,
        checkpoint=CheckpointFolder(tmp_path / "checkpoint"), on_epoch=lambda _: None, seed=1)  # fmt: skip
    predictor = Predictor("m1", network, vocabularies, "titler", 0.0, 512)
    predictor.save(tmp_path)
    expected, predictions = predictor.predict(texts), LightPredictor.load(tmp_path).predict(texts)
    assert len({prediction.title for prediction in expected}) > 100
    assert [one.title for one in predictions] == [one.title for one in expected]
    np.testing.assert_allclose(
        [one.confidence for one in predictions], [one.confidence for one in expected], atol=1e-4
    )
    np.testing.assert_allclose(
        [one.embedding for one in predictions], [one.embedding for one in expected], atol=1e-4
    )
