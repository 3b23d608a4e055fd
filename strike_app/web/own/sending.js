// Sends a form until the server has said what became of it: the same reference, so once.
import { showLink } from "./console.js";
import { traceHeaders } from "./traces.js";

const WAITS_S = [1, 2, 4, 8, 10];
const PATIENCE_MS = 15_000;

const post = (url, values, accept) => fetch(url, {
  method: "POST", body: values, headers: { Accept: accept, ...traceHeaders() }, signal: AbortSignal.timeout(PATIENCE_MS), redirect: "manual",
});

/** The elements of a part of a page, as the server made them. Rejects if there is no answer. */
export async function fragment(url, values) {
  const answer = await post(url, new URLSearchParams(values), "text/html");
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html").body.children;
}

/** See create.js for the callbacks; the form's data attributes have the words. */
export function sender(form, { ready, sending, created, refused, stopped }) {
  const line = document.getElementById("sending");
  const button = document.getElementById("send"), tryNow = document.getElementById("try-now"), stop = document.getElementById("stop-trying");
  let isBusy = false, isStopped = false, wake = null;

  function tell(text, isBad = false) {
    line.textContent = text;
    line.hidden = !text;
    line.classList.toggle("bad", isBad);
  }

  function lock(isLocked) {
    button.disabled = isLocked;
    for (const one of form.querySelectorAll("input, select, textarea")) {
      if (one.type !== "hidden") one.disabled = isLocked;
    }
  }

  function showWaiting(isWaiting) {
    showLink(!isWaiting);
    for (const one of [tryNow, stop]) one.hidden = !isWaiting;
  }

  const pause = (seconds) => new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    wake = () => { clearTimeout(timer); resolve(); };
  });

  /** One try: what became of it, or null if nobody knows. */
  async function once(values) {
    let answer;
    try {
      answer = await post(form.action, values, "application/json");
      if (answer.status >= 500 || answer.status === 429 || answer.status === 408) return null;
      if (answer.type === "opaqueredirect" || answer.status === 401) return { told: form.dataset.out };
      if (!answer.headers.get("Content-Type")?.startsWith("application/json")) return { told: form.dataset.refused };
      const body = await answer.json();
      return body.go || body.errors ? body : { told: body.message ?? form.dataset.refused };
    } catch {
      return null;
    }
  }

  async function untilKnown(values) {
    for (let tries = 0; !isStopped; tries += 1) {
      const known = await once(values);
      if (known) return known;
      if (isStopped) break;
      tell(form.dataset.lost, true);
      showWaiting(true);
      await pause(WAITS_S[Math.min(tries, WAITS_S.length - 1)]);
      if (!isStopped) tell(form.dataset.again, true);
    }
    return null;
  }

  async function start(before = null) {
    if (isBusy) return;
    isBusy = true;
    isStopped = false;
    tell(form.dataset.sending);
    button.disabled = true;
    const values = before ?? await ready();
    sending(values);
    lock(true);
    const known = await untilKnown(values);
    showWaiting(false);
    if (known?.go) { created(known.go); return; }
    isBusy = false;
    lock(false);
    tell(known?.told ?? (known ? "" : form.dataset.stopped), true);
    if (known?.errors) refused(known); else stopped();
  }

  tryNow.addEventListener("click", () => wake?.());
  stop.addEventListener("click", () => { isStopped = true; wake?.(); });
  addEventListener("online", () => wake?.());
  return { start, tell };
}
