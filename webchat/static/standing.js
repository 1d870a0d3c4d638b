// Who answers, whether something is being written, and the question at the end.
import { recall, remember } from "./api.js";
import { element } from "./draw.js";
import { drawMark } from "./rating.js";

const SKIPPED_KEY = "fernway-chat-skipped"; // the end of a conversation that the customer did not want to rate
const NOBODY = { speaker: "bot", name: null, rate: null, busy: false, typing: false };

const byId = (id) => document.getElementById(id);
const speaker = byId("speaker");
const typing = byId("typing");
const ending = byId("ending");

let state = NOBODY;
let sending = false;
let page = null; // {botName, question, told(problem), focus(), keepEnd(), endsWithNote()}

export function begin(given) {
  page = given;
}

// Takes what the server says of the conversation; `quietly` where it is no news, as after a reload.
export function take(news, { quietly = false } = {}) {
  const before = state.speaker;
  state = { ...state, typing: false, ...news };
  const said = {
    waiting: "A person has been asked to join. You can go on writing; they will read it.",
    person: `You are talking to a person now: ${state.name}.`,
    bot: before === "bot" || quietly ? "" : "The assistant is back.",
  }[state.speaker];
  // A note in the conversation has just said the same.
  const again = said && page.endsWithNote();
  if (said !== speaker.textContent && (said || before !== "bot")) speaker.textContent = again ? "" : said;
  byId("subtitle").textContent = state.speaker === "person" ? `Talking to ${state.name}` : "Automated assistant";
  drawTyping();
  drawEnding();
  page.keepEnd();
}

export function setSending(value) {
  sending = value;
  drawTyping();
}

// The customer goes on: what was said about the end, and that the assistant is back, is over.
export function goOn() {
  if (state.speaker === "bot") speaker.textContent = "";
  state = { ...state, rate: null };
  ending.replaceChildren();
}

export function reset() {
  take(NOBODY, { quietly: true });
  speaker.textContent = "";
  ending.replaceChildren();
}

function drawTyping() {
  const works = state.speaker === "bot" && (sending || state.busy);
  const writer = works ? page.botName : state.speaker === "person" && state.typing ? state.name : null;
  if (writer === (typing.dataset.writer ?? null)) return;
  typing.replaceChildren();
  delete typing.dataset.writer;
  if (writer === null) return;
  typing.dataset.writer = writer;
  typing.append(element("span", "dot"), element("span", "dot"), element("span", "dot"));
  typing.append(element("span", "visually-hidden", `${writer} is typing`));
  page.keepEnd();
}

function drawEnding() {
  const end = state.rate;
  if (!end || recall(SKIPPED_KEY) === end) {
    if (!ending.querySelector(".mark-thanks")) ending.replaceChildren();
    return;
  }
  if (ending.dataset.rate === end && ending.childElementCount) return;
  ending.dataset.rate = end;
  ending.replaceChildren(drawMark(page.question, page.told, (marked) => {
    remember(SKIPPED_KEY, end);
    ending.replaceChildren();
    if (marked) ending.append(element("p", "mark-thanks", "Thank you for your answer!"));
    page.focus();
  }));
}
