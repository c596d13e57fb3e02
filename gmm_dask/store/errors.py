"""What can go wrong with stored things, one class per reason; every message names the key."""


class StorageError(Exception):
    """Something could not be stored or read; the message says what and what to do."""


class KeyExistsError(StorageError):
    """A write-once key is there already."""


class KeyMissingError(StorageError):
    """No such key."""


class StoreUnavailableError(StorageError):
    """The store does not answer, or says that it cannot now: it may later."""


class DamagedError(StorageError):
    """The bytes are not those that were written: flipped, cut short, or gone."""


class UnknownFormatError(StorageError):
    """Whole, but written in a format that this version does not know."""


class RunDiffersError(StorageError):
    """The run was begun with another configuration or other data."""

    def __init__(self, where: str, differences: tuple[str, ...]) -> None:
        self.differences = differences
        listing = "\n".join(f"  {difference}" for difference in differences)
        super().__init__(
            f"{where} holds a run that differs from this one (stored -> given):\n{listing}\n"
            "Give what the run was begun with to resume it, another name to begin beside it, "
            "or restart=True (--restart) to begin anew and keep the old run aside."
        )


class OtherRunError(StorageError):
    """Something in a run folder is another run's."""


class RunIsBusy(StorageError):  # noqa: N818 (reads as the sentence that it is)
    """Another driver holds the run, and is alive."""

    def __init__(self, where: str, host: str, pid: int | None) -> None:
        self.host, self.pid = host, pid
        super().__init__(f"{where} is in use by process {pid} on {host}. Wait for it or end it.")


class LeaseLostError(StorageError):
    """Another driver took the run over; this one must not write any more."""


class DamagedCheckpointWarning(UserWarning):
    """A damaged checkpoint was passed over for the one before."""


class DamagedHistoryWarning(UserWarning):
    """A line of the history could not be read and is left out."""


class LostWarning(UserWarning):
    """Something that the run had kept is not there any more."""


class OtherVersionsWarning(UserWarning):
    """The run was begun with other versions of the software: bits may differ from here on."""
