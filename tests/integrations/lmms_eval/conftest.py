"""Skips what needs lmms-eval where it is not installed; `make lmms-eval` runs it."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("lmms_eval") else ["test_*.py"]
