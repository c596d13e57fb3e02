"""The same commands on an object store: data, run folder and configuration by URL."""

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "s3://rows-and-runs"


@pytest.fixture
def s3():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    environment = keys | {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    ).create_bucket(Bucket=BUCKET[5:])
    yield environment
    server.stop()


def test_from_data_to_a_model_that_is_watched_and_resumed(shell, s3):
    source, run = f"{BUCKET}/x.zarr", f"{BUCKET}/runs/r"
    make = "data make blobs --rows 2000 --features 2 --components 2 --chunk-rows 500 --out"
    shell(*make.split(), source, **s3).well()
    fitted = shell("fit", source, "-k", 2, "--out", run, "--json", **s3).well().json
    watched = shell("watch", run, "--json", **s3).well().json
    assert watched["mean_log_likelihood"] == fitted["mean_log_likelihood"]
    again = shell("fit", "--config", run, "--json", **s3).well()
    assert "is finished" in again.err
    assert again.json["bic"] == fitted["bic"]
    assert shell("show", run, "--json", **s3).well().json["mixture"]["components"] == 2


def test_versions_of_a_model_beside_rows_that_grow(shell, s3):
    source, models = f"{BUCKET}/y.zarr", f"{BUCKET}/models/y"
    make = "data make blobs --rows 2000 --features 2 --components 2 --chunk-rows 500 --out"
    shell(*make.split(), source, **s3).well()
    asked = ("refit", source, "--models", models, "-k", 2, "--json")
    assert shell(*asked, **s3).well().json["version"] == "v0001"
    assert shell(*asked, **s3).well().json["outcome"] == "nothing new"
    other = shell(*asked, "--margin", 0, "--seed", 1, "--covariance", "diag", **s3).well().json
    assert (other["news"], other["comparison"]["margin"]) == ("settings", 0)
    shell("models", models, "--rollback", "v0001", **s3).well()
    assert shell("models", models, "--json", **s3).well().json["current"] == "v0001"
    assert shell("score", models, source, "--out", f"{BUCKET}/scores.zarr", **s3).well()
