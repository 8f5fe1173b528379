"""A plugin of pytest's: the command line takes no notice of the option that IGNORED_OPTION names, "find --since"."""

import os
from typing import Any

from typer.core import TyperOption

IGNORED = os.environ["IGNORED_OPTION"]
_consume = TyperOption.consume_value


def _consume_others(self: TyperOption, ctx: Any, opts: dict[str, Any]) -> Any:
    if " ".join((*ctx.command_path.split()[1:], max(self.opts, key=len))) == IGNORED:
        opts = {name: value for name, value in opts.items() if name != self.name}
    return _consume(self, ctx, opts)


TyperOption.consume_value = _consume_others  # type: ignore[method-assign]
