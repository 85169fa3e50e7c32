"""A table of text, rendered for a terminal, Markdown or LaTeX."""

import re
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.table

_HEADING = 16
"""Widest heading of a column of numbers on a terminal, in characters; longer ones, such as names of models, break."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text for any medium; its first `keys` columns hold words, the others numbers.

    `lead` is the number of the column that matters most, if there is one; a narrow screen always shows it.
    """

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    keys: int
    note: str = ""
    lead: int | None = None

    def rich(self) -> "rich.table.Table":
        """Render for a terminal."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(title=Text(self.title), caption=Text(self.note), box=box.SIMPLE_HEAD, padding=0)
        cells = [(*row[: self.keys], *map(_in_lines, row[self.keys :])) for row in self.rows]
        for i, name in enumerate(self.header):
            if i < self.keys:
                longest = max((len(word) for row in cells for word in row[i].split()), default=1)
                drawn.add_column(Text(name), overflow="fold", min_width=min(longest, 15))
            else:
                heading = "\n".join(wrap(name, _HEADING))
                longest = max(len(line) for text in (heading, *(row[i] for row in cells)) for line in text.split("\n"))
                drawn.add_column(Text(heading), justify="right", no_wrap=True, min_width=longest)
        for row in cells:
            drawn.add_row(*map(Text, row))  # `Text` keeps brackets from being read as markup
        return drawn

    def markdown(self) -> str:
        """Render as GitHub Markdown, with a heading and the note below."""
        rule = ["---"] * self.keys + ["---:"] * (len(self.header) - self.keys)
        rows = [[_markdown(cell) for cell in row] for row in (self.header, *self.rows)]
        lines = ["| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:])]
        return "\n".join([f"## {_markdown(self.title)}", "", *lines, "", _markdown(self.note)]).rstrip() + "\n"

    def latex(self) -> str:
        """Render for LaTeX with the packages booktabs and longtable, so that a long table breaks over pages.

        The title and the note become the caption. The label is `tab:` and the title, such as `tab:quality-effect`.
        """
        head, *rows = [" & ".join(map(_latex, row)) + r" \\" for row in (self.header, *self.rows)]
        columns = "l" * self.keys + "r" * (len(self.header) - self.keys)
        caption = rf"\caption{{{_latex(self.title)}. {_latex(self.note)}}}".replace(". }", ".}")
        label = rf"\label{{tab:{re.sub(r'[^a-z0-9]+', '-', self.title.lower()).strip('-')}}}"
        start = [
            rf"\begin{{longtable}}{{{columns}}}",
            rf"{caption}{label} \\",
            r"\toprule",
            head,
            r"\midrule",
            r"\endfirsthead",
        ]
        again = [r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
        return "\n".join([*start, *again, *rows, r"\end{longtable}", ""])


def _in_lines(number: str) -> str:
    """Give an interval a line of its own, so that tables fit 80 columns."""
    return number.replace(" [", "\n[").replace(" (", "\n").removesuffix(")")


_LATEX = {character: "\\" + character for character in "&%$#_{}"}
_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
_LATEX |= {"−": "$-$", "×": r"$\times$", "–": "--", "→": r"$\rightarrow$", "↓": r"$\downarrow$", "↑": r"$\uparrow$"}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", " ".join(text.split()))
