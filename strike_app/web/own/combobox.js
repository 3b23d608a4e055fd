// A text field with a list of what it can mean: by mouse, by touch, and by keyboard alone.

const PAUSE_MS = 150;

/**
 * `ask(text)` resolves to `<li>`s; `choose(li, isChosen)` takes one, which a person chose or which is the only one; `edited()` hears of each change;
 * `refuse(text)` is told what is wrong with what was typed. Options with no data-location are shown and cannot be chosen.
 */
export function combobox(input, list, { ask, choose, edited, refuse }) {
  let timer = 0, asked = 0, active = null, running = Promise.resolve();
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");

  const options = () => [...list.querySelectorAll("[data-location]")];
  const isOpen = () => !list.hidden;

  function open(isShown) {
    list.hidden = !isShown;
    input.setAttribute("aria-expanded", String(isShown));
    if (!isShown) mark(null);
  }

  function mark(option) {
    active?.setAttribute("aria-selected", "false");
    active = option;
    if (!active) { input.removeAttribute("aria-activedescendant"); return; }
    active.setAttribute("aria-selected", "true");
    active.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", active.id);
  }

  function take(option, isChosen) {
    open(false);
    choose(option, isChosen);
  }

  /** Look `text` up; what is certain is taken at once. */
  async function look(text) {
    clearTimeout(timer);
    timer = 0;
    const mine = ++asked;
    if (text.trim().length < 2) { open(false); return; }
    let found;
    try { found = await ask(text); } catch { return; }
    if (mine !== asked) return;
    list.replaceChildren(...found);
    const [first, ...others] = options();
    mark(null);
    const problem = list.querySelector("[data-wrong]");
    if (problem) { open(false); refuse(problem.textContent); return; }
    refuse("");
    if (first && others.length === 0 && list.children.length === 1 && ["COORDINATES", "GEOMETRY"].includes(first.dataset.kind)) { take(first, false); return; }
    open(list.children.length > 0);
    if (first) mark(first);
  }

  const search = (text) => (running = look(text));

  input.addEventListener("input", () => {
    edited();
    asked += 1;
    clearTimeout(timer);
    timer = setTimeout(() => search(input.value), PAUSE_MS);
  });
  input.addEventListener("paste", () => setTimeout(() => search(input.value)));
  input.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = options();
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && all.length) {
      event.preventDefault();
      if (!isOpen()) { open(true); mark(all[0]); return; }
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark(all[(all.indexOf(active) + step + all.length) % all.length]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (isOpen() && active) take(active, true); else if (!isOpen()) search(input.value);
    } else if (event.key === "Escape" && isOpen()) {
      event.preventDefault();
      open(false);
    }
  });
  input.addEventListener("blur", () => setTimeout(() => { if (document.activeElement !== input) open(false); }));
  // Before the field loses its focus, which closes the list.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[data-location]");
    if (option) take(option, true);
  });

  return {
    search,
    /** When what was typed last has been looked up. */
    async settled() {
      if (timer) search(input.value);
      await running;
    },
  };
}
