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

const TITLE = document.title;
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
  if (response.ok) return;
  const { error } = await response.json().catch(() => ({ error: `The mock answered ${response.status}.` }));
  byId("problem").textContent = error;
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

// A card is made once and then changed: one that is replaced while somebody clicks loses the click.
function phone(sid) {
  const act = (does, key) => () => send(`calls/${sid}`, key ? { does, key } : { does });
  const button = (does, label) => make("button", { type: "button", "data-key": does, onclick: act(does) }, label);
  const key = (label) => make("button", {
    type: "button", onclick: act("press", label), "aria-label": `Press ${label}`, "data-key": label,
  }, label);
  return make("article", { tabindex: "-1" },
    make("h3", {}), make("div", { class: "number" }),
    make("div", { class: "state" }, make("span", { "data-word": "" }), make("span", { class: "quiet", "data-since": "" })),
    make("ul", { class: "heard", role: "list", "aria-label": "What is heard", "aria-live": "polite" }),
    make("div", { class: "buttons" }, button("pick_up", "Pick up"), button("reject", "Reject"), button("put_down", "Hang up")),
    make("div", { class: "keypad", role: "group", "aria-label": "Keypad" }, ..."123456789*0#".split("").map(key)));
}

function updatePhone(card, call) {
  const rings = call.status === "ringing";
  const talks = call.status === "in-progress";
  const isOver = OVER.has(call.status);
  const focused = card.contains(document.activeElement) ? document.activeElement : null;
  card.className = `card ${call.status}${isOver ? " over" : ""}`;
  card.dataset.number = call.to;
  card.querySelector("h3").textContent = call.who || "Somebody";
  card.querySelector(".number").textContent = call.to;
  card.querySelector("[data-word]").textContent = WORDS[call.status] ?? call.status;
  card.querySelector("[data-since]").textContent = since(call);
  const heard = card.querySelector(".heard");
  for (const text of call.heard.slice(heard.children.length)) {
    heard.append(make("li", {}, text));
    heard.scrollTop = heard.scrollHeight;
  }
  for (const button of card.querySelectorAll("button")) {
    const key = button.dataset.key;
    button.disabled = key === "pick_up" || key === "reject" ? !rings : !talks;
    const isAsked = key === "pick_up" ? rings : key === "1" && talks && call.waits_for_key;
    button.classList.toggle("main", isAsked);
  }
  for (const group of card.querySelectorAll(".buttons, .keypad")) group.hidden = isOver;
  if (focused && (isOver || focused.disabled)) moveFocus(card);
}

// Whoever works by keyboard stays in the card when the button that was just pressed goes out of use.
function moveFocus(card) {
  const usable = (extra) => card.querySelector(`:not([hidden]) > button${extra}:not(:disabled)`);
  (usable(".main") ?? usable("[data-key='1']") ?? usable("") ?? card).focus();
}

function since(call) {
  if (OVER.has(call.status)) return "";
  const waits = call.waits_for_key ? " · waits for a key" : "";
  return ` for ${seconds(call)} s${waits}`;
}

function task(id) {
  const move = (to) => make("button", {
    type: "button", "data-key": to, onclick: () => send(`tasks/${id}`, { state: to }),
  }, TASK_WORDS[to]);
  const clone = make("button", {
    type: "button", title: "The crew adds a task that follows on from this one",
    onclick: () => {
      const one = state.tasks.find((found) => found.id === id);
      send("tasks", { subsector_id: one.subsector_id, name: `Follow-on of ${one.name}`, clones: id });
    },
  }, "Add a follow-on");
  return make("article", { class: "card" }, make("h3", {}), make("div", { class: "state" }),
    make("div", { class: "buttons", role: "group", "aria-label": "Move the task to" }, ...STATES.map(move)),
    make("div", { class: "buttons" }, clone));
}

function updateTask(card, one) {
  card.querySelector("h3").textContent = one.name;
  card.querySelector(".state").textContent = TASK_WORDS[one.state] ?? one.state;
  for (const button of card.querySelectorAll("[data-key]")) button.disabled = button.dataset.key === one.state;
}

function keep(id, items, key, create, update, none) {
  const parent = byId(id);
  const known = new Map([...parent.children].filter((one) => one.dataset.id).map((one) => [one.dataset.id, one]));
  const cards = items.map((item) => {
    const card = known.get(item[key]) ?? create(item[key]);
    card.dataset.id = item[key];
    update(card, item);
    return card;
  });
  for (const [old, card] of known) if (!items.some((item) => item[key] === old)) card.remove();
  parent.querySelector(":scope > p")?.remove();
  cards.forEach((card, position) => {
    if (parent.children[position] !== card) parent.insertBefore(card, parent.children[position] ?? null);
  });
  if (!cards.length) parent.append(make("p", { class: "quiet" }, none));
}

// Whoever is on the phone, and everybody else's last call: a card that ends stays to be read.
function shown(calls) {
  const numbers = [...new Set(calls.map((one) => one.to))];
  return numbers.flatMap((number) => {
    const theirs = calls.filter((one) => one.to === number);
    const live = theirs.filter((one) => !OVER.has(one.status));
    return live.length ? live : theirs.slice(-1);
  });
}

