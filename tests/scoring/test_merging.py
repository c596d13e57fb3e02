"""Components are merged as R's mclust (clustCombi) and fpc (DEMP) merge them, in the same order."""

import json
from itertools import combinations

import mpmath
import numpy as np
import pytest
from scipy.special import entr

from gmm_dask import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.scoring.merging.merged import MergedMixture
from gmm_dask.scoring.merging.overlap import Overlap, named
from gmm_dask.scoring.merging.sums import Asked, entropy_lost, overlap_sums, shares_of_clusters
from gmm_dask.scoring.merging.tree import Growth, MergeTree, elbow, misclassified
from tests.scoring.merging import KEPT, brute_responsibilities, problems

SAID = json.loads(KEPT.read_text())
PROBLEMS = {name: (mixture, rows) for name, mixture, rows in problems()}


def tree_of(mixture, rows, rule):
    """The tree by responsibilities of all rows at once."""
    growth = Growth.of(rule, mixture.components)
    shares = mixture.responsibilities(rows)
    while not growth.whole:
        growth = growth.told(overlap_sums(shares, growth.asked))
    return growth.tree


def groups(labels):
    """A partition, whatever its parts are called."""
    return {tuple(np.flatnonzero(np.array(labels) == one)) for one in set(labels)}


@pytest.mark.parametrize("name", PROBLEMS)
def test_clusters_and_their_entropies_are_those_of_clustcombi(name):
    mixture, _ = PROBLEMS[name]
    tree = tree_of(*PROBLEMS[name], "entropy")
    theirs = dict(zip(range(mixture.components, 0, -1), SAID[name]["clusters"], strict=True))
    for count, labels in theirs.items():
        assert groups(tree.cluster_of(count)) == groups(labels)
    entropies = [values[0] for values in reversed(SAID[name]["entropy"])]
    assert tree.entropies == pytest.approx(entropies, rel=1e-11, abs=1e-9)
    assert tree.suggested == SAID[name]["suggested"][0][0]


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_misclassified_and_merged_for_it_is_fpcs(name):
    mixture, rows = PROBLEMS[name]
    tree = tree_of(mixture, rows, "misclassification")
    begun = overlap_sums(
        mixture.responsibilities(rows), Growth.of(tree.rule, tree.components).asked
    )
    theirs = np.reshape(SAID[name]["demp"], (mixture.components, -1))
    np.testing.assert_allclose(misclassified(begun), theirs, rtol=1e-11, atol=1e-13)
    shares = [merge.misclassified for merge in tree.merges]
    assert shares == pytest.approx(SAID[name]["values"][0][: len(shares)], rel=1e-11)
    # fpc keeps the smaller number of two clusters, and tells of the other
    assert [merge.other[0] + 1 for merge in tree.merges] == SAID[name]["defunct"][0]
    apart = [share for share in SAID[name]["values"][0][: len(shares)] if share >= 0.025]
    while apart and apart != SAID[name]["values"][0][: len(apart)]:
        apart.pop()
    assert tree.suggested == mixture.components - len(apart)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_what_they_are_by_definition(weighted):
    mixture, rows = PROBLEMS["eight"]
    shares = brute_responsibilities(mixture, rows)
    heights = np.random.default_rng(0).integers(0, 4, len(rows)) if weighted else np.ones(len(rows))
    cluster_of = (0, 1, 2, 0, 3, 1, 4, 3)
    own = np.stack([shares[:, np.array(cluster_of) == c].sum(axis=1) for c in range(5)], axis=1)
    sums = overlap_sums(shares, Asked(cluster_of, (0, 1, 2, 3, 4)), heights if weighted else None)
    np.testing.assert_allclose(sums.counts, heights @ own, rtol=1e-13)
    for i, j in combinations(range(5), 2):
        a, b = own[:, i], own[:, j]
        assert sums.products[i, j] == pytest.approx(heights @ (a * b), rel=1e-12)
        assert sums.lost[i, j] == pytest.approx(heights @ (b * (a > b)), rel=1e-12)
        assert sums.lost[j, i] == pytest.approx(heights @ (a * (b > a)), rel=1e-12)
        lost = heights @ (entr(a) + entr(b) - entr(a + b))
        assert sums.gains[i, j] == pytest.approx(lost, rel=1e-11)
        most = own.argmax(axis=1)
        assert sums.labelled[i, j] == pytest.approx(heights @ (b * (most == i)), rel=1e-12)
    np.testing.assert_allclose(sums.labelled.sum(axis=0), sums.counts, rtol=1e-13)


def test_what_belongs_to_no_component_is_in_no_cluster():
    """As the share of noise, in the last column."""
    shares = brute_responsibilities(*PROBLEMS["planar"])
    noise = np.linspace(0, 0.9, len(shares))[:, None]
    beside = np.concatenate([shares * (1 - noise), noise], axis=1)
    for cluster_of in ((0, 1, 2, 3, 4, 5), (0, 0, 1, 1, 2, 0)):
        asked = Asked(cluster_of, tuple(range(max(cluster_of) + 1)))
        alone, whole = (overlap_sums(one, asked) for one in (beside[:, :-1], beside))
        np.testing.assert_array_equal(whole.counts, alone.counts)
        np.testing.assert_array_equal(whole.gains, alone.gains)
        np.testing.assert_array_equal(shares_of_clusters(beside, cluster_of)[:, -1], noise[:, 0])


