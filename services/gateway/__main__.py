"""Starts the gateway alone: `python -m services.gateway`."""

from services.bus.runtime import standalone
from services.gateway.service import run

standalone("gateway", run)
