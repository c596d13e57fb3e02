"""Pictures of components that belong together: true where truth can be read off them."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from gmm_dask import overlap, plots
from gmm_dask.plots.colours import FAINT
from gmm_dask.plots.merging import leaves
from tests.plots.test_plots import closed_figures, drawn, mixture_of  # noqa: F401  the fixture
from tests.scoring.merging import problems

MIXTURE, ROWS = next((mixture, rows) for name, mixture, rows in problems() if name == "planar")
FOUND = overlap(MIXTURE, ROWS)


def test_the_map_has_the_shares_of_each_component_in_the_order_of_the_tree():
    axes = plots.overlap(FOUND)
    (image,) = axes.images
    order = leaves(FOUND.tree())
    shown = np.ma.getdata(image.get_array())
    assert shown[0, 1] == FOUND.misclassified[order[1], order[0]]
    assert np.isnan(np.diagonal(shown)).all()
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(k) for k in order]
    assert "34%" in {text.get_text() for text in axes.texts}
    drawn(axes)


@pytest.mark.parametrize("rule", ["entropy", "misclassification"])
def test_branches_never_cross_and_have_the_colours_of_clusters(rule):
    tree = FOUND.trees[rule]
    order = leaves(tree)
    for count in range(1, 7):
        for cluster in tree.clusters(count):
            places = sorted(order.index(k) for k in cluster)
            assert places == list(range(places[0], places[0] + len(cluster)))
    axes = plots.merges(tree)
    upright = [line for line in axes.lines if line.get_xdata()[0] == line.get_xdata()[1]]
    assert len(upright) == 5 + 1  # and where it is cut
    colours = {to_hex(line.get_color()) for line in axes.lines[:-1]}
    assert len(colours - {to_hex(FAINT)}) == tree.suggested
    drawn(axes)


def test_the_curve_rises_from_one_cluster_to_all_components():
    axes = plots.entropy_curve(FOUND.tree(), len(ROWS))
    numbers, values = axes.lines[0].get_data()
    assert list(numbers) == [1, 2, 3, 4, 5, 6]
    assert values[0] == 0
    assert values[-1] == pytest.approx(FOUND.entropy / len(ROWS))
    (ringed,) = axes.lines[1].get_xdata()
    assert ringed == FOUND.tree().suggested
    drawn(axes)


@pytest.mark.parametrize("components", [1, 2, 45])
def test_pictures_of_few_and_of_many_components(components):
    mixture = mixture_of(components, 2, spread=1)
    found = overlap(mixture, mixture.sample(300, np.random.default_rng(0))[0])
    for axes in (plots.overlap(found), plots.entropy_curve(found.tree(), 300)):
        drawn(axes)
    drawn(plots.merges(found.tree()))
