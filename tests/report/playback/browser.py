"""A real browser, driven through its own pipe: keys, width, colours, and what its console says."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_ON_PIPES = """
import fcntl, os, sys
high = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3]]
for place, pipe in zip((3, 4), high):
    os.dup2(pipe, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads commands from descriptor 3 and answers on 4."""
_NUMBERS = {"ArrowLeft": 37, "ArrowRight": 39, "PageUp": 33, "PageDown": 34, "Home": 36, "End": 35}
_NUMBERS |= {" ": 32, "Tab": 9}


class Tab:
    """An open page. ``heard``: errors and warnings of its console."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._rest, self._asked = to, back, b"", 0
        self.session = ""
        self.heard: list[str] = []
        self.asked_for: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the browser, and wait for its answer."""
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._asked:
                assert "error" not in answer, (method, answer)
                return dict(answer["result"])
            self._note(answer)

    def until(self, method: str) -> None:
        """Wait for an event."""
        while True:
            event = self._next()
            self._note(event)
            if event.get("method") == method:
                return

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            found = os.read(self._back, 1 << 16)
            assert found, "the browser has gone"
            self._rest += found
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.heard.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.heard.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded":
            self.heard.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked_for.append(params["request"]["url"])

    def look(self, code: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str, times: int = 1) -> None:
        """Press a key as a person does."""
        what: dict[str, Any] = {"key": key, "code": "Space" if key == " " else key}
        what |= {"windowsVirtualKeyCode": _NUMBERS[key]}
        typed = {"text": " "} if key == " " else {}
        for _ in range(times):
            self.call("Input.dispatchKeyEvent", type="keyDown", **what, **typed)
            self.call("Input.dispatchKeyEvent", type="keyUp", **what)

    def picture(self, file: Path) -> None:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def opened(
    page: Path, *, width: int = 1280, dark: bool = False, still: bool = False
) -> Iterator[Tab]:
    """A page in a browser of some width [px]."""
    to_browser, to = os.pipe()
    back, from_browser = os.pipe()
    profile = page.parent / f"profile_{width}_{dark}"
    command = [sys.executable, "-c", _ON_PIPES, str(to_browser), str(from_browser), str(CHROMIUM)]
    command += [*_QUIET, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
    with subprocess.Popen(
        command,
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as browser:
        os.close(to_browser)
        os.close(from_browser)
        try:
            tab = Tab(to, back)
            targets = tab.call("Target.getTargets")["targetInfos"]
            target = next(one["targetId"] for one in targets if one["type"] == "page")
            found = tab.call("Target.attachToTarget", targetId=target, flatten=True)
            tab.session = found["sessionId"]
            for domain in ("Runtime", "Log", "Page", "Network"):
                tab.call(f"{domain}.enable")
            size = {"width": width, "height": 900, "deviceScaleFactor": 1}
            tab.call("Emulation.setDeviceMetricsOverride", **size, mobile=width < 600)
            features = [
                {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
            ]
            tab.call("Emulation.setEmulatedMedia", features=features)
            tab.call("Page.navigate", url=page.as_uri())
            tab.until("Page.loadEventFired")
            yield tab
        finally:
            browser.kill()
            os.close(to)
            os.close(back)
