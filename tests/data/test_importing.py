"""Files of every kind end as the same table; what is wrong in one is told by line and column."""

import gzip
from contextlib import suppress
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import zarr

from gmm_dask import DataError, open_rows
from gmm_dask.data import import_files
from gmm_dask.store.errors import KeyExistsError, StorageError
from tests.cli.conftest import preloaded as preloaded
from tests.cli.conftest import shell as shell
from tests.faults.inputs.parquet_bombs import parquet_file

NAMES = ["length", "width", "depth"]
TABLE = np.random.default_rng(0).normal(size=(257, 3))


def text(path: Path, mark: str, header: bool = True) -> Path:
    lines = [mark.join(NAMES)] * header + [mark.join(map(repr, row)) for row in TABLE.tolist()]
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def npz(path: Path) -> Path:
    np.savez_compressed(path, **dict(zip(NAMES, TABLE.T.copy(), strict=True)))
    return path


def npy(path: Path, values: np.ndarray) -> Path:
    np.save(path, values)
    return path


def structured() -> np.ndarray:
    return np.rec.fromarrays(TABLE.T.copy(), names=NAMES)


def parquet(path: Path) -> Path:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table(dict(zip(NAMES, TABLE.T.copy(), strict=True)))
    pytest.importorskip("pyarrow.parquet").write_table(table, path, row_group_size=100)
    return path


