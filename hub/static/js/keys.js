// Single keys: `data-key` on a button, link or field, `g` and a letter for the areas, `?` for the list of them.

const OFF = "evergreen-keys"; // in localStorage: "off" for people whose tools type by themselves (WCAG 2.1.4)
const SECOND_KEY_MS = 1500; // in which the letter follows the g

export function keysAreOn() {
  try {
    return localStorage.getItem(OFF) !== "off";
  } catch {
    return true; // storage is closed to this page: they stay on
  }
}

export function isTyping(target) {
  return target instanceof Element && Boolean(target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]"));
}

function isShown(element) {
  return element.checkVisibility ? element.checkVisibility({ visibilityProperty: true }) : element.offsetParent !== null;
}

function press(key) {
  const usable = (element) => isShown(element) && !element.disabled;
  const found = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key && usable(one));
  if (!found) return false;
  if (found.matches("input:not([type=checkbox]):not([type=radio]), textarea, select")) found.focus();
  else found.click();
  return true;
}

function go(key) {
  const link = [...document.querySelectorAll("[data-go]")].find((one) => one.dataset.go === key);
  if (link) location.assign(link.href);
  return Boolean(link);
}

function line(list, keys, text) {
  const row = document.createElement("div");
  const term = document.createElement("dt");
  for (const key of keys) {
    const shown = document.createElement("kbd");
    shown.textContent = key;
    term.append(shown, " ");
  }
  const meaning = document.createElement("dd");
  meaning.textContent = text;
  row.append(term, meaning);
  list.append(row);
}

function fill(panel) {
  const here = panel.querySelector("#keys-here");
  const areas = panel.querySelector("#keys-go");
  here.replaceChildren();
  areas.replaceChildren();
  const listed = new Set();
  for (const one of document.querySelectorAll("[data-key], [data-shortcut]")) {
    const key = one.dataset.key ?? one.dataset.shortcut;
    const label = one.labels?.[0]?.textContent ?? one.getAttribute("aria-label") ?? one.textContent;
    const text = (one.dataset.keyText ?? one.dataset.shortcutText ?? label).trim();
    if (listed.has(key) || (one.dataset.key && !isShown(one))) continue;
    listed.add(key);
    line(here, key.split(" "), text);
  }
  here.parentElement.hidden = listed.size === 0;
  const reached = new Set();
  for (const one of document.querySelectorAll("[data-go]")) {
    if (!reached.has(one.dataset.go)) line(areas, ["g", one.dataset.go], one.textContent.trim());
    reached.add(one.dataset.go);
  }
}

export function startKeys() {
  const panel = document.getElementById("keys");
  if (!panel) return;
  const open = () => {
    fill(panel);
    panel.showModal();
  };
  const box = panel.querySelector("#keys-on");
  box.checked = keysAreOn();
  box.addEventListener("change", () => {
    try {
      localStorage.setItem(OFF, box.checked ? "on" : "off");
    } catch {
      box.checked = true; // nothing can be kept
    }
  });
  document.getElementById("keys-open").addEventListener("click", open);
  document.getElementById("keys-hint").hidden = false;
  panel.querySelector("#keys-close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", (event) => {
    if (event.target === panel) panel.close();
  });
  for (const one of document.querySelectorAll("[data-key]")) one.setAttribute("aria-keyshortcuts", one.dataset.key);

  let goUntil = 0;
  document.addEventListener("keydown", (event) => {
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing && !event.repeat;
    if (event.defaultPrevented || !isPlain || panel.open || document.querySelector("dialog[open]")) return;
    if (isTyping(event.target) || !keysAreOn()) return;
    if (event.key === "?") {
      event.preventDefault();
      open();
    } else if (performance.now() < goUntil) {
      goUntil = 0;
      // After g every letter is an area's: other scripts must not take it for a decision.
      event.stopImmediatePropagation();
      if (go(event.key)) event.preventDefault();
    } else if (event.key === "g") {
      goUntil = performance.now() + SECOND_KEY_MS;
    } else if (press(event.key)) {
      event.preventDefault();
    }
  }, true);
}
