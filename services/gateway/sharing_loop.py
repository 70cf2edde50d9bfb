"""Puts the parts of sharing together, and keeps them running."""

import asyncio
from pathlib import Path
from random import Random

from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.link import AggregatorLink, Surroundings
from services.gateway.aggregator_link.sent_log import SentLog
from services.gateway.desk import Desk
from services.gateway.problems import ApiError
from services.gateway.sharing import Sharing, narrower

RETRY_S = 30.0


def joined(desk: Desk, folder: Path, random: Random) -> Sharing:
    """The sharing of `desk`, its state in `folder`. Raises OSError when that cannot be read."""
    consent, sent = ConsentBook(folder), SentLog(folder)
    sharing = Sharing(desk.station, desk.clock, desk.heard, desk.recorder, consent, sent)
    if (settings := desk.station.aggregator) is not None:
        around = Surroundings(
            station=desk.station,
            clock=desk.clock,
            var=desk.var,
            folder=folder,
            random=random,
            bus=desk.bus,
            heard=desk.heard,
            recorder=desk.recorder,
            consent=consent,
            sent=sent,
            send=desk.commands.send,
            usual=lambda: desk.chosen().duration,
        )
        sharing.link = AggregatorLink(settings, around)
    return sharing


async def run(desk: Desk) -> None:
    """Once the time is known: what was chosen last holds, and the link runs. Until cancelled."""
    sharing = desk.sharing
    await desk.bus.wait_clock()
    if sharing.consent.complaint is not None:
        desk.bus.report(sharing.consent.complaint)
    while True:
        agreed = narrower(desk.preferences, sharing.consent.life)
        try:
            if agreed != desk.preferences:
                desk.choose(agreed)
            sharing.choose(agreed, share_past=False)
        except (OSError, ApiError) as error:
            desk.bus.report(f"what is shared cannot be kept: {error}", remedy="nothing more is shared until it can")
            await desk.clock.sleep(RETRY_S)
            continue
        break
    try:
        await (asyncio.Event().wait() if sharing.link is None else sharing.link.run())
    finally:
        sharing.sent.close()
