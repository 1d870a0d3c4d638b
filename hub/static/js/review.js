// The inbox and the page of a proposal by single keys, parts of the page that answer in place, and what was typed kept
// until it has arrived. All of it can be done without: every key presses a button that is there.
import { isTyping, keysAreOn } from "./keys.js";

const NEXT = "review-next"; // in sessionStorage: the rows to go on with after a decision
const DRAFT = "review-draft "; // begins the key of what was typed into a form
const SETTLE_MS = 1500; // in which a row that has just changed under the hand takes no decision

const plain = (event) => !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing && !event.repeat;

// --- the inbox -------------------------------------------------------------------------------------

const rows = () => [...document.querySelectorAll(".queue-item")];
const linkOf = (row) => row.querySelector(".cover");
const boxOf = (row) => row.querySelector("input[name=chosen]");
const ticked = () => [...document.querySelectorAll("input[name=chosen]:checked")];
const current = () => document.activeElement?.closest(".queue-item") ?? document.querySelector(".queue-item.current");
const justChanged = (row) => performance.now() - Number(row.dataset.changed ?? -SETTLE_MS) < SETTLE_MS;

function makeCurrent(row) {
  document.querySelector(".queue-item.current")?.classList.remove("current");
  row?.classList.add("current");
}

function step(by) {
  const all = rows();
  const place = all.indexOf(current());
  const row = all[place < 0 ? 0 : Math.min(Math.max(place + by, 0), all.length - 1)];
  if (!row) return;
  linkOf(row).focus();
  row.scrollIntoView({ block: "nearest" });
}

function count(form) {
  const shown = form.querySelector(".bulk-count");
  const number = ticked().length;
  shown.textContent = number ? shown.dataset.some.replace("{count}", number) : shown.dataset.none;
  form.classList.toggle("some", number > 0);
}

// What a key decides about: what is ticked, or else the row that has the focus.
function choose(form) {
  const row = current();
  if (!ticked().length) {
    if (!row) {
      step(1); // the first key only shows which one it would be
      return false;
    }
    if (justChanged(row)) return false;
    boxOf(row).checked = true;
    boxOf(row).dataset.byKey = "yes";
    count(form);
  }
  return true;
}

function unchoose(form) {
  for (const box of document.querySelectorAll("input[data-by-key]")) {
    box.checked = false;
    delete box.dataset.byKey;
  }
  count(form);
}

function send(form, what) {
  form.requestSubmit(form.querySelector(`button[name=do][value=${what}]`));
}

function open(form, panel) {
  if (!choose(form)) return;
  panel.open = true;
  panel.querySelector("summary").focus();
}

function pick(form, panel, digit) {
  const radio = panel.querySelectorAll("input[type=radio]")[digit - 1];
  const button = panel.querySelector("button[name=do]");
  // Without its place in the list a choice has no number: a date has to be typed.
  if (!radio || !radio.closest("label").querySelector("kbd")) return;
  radio.checked = true;
  form.requestSubmit(button);
}

function inboxKeys(form) {
  const reject = document.getElementById("bulk-reject");
  const defer = document.getElementById("bulk-defer");
  const openPanel = () => [reject, defer].find((one) => one.open);
  const actions = {
    j: () => step(1),
    k: () => step(-1),
    x: () => {
      const row = current();
      if (!row) return step(1);
      if (justChanged(row)) return undefined;
      boxOf(row).checked = !boxOf(row).checked;
      delete boxOf(row).dataset.byKey;
      return count(form);
    },
    a: () => choose(form) && send(form, "approve"),
    r: () => open(form, reject),
    d: () => open(form, defer),
    e: () => current() && location.assign(`${linkOf(current()).href}#edit`),
    u: () => document.querySelector("form.stuck button")?.click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && openPanel()) {
      openPanel().open = false;
      unchoose(form);
      const row = document.querySelector(".queue-item.current");
      if (row) linkOf(row).focus();
      return;
    }
    if (event.key === "Enter" && event.target.matches?.("#bulk input")) {
      event.preventDefault();
      const button = event.target.closest("details")?.querySelector("button[name=do]");
      if (button && choose(form)) form.requestSubmit(button);
      return;
    }
    if (event.defaultPrevented || !plain(event) || isTyping(event.target) || !keysAreOn()) return;
    if (document.querySelector("dialog[open]")) return;
    const panel = openPanel();
    if (panel && /^[1-9]$/.test(event.key)) {
      event.preventDefault();
      pick(form, panel, Number(event.key));
    } else if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });
}

