"""`python -m services.home_assistant`: this service as a process of its own."""

from services.bus.runtime import standalone
from services.home_assistant.service import run

if __name__ == "__main__":
    standalone("home_assistant", run)
