"""Looks at a page of the report in headless Chromium. Usage: check_page.py REPORT_SAMPLE_PAGE [--pictures FOLDER]

REPORT_SAMPLE_PAGE writes the page. The browser is driven through the pipe of its DevTools. Ends with 77 (skipped) where
there is no chromium, unless CI is set: then that is a failure. With --pictures PAGE.html no checks are made: the page is
painted as on a desktop, a phone, in the dark and on paper.
"""

import argparse
import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = 390
PAPER = 703  # pixels between the margins of A4


class Browser:
    """A headless Chromium with one page."""

    def __init__(self, program, folder):
        # It reads commands from descriptor 3 and answers on 4.
        to_browser, from_browser = os.pipe(), os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (*to_browser, *from_browser)]
        for end in (*to_browser, *from_browser):
            os.close(end)
        os.dup2(ends[0], 3)
        os.dup2(ends[3], 4)
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
             f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"],
            pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (3, 4, ends[0], ends[3]):
            os.close(end)
        self.write, self.read = ends[1], ends[2]
        self.pending, self.last, self.session = b"", 0, None
        self.errors, self.events = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(20)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()

    def receive(self, deadline):
        while b"\0" not in self.pending:
            if not select.select([self.read], [], [], max(0, deadline - time.monotonic()))[0]:
                raise RuntimeError("the browser does not answer")
            part = os.read(self.read, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self.pending += part
        line, self.pending = self.pending.split(b"\0", 1)
        message = json.loads(line)
        method, told = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(told["exceptionDetails"].get("exception", {}).get("description", str(told)))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.errors.append(str(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.errors.append(told["entry"]["text"])
        elif method:
            self.events.append(method)
        return message

    def call(self, method, seconds=60, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def size(self, width, height=900, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.ask("new Promise(done => setTimeout(done, 300))")  # the page draws its figures anew

    def open(self, path):
        self.events.clear()
        self.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        deadline = time.monotonic() + 60
        while "Page.loadEventFired" not in self.events:
            self.receive(deadline)

    def ask(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(f"{expression}: {details.get('exception', {}).get('description', details['text'])}")
        return result["result"].get("value")

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      **({"text": "\r"} if kind == "keyDown" else {}))

    def until(self, condition, what):
        deadline = time.monotonic() + 30
        while not self.ask(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited in vain: {what}")
            time.sleep(0.05)

    def paint(self, path, whole=True):
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(picture))

    def print(self, path):
        paper = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(paper))


class Checks:
    def __init__(self, browser):
        self.browser, self.failed = browser, []

    def equal(self, what, found, wanted):
        if found != wanted:
            self.failed.append(f"{what}: {found!r} in place of {wanted!r}")

    def true(self, what, expression):
        if not self.browser.ask(f"Boolean({expression})"):
            self.failed.append(f"{what}: not so: {expression}")


ROWS = "[...document.querySelectorAll('#grid-0 tbody tr')].map(row => row.dataset.system)"
LIST = "[...document.querySelectorAll('article.sentence')].map(one => Number(one.dataset.sentence))"


def check_table(browser, checks):
    table = "document.querySelector('#grid-0 table')"
    head = f"{table}.querySelector('th:last-child')"
    in_file = ["base", "half<i>", "gold", "waiting", "broken"]
    checks.equal("rows", browser.ask(ROWS), in_file)
    browser.ask(f"{head}.querySelector('button').click()")
    checks.equal("rows by falling average, those without one last", browser.ask(ROWS),
                 ["gold", "half<i>", "base", "waiting", "broken"])
    checks.equal("aria-sort", browser.ask(f"{head}.getAttribute('aria-sort')"), "descending")
    browser.ask(f"{head}.querySelector('button').focus()")
    browser.press("Enter", 13)
    checks.equal("rows by rising average", browser.ask(ROWS), ["base", "half<i>", "gold", "waiting", "broken"])
    checks.equal("aria-sort", browser.ask(f"{head}.getAttribute('aria-sort')"), "ascending")
    browser.ask(f"{head}.querySelector('button').click()")
    checks.equal("rows as in the file again", browser.ask(ROWS), in_file)
    browser.ask(f"{table}.querySelector('th').querySelector('button').click()")
    checks.equal("rows by name", browser.ask(ROWS)[0], "base")
    checks.equal("scopes", browser.ask(f"[...{table}.querySelectorAll('th')].every(one => one.scope)"), True)
    checks.true("words", f"/2 of 4 pending/.test({table}.innerText) && /2 of 2 failed/.test({table}.innerText)")
    checks.true("the best average is bold", f"{table}.querySelector('tr[data-system=gold] td.average strong')")
    checks.true("deviations over seeds", f"/\\u00b1/.test({table}.innerText)")
    checks.true("what the rows are", "/best_by_gold\\(pool\\(a, b\\)\\)/.test(document.querySelector('#grid-0 dl').innerText)")

    cell = f"{table}.querySelector(\"tr[data-system='half<i>']\").children"
    checks.true("above and below what is printed", f"{table}.querySelector('.difference.up') && {table}.querySelector('.difference.down')")
    checks.true("a misprint", f"/paper 99.00.*\\(\\?\\)/.test({cell}[2].innerText)")
    browser.ask("(() => { const base = document.querySelector('#grid-0 select'); base.value = 'qwen';"
                " base.dispatchEvent(new Event('change')); })()")
    checks.true("another base", f"/paper 88.00/.test({cell}[1].innerText) && !/paper/.test({cell}[2].innerText)")
    checks.true("counts only on demand", f"!/ \\/ /.test({cell}[1].innerText)")
    browser.ask("document.querySelectorAll('#grid-0 input').forEach(box => { if (!box.checked) box.click() })")
    checks.true("all there is of a cell", f"/\\d+ \\/ \\d+ \\/ \\d+/.test({cell}[1].innerText) && /P \\d+/.test({cell}[1].innerText)"
                f" && /4 sentences/.test({cell}[1].innerText)")


def check_figures(browser, checks):
    checks.equal("curves of the sweep", browser.ask("document.querySelectorAll('#grid-1 figure .curve').length"), 4)
    checks.equal("their bands", browser.ask("document.querySelectorAll('#grid-1 figure .band').length"), 3)
    checks.equal("training curves", browser.ask("document.querySelectorAll('#training figure .curve').length"), 2)
    checks.equal("their legend", browser.ask("document.querySelectorAll('#training .legend li').length"), 2)
    checks.equal("tasks on the ranks", browser.ask("document.querySelectorAll('#cost figure rect').length"), 6)
    checks.true("every figure says what it is", "[...document.querySelectorAll('figure > div > svg')].every(one => one.getAttribute('aria-label'))")
    checks.true("chosen with which m, and by which rule", "/m = 1, 2 \\(gap\\)/.test(document.querySelector('#selection table').innerText)")
    checks.equal("pseudo-labels against gold", browser.ask("[...document.querySelectorAll('#selection table')].slice(1)"
                 ".map(one => [...one.querySelectorAll('tbody td, tbody th')].map(cell => cell.innerText))"),
                 [["science", "10", "3", "32", "32", "28.12", "28.12", "28.12"]])  # 28.125, as the program prints it
    checks.true("a share of unreadable answers that is not small", "/25\\u00a0% unreadable/.test("
                "document.querySelector(\"#grid-0 tr[data-system='half<i>']\").children[2].innerText)")
    checks.equal("where it is told", browser.ask("document.querySelectorAll('#grid-0 .unreadable').length"), 2)
    checks.equal("data of an expert", browser.ask("[...document.querySelectorAll('#data tbody tr')].map(row => [...row.children].map(one => one.innerText.trim()))"),
                 [["zebra<b>", "savanna:train+dev", "3", "1,200", "", "80", "64"]])
    checks.true("resources", "/adapter parameters/.test(document.querySelector('#resources').innerText)"
                " && /10,000,000/.test(document.querySelector('#resources').innerText)")
    chosen = "[...document.querySelectorAll('#selection table')][0].querySelectorAll('tbody tr')"
    checks.true("selections of another pool and of parts are not mixed in", f"{chosen}.length === 3"
                f" && !/m = /.test({chosen}[2].innerText) && /parts of a target/.test(document.querySelector('#selection').innerText)")
    choose(browser, "pick-pool", "1")
    checks.true("another pool", f"{chosen}.length === 4 && /zebra/.test({chosen}[3].innerText) && /m = 1/.test({chosen}[3].innerText)")
    choose(browser, "pick-pool", "0")
    checks.equal("scatters", browser.ask("document.querySelectorAll('#selection figure').length"), 2)
    checks.true("merges", "/40.00\\u00a0%/.test(document.querySelector('#merging').innerText) && /not recorded/.test(document.querySelector('#merging').innerText)")


def choose(browser, name, value):
    browser.ask(f"(() => {{ const box = document.querySelector('#{name}'); box.value = {value!r};"
                " box.dispatchEvent(new Event('change')); })()")
    time.sleep(0.2)


def check_sentences(browser, checks):
    own = "document.querySelector('#sentences-browser')"
    checks.equal("nothing is unpacked before it is asked for", browser.ask("document.querySelectorAll('article').length"), 0)
    browser.ask(f"{own}.querySelector('button.plain').click()")
    browser.until("document.querySelector('article.sentence')", "sentences")
    checks.equal("all sentences", browser.ask(LIST), [0, 1, 2, 3])
    options = browser.ask("[...document.querySelector('#pick-system').options].map(one => one.text)")
    checks.equal("systems that have answered", options, ["base", "half<i>", "gold", "waiting", "all systems"])
    choose(browser, "pick-system", "1")
    reading = "document.querySelector(\"article .reading[data-system='half<i>']\")"
    browser.until(reading, "the system")
    marks = f"[...{reading}.querySelectorAll('mark')].map(one => [one.className, one.firstChild.textContent])"
    checks.equal("marks of the first sentence", browser.ask(marks),
                 [["missed", "Marie Curie"], ["right", "Paris"], ["wrong", "radium"]])
    checks.true("signs", f"/\\u2717/.test({reading}.innerText) && /\\u2713/.test({reading}.innerText)")
    odd = "document.querySelector('article[data-sentence=\"1\"]')"
    checks.true("hostile text is text", f"{odd}.innerText.includes('<img src=x onerror=') && {odd}.innerText.includes('</script>')")
    checks.true("a raw answer", f"{odd}.querySelector('details pre').textContent.includes('[\"<img onerror=1>\", \"place\"]')")
    checks.true("what is not in the text is told", f"/not marked/.test({odd}.innerText)")
    choose(browser, "pick-filter", "wrong")
    checks.equal("with a wrong mention", browser.ask(LIST), [0, 1])
    choose(browser, "pick-filter", "right")
    checks.equal("without a fault", browser.ask(LIST), [3])
    choose(browser, "pick-filter", "any")
    browser.ask("(() => { const box = document.querySelector('input[type=search]'); box.value = 'OSLO';"
                " box.dispatchEvent(new Event('input')); })()")
    browser.until(f"{LIST}.length === 1", "the search")
    checks.equal("what a search finds", browser.ask(LIST), [2])
    nested = "document.querySelector('article[data-sentence=\"2\"] .reading mark')"
    checks.true("a mention within another", f"{nested}.querySelector('mark').firstChild.textContent === 'Oslo'")
    browser.ask("(() => { const box = document.querySelector('input[type=search]'); box.value = '';"
                " box.dispatchEvent(new Event('input')); })()")
    browser.until(f"{LIST}.length === 4", "the search's end")
    choose(browser, "pick-beside", "2")
    checks.equal("two systems", browser.ask("document.querySelectorAll('article .reading').length"), 12)
    checks.true("their difference", "/half<i> \u2212 gold: \u2212\\d+\\.\\d\\d points of F1, 95 % interval/"
                ".test(document.querySelector('p.paired').innerText)")
    checks.equal("where their files lie", browser.ask(f"[...{own}.querySelectorAll('a')].map(one => one.getAttribute('href'))")[:2],
                 ["by-name/table%3C1%3E/half%3Ci%3E/science/seed-0/", "by-name/table%3C1%3E/gold/science/seed-0/"])
    choose(browser, "pick-filter", "differ")
    checks.equal("where they differ", browser.ask(LIST), [0, 1, 2])
    choose(browser, "pick-filter", "any")
    choose(browser, "pick-system", "all")
    checks.equal("all systems", browser.ask("document.querySelectorAll('article[data-sentence=\"0\"] .reading').length"), 5)
    browser.ask("document.querySelector('#grid-1 button.value').click()")
    browser.until("document.querySelector('article .reading[data-system=\"m=1\"]')", "sentences of a cell")


def overflow(browser):
    """What stands out of the page to the right, unless it is in a box that scrolls."""
    return browser.ask("""(() => {
      const width = document.documentElement.clientWidth;
      const outside = [...document.body.querySelectorAll('*')].filter(one => one.getBoundingClientRect().right > width + 1
        && !one.closest('.scroll, svg')).map(one => one.tagName + '.' + one.className + ': ' + one.textContent.slice(0, 40));
      const wide = document.documentElement.scrollWidth;
      return wide > width ? [`${wide} pixels`, ...outside] : outside;
    })()""")


def check_sizes(browser, checks):
    browser.size(PHONE, 844, mobile=True)
    checks.equal("what is too wide for a phone", overflow(browser), [])
    box = "document.querySelector('#grid-0 .scroll')"
    browser.ask(f"{box}.scrollLeft = 1e6")
    checks.true("the average can be reached, and the system's name stays", f"""(() => {{
      const name = {box}.querySelector('tbody th').getBoundingClientRect();
      const average = {box}.querySelector('tbody td.average').getBoundingClientRect();
      return name.left >= 0 && name.right <= average.left + 1 && average.right <= {PHONE};
    }})()""")
    browser.size(PAPER, 1000)
    browser.call("Emulation.setEmulatedMedia", media="print")
    checks.equal("what is too wide for paper", overflow(browser), [])
    checks.true("no boxes that cut off", "[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth + 1)")
    checks.true("no controls", "[...document.querySelectorAll('.controls, nav, button.plain')].every(one => one.offsetHeight === 0)")
    browser.call("Emulation.setEmulatedMedia", media="")
    browser.size(1200)
    checks.equal("what is too wide for a desktop", overflow(browser), [])


def check(browser, writer, folder, checks):
    browser.size(1200)
    page = folder / "report.html"
    subprocess.run([writer, page], check=True)
    browser.open(page)
    check_table(browser, checks)
    check_figures(browser, checks)
    check_sentences(browser, checks)
    check_sizes(browser, checks)
    checks.true("nothing hostile was run", "window.hacked === undefined && document.images.length === 0")
    checks.equal("files beside the page", browser.ask("performance.getEntriesByType('resource').map(one => one.name)"), [])

    subprocess.run([writer, page, "50", "700"], check=True)
    browser.open(page)
    browser.ask("document.querySelector('#sentences-browser button.plain').click()")
    browser.until("document.querySelector('article.sentence')", "sentences of a large page")
    checks.equal("sentences of a page of the list", len(browser.ask(LIST)), 20)
    browser.ask("document.querySelector('.pager button:last-child').click()")
    browser.until("document.querySelector('article').dataset.sentence === '20'", "the next page")
    choose(browser, "pick-system", "all")
    checks.equal("readings of all systems", browser.ask("document.querySelectorAll('article:first-child .reading').length"), 51)
    checks.equal("errors and warnings", browser.errors, [])


def pictures(browser, page, folder):
    folder.mkdir(parents=True, exist_ok=True)
    browser.size(1200)
    browser.open(page)
    browser.ask("document.querySelector('#sentences-browser button.plain')?.click()")
    time.sleep(1.5)
    browser.paint(folder / "desktop.png")
    browser.paint(folder / "top.png", whole=False)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.size(1200)
    browser.paint(folder / "dark.png")
    browser.call("Emulation.setEmulatedMedia", features=[])
    browser.size(PHONE, 844, mobile=True)
    browser.paint(folder / "phone.png")
    browser.call("Emulation.clearDeviceMetricsOverride")
    browser.print(folder / "paper.pdf")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", type=pathlib.Path, help="the program that writes the page, or a page for --pictures")
    parser.add_argument("--pictures", type=pathlib.Path, metavar="FOLDER")
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        must = os.environ.get("CI", "").lower() in ("1", "true")
        print(f"{'error' if must else 'skipped'}: there is no chromium to look at the page (install chromium)")
        return 1 if must else 77
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        browser = Browser(program, folder / "profile")
        checks = Checks(browser)
        try:
            if options.pictures:
                pictures(browser, options.what, options.pictures)
                return 0
            check(browser, options.what, folder, checks)
        except RuntimeError as error:
            checks.failed += [str(error), *browser.errors]
        finally:
            browser.close()
    for line in checks.failed:
        print(line)
    print(f"{len(checks.failed)} checks failed" if checks.failed else "the page is as it should be")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