function inbox(form) {
  inboxKeys(form);
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.(".queue-item");
    if (row) makeCurrent(row);
  });
  document.addEventListener("change", (event) => event.target.name === "chosen" && count(form));
  count(form);
  form.addEventListener("submit", () => {
    const going = new Set(ticked().map((box) => box.closest(".queue-item").id));
    const all = rows().map((row) => row.id);
    const place = all.indexOf(current()?.id ?? [...going][0]);
    const onward = [...all.slice(place), ...all.slice(0, Math.max(place, 0)).reverse()];
    sessionStorage.setItem(NEXT, JSON.stringify(onward.filter((id) => !going.has(id)).slice(0, 20)));
  });
  const onward = JSON.parse(sessionStorage.getItem(NEXT) ?? "[]");
  sessionStorage.removeItem(NEXT);
  if (document.getElementById("problem")) return; // it has the first word
  const row = onward.map((id) => document.getElementById(id)).find(Boolean);
  if (row) {
    linkOf(row).focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }
}

// What comes in above must not move what somebody is at, and nobody decides about what has changed under their hand.
function steady() {
  let anchor = null;
  let top = 0;
  const seen = new Map();
  document.addEventListener("live:before", () => {
    const inView = (row) => row.getBoundingClientRect().bottom > 0;
    anchor = current() ?? rows().find(inView) ?? null;
    top = anchor?.getBoundingClientRect().top ?? 0;
    for (const row of rows()) seen.set(row.id, boxOf(row)?.value);
  });
  document.addEventListener("live:after", () => {
    if (anchor?.isConnected) window.scrollBy(0, anchor.getBoundingClientRect().top - top);
    for (const row of rows()) {
      const box = boxOf(row);
      if (!box || !seen.has(row.id) || seen.get(row.id) === box.value) continue;
      box.checked = false;
      row.dataset.changed = String(performance.now());
    }
    const form = document.getElementById("bulk");
    if (form) count(form);
  });
}

// --- one proposal ----------------------------------------------------------------------------------

function proposalKeys() {
  const reject = document.getElementById("reject");
  const defer = document.getElementById("defer");
  const show = (panel, field) => {
    panel.open = true;
    panel.scrollIntoView({ block: "nearest" });
    (field ?? panel.querySelector("summary")).focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isTyping(event.target)) {
      event.target.blur(); // the keys work again
      return;
    }
    if (event.defaultPrevented || !plain(event) || isTyping(event.target) || !keysAreOn()) return;
    if (document.querySelector("dialog[open]")) return;
    if (/^[1-9]$/.test(event.key) && reject?.open) {
      reject.querySelector(`button[name=quick][value="${event.key}"]`)?.click();
    } else if (event.key === "r" && reject) {
      event.preventDefault();
      show(reject);
    } else if (event.key === "d" && defer) {
      event.preventDefault();
      show(defer, defer.querySelector("input[type=radio]:checked"));
    } else if (event.key === "u") {
      const notice = document.querySelector("form.stuck button");
      const undo = document.getElementById("undo");
      if (notice) notice.click();
      else if (undo) show(undo, undo.querySelector("input[name=reason]"));
    }
  });
  // From the inbox with `e`: straight into the first field that is worth a change. Nothing has that id: the browser
  // would take the focus to it, away from the field.
  const worth = ["#answer", "#more", "#approve input:not([type=hidden])"];
  if (location.hash === "#edit") worth.map((one) => document.querySelector(one)).find(Boolean)?.focus();
}

// Somebody else has decided, or it was mined anew: say so, and leave what is typed alone.
function stand(box) {
  const compare = () => {
    const mine = document.querySelector("#approve input[name=seen]")?.value;
    for (const said of box.querySelectorAll(".live-only")) said.hidden = !mine || mine === box.dataset.seen;
  };
  document.addEventListener("live:after", compare);
}

