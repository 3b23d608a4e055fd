// Shows the state that the mock tells, and sends what the person does. No text becomes markup.

const byId = (id) => document.getElementById(id);
const OVER = new Set(["completed", "busy", "no-answer", "canceled", "failed"]);
const WORDS = {
  queued: "Queued at Twilio", initiated: "Being connected", ringing: "Ringing",
  "in-progress": "Answered", completed: "Over", busy: "Busy or rejected",
  "no-answer": "Nobody answered", canceled: "Ended by Strike", failed: "Could not be connected",
};
const STATES = ["blueprinted", "allocated", "releasable", "released", "jeopardy", "completed"];
const TASK_WORDS = {
  blueprinted: "planned", allocated: "assigned", releasable: "ready to start",
  released: "crew at work", jeopardy: "at risk", completed: "done",
};

let state = null;
let skew = { at: 0, now: 0 };

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (typeof value === "boolean") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

async function send(path, body) {
  byId("problem").textContent = "";
  const response = await fetch(path, {
    method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
  }).catch((error) => ({ ok: false, json: async () => ({ error: String(error) }) }));
  if (!response.ok) byId("problem").textContent = (await response.json()).error;
}

const time = (iso) => new Date(iso).toISOString().slice(11, 19);

function simulatedNow() {
  const { paused, speed } = state.clock;
  const passed = paused ? 0 : (performance.now() - skew.at) * (speed ?? 1);
  return skew.now + passed;
}

function seconds(call) {
  const since = call.times[call.status] ?? call.times.created;
  return Math.max(0, Math.round((simulatedNow() - Date.parse(since)) / 1000));
}

function phone(call) {
  const act = (does, key) => () => send(`calls/${call.sid}`, key ? { does, key } : { does });
  const rings = call.status === "ringing";
  const talks = call.status === "in-progress";
  const key = (label) => make("button", {
    type: "button", disabled: !talks, onclick: act("press", label), "aria-label": `Press ${label}`,
    "data-key": label, class: talks && call.waits_for_key && label === "1" ? "main" : "",
  }, label);
  const waits = call.waits_for_key ? " · waits for a key" : "";
  return make("article", { class: `card ${call.status}`, "data-number": call.to, "data-focus": call.sid },
    make("h3", {}, call.who || "Somebody"),
    make("div", { class: "number" }, call.to),
    make("div", { class: "state" }, WORDS[call.status] ?? call.status,
      make("span", { class: "quiet", "data-since": "" }, ` for ${seconds(call)} s${waits}`)),
    make("ul", { class: "heard", "aria-label": "What is heard" },
      ...call.heard.map((text) => make("li", {}, text))),
    make("div", { class: "buttons" },
      make("button", { type: "button", disabled: !rings, class: rings ? "main" : "", "data-key": "pick_up", onclick: act("pick_up") }, "Pick up"),
      make("button", { type: "button", disabled: !rings, "data-key": "reject", onclick: act("reject") }, "Reject"),
      make("button", { type: "button", disabled: !talks, "data-key": "put_down", onclick: act("put_down") }, "Hang up")),
    make("div", { class: "keypad", role: "group", "aria-label": "Keypad" }, ..."123456789*0#".split("").map(key)));
}

function task(one) {
  const move = (to) => make("button", {
    type: "button", disabled: one.state === to, "data-key": to, onclick: () => send(`tasks/${one.id}`, { state: to }),
  }, TASK_WORDS[to]);
  const clone = make("button", {
    type: "button", "data-key": "clone", title: "The crew adds a task that follows on from this one",
    onclick: () => send("tasks", { subsector_id: one.subsector_id, name: `Follow-on of ${one.name}`, clones: one.id }),
  }, "Clone");
  return make("article", { class: "card", "data-focus": one.id },
    make("h3", {}, one.name),
    make("div", { class: "state" }, TASK_WORDS[one.state] ?? one.state),
    make("div", { class: "buttons" }, ...STATES.map(move), clone));
}

