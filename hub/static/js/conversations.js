// Keys of the list of conversations and of a transcript: j and k walk, x selects, r and w judge, e shows the details.

import { isTyping, keysAreOn } from "./keys.js";

function walk(items, current, step) {
  const place = items.indexOf(current);
  if (place < 0) return items[step > 0 ? 0 : items.length - 1];
  return items[Math.min(Math.max(place + step, 0), items.length - 1)];
}

function onKeys(actions) {
  document.addEventListener("keydown", (event) => {
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : null;
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing && !event.defaultPrevented;
    if (!action || !isPlain || isTyping(event.target) || !keysAreOn() || document.querySelector("dialog[open]")) return;
    if (action() !== false) event.preventDefault();
  });
}

function startList(list) {
  const rows = () => [...list.querySelectorAll(".talk")];
  const current = () => document.activeElement?.closest(".talk") ?? null;
  const boxes = () => [...list.querySelectorAll("input[type=checkbox]")];
  const step = (by) => walk(rows(), current() ?? remembered, by)?.querySelector(".cover").focus();
  let remembered = null; // the row that was left for the tag's field or a button

  list.addEventListener("focusin", () => (remembered = current()));
  onKeys({
    j: () => step(1),
    k: () => step(-1),
    x: () => {
      const box = (current() ?? remembered)?.querySelector("input[type=checkbox]");
      if (!box) return false;
      box.checked = !box.checked;
    },
  });

  const form = document.getElementById("bulk");
  if (!form) return;
  const all = form.querySelector(".select-all");
  all.hidden = false;
  all.addEventListener("click", () => {
    const isOn = boxes().some((box) => !box.checked);
    for (const box of boxes()) box.checked = isOn;
  });
  // Nothing selected means the row that one is on.
  form.addEventListener("submit", () => {
    const box = (current() ?? remembered)?.querySelector("input[type=checkbox]");
    if (box && boxes().every((one) => !one.checked)) box.checked = true;
  });
  // Going back after an action: on with the row that it was about.
  const target = location.hash.startsWith("#talk-") && document.getElementById(location.hash.slice(1));
  if (target) target.querySelector(".cover").focus();
}

function startTranscript(list) {
  const turns = [...list.querySelectorAll(".turn")];
  let current = document.getElementById(location.hash.slice(1))?.closest(".turn") ?? null;
  const go = (turn) => {
    current?.classList.remove("here");
    current = turn;
    current.classList.add("here");
    current.focus({ preventScroll: true });
    current.scrollIntoView({ block: "nearest" });
  };
  const open = (selector, field) => {
    const details = (current ?? turns[0]).querySelector(selector);
    if (!details) return false;
    details.open = !details.open;
    if (details.open && field) details.querySelector(field).focus();
  };

  list.addEventListener("focusin", (event) => {
    const turn = event.target.closest(".turn");
    if (turn && turn !== current) {
      current?.classList.remove("here");
      current = turn;
      current.classList.add("here");
    }
  });
  onKeys({
    j: () => go(walk(turns, current, 1)),
    k: () => go(walk(turns, current, -1)),
    r: () => {
      const button = (current ?? turns[0]).querySelector("button.right");
      if (!button) return false;
      button.click();
    },
    w: () => open("details.wrong", "input[name=right]"),
    e: () => open("details.how"),
  });
  if (current) go(current);
}

const talks = document.querySelector("ol.talks");
if (talks) startList(talks);
const turns = document.querySelector("ol.turns");
if (turns) startTranscript(turns);
