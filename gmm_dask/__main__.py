"""`python -m gmm_dask` is the command `gmm-dask`."""

from gmm_dask.cli.main import main

if __name__ == "__main__":
    main()
