"""Start the controller alone."""

from services.bus.runtime import standalone
from services.controller.service import run

standalone("controller", run)
