// The customers' chat: what is sent, what arrives, and what the customer does.
import {
  Refused, forgetSession, hasSession, identifyAs, isIdentified, newMessageId, recall, remember, request, startSession,
} from "./api.js";
import { button } from "./draw.js";
import { askToClose, isEmbedded, listenToHost, tellStarted, tellUnread } from "./embed.js";
import * as log from "./log.js";
import * as outbox from "./outbox.js";
import * as standing from "./standing.js";
import { listen } from "./stream.js";
import { applyTheme } from "./theme.js";

const READ_KEY = "fernway-chat-read"; // the latest answer that was on the screen
const RETRY_DELAY_MS = 2000;
const REOPEN_DELAY_MS = 10000;
const AUTOMATIC_RETRIES = 3;
const NEVER_ACCEPTED = new Set([400, 409, 413]); // the same message would be refused again
const OFFLINE = "I cannot reach the shop right now. What you write is kept, and sent when the connection is back.";

const byId = (id) => document.getElementById(id);
const field = byId("message");
const send = byId("send");
const notice = byId("notice");
const counter = byId("counter");
const suggestions = byId("suggestions");
const { shopName, csatQuestion } = document.body.dataset;
const maxChars = Number(document.body.dataset.maxChars);

let chat = 0; // counts conversations, so that a late answer never lands in the next one
let delivering = null; // the id of the message that is on its way
let shown = !isEmbedded; // whether the widget is open
let stopListening = () => {};
const held = new Set(); // messages that broke on the server, until the customer tries again

// --- showing

function show(messages) {
  if (!messages.length) return;
  log.show(messages, outbox.drop);
  suggestions.hidden = true;
  countUnread();
}

function problemOrNot(problem) {
  notice.hidden = problem === null;
  if (problem) notice.textContent = problem instanceof Refused ? problem.message : OFFLINE;
}

function updateComposer() {
  const length = [...field.value.trim()].length;
  const over = length > maxChars;
  send.setAttribute("aria-disabled", String(over || length === 0));
  counter.classList.toggle("is-over", over);
  counter.textContent = length > maxChars * 0.9 ? `${length} of ${maxChars} characters` : "";
  field.rows = 1;
  const height = parseFloat(getComputedStyle(field).lineHeight) || 23;
  field.rows = Math.min(6, Math.max(1, Math.floor((field.scrollHeight - 18) / height)));
}

function countUnread() {
  const answers = log.answerIds();
  if (shown && answers.length) remember(READ_KEY, answers[answers.length - 1]);
  tellUnread(shown ? 0 : answers.length - 1 - answers.indexOf(recall(READ_KEY)));
}

// --- sending

function submit(text, payload) {
  problemOrNot(null);
  standing.goOn();
  const message = { id: newMessageId(), role: "user", text, payload: payload ?? null };
  outbox.put(message);
  showUnsent(message);
  log.scrollToEnd();
  field.focus();
  pump();
}

function showUnsent(message) {
  log.showUnsent(message);
  suggestions.hidden = true;
}

// Sends what waits, one after the other: the bot must read messages in the order in which they were written.
async function pump() {
  if (delivering !== null) return;
  const mine = chat;
  for (;;) {
    const next = outbox.waiting().find((one) => !held.has(one.id));
    if (!next) break;
    delivering = next.id;
    standing.setSending(true);
    const goOn = await deliver(next, mine);
    if (mine !== chat) return; // the next conversation has a state of its own
    delivering = null;
    standing.setSending(false);
    if (!goOn) break;
  }
}

async function deliver(message, mine) {
  const entry = log.line(message.id);
  entry?.row.querySelectorAll(".retry").forEach((one) => one.remove());
  entry?.row.classList.add("is-unsent");
  try {
    if (!hasSession()) await begin();
    const { received, messages } = await deliverWithRetries(message, mine);
    outbox.drop(message.id);
    if (mine !== chat) return false;
    show([received, ...messages]);
    problemOrNot(null);
    return true;
  } catch (problem) {
    if (mine !== chat) return false;
    problemOrNot(problem);
    if (problem instanceof Refused && problem.status === 401) {
      restart({ keepText: true });
      problemOrNot(problem);
      return false;
    }
    if (problem instanceof Refused && NEVER_ACCEPTED.has(problem.status)) {
      outbox.drop(message.id);
      return true;
    }
    offerRetry(message, entry, problem instanceof Refused && problem.status === 500);
    if (problem.retryAfterMs) setTimeout(pump, problem.retryAfterMs);
    return problem.status === 500;
  }
}

