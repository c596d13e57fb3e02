"""scikit-learn after loading the Zarr store into memory: K = 16, 20 iterations, both cores."""

import json
import sys
import warnings
from time import perf_counter

import zarr
from sklearn.mixture import GaussianMixture


def main(store: str, components: str, passes: str) -> None:
    """Seconds from the store to the model; a drawn start, since k-means would take longer."""
    warnings.simplefilter("ignore")  # it says that it has not converged: it was not to
    began = perf_counter()
    rows = zarr.open_array(store, mode="r")[:]
    model = GaussianMixture(
        int(components), tol=0, max_iter=int(passes), init_params="random_from_data", random_state=0
    ).fit(rows)
    seconds = perf_counter() - began
    told = {"seconds": seconds, "mean_log_likelihood": float(model.lower_bound_)}
    print(json.dumps(told | {"iterations": int(model.n_iter_)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
