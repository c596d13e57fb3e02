"""Bars are judged and the README's table is written from what was saved."""

from tests.benchmarks import table
from tests.benchmarks.peers.bars import missed

FOUND = {
    "shape": [400_000, 2, 3],
    "family": "full",
    "threads": 1,
    "seconds": {"gmm_dask_": 0.004, "scikit_learn": 0.092, "onedal": 0.003},
    "floor": {"products": 0.0002, "memory": 0.0005, "exponentials": 0.0008},
}


def test_a_bar_that_does_not_hold_is_told_with_what_the_floor_allows():
    (miss,) = missed(FOUND)
    assert miss["against"] == "onedal"
    assert miss["sentence"] == (
        "N=400000 D=2 K=3 full, 1 thread(s): 0.8x oneDAL, not 1x (the floor itself is at 2.0x)"
    )
    slow = FOUND | {"floor": {"products": 0.0002}}
    assert [m["against"] for m in missed(slow)] == ["onedal", "floor"]
    slower = {"gmm_dask_": 0.004, "scikit_learn": 0.012, "onedal": 0.003}
    for elsewhere in ({"threads": 2}, {"family": "diag"}):
        (miss,) = missed(slow | elsewhere | {"seconds": slower})
        assert miss["against"] == "onedal"


def test_the_table_has_a_line_for_each_shape_and_a_dash_for_who_gave_no_answer():
    lines = list(table.iterations({"machine": {"processor": "a", "day": "b"}, "found": [FOUND]}))
    assert lines[-1] == "| 400,000 × 2, 3 | 1.5 | **4.0** | 92.0 | 3.0 | – | – |"


def test_only_what_stands_between_the_markers_is_replaced(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{table.BEGIN}\nold\n{table.END}\n\nafter\n")
    monkeypatch.setattr(table, "README", readme)
    assert table.main() == 0
    text = readme.read_text()
    assert text.startswith(f"before\n\n{table.BEGIN}\n")
    assert text.endswith(f"{table.END}\n\nafter\n")
    assert "old" not in text
    readme.write_text("nothing")
    assert table.main() == 1
    assert readme.read_text() == "nothing"
