"""The media panel of the frontend, in which somebody looks for a film and plays it."""

from playwright.async_api import Locator, expect

from .browser import Frontend

PANEL = "/media-browser/browser"
PAUSE = """(video, second) => new Promise(resolve => {
  video.onseeked = resolve;
  video.pause();
  video.currentTime = second;
})"""
PLAYS = "([video, second]) => video.currentTime > second && video.readyState > 2"


class MediaPanel:
    """The panel, with the browser itself as the player."""

    def __init__(self, frontend: Frontend) -> None:
        """Use this window."""
        self._frontend = frontend
        self._page = frontend.page
        self._root = frontend.page.locator("ha-media-player-browse")
        self.video = frontend.page.locator("hui-dialog-web-browser-play-media video")

    async def open(self, *titles: str) -> None:
        """Open one folder after the other, from the top on."""
        await self._frontend.open(PANEL)
        for title in titles:
            await self.card(title).click()

    def card(self, title: str) -> Locator:
        """Return what has a title."""
        return self._root.locator("ha-card").filter(has_text=title)

    async def search(self, query: str) -> None:
        """Look for something at this place."""
        await self._root.locator("input").first.fill(query)
        await self._page.keyboard.press("Enter")

    async def play(self, title: str) -> None:
        """Play something, and wait until it does."""
        await self.card(title).click()
        await self.video.wait_for()
        await self._plays(0.5)

    async def seek(self, second: float) -> None:
        """Go on at another place."""
        await self.video.evaluate("(video, at) => { video.currentTime = at }", second)
        await self._plays(second)

    async def pause(self, second: float) -> None:
        """Show the picture of a certain moment."""
        await self.video.evaluate(PAUSE, second)

    async def stop(self) -> None:
        """Close the player."""
        await self._page.keyboard.press("Escape")
        await expect(self.video).to_have_count(0)

    async def _plays(self, after: float) -> None:
        """Wait until what is played has come so far, in seconds."""
        video = await self.video.element_handle()
        await self._page.wait_for_function(PLAYS, arg=[video, after])
