"""A job is the same in a file and in memory; what a file says wrongly is named."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask import Configuration, ConfigurationError
from gmm_dask.runs.configuration import load_values
from gmm_dask.settings import toml
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.job import Job, job_from
from gmm_dask.settings.rows import RowOptions

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
values = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | st.floats(-9, 9) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
jobs = st.builds(
    Job,
    source=text,
    mixture=st.builds(
        Configuration,
        components=st.integers(1, 99),
        covariance=st.sampled_from(["full", "tied", "diag", "spherical"]),
        init=st.sampled_from(["kmeans", "k-means++", "random", "random_from_data"]),
        tol=st.none() | st.floats(0, 1),
        relative_tol=st.none() | st.floats(0, 1),
        reg_covar=st.floats(0, 1),
        seed=st.integers(0, 2**40),
    ),
    start=st.none() | st.just("labels:truth"),
    rows=st.builds(
        RowOptions,
        columns=st.none() | st.lists(text, min_size=1).map(tuple),
        weights=st.none() | text,
        first_row=st.none() | st.integers(0, 9),
    ),
    cluster=st.builds(ClusterOptions, workers=st.none() | st.integers(1, 9))
    | st.builds(
        ClusterOptions,
        kind=st.just("dask_jobqueue.SLURMCluster"),
        workers=st.none() | st.integers(1, 9),
        arguments=st.dictionaries(st.from_regex("[a-z_ ]{1,3}", fullmatch=True), values),
        wait=st.sampled_from(["1h", "5m"]),
    ),
    run=st.none() | text,
    cache=st.sampled_from(["auto", "memory", "none"]),
    checkpoint_every=st.integers(1, 9),
)


@given(jobs)
def test_written_and_read_a_job_is_what_it_was(job):
    values = toml.read(job.as_toml(), Job, "config.toml")
    found = job_from(values)
    if job.start is not None:  # which takes the place of the way to draw one
        assert found.start == job.start
        assert found.mixture.components == job.mixture.components
    else:
        assert found == job


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('sorce = "x"', "unknown key 'sorce'; did you mean 'source'"),
        ("[mixture]\nkomponents = 3", r"\[mixture\]: unknown key 'komponents'; did you mean"),
        (
            '[mixture]\ncomponents = "three"',
            "components must be a whole number from 1 up, not 'three'",
        ),
        ("[mixture]\ncomponents = true", "components must be a whole number"),
        ('[rows]\ncolumns = "a,b"', "columns must be a list of names or"),
        ('cache = "disk"', "cache must be auto or memory or none"),
        ("[cluster", "is no TOML"),
        ("cluster = 3", r"cluster is a section: write \[cluster\]"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(content, told):
    with pytest.raises(ConfigurationError, match=told):
        toml.read(content, Job, "config.toml")


def test_a_configuration_of_others_starts_no_class_of_clusters(tmp_path, monkeypatch):
    written = (
        'source = "rows.zarr"\nrun = "{run}"\n[mixture]\ncomponents = 3\n[cluster]\n'
        'kind = "distributed.LocalCluster"\narguments = {{preload = "print(6 * 7)"}}\n'
    )
    run, alone = tmp_path / "run", tmp_path / "fit.toml"
    run.mkdir()
    (run / "run.json").write_text("{}")
    (run / "config.toml").write_text(written.format(run=run))
    alone.write_text(written.format(run=run))
    for ours in (run, run / "config.toml", alone):
        assert load_values(ours)["cluster"]["kind"] == "distributed.LocalCluster"
    told = "may be somebody else's, and the kind of its cluster can run any code here"
    brought = run.rename(tmp_path / "brought")
    for theirs in (brought, brought / "config.toml", f"file://{brought}"):
        with pytest.raises(ConfigurationError, match=told):
            load_values(theirs)
    assert load_values(brought, own_cluster=True)["mixture"] == {"components": 3}
    monkeypatch.setattr(os, "getuid", lambda: os.stat(alone).st_uid + 1)
    if os.stat(alone).st_uid != 0:
        with pytest.raises(ConfigurationError, match=told):
            load_values(alone)


def test_a_configuration_names_only_what_is_text():
    with pytest.raises(ConfigurationError, match="is no path: its name is not UTF-8"):
        Job("rows-\udcff.zarr", Configuration(3))


def test_a_scheduler_and_a_local_cluster_exclude_each_other():
    with pytest.raises(ConfigurationError, match="not both"):
        ClusterOptions(scheduler="tcp://a:1", workers=2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scheduler": "tcp://a:1", "kind": "distributed.LocalCluster"}, "not both"),
        ({"arguments": {"queue": "long"}}, "need its kind"),
        ({"kind": "dask_jobqueue.SLURMCluster", "threads": 2}, "threads is of a local cluster"),
        ({"kind": "a.B", "arguments": {"db_password": "x"}}, "looks like a secret"),
        ({"kind": "a.B", "wait": "a while"}, "is no time; write 90s, 10m or 1h"),
    ],
)
def test_what_cannot_be_meant_of_a_cluster_is_named(options, told):
    with pytest.raises(ConfigurationError, match=told):
        ClusterOptions(**options)


def test_whole_numbers_are_numbers():
    values = toml.read("[mixture]\ncomponents = 2\ntol = 1\nrelative_tol = 'none'", Job, "c")
    assert values["mixture"] == {"components": 2, "tol": 1.0, "relative_tol": None}


def test_numbers_of_numpy_are_numbers():
    asked = Configuration(np.int64(2), tol=np.float32(0.5), seed=np.array(3))
    assert asked == Configuration(2, tol=0.5, seed=3)
    assert type(asked.components) is int
    with pytest.raises(ConfigurationError, match="components must be a whole number"):
        Configuration(np.float64(2))
    with pytest.raises(ConfigurationError, match="components must be a whole number"):
        Configuration(np.bool_(True))
