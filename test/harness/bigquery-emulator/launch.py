"""
Starts local-bigquery with one lock around what it does in two steps: it looks whether a job's id (a table's name, a
table's etag) is taken, and then takes it. BigQuery does both at once; without the lock two requests at the same moment
may both be told that they were first. Another lock is around DuckDB's secret for the storage emulator, which the first
load job makes: of two that make it at once, one fails.

Connections are kept for as long as clients want them: closed after five idle seconds, as it would, one is gone now and
then at the very moment at which a client writes to it.
"""

import functools
import threading

import uvicorn
from local_bigquery.catalog import tables
from local_bigquery.cli import main
from local_bigquery.jobs import load, runner


def one_at_a_time(module, name, lock):
    original = getattr(module, name)

    def locked(*args, **kwargs):
        with lock:
            return original(*args, **kwargs)

    setattr(module, name, locked)


one_at_a_time(runner, "submit", threading.Lock())
one_at_a_time(load, "paths", threading.Lock())

tables_lock = threading.Lock()
one_at_a_time(tables, "create", tables_lock)
one_at_a_time(tables, "update", tables_lock)

uvicorn.run = functools.partial(uvicorn.run, timeout_keep_alive=3_600)

main()
