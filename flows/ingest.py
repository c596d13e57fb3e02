"""Files of tables (CSV, TSV, npy, npz, Parquet) into one Zarr array that keeps their column names.

python -m flows.ingest data/faithful.csv --out runs/faithful.zarr
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from glob import glob
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from flows import commands, forms
from flows.assets import asset, made
from flows.credentials import credentials_of
from flows.defaults import over_defaults
from flows.display import library_heard, show, tag_run, tell_event
from flows.jobs import last_part, parameters
from flows.news import all_told
from flows.retries import LASTING, stop_if_it_keeps_crashing
from gmm_dask.chunked.rows import DataError
from gmm_dask.data import Imported, import_files
from gmm_dask.store.addresses import absolute

EVERY_ROWS = 1_000_000

Files = Annotated[
    list[forms.Place],
    forms.asked("Files", "Paths or patterns (day-*.csv), in order", min_length=1),
]
Out = Annotated[forms.Place, forms.asked("Out", "Zarr array to write: path or URL")]


def run_name() -> str:
    """`3 files into rows.zarr`."""
    asked = parameters()
    files = asked["files"]
    name = last_part(files[0]) if len(files) == 1 else f"{len(files)} files"
    return f"{name} into {last_part(asked['out'])}"


@flow(name="ingest", flow_run_name=run_name)
def ingest(
    files: Files,
    out: Out,
    table: forms.ImportSection = forms.ImportForm(),
    credentials: forms.Credentials = None,
) -> dict[str, Any]:
    """Import files; nothing is there until all is, and what is there is not written again."""
    stop_if_it_keeps_crashing()
    out, table = absolute(out), over_defaults(table)
    with library_heard(), all_told(), credentials_of(credentials):
        imported = write_table(files_of(files), out, table)
        of = [asset(absolute(file)) for file in files]
        made(publish, asset(out), of, **asdict(imported))(out, imported)
    return {"out": out, **asdict(imported)}


def files_of(patterns: Sequence[str]) -> list[str]:
    """The files of all patterns, those of one in the order of their names."""
    files: list[str] = []
    for pattern in patterns:
        matching = sorted(glob(str(Path(pattern).expanduser())))
        if not matching:
            raise DataError(f"no file matches {pattern}; paths are those of the worker's machine")
        files += matching
    return files


@task(**LASTING)
def write_table(files: list[str], out: str, table: forms.ImportForm) -> Imported:
    """All rows of all files, one after the other."""
    logger = get_run_logger()
    tag_run("gmm-dask", "ingest")
    logger.info("importing %d files into %s", len(files), out)
    done = 0

    def tell(rows: int) -> None:
        nonlocal done
        if (done + rows) // EVERY_ROWS > done // EVERY_ROWS:
            logger.info("%d rows imported", done + rows)
        done += rows

    return import_files(files, out, tell=tell, **table.model_dump())


def publish(out: str, imported: Imported) -> None:
    """What was written, and an event."""
    left_out = f" ({imported.skipped:,} rows left out)" if imported.skipped else ""
    show(
        create_markdown_artifact,
        "table",
        out,
        f"What was imported into {out}",
        markdown=f"# `{last_part(out)}`\n\n{imported.rows:,} rows{left_out} of "
        f"{len(imported.feature_names)} {imported.dtype} features: "
        f"{', '.join(imported.feature_names)}\n\n`{out}`\n",
    )
    tell_event("gmm_dask.table.written", f"table.{out}", **asdict(imported))


def main() -> None:
    """The command line."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--out", required=True)
    parser.add_argument("--overwrite", action="store_const", const=True)
    commands.tell(ingest(**commands.given(parser, table=("overwrite",))))


if __name__ == "__main__":
    main()
