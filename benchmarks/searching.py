"""`benchmarks.search`, its results kept where the harness keeps all of them."""

from __future__ import annotations

from benchmarks.keeping import results_folder
from benchmarks.search import __main__ as search

if __name__ == "__main__":
    search.RESULTS = results_folder()
    search.main()
