"""Starts the aggregator alone: `python -m services.aggregator`."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from services.aggregator.config import DEFAULT_FILE, load_file
from services.aggregator.runtime import CannotStart, make_context
from services.aggregator.service import run
from services.bus.runtime import set_up_logging, until_signalled
from services.bus.secrets import secrets_folder
from services.core.config.load import ConfigError


def main() -> int:
    """Run until SIGTERM or SIGINT, then exit 0; 2 for a wrong file, 1 for the rest."""
    parser = argparse.ArgumentParser(prog="python -m services.aggregator")
    config, var = os.environ.get("SPS_AGGREGATOR_CONFIG") or DEFAULT_FILE, os.environ.get("SPS_VAR") or "var"
    parser.add_argument("--config", type=Path, default=Path(config), help="the aggregator's file (default: %(default)s)")
    parser.add_argument("--var", type=Path, default=Path(var), help="folder for state (default: %(default)s)")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    arguments = parser.parse_args()
    set_up_logging(arguments.log_level, "aggregator")
    try:
        folder = Path(os.environ["SPS_SECRETS"]) if os.environ.get("SPS_SECRETS") else secrets_folder(arguments.var)
        context = make_context(load_file(arguments.config, os.environ), arguments.var, folder)
        asyncio.run(until_signalled(run(context)))
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201 - the answer to whoever started it
        return 2
    except CannotStart as error:
        print(error, file=sys.stderr)  # noqa: T201 - the answer to whoever started it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
