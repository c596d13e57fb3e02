"""A job is the same in a file and in memory; what a file says wrongly is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask import Configuration, ConfigurationError
from gmm_dask.job import ClusterOptions, Job, Opening, job_from, read_toml

text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
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
        Opening,
        columns=st.none() | st.lists(text, min_size=1).map(tuple),
        weights=st.none() | text,
        first_row=st.none() | st.integers(0, 9),
    ),
    cluster=st.builds(ClusterOptions, workers=st.none() | st.integers(1, 9)),
    run=st.none() | text,
    cache=st.sampled_from(["auto", "memory", "none"]),
    checkpoint_every=st.integers(1, 9),
)


@given(jobs)
def test_written_and_read_a_job_is_what_it_was(job):
    values = read_toml(job.as_toml(), "config.toml")
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
        ('[mixture]\ncomponents = "three"', "components must be a whole number, not 'three'"),
        ("[mixture]\ncomponents = true", "components must be a whole number"),
        ('[rows]\ncolumns = "a,b"', "columns must be a list of names or"),
        ('cache = "disk"', "cache must be auto or memory or none"),
        ("[cluster", "is no TOML"),
        ("cluster = 3", "unknown key 'cluster'"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(content, told):
    with pytest.raises(ConfigurationError, match=told):
        read_toml(content, "config.toml")


def test_a_scheduler_and_a_local_cluster_exclude_each_other():
    with pytest.raises(ConfigurationError, match="not both"):
        ClusterOptions(scheduler="tcp://a:1", workers=2)


def test_whole_numbers_are_numbers():
    values = read_toml("[mixture]\ncomponents = 2\ntol = 1\nrelative_tol = 'none'", "c")
    assert values["mixture"] == {"components": 2, "tol": 1.0, "relative_tol": None}
