"""Prefect flows: the only code here that imports Prefect. A flow reads as prose.

Its tasks are its stages, one after the other in the driver; passes over rows are Dask's, by a
client of our own in the stage that fits. Not by prefect-dask's DaskTaskRunner: it would make a task
run of each block (130 to 155 ms each, where Dask takes 1 to 3), has no client before its first
task, hands no certificates on, and ends with its flow, where a retry here takes a new cluster.
"""

import os
import sys
from pathlib import Path

# Prefect's own server, when there is no other: nothing is sent anywhere, and it may start slowly.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # Clusters that a flow starts tell of what goes wrong, not of all comings and goings.
    "DASK_LOGGING__DISTRIBUTED": "warning",
}.items():
    os.environ.setdefault(_name, _value)

# `python -m flows.…` of someone who has not set Prefect up: its database lies beside the runs.
# Now, because Prefect looks once, when it is imported.
if (
    sys.argv[:1] == ["-m"]
    and "PREFECT_API_URL" not in os.environ
    and not Path("~/.prefect/profiles.toml").expanduser().exists()
):
    os.environ.setdefault("PREFECT_HOME", str(Path("runs", "prefect").resolve()))
