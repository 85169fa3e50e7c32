"""A command that refuses an option given twice, unless it takes several values: a value is never dropped unseen."""

from copy import copy
from typing import Any

from typer.core import TyperCommand

from vqttt.errors import InputError

__all__ = ["Command"]


class Command(TyperCommand):
    """A command of ours; it parses as any other does, and counts first."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the command.

        Raises:
            InputError: if an option that takes one value, or none, is given more than once.
        """
        self._check_once(ctx, args)
        return super().parse_args(ctx, args)

    def _check_once(self, ctx: Any, args: list[str]) -> None:
        single = {option.name: option for option in self.params if _single(option)}
        # The same command with lists in place of single values, so that the parser keeps all that were given.
        counting = copy(self)
        counting.params = [_repeatable(option) if option.name in single else option for option in self.params]
        given = counting.make_parser(ctx).parse_args(list(args))[0]
        for name, option in single.items():
            values = given.get(name) or []
            if len(values) > 1:
                shown = "" if getattr(option, "is_flag", False) else f": {', '.join(map(str, values))}"
                longest = max(option.opts, key=len)
                raise InputError(f"{longest} may be given once; it was given {len(values)} times{shown}")


def _single(parameter: Any) -> bool:
    counted = getattr(parameter, "count", False)
    return parameter.param_type_name == "option" and not (parameter.multiple or counted or parameter.is_eager)


def _repeatable(option: Any) -> Any:
    changed = copy(option)
    changed.multiple = True
    return changed
