"""What stands in the way of a good fit here, on the workers and in the data; each with advice."""

from gmm_dask.doctor.examination import examine
from gmm_dask.doctor.finding import Finding

__all__ = ["Finding", "examine"]
