"""distributed: sooner messages, answers of a scheduler that may be gone, notes on tasks, pages."""

from gmm_dask.chunked.borrowed.distributed.faults import FAULTS
from gmm_dask.chunked.borrowed.distributed.messages import LOGS, MESSAGES
from gmm_dask.chunked.borrowed.distributed.pages import PAGES
from gmm_dask.chunked.borrowed.distributed.questions import QUESTIONS
from gmm_dask.chunked.borrowed.distributed.workers import NOTES, THREADS

PARTS = (MESSAGES, LOGS, QUESTIONS, NOTES, THREADS, FAULTS, PAGES)
