"""A folder in an object store: no rename there, but a put is whole or not at all."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from gmm_dask.store.addresses import failure, patience
from gmm_dask.store.errors import (
    KeyExistsError,
    KeyMissingError,
    StorageError,
    StoreUnavailableError,
)
from gmm_dask.store.folder import check_key
from gmm_dask.store.retries import asked_again

T = TypeVar("T")


class ObjectFolder:
    """Keys as objects below one prefix of an `obstore` store.

    What is not answered is asked again, for `seconds` or as long as stores are waited for.
    """

    def __init__(
        self, store: Any, name: str, prefix: str = "", seconds: float | None = None
    ) -> None:
        self._store, self._name, self._prefix, self._seconds = store, name, prefix, seconds

    def __str__(self) -> str:
        return self._name + (f"/{self._prefix.rstrip('/')}" if self._prefix else "")

    def within(self, prefix: str) -> "ObjectFolder":
        below = f"{self._prefix}{check_key(prefix)}/"
        return ObjectFolder(self._store, self._name, below, self._seconds)

    def impatient(self) -> "ObjectFolder":
        """The same for who asks again by himself, or has no time to: asked once."""
        return ObjectFolder(self._store, self._name, self._prefix, 0.0)

    def read(self, key: str) -> bytes:
        import obstore

        path = self._path(key)
        return self._asked(key, "read", lambda: bytes(obstore.get(self._store, path).bytes()))

    def create(self, key: str, data: bytes) -> None:
        self._put(key, data, "create")

    def replace(self, key: str, data: bytes) -> None:
        self._put(key, data, "overwrite")

    def exists(self, key: str) -> bool:
        import obstore

        path = self._path(key)
        try:
            self._asked(key, "looked up", lambda: obstore.head(self._store, path))
        except KeyMissingError:
            return False
        return True

    def list(self, prefix: str = "") -> list[str]:
        return sorted(self.times(prefix))

    def times(self, prefix: str = "") -> dict[str, float]:
        """All keys under the prefix, with the second of their writing by the store's clock."""
        import obstore

        path = self._prefix + (f"{check_key(prefix)}/" if prefix else "")
        entries = self._asked(
            prefix or "the folder",
            "listed",
            lambda: obstore.list(self._store, prefix=path or None).collect(),
        )
        return {
            entry["path"][len(self._prefix) :]: entry["last_modified"].timestamp()
            for entry in entries
        }

    def delete(self, key: str) -> None:
        import obstore

        path = self._path(key)
        self._asked(key, "deleted", lambda: obstore.delete(self._store, path))

    def discard(self, prefix: str) -> None:
        for key in self.list(prefix):
            self.delete(key)

    def _put(self, key: str, data: bytes, mode: Literal["create", "overwrite"]) -> None:
        import obstore

        path = self._path(key)
        self._asked(key, "written", lambda: obstore.put(self._store, path, data, mode=mode))

    def _path(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _asked(self, key: str, done: str, ask: Callable[[], T]) -> T:
        from obstore.exceptions import AlreadyExistsError, BaseError

        seconds = patience() if self._seconds is None else self._seconds
        try:
            what = f"{self}, where {key} is to be {done}"
            return asked_again(ask, what, _may_pass, seconds)
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


def _may_pass(problem: Exception) -> bool:
    return failure(problem) == "unanswered"
