// Asks anew whenever the server says that something changed; one question at a time.
import { showLink } from "./console.js";

/**
 * Call `look` after each change told by the stream at `address`, and after each lost connection.
 * While `look` is under way further changes wait, and are one more look.
 */
export function whenChanged(address, look) {
  let isLooking = false;
  let isDue = false;
  async function go() {
    if (isLooking) { isDue = true; return; }
    isLooking = true;
    do {
      isDue = false;
      try { await look(); } catch { showLink(false); }
    } while (isDue);
    isLooking = false;
  }
  let isFirst = true;
  const stream = new EventSource(address);
  stream.addEventListener("open", () => showLink(true));
  stream.addEventListener("changed", (event) => {
    const isGreeting = event.data === "connected";
    if (!(isGreeting && isFirst)) go();
    isFirst = false;
  });
  stream.addEventListener("error", () => showLink(false));
  window.addEventListener("pagehide", () => stream.close());
  return go;
}
