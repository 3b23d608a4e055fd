// The trace that a click begins (W3C Trace Context), where the server sends traces.
const { traced } = document.documentElement.dataset;

const random = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (one) => one.toString(16).padStart(2, "0")).join("");

/** Headers of a command: none where nobody is told of traces. Sampled as the server would. */
export function traceHeaders() {
  if (!traced) return {};
  const trace = random(16);
  const flags = BigInt(`0x${trace.slice(16)}`) < BigInt(traced) ? "01" : "00";
  return { traceparent: `00-${trace}-${random(8)}-${flags}` };
}

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb === "post") Object.assign(event.detail.headers, traceHeaders());
});
