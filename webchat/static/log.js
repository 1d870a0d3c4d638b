// The lines of the conversation: in the server's order, each once, the newest in view.
import { choices, drawAnswer, drawUser } from "./draw.js";
import { drawThumbs } from "./rating.js";

const log = document.getElementById("log");
const scroll = document.getElementById("scroll");

let lines = []; // {message, row}, in order; a message without a time is not stored yet
let atEnd = true; // whether the customer reads the newest lines, which must then stay in view
let page = null; // {botName, choose(title, payload), told(problem), focus()}

export function begin(given) {
  page = given;
  scroll.addEventListener("scroll", () => {
    atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  }, { passive: true });
  // The field grows, a notice appears, a picture arrives, a phone's keyboard opens: all move the newest lines.
  const watch = new ResizeObserver(keepEnd);
  watch.observe(scroll);
  watch.observe(log);
}

export const line = (id) => lines.find((one) => one.message.id === id);
export const isEmpty = () => lines.length === 0;
export const endsWithNote = () => Boolean(lines.length && lines[lines.length - 1].message.note);
export const answerIds = () => lines.filter((one) => one.message.role === "bot").map((one) => one.message.id);

// Puts a row where its time belongs; what is not stored yet stays at the end.
function place(entry) {
  lines = lines.filter((one) => one !== entry);
  let at = lines.length;
  const { time } = entry.message;
  while (time && at > 0 && !(lines[at - 1].message.time && lines[at - 1].message.time <= time)) at -= 1;
  const next = lines[at] ? lines[at].row : null;
  lines.splice(at, 0, entry);
  const before = next ?? document.getElementById("choices");
  if (!entry.row.isConnected || entry.row.nextElementSibling !== before) log.insertBefore(entry.row, before);
}

// Shows messages as the server has them; `stored(id)` is called for each of the customer's own.
export function show(messages, stored) {
  for (const message of messages) {
    if (message.role === "user") stored(message.id);
    const known = line(message.id);
    if (!known) place({ message, row: draw(message) });
    else if (!known.message.time) {
      known.message.time = message.time;
      known.row.classList.remove("is-unsent");
      known.row.querySelectorAll(".retry").forEach((one) => one.remove());
      place(known);
    }
  }
  drawChoices();
  keepEnd();
}

function draw(message) {
  if (message.role === "user") return drawUser(message);
  const row = drawAnswer(message, page.botName, page.choose);
  // A thumb teaches the bot: what a person wrote is rated with the whole conversation.
  if (!message.agent && !message.note) row.append(drawThumbs(message, page.told, page.focus));
  return row;
}

export function showUnsent(message) {
  place({ message: { ...message, role: "user", time: null, buttons: [] }, row: drawUser(message) });
  drawChoices();
}

// Quick replies belong to the latest answer only: an old one would answer a question long gone.
function drawChoices() {
  document.getElementById("choices")?.remove();
  const lastUser = lines.map((one) => one.message.role).lastIndexOf("user");
  lines.forEach((one, index) => {
    for (const list of one.row.querySelectorAll(".card .choices")) list.hidden = index < lastUser;
  });
  const buttons = lines.slice(lastUser + 1).flatMap((one) => one.message.buttons);
  if (!buttons.length) return;
  const list = choices(buttons, page.choose, "Quick replies");
  list.id = "choices";
  log.append(list);
}

// Empties the log but for what the server does not have yet, if that is to stay.
export function clear({ keepUnsent }) {
  const kept = keepUnsent ? lines.filter((one) => !one.message.time) : [];
  lines = [];
  log.replaceChildren();
  kept.forEach(place);
}

export function scrollToEnd() {
  scroll.scrollTop = scroll.scrollHeight;
  atEnd = true;
}

export function keepEnd() {
  if (atEnd) scrollToEnd();
}

// A long history is not read aloud on every reload.
export function setQuiet(quiet) {
  if (quiet) log.setAttribute("aria-busy", "true");
  else log.removeAttribute("aria-busy");
}
