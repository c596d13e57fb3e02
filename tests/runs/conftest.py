"""Both kinds of place, as for what is stored."""

from tests.store.conftest import kind as kind
from tests.store.conftest import s3_bucket as s3_bucket
from tests.store.conftest import where as where
