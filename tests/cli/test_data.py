"""`data make` and `data import` as commands."""

import numpy as np
import zarr

from gmm_dask.models.model import load_model


def arrays(path):
    group = zarr.open_group(path, mode="r")
    return group["rows"][...], group["labels"][...]


def test_the_same_seed_gives_the_same_bits_here_and_on_a_cluster(shell):
    make = "data make blobs --rows 5000 --features 2 --components 4 --chunk-rows 700 --seed 5"
    shell(*make.split(), "--out", "a.zarr").well()
    on_cluster = shell.start(*make.split(), "--out", "b.zarr", "--workers", 2, "--json")
    assert shell.end(on_cluster).well().json["rows"] == 5000
    for one, other in zip(
        arrays(shell.folder / "a.zarr"), arrays(shell.folder / "b.zarr"), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    truth = load_model(shell.folder / "b.zarr" / "truth").mixture
    rows, labels = arrays(shell.folder / "b.zarr")
    for k in range(4):
        np.testing.assert_allclose(rows[labels == k].mean(axis=0), truth.means[k], atol=0.3)


def test_import_keeps_column_names_so_that_a_fit_knows_them(shell):
    (shell.folder / "t.csv").write_text("height,width,kind\n1,2,a\n3,,b\n5,7,c\n2,2,a\n")
    command = ["data", "import", "t.csv", "--out", "t.zarr"]
    assert "column kind holds 'a'" in shell(*command).refused()
    assert "row 2 has width = nan" in shell(*command, "--columns", "height,width").refused()
    told = shell(*command, "--columns", "height,width", "--nan", "skip", "--json").well().json
    assert (told["rows"], told["skipped"]) == (3, 1)
    fitted = shell("fit", "t.zarr", "-k", 1, "--out", "runs/t").well()
    assert "height" in fitted.out