function over(call) {
  return make("tr", {},
    make("td", {}, time(call.times.created)), make("td", {}, `${call.who || ""} ${call.to}`),
    make("td", {}, WORDS[call.status] ?? call.status),
    make("td", {}, call.keys.map((one) => one.key).join(" ") || "–"),
    make("td", {}, call.heard.at(-1) ?? "–"));
}

// The link is what a text is there for; whatever else is in it stays text.
function texted(one) {
  const words = one.body.split(/(https?:\/\/\S+)/).map((part) => (
    /^https?:/.test(part) ? make("a", { href: part, target: "_blank", rel: "noreferrer" }, part) : part));
  return make("li", {}, make("time", {}, time(one.created)), ` ${one.who || ""} ${one.to}, ${one.status}: `, ...words);
}

function asked(one) {
  const about = one.about ? ` (${one.about})` : "";
  const answer = make("span", { class: /^[23]/.test(one.answer) ? "good" : one.answer ? "bad" : "quiet" }, one.answer || "under way");
  return make("li", {}, make("time", {}, time(one.at)), ` ${one.asked_by} asks ${one.asked}: ${one.method} ${one.path}${about} `, answer);
}

function fill(id, items, none) {
  byId(id).replaceChildren(...(items.length ? items : none ? [none] : []));
}

function show(next) {
  const before = new Set((state?.calls ?? []).filter((one) => one.status === "ringing").map((one) => one.sid));
  state = next;
  skew = { at: performance.now(), now: Date.parse(next.clock.now) };
  const live = next.calls.filter((one) => !OVER.has(one.status));
  keep("phones", shown(next.calls), "sid", phone, updatePhone, "Nobody has been called yet.");
  keep("tasks", next.tasks, "id", task, updateTask, "No crew has anything to do yet.");
  const ended = next.calls.filter((one) => OVER.has(one.status)).reverse().map(over);
  fill("history", ended);
  byId("no-history").hidden = ended.length > 0;
  byId("history").closest(".scroll").hidden = ended.length === 0;
  fill("texts", next.texts.map(texted).reverse(), make("li", { class: "quiet" }, "None yet."));
  fill("requests", next.requests.map(asked).reverse(), make("li", { class: "quiet" }, "None yet."));
  fill("faults", Object.entries(next.faults).map(([name, times]) => make("li", {}, `${name}: ${times}×`)),
    make("li", { class: "quiet" }, "Nothing so far."));
  for (const one of live) {
    if (one.status === "ringing" && !before.has(one.sid)) {
      byId("ringing").textContent = `${one.who || one.to} is being rung.`;
    }
  }
  const ringing = live.filter((one) => one.status === "ringing").length;
  document.title = ringing ? `(${ringing} ringing) ${TITLE}` : TITLE;
  byId("story").textContent = next.scenario.story.trim().replaceAll(/\s*\n/g, " ");
  const { status, paging, render, accepted_by: by } = next.scenario.ending;
  byId("ending").textContent = `Ends as: ECO ${status}, paging ${paging}${by ? ` by …${by}` : ""}, Render ${render}.`;
  choose(next.scenario);
  byId("pause").textContent = next.clock.paused ? "Go on" : "Pause";
  for (const one of document.querySelectorAll(".clock :is(button, input)")) one.disabled = !next.clock.can_step;
  if (document.activeElement !== byId("speed")) byId("speed").value = next.clock.speed ?? "";
  tick();
}

function choose({ name, title }) {
  const select = byId("scenario");
  if (![...select.options].some((one) => one.value === name)) {
    select.append(make("option", { value: name }, `${name}: ${title}`));
  }
  if (select.value !== name) select.value = name;
}

function tick() {
  if (!state) return;
  byId("now").textContent = time(simulatedNow());
  for (const card of document.querySelectorAll("#phones [data-id]")) {
    const call = state.calls.find((one) => one.sid === card.dataset.id);
    if (call) card.querySelector("[data-since]").textContent = since(call);
  }
}

async function start() {
  const { scenarios } = await (await fetch("scenarios")).json();
  fill("scenario", scenarios.map((one) => make("option", { value: one.name }, `${one.name}: ${one.title}`)));
  byId("scenario").addEventListener("change", (event) => send("scenario", { name: event.target.value }));
  byId("pause").addEventListener("click", () => send("clock", { paused: !state.clock.paused }));
  byId("step").addEventListener("click", () => send("clock", { step: true }));
  for (const one of document.querySelectorAll("[data-skip]")) {
    one.addEventListener("click", () => send("clock", { skip: Number(one.dataset.skip) }));
  }
  byId("speed").addEventListener("change", (event) => send("clock", { speed: Number(event.target.value) }));
  const events = new EventSource("events");
  events.addEventListener("message", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", () => { byId("problem").textContent = "The mock does not answer; trying again …"; });
  events.addEventListener("open", () => { byId("problem").textContent = ""; });
  setInterval(tick, 250);
}

start().catch((error) => { byId("problem").textContent = `The page could not start: ${error}`; });
