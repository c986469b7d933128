"""Take the README's pictures of a finished run from the running app: `python examples/take_pictures.py RUN`."""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURES = {
    "training": ("Train rewriter", "[data-chart=reward] .main-svg", ".patchrl-figure:visible"),
    "compare": ("Compare", "#samples [data-testid=cell-0-1]", "#detail"),
    "forgetting": ("Fine-tune", "[data-chart=plane] .main-svg", "[data-chart=plane]"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="id of a finished run")
    parser.add_argument("--url", default="http://127.0.0.1:7860", help="where the app runs")
    options = parser.parse_args()
    folder = Path(__file__).parent / "pictures"
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1080, "height": 900})
        page.goto(f"{options.url}/?run={options.run}")
        for name, (tab, ready, shown) in PICTURES.items():
            page.get_by_role("tab", name=tab).click()
            page.locator(ready).first.wait_for()
            if name == "compare":
                page.locator(ready).first.click()
                page.locator("#detail .tok").first.wait_for()
            page.wait_for_timeout(1000)
            page.locator(shown).first.screenshot(path=folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
