"""The count of what a fit walks through finds something to count."""

import ast
import re

from tests import walk


def test_a_walk_is_counted_and_told(capsys):
    walk.main(["store", "--files"])
    told = capsys.readouterr().out
    files = re.search(r'^files: fit\("rows.zarr".*?  +(\d+)  opened (\d+) ×; ', told, re.MULTILINE)
    assert files is not None, told
    assert int(files[1]) > 0
    assert int(files[2]) > 0
    assert told.count("  gmm_dask/") >= int(files[1])
    assert int(re.search(r"^entries at the root of gmm_dask/ +(\d+)", told, re.MULTILINE)[1]) > 0
    assert int(re.search(r"^lines of the longest file +(\d+)", told, re.MULTILINE)[1]) > 0
    assert int(re.search(r"^methods of the widest class +(\d+)", told, re.MULTILINE)[1]) > 0


def test_circles_are_found_and_imports_for_types_make_none():
    texts = {
        "a": "import b",
        "b": "from c import something",
        "c": "def later():\n    import a",
        "d": "import a\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import e",
        "e": "import d",
    }
    trees = {name: ast.parse(text) for name, text in texts.items()}
    assert walk.circles(trees, within_functions=False) == []
    assert walk.circles(trees, within_functions=True) == [["a", "b", "c"]]