function over(call) {
  return make("tr", {},
    make("td", {}, time(call.times.created)), make("td", {}, `${call.who || ""} ${call.to}`),
    make("td", {}, WORDS[call.status] ?? call.status),
    make("td", {}, call.keys.map((one) => one.key).join(" ") || "–"),
    make("td", {}, call.heard.at(-1) ?? "–"));
}

// Whoever works by keyboard keeps the focus although the cards are made anew.
function keepingFocus(change) {
  const active = document.activeElement;
  const card = active?.closest?.("[data-focus]")?.dataset.focus;
  const key = active?.dataset?.key;
  change();
  if (card && key) {
    document.querySelector(`[data-focus="${CSS.escape(card)}"] [data-key="${CSS.escape(key)}"]`)?.focus();
  }
}

function fill(id, items, none) {
  byId(id).replaceChildren(...(items.length ? items : none ? [none] : []));
}

function show(next) {
  const before = new Set((state?.calls ?? []).filter((one) => one.status === "ringing").map((one) => one.sid));
  state = next;
  skew = { at: performance.now(), now: Date.parse(next.clock.now) };
  const live = next.calls.filter((one) => !OVER.has(one.status));
  keepingFocus(() => {
    fill("phones", live.map(phone), make("p", { class: "quiet" },
      next.calls.length ? "No phone is in use." : "Nobody has been called yet."));
    fill("tasks", next.tasks.map(task), make("p", { class: "quiet" }, "No crew has anything to do yet."));
  });
  fill("history", next.calls.filter((one) => OVER.has(one.status)).reverse().map(over));
  fill("faults", Object.entries(next.faults).map(([name, times]) => make("li", {}, `${name}: ${times}×`)),
    make("li", { class: "quiet" }, "Nothing so far."));
  for (const one of live) {
    if (one.status === "ringing" && !before.has(one.sid)) {
      byId("ringing").textContent = `${one.who || one.to} is being rung.`;
    }
  }
  byId("story").textContent = next.scenario.story.trim().replaceAll(/\s*\n/g, " ");
  const { status, paging, render, accepted_by: by } = next.scenario.ending;
  byId("ending").textContent = `Ends as: ECO ${status}, paging ${paging}${by ? ` by …${by}` : ""}, Render ${render}.`;
  if (byId("scenario").value !== next.scenario.name) byId("scenario").value = next.scenario.name;
  byId("pause").textContent = next.clock.paused ? "Go on" : "Pause";
  for (const id of ["pause", "step", "skip", "speed"]) byId(id).disabled = !next.clock.can_step;
  if (document.activeElement !== byId("speed")) byId("speed").value = next.clock.speed ?? "";
  tick();
}

function tick() {
  if (!state) return;
  byId("now").textContent = time(simulatedNow());
  for (const card of document.querySelectorAll("#phones [data-focus]")) {
    const call = state.calls.find((one) => one.sid === card.dataset.focus);
    const waits = call.waits_for_key ? " · waits for a key" : "";
    card.querySelector("[data-since]").textContent = ` for ${seconds(call)} s${waits}`;
  }
}

async function start() {
  const { scenarios } = await (await fetch("scenarios")).json();
  fill("scenario", scenarios.map((one) => make("option", { value: one.name }, `${one.name}: ${one.title}`)));
  byId("scenario").addEventListener("change", (event) => send("scenario", { name: event.target.value }));
  byId("pause").addEventListener("click", () => send("clock", { paused: !state.clock.paused }));
  byId("step").addEventListener("click", () => send("clock", { step: true }));
  byId("skip").addEventListener("click", () => send("clock", { skip: 30 }));
  byId("speed").addEventListener("change", (event) => send("clock", { speed: Number(event.target.value) }));
  const events = new EventSource("events");
  events.addEventListener("message", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", () => { byId("problem").textContent = "The mock does not answer; trying again …"; });
  events.addEventListener("open", () => { byId("problem").textContent = ""; });
  setInterval(tick, 250);
}

start();
