"""The loops of the fused kernel, compiled by numba; they know arrays and nothing else.

A tile of some hundred rows goes through all of the quadratic kernel while it is in the innermost
caches: features, log-densities, responsibilities, sums (`whole`). Where components are apart, a
first look leaves few of a row's log-densities to be computed at all (`apart`).

Each of the two is one function, with all that it calls inlined (`forceinline`): functions by
themselves are optimised again within each of their callers, and which copy of one is called depends
on what this process has compiled or loaded before. The process that compiles had other bits.

The cache of what is compiled lies beside these files, where that may not be written in the user's
own cache folder (or in NUMBA_CACHE_DIR, which machines of unlike processors may share), and where
there is none at all each process compiles for itself, half a minute of one core. `gmm-dask warm`
does so before any fit; what it kept is taken from GMM_DASK_COMPILED, where nobody need write.
"""
