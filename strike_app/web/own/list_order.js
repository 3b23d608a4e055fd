// The people of a list: dragged by a handle, moved by its arrow keys or by buttons, added, taken off.
import { say } from "./console.js";

const list = document.getElementById("contacts");
const template = document.getElementById("contact-template");
const rows = () => [...list.querySelectorAll("[data-contact]")];
const nameOf = (row) => row.querySelector("[data-name]").value || "?";

const changed = () => list.dispatchEvent(new Event("change", { bubbles: true }));

function tell(words, row, number) {
  say(words.replace("{name}", nameOf(row)).replace("{number}", number));
}

/** Move a row by so many places, and keep the focus where it was. */
function move(row, by) {
  const all = rows();
  const to = Math.min(Math.max(all.indexOf(row) + by, 0), all.length - 1);
  if (all[to] === row) return;
  const focused = document.activeElement;
  if (by < 0) all[to].before(row); else all[to].after(row);
  focused?.focus();
  tell(list.dataset.moved, row, to + 1);
  changed();
}

function add() {
  const key = `n${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  const row = template.content.firstElementChild.cloneNode(true);
  for (const one of row.querySelectorAll("[name], [value]")) {
    for (const attribute of ["name", "value"]) {
      const text = one.getAttribute(attribute);
      if (text) one.setAttribute(attribute, text.replace(/(^|-)KEY$/, `$1${key}`));
    }
  }
  list.append(row);
  row.querySelector("[data-handle]").hidden = false;
  row.querySelector("[data-name]").focus();
}

function remove(row) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  tell(list.dataset.removed, row, "");
  row.remove();
  (next?.querySelector("[data-name]") ?? document.getElementById("add-contact")).focus();
  changed();
}

list.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const row = button?.closest("[data-contact]");
  if (!row) return;
  if (button.matches("[data-move], [data-remove]")) event.preventDefault();
  if (button.matches("[data-move]")) move(row, Number(button.dataset.move));
  if (button.matches("[data-remove]")) remove(row);
});

list.addEventListener("keydown", (event) => {
  if (!event.target.matches("[data-handle]")) return;
  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (by) { event.preventDefault(); move(event.target.closest("[data-contact]"), by); }
});

document.getElementById("add-contact").addEventListener("click", (event) => { event.preventDefault(); add(); });

// Pointer events: the same for a mouse and for a finger.
list.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest("[data-handle]");
  if (!handle) return;
  const row = handle.closest("[data-contact]");
  const before = rows().indexOf(row);
  handle.setPointerCapture(event.pointerId);
  row.classList.add("dragged");
  function follow({ clientY }) {
    for (const other of rows()) {
      const { top, height } = other.getBoundingClientRect();
      const isAbove = rows().indexOf(other) < rows().indexOf(row);
      if (other === row) continue;
      if (isAbove && clientY < top + height / 2) { other.before(row); handle.setPointerCapture(event.pointerId); return; }
      if (!isAbove && clientY > top + height / 2) { other.after(row); handle.setPointerCapture(event.pointerId); return; }
    }
  }
  function drop() {
    row.classList.remove("dragged");
    handle.removeEventListener("pointermove", follow);
    for (const end of ["pointerup", "pointercancel"]) handle.removeEventListener(end, drop);
    const after = rows().indexOf(row);
    if (after !== before) { tell(list.dataset.moved, row, after + 1); changed(); }
  }
  handle.addEventListener("pointermove", follow);
  for (const end of ["pointerup", "pointercancel"]) handle.addEventListener(end, drop);
});

for (const handle of list.querySelectorAll("[data-handle]")) handle.hidden = false;
