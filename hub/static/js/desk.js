// The desk: waiting times that run, ready answers by key, sending with the keyboard, and being there.

const PRESENCE_MS = 30_000;
const MINUTE_MS = 60_000;
const TYPING_MS = 3_000; // between two signs that an answer is being written; the customer sees each for six seconds

const csrf = () => document.querySelector("input[name=csrf]")?.value ?? "";

function say(path) {
  const body = new URLSearchParams({ csrf: csrf() });
  // A failure needs no word: the page shows by itself that the connection is gone.
  fetch(path, { method: "POST", body, credentials: "same-origin" }).catch(() => {});
}

const sayPresent = () => say("/desk/presence");

function waited(since) {
  const minutes = Math.max(0, Math.floor((Date.now() - Date.parse(since)) / MINUTE_MS));
  if (minutes < 1) return "under a minute";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function showTimes() {
  for (const element of document.querySelectorAll("[data-since]")) element.textContent = waited(element.dataset.since);
}

const lines = () => document.getElementById("chat-lines");

function showEnd() {
  const box = lines();
  if (box) box.scrollTop = box.scrollHeight;
}

// What the agent sees now is what may be closed: the forms stand outside of the part that is swapped.
function noteSeen() {
  const seen = lines()?.dataset.seen;
  if (seen) for (const field of document.querySelectorAll("input[name=seen_row]")) field.value = seen;
}

function insert(field, text) {
  field.focus();
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function setUpReply(field) {
  const items = [...document.querySelectorAll("[data-canned]")];
  const find = document.querySelector("[data-find-canned]");
  let saidTyping = -TYPING_MS;
  field.addEventListener("input", () => {
    if (!field.value.trim() || performance.now() - saidTyping < TYPING_MS) return;
    saidTyping = performance.now();
    say(field.form.action.replace(/reply$/, "typing"));
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      field.form.requestSubmit();
    } else if (event.key === "Tab" && !event.shiftKey) {
      const before = field.value.slice(0, field.selectionStart);
      const key = /(?:^|\s)\/([\w-]+)$/.exec(before)?.[1];
      const item = items.find((one) => one.dataset.canned === key);
      if (!item) return;
      event.preventDefault();
      field.setSelectionRange(before.length - key.length - 1, before.length);
      insert(field, item.dataset.text);
    }
  });
  for (const item of items) {
    item.querySelector("a").addEventListener("click", (event) => {
      event.preventDefault();
      insert(field, item.dataset.text);
    });
  }
  if (!find) return;
  find.hidden = false;
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    for (const item of items) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });
  find.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const first = items.find((item) => !item.hidden);
    if (first) insert(field, first.dataset.text);
  });
}

// One click sends once, also where the answer takes a while.
for (const form of document.querySelectorAll("form.reply")) {
  form.addEventListener("submit", () => {
    form.querySelector("button[type=submit]").disabled = true;
  });
}
const reply = document.querySelector("[data-reply]");
if (reply) setUpReply(reply);
document.addEventListener("live:after", () => {
  showTimes();
  noteSeen();
  showEnd();
});
showEnd();
if (reply && !document.querySelector("#problem")) reply.focus({ preventScroll: true });
sayPresent();
setInterval(sayPresent, PRESENCE_MS);
setInterval(showTimes, MINUTE_MS / 4);
