"""Spark MLlib's GaussianMixture in local mode: what a longer fit takes beyond a short.

Spark draws its own start; an iteration takes as long from anywhere. Full covariances only.
"""

import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.clustering import GaussianMixture
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession
from rounds import THREADS, serve, start, timed

SHORT, LONG = 1, 6

rows, weights, means, covariances = start()
if covariances.ndim != 3:
    sys.exit("Spark MLlib knows full covariances only")
session = (
    SparkSession.builder.master(f"local[{THREADS}]")
    .config("spark.driver.memory", "6g")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
session.sparkContext.setLogLevel("OFF")
names = [f"x{i}" for i in range(rows.shape[1])]
with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder, "rows.parquet"))
    pq.write_table(pa.table(dict(zip(names, rows.T, strict=True))), path)
    table = VectorAssembler(inputCols=names, outputCol="features").transform(
        session.read.parquet(path)
    )
    table = table.select("features").cache()
    table.count()


def fit(iterations: int) -> tuple[float, int]:
    """Seconds of a fit of at most so many iterations, and how many it made: it may stop early."""
    fitted = []
    model = GaussianMixture(k=len(weights), maxIter=iterations, tol=0.0, seed=1)
    seconds = timed(lambda: fitted.append(model.fit(table)))
    return seconds, int(fitted[0].summary.numIter)


def per_iteration() -> float:
    """Seconds of an iteration that was really made; 0 says that there was none."""
    (short, few), (long, many) = fit(SHORT), fit(LONG)
    return (long - short) / (many - few) if many > few else 0.0


fit(SHORT)
serve(per_iteration)
