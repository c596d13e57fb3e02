"""Configuration, report and picture of a run: for people, and nothing goes on from them.

Whoever makes one puts it in the place of the one before, driver or no driver; in an object store
they lie above the attempts, as the model does.
"""

from gmm_dask.runs.layout import place_in
from gmm_dask.store.location import Location, open_folder


def keep_document(run: Location, name: str, content: bytes) -> str:
    """Write it in one step; its path or URL."""
    open_folder(run).replace(name, content)
    return place_in(run, name)


def document_in(run: Location, name: str) -> str | None:
    """Its path or URL; None where the run has none."""
    return place_in(run, name) if open_folder(run).exists(name) else None
