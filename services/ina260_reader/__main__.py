"""`python -m services.ina260_reader`: the INA260 reader as a process of its own."""

from services.bus.runtime import standalone
from services.ina260_reader.service import run

if __name__ == "__main__":
    standalone("ina260_reader", run)
