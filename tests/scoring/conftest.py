"""The cluster of the blocks' tests, for the time of these."""

from tests.chunked.conftest import client as client
