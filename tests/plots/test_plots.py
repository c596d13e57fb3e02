"""Pictures: drawn for real, and true where truth can be read off them."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy.integrate import trapezoid

mpl.use("Agg")
from matplotlib import pyplot as plt

from gmm_dask import Configuration, Mixture, fit, plots, select
from gmm_dask.plots.colours import colour, names_of, plain, style
from gmm_dask.plots.directions import discriminant_directions, view
from gmm_dask.plots.passes import seconds
from gmm_dask.plots.scatter import ellipse, in_sight, padded


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def mixture_of(components: int, features: int, family: str = "full", spread: float = 4) -> Mixture:
    random = np.random.default_rng(0)
    factors = random.normal(size=(components, features, 3 * features))
    matrices = factors @ factors.transpose(0, 2, 1) / factors.shape[2]
    covariances = {
        "full": matrices,
        "tied": matrices[0],
        "diag": np.diagonal(matrices, axis1=1, axis2=2),
        "spherical": matrices[:, 0, 0],
    }[family]
    means = spread * random.normal(size=(components, features))
    return Mixture(random.dirichlet(np.full(components, 4)), means, covariances, family)


def drawn(thing):
    """The figure of one of these axes, drawn."""
    found = next(ax for ax in np.ravel(thing) if ax is not None).figure
    found.canvas.draw()
    return found


@pytest.mark.parametrize(
    ("components", "features", "family", "axes"),
    [(2, 2, "full", 1), (1, 3, "diag", 3), (5, 4, "tied", 6), (50, 9, "spherical", 6)],
)
def test_pairs_of_any_mixture(components, features, family, axes):
    mixture = mixture_of(components, features, family)
    rows, _ = mixture.sample(300, np.random.default_rng(1))
    figure = drawn(plots.pairs(mixture, rows, weights=np.linspace(0.1, 3, 300)))
    assert len(figure.axes) == axes


@pytest.mark.parametrize(("components", "features", "axes"), [(3, 1, 1), (12, 5, 5), (3, 14, 4)])
def test_densities_of_any_mixture(components, features, axes):
    mixture = mixture_of(components, features)
    rows, _ = mixture.sample(300, np.random.default_rng(1))
    assert len(drawn(plots.densities(mixture, rows)).axes) == axes
    assert len(drawn(plots.densities(mixture)).axes) == axes


NAMES = ["<a>", "$b$", "c\nd", "e", "f", "a very long name of a feature"]


@pytest.mark.parametrize(("components", "numbered"), [(2, True), (50, False)])
def test_weights_of_any_number_of_components_are_bars_of_their_height(components, numbered):
    mixture = mixture_of(components, 6)
    ax = plots.weights(mixture)
    drawn(ax)
    assert [bar.get_height() for bar in ax.patches] == mixture.weights.tolist()
    told = [f"{weight:.3g}" for weight in mixture.weights]
    assert [text.get_text() for text in ax.texts] == (told if numbered else [])


@pytest.mark.parametrize(("components", "printed"), [(2, 12), (50, 0)])
def test_means_of_any_number_of_components_are_told_apart_by_colour(components, printed):
    mixture = mixture_of(components, 6)
    ax = plots.means(mixture, NAMES)
    drawn(ax)
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(
        shown * np.sqrt(mixture.variance) + mixture.mean, mixture.means, atol=1e-12
    )
    assert [label.get_text() for label in ax.get_xticklabels()] == [plain(name) for name in NAMES]
    assert len(ax.texts) == printed
    if printed:
        assert float(ax.texts[0].get_text()) == pytest.approx(mixture.means[0, 0], rel=0.05)


def test_the_density_is_one_in_all():
    alone = Mixture([0.7, 0.3], [[0.0], [6.0]], [1.0, 0.01], "spherical")
    line = plots.density(alone).get_lines()[-1]
    assert trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(1, abs=5e-3)


def test_weights_count_in_histograms():
    rows = np.array([[0.0]] * 50 + [[10.0]] * 50)
    ax = plots.density(mixture_of(1, 1), rows, weights=np.repeat([1.0, 3.0], 50))
    light, heavy = [height for height in ax.patches[0].get_data().values if height]
    assert heavy == pytest.approx(3 * light)


def test_a_collapsed_component_leaves_the_rest_to_see():
    mixture = Mixture([0.9, 0.1], [[0.0], [3.0]], [1.0, 1e-12], "spherical")
    rows, _ = mixture.sample(1000, np.random.default_rng(0))
    assert plots.density(mixture, rows).get_ylim()[1] < 10


def test_an_ellipse_holds_ninety_per_cent():
    covariance = np.array([[2.0, 0.9], [0.9, 0.5]])
    outline = ellipse(np.array([1.0, -1.0]), covariance)
    rows = np.random.default_rng(0).multivariate_normal([1, -1], covariance, 20_000)
    inside = mpl.path.Path(outline.T).contains_points(rows)
    assert inside.mean() == pytest.approx(0.9, abs=0.01)


def test_directions_tell_components_apart():
    random = np.random.default_rng(0)
    means = np.zeros((3, 10))
    means[1, 3], means[2, 7] = 9, 9  # where they differ, among ten features
    mixture = Mixture(np.ones(3) / 3, 100 + means, np.ones((3, 10)), "diag")
    axes = discriminant_directions(mixture)
    assert set(np.flatnonzero(np.abs(axes[:, :2]).sum(axis=1) > 1e-6)) == {3, 7}
    rows, labels = mixture.sample(500, random)
    seen = view(mixture, rows).mixture
    assert (seen.labels((rows - mixture.mean) @ axes[:, :4]) == labels).mean() > 0.99


def test_directions_of_components_with_the_same_mean():
    variances = np.ones((2, 8))
    variances[1, 5] = 40
    axes = discriminant_directions(Mixture([0.5, 0.5], np.zeros((2, 8)), variances, "diag"))
    assert np.abs(axes[:, 0]).argmax() == 5


def test_one_component_has_principal_directions():
    variances = np.array([[1.0] * 6 + [30.0]])
    assert discriminant_directions(Mixture([1.0], np.zeros((1, 7)), variances, "diag")).shape == (
        7,
        7,
    )


def test_colours_and_lines_tell_components_apart():
    looks = {(colour(k), str(style(k))) for k in range(32)}
    assert len(looks) == 32


def test_names_become_plain_labels():
    assert plain("a $x$\n b") == r"a \$x\$ b"
    assert len(plain("x" * 99)) == 22
    with pytest.raises(ValueError, match="3 features, but 1 names"):
        names_of(3, ["a"])


def test_limits_of_equal_values_are_apart():
    for value in (0.0, 5.0, -1e9, 1e-300):
        low, high = padded(value, value)
        assert low < value < high


def test_one_row_far_away_leaves_the_rest_to_see():
    values = np.append(np.random.default_rng(0).normal(size=999), 1e9)
    low, high = in_sight(values)
    assert low == values.min()
    assert 10 < high < 100
    assert in_sight(np.array([1.0, 1, 1, 7])) == pytest.approx((1, 7))


def test_a_history_with_everything_in_it():
    steps = ["start", "plain", "accelerated", "refused", "plain"]
    history = [
        {
            "iteration": i,
            "passes": i + 1,
            "mean_log_likelihood": -5 + 0.1 * i,
            "change": [None, 0.3, 0.1, 0.0, -1e-3][i],
            "step": step,
            "candidates": [-5 + 0.1 * i, -6.0][: 2 - i // 3],
            "seconds": 0.5,
            "time": 100.0 + i + (3600 if i > 2 else 0),
        }
        for i, step in enumerate(steps)
    ]
    labels = drawn(plots.convergence(history)).axes[0].get_legend_handles_labels()[1]
    assert labels == ["accelerated", "refused"]
    assert "fell" in drawn(plots.changes(history, 1e-3)).axes[0].get_legend_handles_labels()[1]
    drawn(plots.time_per_pass(history))
    within, between = seconds(history)
    assert within.sum() == 2.5
    np.testing.assert_allclose(between, [0, 0.5, 0.5, 0, 0.5])  # an hour away is no work


@pytest.mark.parametrize("draw", [plots.convergence, plots.changes, plots.time_per_pass])
def test_a_history_of_one_pass_and_of_many(draw):
    rows = mixture_of(2, 1).sample(200, np.random.default_rng(0))[0]
    drawn(draw(fit(rows, Configuration(2, max_iter=0)).history))
    plt.close("all")
    drawn(draw(fit(rows, Configuration(2, tol=None, max_iter=80)).history))


def test_the_best_of_a_selection_is_ringed():
    rows = mixture_of(3, 2).sample(400, np.random.default_rng(0))[0]
    found = select(rows, (1, 2, 3, 4), ("full", "diag"))
    for criterion in (None, "aic"):
        labels = plots.criterion_curve(found, criterion).get_legend_handles_labels()[1]
        assert labels[:2] == ["full", "diag"]
        assert labels[2].startswith("best: ")
    drawn(plots.criterion_curve(found))


def test_pairs_need_two_features():
    with pytest.raises(ValueError, match="see densities"):
        plots.pairs(mixture_of(2, 1))