KINDS = {
    "comma": lambda at: (text(at / "a.csv", ","), True),
    "semicolon": lambda at: (text(at / "a.csv", ";"), True),
    "tab": lambda at: (text(at / "a.tsv", "\t"), True),
    "space": lambda at: (text(at / "a.txt", "  "), True),
    "gzip": lambda at: (text(at / "a.csv.gz", ","), True),
    "no header": lambda at: (text(at / "a.csv", ",", header=False), False),
    "npy": lambda at: (npy(at / "a.npy", TABLE), False),
    "npy in Fortran order": lambda at: (npy(at / "a.npy", np.asfortranarray(TABLE)), False),
    "npy with fields": lambda at: (npy(at / "a.npy", structured()), True),
    "npz": lambda at: (npz(at / "a.npz"), True),
    "parquet": lambda at: (parquet(at / "a.parquet"), True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_table(kind, tmp_path):
    path, named = KINDS[kind](tmp_path)
    found = import_files([path, path], tmp_path / "x.zarr", chunk_rows=50)
    rows = open_rows(tmp_path / "x.zarr")
    assert found.rows == rows.shape[0] == 2 * len(TABLE)
    assert list(rows.feature_names) == (NAMES if named else ["x0", "x1", "x2"])
    stored = zarr.open_array(tmp_path / "x.zarr", mode="r")
    assert stored.chunks == (50, 3)
    np.testing.assert_array_equal(stored[...], np.vstack([TABLE, TABLE]))
    chosen = NAMES[::-2] if named else ["x2", "x0"]
    import_files([path], tmp_path / "y.zarr", columns=chosen)
    reversed_ = zarr.open_array(tmp_path / "y.zarr", mode="r")[...]
    np.testing.assert_array_equal(reversed_, TABLE[:, ::-2])


def test_missing_values_are_an_error_skipped_or_kept(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,"b ""c"""\n1,2\n\nNA,3\n4,\n5,6\n')
    with pytest.raises(DataError, match=r"row 2 has a = nan"):
        import_files([path], tmp_path / "x.zarr")
    assert not (tmp_path / "x.zarr" / "zarr.json").exists()
    assert import_files([path], tmp_path / "x.zarr", nan="skip").skipped == 2
    kept = import_files([path], tmp_path / "x.zarr", nan="keep", dtype="float32", overwrite=True)
    assert (kept.rows, kept.skipped) == (4, 0)
    assert kept.feature_names == ("a", 'b "c"')
    stored = zarr.open_array(tmp_path / "x.zarr", mode="r")
    np.testing.assert_array_equal(
        stored[...], np.float32([[1, 2], [np.nan, 3], [4, np.nan], [5, 6]])
    )


@pytest.mark.parametrize(
    ("content", "columns", "told"),
    [
        ("a,b\n1,2\n3,x\n", None, "line 3: column b holds 'x'"),
        ("a,b\n1,2\n3,4,5\n", None, "line 3 has 3 columns"),
        ("a,b,c\n1,2,3\n3,4,5,6\n", ["b", "a"], "line 3 has 4 columns"),
        ("a,b\n1,2\n", ["c"], "has no column"),
        ("a,a\n1,2\n", None, "columns of the same name"),
        ("a,b\n", None, "no rows to import"),
        ("", None, "is empty"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_column(content, columns, told, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=told):
        import_files([path], tmp_path / "x.zarr", columns=columns)


def test_files_must_have_the_same_columns(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("a,c\n1,2\n")
    with pytest.raises(DataError, match="must be the same"):
        import_files([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "x.zarr")


def test_nothing_else_is_written_over(tmp_path):
    path = npy(tmp_path / "a.npy", TABLE)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear").write_text("…")
    with pytest.raises(StorageError, match="is no Zarr store"):
        import_files([path], tmp_path / "letters", overwrite=True)
    import_files([path], tmp_path / "x.zarr")
    with pytest.raises(KeyExistsError, match="exists already"):
        import_files([path], tmp_path / "x.zarr")


def test_a_cell_beyond_what_is_read_is_told_with_its_line(shell):
    (shell.folder / "x.csv").write_text('a,b\n1,2\n3,"' + "4" * 200_000 + 'x"\n')
    told = shell("data", "import", "x.csv", "--out", "x.zarr").refused()
    assert "x.csv line 3 has a cell that cannot be read (field larger than field limit" in told


def test_a_page_of_parquet_that_no_numbers_are_is_refused_before_it_is_unpacked(
    tmp_path: Path,
) -> None:
    arrow = pytest.importorskip("pyarrow")
    honest = parquet_file(tmp_path / "honest.parquet", np.arange(1000).tobytes(), 1000)
    bomb = parquet_file(tmp_path / "bomb.parquet", bytes(2**27), 1000)
    before = arrow.default_memory_pool()
    peaks = {}
    try:
        for path in (honest, bomb):
            arrow.set_memory_pool(pool := arrow.proxy_memory_pool(arrow.system_memory_pool()))
            with suppress(DataError):
                import_files([path], tmp_path / f"{path.stem}.zarr")
            peaks[path] = pool.max_memory()
    finally:
        arrow.set_memory_pool(before)
    assert peaks[honest] > 8000
    assert peaks[bomb] <= 2 * peaks[honest]
    table = open_rows(tmp_path / "honest.zarr").source.read(0, 1000)
    np.testing.assert_array_equal(table[:, 0], np.arange(1000))
    with pytest.raises(DataError, match="column x of row group 0 becomes 134217728 bytes, and at"):
        import_files([bomb], tmp_path / "bomb.zarr")


def test_a_footer_of_parquet_beyond_all_bounds_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with path.open("wb") as file:
        file.truncate(2**30)
        file.seek(2**30 - 8)
        file.write((2**29).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(DataError, match="its footer takes 536870912 bytes, and at most 67108864"):
        import_files([path], tmp_path / "out.zarr")


def test_pages_of_parquet_as_others_write_them_are_read(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    random = np.random.default_rng(0)
    columns = {
        "real": random.normal(size=5000),
        "few": random.integers(0, 10, 5000),
        "wide": random.integers(-(2**62), 2**62, 5000),
        "single": random.normal(size=5000).astype("f4"),
        "flat": np.zeros(5000, "i1"),
    }
    table = arrow.table(columns)
    for packing, version, dictionary in product(("NONE", "zstd"), ("1.0", "2.0"), (True, False)):
        path = tmp_path / f"{packing}-{version}-{dictionary}.parquet"
        settings = {"compression": packing, "data_page_version": version}
        coded = {} if dictionary else {"column_encoding": {"wide": "DELTA_BINARY_PACKED"}}
        parquet.write_table(
            table, path, use_dictionary=dictionary, row_group_size=2000, data_page_size=4096,
            **settings, **coded,
        )  # fmt: skip
        import_files([path], tmp_path / "out.zarr", dtype="float64", overwrite=True)
        found = open_rows(tmp_path / "out.zarr").source.read(0, 5000)
        np.testing.assert_array_equal(found, np.column_stack(list(columns.values())))
