"""Spark MLlib in local mode on two cores, from Parquet: K = 16, at most 20 iterations."""

import json
import sys
from time import perf_counter

from pyspark.ml.clustering import GaussianMixture
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession


def main(store: str, components: str, passes: str) -> None:
    """Seconds from the file to the model, and the iterations made: it may stop early."""
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "6g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    began = perf_counter()
    table = session.read.parquet(store)
    table = VectorAssembler(inputCols=table.columns, outputCol="features").transform(table)
    model = GaussianMixture(k=int(components), maxIter=int(passes), tol=0.0, seed=1).fit(
        table.select("features").cache()
    )
    seconds = perf_counter() - began
    told = {"seconds": seconds, "iterations": int(model.summary.numIter)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
