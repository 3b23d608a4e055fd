// Asks anew whenever the server says that something changed; one question at a time.
import { showLink } from "./console.js";

/** The server asks to load everything anew, and did not say what changed. */
const ALL = "all";
const AGAIN_MS = 5000;

/**
 * Call `look` after the changes told by the stream at `address`: with the ids of the ECOs that the
 * server named since the last look, or with null if it named none.
 * While `look` is under way further changes wait, and are one more look. A look that failed is
 * done again, with everything, after the next change or as soon as the connection is back.
 */
export function whenChanged(address, look) {
  let isLooking = false;
  let due = new Set();
  let isAllDue = false;
  let last = "";
  let stream;

  async function go() {
    if (isLooking) return;
    isLooking = true;
    while (due.size || isAllDue) {
      const ids = isAllDue ? null : [...due];
      due = new Set();
      isAllDue = false;
      try { await look(ids); } catch { isAllDue = true; showLink(false); break; }
    }
    isLooking = false;
  }

  function all() { isAllDue = true; return go(); }

  function changed(event) {
    last = event.lastEventId || last;
    showLink(true);
    if (!event.data || event.data === ALL) isAllDue = true;
    else for (const id of event.data.split(" ")) due.add(id);
    go();
  }

  function open() {
    const resumed = new URL(address, location.href);
    if (last) resumed.searchParams.set("after", last);
    stream = new EventSource(resumed);
    stream.addEventListener("open", () => { showLink(true); if (isAllDue) go(); });
    stream.addEventListener("changed", changed);
    stream.addEventListener("error", () => {
      showLink(false);
      // A server that is starting answers with an error, after which a browser does not come back.
      if (stream.readyState === EventSource.CLOSED) setTimeout(open, AGAIN_MS);
    });
  }
  open();
  window.addEventListener("pagehide", () => stream.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  return all;
}
