"""The command line: each command checks, logs, and makes one library call.

Commands import what is heavy when they are called, so that `--help` answers at once. Results go
to stdout, everything else to stderr.
"""
