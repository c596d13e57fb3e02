"""Secrets: flows have them from a Secret block before they look at anything, and nowhere else."""

import secrets
import urllib.request

import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from prefect.blocks.system import Secret

from flows import forms
from flows.credentials import credentials_of
from flows.fit_mixture import fit_mixture
from flows.refit import refit
from flows.select_components import select_components
from gmm_dask.data.table import TableArray, TableStore

pytestmark = pytest.mark.needs("pg_isready")


@pytest.fixture
def block(asking, monkeypatch):  # noqa: ARG001  the server that keeps it
    """The name of a block that leads to a bucket; the environment leads nowhere."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT")).close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "key")
    name = f"bucket-{secrets.token_hex(4)}"
    Secret(value={**keys, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint}).save(name)
    yield name
    server.stop()


def test_the_only_table_of_a_group_is_looked_for_with_the_credentials_of_the_block(block):
    source = "s3://bucket/rows.zarr"
    with credentials_of(block):
        table = TableArray("rows", "float64", 200, 2, 200)
        beside = TableArray("components", "int64", 200, None, 200)
        store = TableStore.begin(source, overwrite=True)
        store.write(table, 0, np.random.default_rng(0).normal(size=(200, 2)))
        store.write(beside, 0, np.zeros(200, np.int64))
        store.finish([table, beside])
    one = forms.MixtureForm(components=1)
    fitted = fit_mixture(source, one, "s3://bucket/runs/fit", credentials=block)
    assert fitted["model"] == "s3://bucket/runs/fit/model.zarr"
    selected = select_components(source, "1:2", run="s3://bucket/runs/select", credentials=block)
    assert selected["components"] == 1
    kept_up = refit(source, "s3://bucket/models/rows", one, credentials=block)
    assert kept_up["version"] == "v0001"