// The same message id every time: the server answers a repeat without doing the work twice.
async function deliverWithRetries(message, mine) {
  const body = { client_message_id: message.id, text: message.text, payload: message.payload };
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await request("messages", body);
    } catch (problem) {
      const worthIt = !(problem instanceof Refused) || problem.status === 503 || problem.status === 504;
      if (!worthIt || !navigator.onLine || attempt >= AUTOMATIC_RETRIES || mine !== chat) throw problem;
      const wait = Math.max(RETRY_DELAY_MS * 2 ** attempt * (0.75 + Math.random() / 2), problem.retryAfterMs || 0);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

// What broke on the server waits for the customer; what only could not be sent goes by itself when that is possible.
function offerRetry(message, entry, broken) {
  if (broken) held.add(message.id);
  const retry = button("retry", "Not sent. Try again");
  retry.addEventListener("click", () => {
    held.delete(message.id);
    problemOrNot(null);
    pump();
  });
  entry?.row.append(retry);
  log.keepEnd();
}

// --- the conversation

async function begin(resume = false) {
  const begun = await startSession({ resume });
  outbox.adopt();
  tellStarted();
  if (!resume) follow("");
  return begun;
}

function follow(cursor) {
  const mine = chat;
  stopListening();
  stopListening = listen(
    cursor,
    (kind, data) => {
      if (mine !== chat) return;
      if (kind === "message") show([data]);
      else if (kind === "state") standing.take(data);
      else if (kind === "reset") log.clear({ keepUnsent: true });
    },
    (heard) => {
      byId("line").hidden = heard || mine !== chat;
      if (heard) pump();
    },
    () => {
      if (mine === chat) restart({ keepText: true });
    },
  );
}

// Leaves this conversation; the next one begins with the first message.
function restart({ keepText = false } = {}) {
  chat += 1;
  stopListening();
  delivering = null;
  const unsent = outbox.waiting().filter((one) => one.payload === null).map((one) => one.text);
  if (keepText && unsent.length && !field.value) field.value = unsent.join("\n");
  outbox.clear();
  held.clear();
  forgetSession();
  log.clear({ keepUnsent: false });
  standing.setSending(false);
  standing.reset();
  byId("line").hidden = true;
  problemOrNot(null);
  suggestions.hidden = false;
  updateComposer();
}

async function open() {
  field.disabled = false; // until here nobody would have heard an Enter, and inside a host page it is not known who writes
  chat += 1;
  const mine = chat;
  stopListening();
  log.clear({ keepUnsent: false });
  standing.setSending(false);
  standing.reset();
  delivering = "history"; // nothing is sent into a conversation that is not there yet
  log.setQuiet(true);
  let messages = [];
  try {
    if (isIdentified()) await begin(true);
    if (hasSession()) {
      const history = await request("history");
      if (mine !== chat) return;
      messages = history.messages;
      show(messages);
      standing.take(history.state, { quietly: true });
      tellStarted();
    }
  } catch (problem) {
    if (mine !== chat) return;
    if (problem instanceof Refused && problem.status === 401) {
      if (problem.code === "identity_refused") identifyAs(null);
      restart({ keepText: true });
      if (problem.code === "identity_refused") problemOrNot(problem);
    } else {
      problemOrNot(problem);
      setTimeout(() => mine === chat && log.isEmpty() && open(), REOPEN_DELAY_MS);
    }
  }
  log.setQuiet(false);
  delivering = null;
  for (const one of outbox.waiting()) {
    if (log.line(one.id)) outbox.drop(one.id);
    else showUnsent(one);
  }
  suggestions.hidden = !log.isEmpty();
  updateComposer();
  if (hasSession()) follow(messages.length ? messages[messages.length - 1].id : "");
  pump();
}

// --- what the customer does

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (send.getAttribute("aria-disabled") === "true") return;
  field.value = "";
  updateComposer();
  submit(text);
});
field.addEventListener("input", updateComposer);
field.addEventListener("keydown", (event) => {
  // While an input method composes a word, Enter belongs to it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("composer").requestSubmit();
});
suggestions.addEventListener("click", (event) => {
  const chosen = event.target.closest("button");
  if (chosen) submit(chosen.dataset.text);
});
byId("new-chat").addEventListener("click", () => {
  if (!log.isEmpty() && !confirm("Start a new chat? This conversation will be cleared from this page.")) return;
  restart();
  field.focus();
});
byId("close").addEventListener("click", askToClose);
addEventListener("online", pump);
addEventListener("offline", () => {
  byId("line").hidden = false;
});

const page = { botName: shopName, told: problemOrNot, focus: () => field.focus() };
log.begin({ ...page, choose: submit });
standing.begin({ ...page, question: csatQuestion, keepEnd: log.keepEnd, endsWithNote: log.endsWithNote });

if (isEmbedded) {
  document.body.classList.add("is-embedded");
  byId("close").hidden = false;
  listenToHost({
    hello(identity, theme) {
      applyTheme(theme);
      identifyAs(identity);
      open();
    },
    identity(token) {
      identifyAs(token);
      open();
    },
    shown(now) {
      shown = now;
      countUnread();
    },
    focus() {
      field.focus();
      log.scrollToEnd();
    },
  });
} else {
  identifyAs(null);
  open();
}
