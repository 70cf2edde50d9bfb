"""What was there at the start is no longer looked at by the garbage collector: its pauses would fall into a relay's command."""

import gc

from services.bus.interpreter import settle


async def test_what_is_there_after_the_start_is_left_alone_by_later_collections() -> None:
    before = gc.get_freeze_count()
    kept = [[n] for n in range(10_000)]
    try:
        await settle(0.0)
        assert gc.get_freeze_count() >= before + len(kept)
        assert len(gc.get_objects()) < len(kept)
    finally:
        gc.unfreeze()
