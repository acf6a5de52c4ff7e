"""The peer: dlt's rest_api source, incremental by `updated_at`, merged by `id`.

python -m benchmarks.peer_dlt duckdb|sqlite URL FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="ERROR")

import dlt
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig


def main(kind: str, url: str, folder: str) -> None:
    """Load what is new."""
    base, _, path = url.rpartition("/")
    config: RESTAPIConfig = {
        "client": {"base_url": base, "paginator": {"type": "json_link", "next_url_path": "next"}},
        "resources": [
            {
                "name": "customers",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": path,
                    "data_selector": "customers",
                    "params": {"since": "{incremental.start_value}"},
                    "incremental": {"cursor_path": "updated_at", "initial_value": "1970-01-01T00:00:00Z"},
                },
            }
        ],
    }
    database = Path(folder, f"customers.{kind}")
    if kind == "duckdb":
        pipeline = _pipeline(dlt.destinations.duckdb(str(database)), folder)
        pipeline.run(rest_api_source(config), loader_file_format="parquet")
    else:
        pipeline = _pipeline(dlt.destinations.sqlalchemy(f"sqlite:///{database}"), folder)
        pipeline.run(rest_api_source(config))


def _pipeline(destination: Any, folder: str) -> dlt.Pipeline:
    return dlt.pipeline("customers", destination=destination, dataset_name="copy", pipelines_dir=folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
