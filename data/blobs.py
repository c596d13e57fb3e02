"""Make a Zarr store of rows drawn from a random Gaussian mixture, chunk by chunk.

    python data/blobs.py runs/blobs.zarr --rows 1000000 --features 8 --components 8

The true weights, means and covariances lie beside the rows, in the same group.
"""

import argparse
from pathlib import Path

import numpy as np
import zarr


def true_parameters(components: int, features: int, random: np.random.Generator) -> dict:
    """Weights, means and covariances of a mixture whose components overlap a little."""
    factors = random.normal(size=(components, features, 4 * features + 4)) / 2
    return {
        "weights": random.dirichlet(np.full(components, 5.0)),
        "means": random.normal(size=(components, features)) * 2,
        "covariances": factors @ factors.transpose(0, 2, 1) / factors.shape[2] * 4,
    }


def make(path: Path, rows: int, features: int, components: int, chunk: int, seed: int) -> None:
    """Write the store; nothing larger than a chunk is ever in memory."""
    random = np.random.default_rng(seed)
    truth = true_parameters(components, features, random)
    roots = np.linalg.cholesky(truth["covariances"])
    group = zarr.open_group(path, mode="w")
    for name, values in truth.items():
        group.create_array(name, data=values)
    chunk = min(chunk, rows)
    table = group.create_array("rows", shape=(rows, features), chunks=(chunk, features), dtype="f8")
    for start in range(0, rows, chunk):
        size = min(chunk, rows - start)
        labels = random.choice(components, size=size, p=truth["weights"])
        noise = np.einsum("nij,nj->ni", roots[labels], random.normal(size=(size, features)))
        table[start : start + size] = truth["means"][labels] + noise


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=8)
    parser.add_argument("--components", type=int, default=8)
    parser.add_argument("--chunk", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    make(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
