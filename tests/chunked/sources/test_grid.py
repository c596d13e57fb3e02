"""Cells of a grid as rows, held against xarray's own stacking of one chunk after another."""

from itertools import pairwise, product

import dask
import dask.array
import numpy as np
import pytest
import xarray

from gmm_dask import Configuration, DataError, evaluate, fit, open_rows
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.scoring import lazy

SAMPLE = ("time", "lat", "lon")
SIZES = {"time": 6, "lat": 5, "lon": 7, "depth": 3}
CHUNKS = [
    None,
    {"time": 2, "lat": 3, "lon": 4},
    {"time": 1, "depth": 1},
    {"lat": (1, 3, 1), "lon": (5, 2), "depth": 2},
    {"time": (0, 4, 2), "lon": (3, 0, 4)},
    {"time": 6, "lat": 5, "lon": 7, "depth": 3},
]


def ocean(masked=True):
    random = np.random.default_rng(7)
    group = random.integers(0, 2, [SIZES[d] for d in SAMPLE])
    temperature = random.normal(size=list(SIZES.values())) + 6 * group[..., None]
    salinity = random.normal(size=[SIZES[d] for d in ("depth", "lon", "lat", "time")])
    height = (random.normal(size=group.shape) - 3 * group).astype("f4")
    made = xarray.Dataset(
        {
            "TEMP": ((*SAMPLE, "depth"), temperature),
            "SALT": (("depth", "lon", "lat", "time"), salinity),
            "SSH": (SAMPLE, height),
        },
        coords={
            "time": np.arange("2020-01", "2020-07", dtype="M8[M]").astype("M8[ns]"),
            "lat": np.linspace(-60, 60, 5),
            "lon": np.arange(7),
            "depth": [10.0, 20.0, 50.0],
            "area": (("lat", "lon"), random.random((5, 7)) + 0.5),
            "level": ("depth", [0, 1, 2]),
        },
    )
    land = xarray.DataArray(random.random((5, 7)) < 0.3, dims=("lat", "lon"))
    return made.where(~land) if masked else made


def stacked(dataset):
    """The rows as xarray stacks them, chunk by chunk; and how many are of each chunk."""
    cuts = [np.cumsum([0, *dataset.chunksizes.get(d, (SIZES[d],))]) for d in SAMPLE]
    tables = []
    for spans in product(*map(pairwise, cuts)):
        chunk = dataset.isel({d: slice(*span) for d, span in zip(SAMPLE, spans, strict=True)})
        if 0 in chunk.sizes.values():
            tables.append(np.empty((0, 7)))
            continue
        parts = [
            part.transpose("cell", ...).values.reshape(part.sizes["cell"], -1)
            for part in chunk.stack(cell=SAMPLE).data_vars.values()
        ]
        tables.append(np.concatenate(parts, axis=1))
    return np.concatenate(tables), tuple(map(len, tables))


def everything(rows):
    return np.concatenate([rows.read_all(i)[0] for i in range(len(rows))])


@pytest.mark.parametrize("chunks", CHUNKS)
def test_cells_are_rows_in_the_order_of_chunks(chunks):
    dataset = ocean() if chunks is None else ocean().chunk(chunks)
    rows = open_rows(dataset, sample_dims=SAMPLE, feature_dims="depth", block_bytes=800)
    table, _ = stacked(dataset)
    np.testing.assert_array_equal(everything(rows), table)
    depths = [f"[depth={z}]" for z in (10.0, 20.0, 50.0)]
    named = [f"{name}{depth}" for name in ("TEMP", "SALT") for depth in depths]
    assert rows.feature_names == (*named, "SSH")


def test_a_row_needs_no_other_chunk_along_samples_than_its_own():
    seen = set()

    def look(block, block_info=None):
        place = block_info[0]["chunk-location"] if block_info else ()
        seen.add(place[:3])
        return block

    chunked = ocean()["TEMP"].chunk({"time": 4, "lat": 2, "lon": 3, "depth": 1})
    watched = chunked.copy(data=chunked.data.map_blocks(look, meta=np.empty((0, 0, 0, 0))))
    table = open_rows(watched, sample_dims=SAMPLE).source.array
    for i, place in enumerate(product(range(2), range(3), range(3))):
        seen.clear()
        table.blocks[i].compute(scheduler="synchronous")
        assert seen == {place}


