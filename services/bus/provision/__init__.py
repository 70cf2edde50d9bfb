"""Makes every secret that a station needs: passwords, the broker's files, and a certificate authority of its own."""

from services.bus.provision.parts import Part, State
from services.bus.provision.private import Owner, Owners
from services.bus.provision.setting_up import Finding, Wishes, check, set_up

__all__ = ["Finding", "Owner", "Owners", "Part", "State", "Wishes", "check", "set_up"]