def test_later_passes_sum_the_pairs_of_the_new_cluster_alone():
    shares = brute_responsibilities(*PROBLEMS["eight"])
    growth = Growth.of("entropy", 8)
    for _ in range(5):
        growth = growth.told(overlap_sums(shares, growth.asked))
        size = len(growth.clusters)
        assert len(growth.fresh) == 1
        whole = overlap_sums(shares, Asked(growth.asked.cluster_of, tuple(range(size))))
        renewed = growth.known.renewed(overlap_sums(shares, growth.asked), growth.fresh)
        for name in ("counts", "lost", "gains"):
            np.testing.assert_allclose(
                getattr(renewed, name), getattr(whole, name), rtol=1e-10, err_msg=name
            )


def test_entropies_of_clusters_far_apart_are_as_right_as_large_ones():
    """The difference of two entropies would have lost them in the sixteenth digit of the larger."""
    close, far = np.array([0.5, 0.5, 0.0]), np.array([1 - 1e-13, 0.0, 1e-13])
    shares = np.concatenate([np.tile(close, (1000, 1)), far[None]])
    growth = Growth.of("entropy", 3)
    while not growth.whole:
        growth = growth.told(overlap_sums(shares, growth.asked))
    exactly = -1e-13 * np.log(1e-13) + 1e-13
    assert growth.tree.entropies[1] == pytest.approx(exactly, rel=1e-6)
    assert growth.tree.entropies[2] == pytest.approx(1000 * np.log(2))


def test_nothing_cancels_in_the_entropy_that_a_pair_loses():
    def h(share):
        return -share * mpmath.log(share) if share else mpmath.mpf(0)

    others = np.array([0.0, 5e-324, 1e-200, 1e-14, 0.2, 0.3, 0.7])
    with mpmath.workdps(400):
        one = mpmath.mpf(0.3)
        exact = [float(h(one) + h(mpmath.mpf(b)) - h(one + mpmath.mpf(b))) for b in others]
    np.testing.assert_allclose(
        entropy_lost(np.minimum(0.3, others), np.maximum(0.3, others)), exact, rtol=1e-14
    )


def test_a_merged_mixture_is_the_same_density_with_other_labels():
    mixture, rows = PROBLEMS["planar"]
    cluster_of = (0, 0, 1, 1, 2, 0)
    merged = MergedMixture(mixture, cluster_of)
    shares = brute_responsibilities(mixture, rows)
    own = np.stack([shares[:, np.array(cluster_of) == c].sum(axis=1) for c in range(3)], axis=1)
    np.testing.assert_allclose(merged.responsibilities(rows), own, rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(merged.labels(rows), own.argmax(axis=1))
    densities = merged.scores(rows, density=True).log_density
    np.testing.assert_array_equal(densities, mixture.log_density(rows))
    np.testing.assert_array_equal(merged.log_density(rows), densities)
    np.testing.assert_allclose(
        np.exp(merged.log_joint(rows)).sum(axis=1), np.exp(mixture.log_density(rows))
    )
    np.testing.assert_allclose(merged.weights, [0.5, 0.3, 0.2])
    # the label of a cluster need not be that of the most probable component
    assert (merged.labels(rows) != np.array(cluster_of)[mixture.labels(rows)]).any()


def test_what_cannot_be_clusters_is_refused():
    mixture, _ = PROBLEMS["planar"]
    for wrong in ((0, 0, 1), (0, 0, 2, 2, 3, 3), (-1, 0, 0, 1, 1, 1)):
        with pytest.raises(Refusal, match="must number the clusters"):
            MergedMixture(mixture, wrong)
    tree = tree_of(*PROBLEMS["planar"], "entropy")
    with pytest.raises(Refusal, match="make up 1 to 6 clusters"):
        tree.clusters(7)
    sums = overlap_sums(np.full((3, 6), 1 / 6), Growth.of("entropy", 6).asked)
    with pytest.raises(Refusal, match="is no rule of merging"):
        Overlap(mixture, sums, {"entropy": tree}).merged(2, by="looks")


def test_large_clusters_are_named_by_their_first_components():
    assert named((0, 3, 11)) == "0,3,11"
    assert named(tuple(range(5, 45))) == "5,6,7,8,… (40)"


def test_one_component_is_one_cluster():
    assert MergeTree("entropy", 1).cluster_of(1) == (0,)
    assert MergeTree("entropy", 1).entropies == (0.0,)
    assert [elbow(values) for values in ((0.0,), (0.0, 3.0))] == [1, 2]


def test_what_is_kept_gives_the_same_back():
    mixture, rows = PROBLEMS["planar"]
    sums = overlap_sums(mixture.responsibilities(rows), Growth.of("entropy", 6).asked)
    trees = {rule: tree_of(mixture, rows, rule) for rule in ("entropy", "misclassification")}
    found = Overlap(mixture, sums, trees)
    again = Overlap.of(mixture, json.loads(json.dumps(found.values())))
    assert again.values() == found.values()
    assert again.trees == found.trees
    assert "merged by misclassification" in str(again)
    assert isinstance(again.merged().mixture, Mixture)
