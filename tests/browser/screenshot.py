"""A picture of the running page: `python -m tests.browser.screenshot URL OUT.png [--phone] [--dark]`."""

import argparse
import asyncio
from pathlib import Path

from playwright.async_api import async_playwright

from tests.browser.chromium import ARGUMENTS, EXECUTABLE

WIDE = (1280, 900)
PHONE = (360, 740)


async def take(url: str, out: Path, *, phone: bool = False, dark: bool = False, scale: float = 2.0) -> None:
    """The whole page at `url`, once its values and its chart are there."""
    width, height = PHONE if phone else WIDE
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        page = await browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", device_scale_factor=scale
        )
        await page.goto(url)
        await page.wait_for_selector("#link[data-live=yes]")
        await page.wait_for_selector("#chart canvas")
        await page.wait_for_timeout(1500)
        out.parent.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=out, full_page=True)
        await browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--phone", action="store_true", help="360 px wide")
    parser.add_argument("--dark", action="store_true", help="the dark colours")
    parser.add_argument("--scale", type=float, default=2.0, help="pixels per CSS pixel (default: %(default)s)")
    arguments = parser.parse_args()
    asyncio.run(take(arguments.url, arguments.out, phone=arguments.phone, dark=arguments.dark, scale=arguments.scale))


if __name__ == "__main__":
    main()
