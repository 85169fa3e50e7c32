"""Run published code without installing it: definitions taken out of one file of a repository's history."""

import ast
import re
import string
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Question: TypeAlias = dict[str, Any]
"""The `answers`, the name of our `rule`, and the `choices` where it is a multiple-choice question."""
Pairs: TypeAlias = Sequence[tuple[Question, str]]
"""Questions, each with a prediction."""
Scores: TypeAlias = list[tuple[float, str]]
"""The published score for each pair, 0 to 1, and a mark that says why ours may differ; empty if it must not."""


@dataclass(frozen=True)
class Source:
    """A repository on disk, with or without a work tree, at one commit."""

    path: str
    commit: str = "HEAD"

    def text(self, file: str) -> str:
        """Return a file's text at the commit."""
        return self._git("show", f"{self.commit}:{file}")

    def version(self) -> dict[str, str]:
        """Return the commit's hash and date."""
        commit, date = self._git("log", "-1", "--format=%H %cs", self.commit).split()
        return {"commit": commit, "date": date}

    def definitions(self, file: str, *names: str, **given: Any) -> dict[str, Any]:
        """Run only the named functions, classes and constants of a file, next to the objects given by name."""
        found = [node for node in ast.parse(self.text(file)).body if _names(node) & set(names)]
        missing = set(names) - set[str]().union(*map(_names, found))
        if missing:
            raise SystemExit(f"{file} at {self.commit} has no {', '.join(sorted(missing))}; take another commit")
        return run(ast.Module(found, []), given)

    def _git(self, *arguments: str) -> str:
        return subprocess.run(["git", "-C", self.path, *arguments], check=True, capture_output=True, text=True).stdout


def run(code: ast.Module | str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Run code with the objects given by name, and return all names that it then knows."""
    known = dict(given)
    exec(compile(code, "reference", "exec"), known)
    return known


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    return {one.id for one in node.targets if isinstance(one, ast.Name)} if isinstance(node, ast.Assign) else set()


def exact_match(source: Source) -> Callable[[str, str], float]:
    """Return lmms-eval's comparison of two texts without case and punctuation."""
    name = "exact_match_hf_evaluate"
    compare = source.definitions("lmms_eval/api/metrics.py", name, np=np, re=re, string=string)[name]
    return lambda said, wanted: float(
        compare([said], [wanted], ignore_case=True, ignore_punctuation=True)["exact_match"]
    )
