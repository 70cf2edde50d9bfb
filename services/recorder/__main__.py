"""`python -m services.recorder`: the recorder alone."""

from services.bus.runtime import standalone
from services.recorder.service import run

if __name__ == "__main__":
    standalone("recorder", run)