@pytest.mark.parametrize("chunks", CHUNKS)
def test_a_fit_has_the_bits_of_the_stacked_array_and_labels_their_cells(chunks):
    dataset = ocean() if chunks is None else ocean().chunk(chunks)
    table, lengths = stacked(dataset)
    plain = table if chunks is None else dask.array.from_array(table, chunks=(lengths, -1))
    options = Configuration(2, seed=3, tol=1e-8)
    found = fit(dataset, options, sample_dims=SAMPLE, feature_dims="depth")
    other = fit(plain, options, nonfinite="skip")
    for name in ("weights", "means", "covariances"):
        assert getattr(found.mixture, name).tobytes() == getattr(other.mixture, name).tobytes()
    assert found.statistics.rows == np.isfinite(table).all(axis=1).sum() < len(table)
    check_answers(dataset, other.mixture)


def check_answers(dataset, mixture):
    whole = ocean().transpose(*SAMPLE, "depth")
    table = stacked(whole)[0].reshape(*(SIZES[d] for d in SAMPLE), -1)
    land = np.isnan(table).any(axis=-1)
    answers = {
        "labels": (mixture.labels, -1),
        "log_density": (mixture.log_density, np.nan),
        "responsibilities": (mixture.responsibilities, np.nan),
    }
    for name, (of, absent) in answers.items():
        answer = getattr(lazy, name)(dataset, mixture, sample_dims=SAMPLE)
        assert (answer.chunks is None) == (dataset.chunks == {})
        across = ("component",) if name == "responsibilities" else ()
        assert answer.dims == (*SAMPLE, *across)
        expected = of(np.where(np.isnan(table), 0.0, table).reshape(land.size, -1))
        expected = expected.reshape(*land.shape, *expected.shape[1:])
        expected[land] = absent
        np.testing.assert_allclose(answer.values, expected, rtol=1e-9)
        for one in ("time", "lat", "lon", "area"):
            xarray.testing.assert_equal(answer.coords[one].variable, whole[one].variable)
        assert "depth" not in answer.coords


def test_arrays_and_nodes_of_trees_are_grids_too():
    temperature = ocean()["TEMP"].chunk({"time": 2})
    tree = xarray.DataTree.from_dict({"/sea": temperature.to_dataset()})
    one, other = (open_rows(source, sample_dims=SAMPLE) for source in (temperature, tree["sea"]))
    assert (
        one.feature_names
        == other.feature_names
        == tuple(f"TEMP[depth={z}]" for z in (10.0, 20.0, 50.0))
    )
    np.testing.assert_array_equal(everything(one), everything(other))
    unnamed = open_rows(temperature.drop_vars("depth").rename(None), feature_dims=["depth"])
    assert unnamed.feature_names == ("[depth=0]", "[depth=1]", "[depth=2]")
    with pytest.raises(DataError, match="DataTree has no variables; below it: sea"):
        open_rows(tree, sample_dims=SAMPLE)


def test_features_of_several_dimensions_and_of_dates_are_named():
    rows = open_rows(ocean()["TEMP"], sample_dims=("lat", "lon"))
    assert rows.shape == (35, 18)
    assert rows.feature_names[:4] == (
        "TEMP[time=2020-01-01][depth=10.0]",
        "TEMP[time=2020-01-01][depth=20.0]",
        "TEMP[time=2020-01-01][depth=50.0]",
        "TEMP[time=2020-02-01][depth=10.0]",
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"sample_dims": ("time", "y")},
            "sample_dims: there is no dimension 'y'; there are time, ",
        ),
        ({"feature_dims": "z"}, "feature_dims: there is no dimension 'z'"),
        ({"sample_dims": ("lat", "lat")}, "names a dimension twice"),
        ({"sample_dims": ()}, "sample_dims is empty"),
        ({"sample_dims": "time", "feature_dims": "depth"}, "'lat' is in neither of sample_dims"),
        ({"sample_dims": SAMPLE, "feature_dims": ("depth", "lat")}, "'lat' is in both of"),
        (
            {"sample_dims": ("time", "depth")},
            "'SSH' has no dimension 'depth', which rows lie along",
        ),
        ({"sample_dims": SAMPLE, "rows": slice(5)}, r"choose cells with \.isel"),
        ({"sample_dims": SAMPLE, "weights": np.ones(210)}, "pass a DataArray along time, lat, lon"),
        ({"sample_dims": SAMPLE, "weights": "level"}, "'depth', which cells have not"),
        ({"sample_dims": SAMPLE, "columns": ["U"]}, "no variable 'U'"),
        ({}, "as in sample_dims="),
    ],
)
def test_refusals(asked, said):
    with pytest.raises(DataError, match=said):
        open_rows(ocean(), **asked)