// --- parts that answer in place --------------------------------------------------------------------

// A form, or its button, with data-into="id" shows only that part of the answer; the rest of the page stays.
function answerInPlace() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const button = event.submitter;
    const into = button?.dataset.into ?? (button?.hasAttribute("formaction") ? null : form.dataset.into);
    if (!into || event.defaultPrevented || form.dataset.whole) return;
    event.preventDefault();
    const target = document.getElementById(into);
    target.setAttribute("aria-busy", "true");
    const address = button?.getAttribute("formaction") ?? form.getAttribute("action");
    const fresh = await fetchPart(address, new URLSearchParams(new FormData(form, button)), into);
    delete form.dataset.sent;
    if (fresh) {
      target.replaceWith(fresh);
      settle(fresh);
    } else {
      form.dataset.whole = "yes"; // the whole answer says what is wrong
      form.requestSubmit(button);
    }
  });
}

async function fetchPart(address, body, id) {
  try {
    const answer = await fetch(address, { method: "POST", body, cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page.getElementById(id);
    const problem = page.getElementById("problem");
    if (part && problem) {
      problem.removeAttribute("id");
      part.prepend(problem);
    }
    return part && document.importNode(part, true);
  } catch {
    return null;
  }
}

function settle(part) {
  const log = part.querySelector("#said");
  if (log) log.scrollTop = log.scrollHeight;
  const field = part.querySelector("#sandbox-text");
  if (field) field.focus({ preventScroll: true });
  else part.scrollIntoView({ block: "nearest" });
}

// --- what was typed --------------------------------------------------------------------------------

const keyOf = (form) => `${DRAFT}${form.dataset.keep} ${form.getAttribute("action")}`;
const fields = (form) => [...form.elements].filter((one) => one.name && one.type !== "hidden" && one.type !== "submit");
const valueOf = (one) => (one.type === "checkbox" || one.type === "radio" ? one.checked : one.value);

function write(form, isSent) {
  const typed = fields(form).map(valueOf);
  const seen = form.elements.seen.value;
  sessionStorage.setItem(keyOf(form), JSON.stringify({ typed, seen, isSent }));
}

function bringBack(form) {
  const draft = JSON.parse(sessionStorage.getItem(keyOf(form)) ?? "null");
  const own = fields(form);
  if (!draft || draft.typed.length !== own.length) return;
  let changed = false;
  own.forEach((one, place) => {
    const value = draft.typed[place];
    const isTick = typeof value === "boolean";
    // Ticks belong to the examples of then.
    if (valueOf(one) === value || (isTick && draft.seen !== form.elements.seen.value)) return;
    if (isTick) one.checked = value;
    else one.value = value;
    changed = true;
  });
  if (!changed) return;
  const panel = form.closest("details");
  if (panel) panel.open = true;
  const notice = document.getElementById("draft");
  if (notice) notice.hidden = false;
}

function keepDrafts() {
  const forms = [...document.querySelectorAll("form[data-keep]")];
  // What was sent has arrived when the next page says that it is done.
  if (document.querySelector(".box.done")) {
    for (const key of Object.keys(sessionStorage).filter((one) => one.startsWith(DRAFT))) {
      if (JSON.parse(sessionStorage.getItem(key)).isSent) sessionStorage.removeItem(key);
    }
  }
  for (const form of forms) {
    bringBack(form);
    form.addEventListener("input", () => write(form, false));
    form.addEventListener("submit", (event) => write(form, !event.submitter?.hasAttribute("formaction")));
  }
  document.querySelector("[data-drop-draft]")?.addEventListener("click", () => {
    for (const form of forms) sessionStorage.removeItem(keyOf(form));
    location.reload();
  });
}

const bulk = document.getElementById("bulk");
const stands = document.getElementById("stand");
keepDrafts();
answerInPlace();
if (bulk) inbox(bulk);
if (document.querySelector(".queue-item")) steady();
if (document.getElementById("decide")) proposalKeys();
if (stands) stand(stands);
