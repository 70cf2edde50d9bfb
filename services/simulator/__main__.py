"""Start the simulator: a process of its own, because the house must live on when its controller dies."""

import argparse
import asyncio
import sys
from functools import partial

from services.bus import state_format, state_lock
from services.bus.runtime import add_options, beating, load_station, make_context, rest_if_unused, set_up_logging, until_signalled
from services.bus.state_format import StateFolderError
from services.core.config.load import ConfigError
from services.simulator.place import NotSimulatable
from services.simulator.service import run


def _number(low: float, high: float, text: str) -> float:
    value = float(text)
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text} does not lie between {low:g} and {high:g}")
    return value


def main() -> int:
    """Run until SIGTERM, SIGINT or the end of the lease: 0; 2 for a wrong station file, 1 for the rest."""
    parser = argparse.ArgumentParser(prog="python -m services.simulator")
    add_options(parser)
    parser.add_argument(
        "--speed", type=lambda text: _number(1, 3600, text), help="station seconds per real second (default: the station file's)"
    )
    parser.add_argument(
        "--lease", type=lambda text: _number(1, 86_400, text), help="end after so many real seconds without a POST /lease (default: never)"
    )
    arguments = parser.parse_args()
    set_up_logging(arguments.log_level, "simulator")
    try:
        context = make_context(load_station(arguments.config), arguments.var, "simulator")
        rest_if_unused("simulator", context)
        simulate = partial(run, speed=arguments.speed, lease_s=arguments.lease)
        with state_lock.hold(context.var, ["simulator"]):
            state_format.admit(context.var, ["simulator"])
            asyncio.run(until_signalled(beating("simulator", simulate, context)))
    except (ConfigError, NotSimulatable) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the answer to whoever started it
        return 2
    except (StateFolderError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
