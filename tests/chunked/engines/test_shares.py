"""Who does what in a pass, and into how many blocks few rows are cut."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gmm_dask.chunked.engines.shares import LEAST_SECONDS, STREAMED, deal, tasks_for
from gmm_dask.chunked.rows import TARGET_BYTES, usual_block


@given(
    st.integers(1, 200),
    st.lists(st.sampled_from("abcd"), max_size=9),
    st.integers(1, 12) | st.none(),
)
def test_every_share_is_dealt_once_evenly_and_in_order(
    shares: int, workers: list[str], each: int | None
) -> None:
    threads = sorted(workers)
    dealt = deal(shares, threads, each)
    assert [i for d in dealt for i in range(d.first, d.last)] == list(range(shares))
    if each is not None:
        assert len(dealt) <= each * max(1, len(threads))
    else:
        assert len(dealt) == shares
    held: Counter[str | None] = Counter()
    for d in dealt:
        held[d.worker] += d.last - d.first
    for worker, own in Counter(threads).items():
        assert abs(held[worker] - shares * own / len(threads)) <= own
    assert [d.worker for d in dealt] == sorted((d.worker for d in dealt), key=str)


def test_a_pass_has_as_many_tasks_as_it_is_long() -> None:
    assert tasks_for(None, cached=True) is None
    assert tasks_for(LEAST_SECONDS / 10, cached=True) == 1
    assert tasks_for(5.5 * LEAST_SECONDS, cached=True) == 5
    assert tasks_for(5.5 * LEAST_SECONDS, cached=False) == 5.5 // STREAMED


@given(st.integers(1, 2_000_000_000), st.integers(1, 200))
def test_few_rows_are_a_power_of_two_of_blocks(nbytes: int, features: int) -> None:
    size = usual_block(nbytes, 8 * features)
    assert size <= TARGET_BYTES
    blocks = -(-nbytes // size)
    if size < TARGET_BYTES:
        assert blocks & (blocks - 1) == 0
        assert blocks <= 32
        assert size >= 1_000_000 or blocks == 1
        assert size // (8 * features) >= 16 * features - 1 or blocks == 1
    if nbytes >= 2_000_000 and features <= 64:
        assert blocks >= 2
