"""A folder in an object store: no rename there, but a put is whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gmm_dask.addresses import failure
from gmm_dask.store.errors import (
    KeyExistsError,
    KeyMissingError,
    StorageError,
    StoreUnavailableError,
)
from gmm_dask.store.folder import check_key
from gmm_dask.waiting import waiting_for


class ObjectFolder:
    """Keys as objects below one prefix of an `obstore` store."""

    def __init__(self, store: Any, name: str, prefix: str = "") -> None:
        self._store, self._name, self._prefix = store, name, prefix

    def __str__(self) -> str:
        return self._name + (f"/{self._prefix.rstrip('/')}" if self._prefix else "")

    def within(self, prefix: str) -> "ObjectFolder":
        return ObjectFolder(self._store, self._name, f"{self._prefix}{check_key(prefix)}/")

    def read(self, key: str) -> bytes:
        import obstore

        with self._explained(key, "read"):
            return bytes(obstore.get(self._store, self._path(key)).bytes())

    def create(self, key: str, data: bytes) -> None:
        import obstore

        with self._explained(key, "written"):
            obstore.put(self._store, self._path(key), data, mode="create")

    def replace(self, key: str, data: bytes) -> None:
        import obstore

        with self._explained(key, "written"):
            obstore.put(self._store, self._path(key), data, mode="overwrite")

    def exists(self, key: str) -> bool:
        import obstore

        try:
            with self._explained(key, "looked up"):
                obstore.head(self._store, self._path(key))
        except KeyMissingError:
            return False
        return True

    def list(self, prefix: str = "") -> list[str]:
        return sorted(self.times(prefix))

    def times(self, prefix: str = "") -> dict[str, float]:
        """All keys under the prefix, with the second of their writing by the store's clock."""
        import obstore

        path = self._prefix + (f"{check_key(prefix)}/" if prefix else "")
        with self._explained(prefix or "the folder", "listed"):
            found = obstore.list(self._store, prefix=path or None).collect()
        return {
            entry["path"][len(self._prefix) :]: entry["last_modified"].timestamp()
            for entry in found
        }

    def delete(self, key: str) -> None:
        import obstore

        with self._explained(key, "deleted"):
            obstore.delete(self._store, self._path(key))

    def discard(self, prefix: str) -> None:
        for key in self.list(prefix):
            self.delete(key)

    def _path(self, key: str) -> str:
        return self._prefix + check_key(key)

    @contextmanager
    def _explained(self, key: str, done: str) -> Iterator[None]:
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            with waiting_for(f"{self}, where {key} is to be {done}"):
                yield
        except AlreadyExistsError as error:
            raise KeyExistsError(f"{key} exists already in {self}") from error
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise StorageError(f"{self}: there is no such bucket; create it first") from error
            raise KeyMissingError(f"{key} is missing in {self}") from error
        except (BaseError, OSError) as error:
            reason = str(error).partition("\n")[0]
            kind = StorageError if failure(error) == "refused" else StoreUnavailableError
            raise kind(
                f"{key} could not be {done} in {self}: {reason}. Look at the store's address, "
                "its credentials in the environment and the network, then resume."
            ) from error