def test_what_has_no_names_has_no_sample_dims():
    with pytest.raises(DataError, match="ndarray has no names for its dimensions"):
        open_rows(np.ones((3, 2)), sample_dims="row")


def test_a_cell_that_is_masked_in_part_is_refused_unless_it_is_to_be_skipped():
    dataset = ocean()
    hole = tuple(np.argwhere(np.isfinite(dataset["SSH"].values))[0])
    dataset["TEMP"].values[(*hole, 1)] = np.nan
    dataset = dataset.chunk({"time": 2})
    with pytest.raises(DataError, match=r"TEMP\[depth=20.0\] = nan.*; 1 of 210 rows .*nonfinite="):
        fit(dataset, 2, sample_dims=SAMPLE)
    mixture = fit(dataset, 2, sample_dims=SAMPLE, nonfinite="skip").mixture
    with pytest.raises(
        DataError, match=r"1 of \d+ cells of a block are not finite in some features"
    ):
        evaluate(dataset, mixture, sample_dims=SAMPLE)
    with pytest.raises(DataError, match="has nan as feature 1: it is not finite"):
        lazy.labels(dataset, mixture, sample_dims=SAMPLE).compute()
    labels = lazy.labels(dataset, mixture, sample_dims=SAMPLE, nonfinite="skip")
    assert labels.values[hole] == -1
    assert (labels == -1).sum() == 1 + np.isnan(dataset["SSH"]).sum()


@pytest.mark.parametrize("chunks", CHUNKS)
def test_cells_are_weighted_by_what_lies_along_some_of_their_dimensions(chunks):
    dataset = ocean() if chunks is None else ocean().chunk(chunks)
    area = ocean()["area"].broadcast_like(ocean()["SSH"])
    whole, _ = stacked(ocean())
    expected = fit(whole, 2, weights=area.transpose(*SAMPLE).values.ravel(), nonfinite="skip")
    for weights in ("area", dataset["area"], ocean()["area"].transpose("lon", "lat")):
        found = fit(dataset, 2, sample_dims=SAMPLE, weights=weights, initial=expected.mixture)
        assert found.statistics.weight == pytest.approx(expected.statistics.weight, rel=1e-12)
        assert found.bic == pytest.approx(expected.bic, rel=1e-6)
    with pytest.raises(DataError, match="is not on the grid of the cells"):
        open_rows(dataset, sample_dims=SAMPLE, weights=ocean()["area"].isel(lat=slice(1, None)))


def test_a_fit_begins_from_labels_of_its_cells():
    dataset = ocean()
    found = fit(dataset, 2, sample_dims=SAMPLE)
    labels = lazy.labels(dataset, found.mixture, sample_dims=SAMPLE)
    for chunks in CHUNKS[1:]:
        again = fit(dataset.chunk(chunks), 2, sample_dims=SAMPLE, labels=labels)
        np.testing.assert_allclose(again.mixture.means, found.mixture.means, atol=1e-3)


def test_an_answer_keeps_the_coordinates_of_a_plain_table():
    table = ocean(masked=False)["TEMP"].isel(lat=0, lon=0)
    mixture = Mixture(np.ones(1), np.zeros((1, 3)), np.eye(3)[None], "full")
    for source in (
        table,
        table.chunk({"time": 2}),
        table.to_dataset("depth").rename_vars({10.0: "a", 20.0: "b", 50.0: "c"}),
    ):
        answer = lazy.log_density(source, mixture)
        np.testing.assert_allclose(answer, mixture.log_density(table.values))
        xarray.testing.assert_equal(answer["time"], table["time"])
