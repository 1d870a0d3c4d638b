// Thumbs on an answer, and a mark for the conversation.
import { request } from "./api.js";
import { button, element, icon } from "./draw.js";

const UP = "M7 11v9H4v-9zM7 11l4-8c1.6 0 2.6 1.2 2.3 2.8L12.7 9H18a2 2 0 0 1 2 2.4l-1.3 6.8A2.2 2.2 0 0 1 16.5 20H7";
const DOWN = "M17 13V4h3v9zM17 13l-4 8c-1.6 0-2.6-1.2-2.3-2.8l.6-3.2H6a2 2 0 0 1-2-2.4l1.3-6.8A2.2 2.2 0 0 1 7.5 4H17";
const MARKS = ["very bad", "bad", "all right", "good", "very good"];
const MAX_COMMENT_CHARS = 500;

// `told` hears what went wrong, or null when it went well; `done` puts the focus back.
export function drawThumbs(message, told, done) {
  const box = element("div");
  const row = element("div", "thumbs");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "Was this answer helpful?");
  const thanks = element("span");
  thanks.setAttribute("role", "status");
  const thumbs = [["up", "Helpful", UP], ["down", "Not helpful", DOWN]].map(([value, label, path]) => {
    const thumb = button("thumb");
    thumb.dataset.value = value;
    thumb.title = label;
    thumb.setAttribute("aria-label", label);
    thumb.append(icon(path));
    thumb.addEventListener("click", () => rate(value));
    return thumb;
  });
  const press = (value) => {
    for (const thumb of thumbs) thumb.setAttribute("aria-pressed", String(thumb.dataset.value === value));
  };

  async function rate(value, comment) {
    const before = message.feedback;
    message.feedback = value;
    press(value);
    try {
      await request("feedback", { message_id: message.id, value, comment: comment || null });
    } catch (problem) {
      message.feedback = before;
      press(before);
      told(problem);
      return;
    }
    told(null);
    const form = box.querySelector(".comment");
    if (form) form.remove();
    if (value === "down" && comment === undefined) {
      thanks.textContent = "";
      box.append(drawComment(rate));
      box.querySelector("input").focus();
      box.scrollIntoView({ block: "nearest" });
    } else {
      thanks.textContent = "Thank you!";
      if (comment !== undefined) done();
    }
  }

  press(message.feedback);
  row.append(...thumbs, thanks);
  box.append(row);
  return box;
}

function drawComment(rate) {
  const form = element("form", "comment");
  const label = element("label", "", "What was wrong? (optional)");
  const input = element("input");
  input.maxLength = MAX_COMMENT_CHARS;
  input.id = `comment-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  label.htmlFor = input.id;
  form.append(label, input, element("button", "plain-button", "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    rate("down", input.value.trim());
  });
  return form;
}

// The question at the end. `done(marked)` is called after a mark (true) or a skip (false).
export function drawMark(question, told, done) {
  const box = element("section", "mark");
  box.setAttribute("aria-label", question);
  box.append(element("p", "mark-question", question));
  const row = element("div", "mark-row");
  MARKS.forEach((word, index) => {
    const choice = button("mark-choice", String(index + 1));
    choice.setAttribute("aria-label", `${index + 1} of ${MARKS.length}, ${word}`);
    choice.addEventListener("click", () => give(index + 1));
    row.append(choice);
  });
  const skip = button("plain-button", "Skip");
  skip.addEventListener("click", () => done(false));
  const scale = element("p", "mark-scale");
  scale.setAttribute("aria-hidden", "true");
  scale.append(element("span", "", MARKS[0]), element("span", "", MARKS[MARKS.length - 1]));
  box.append(row, scale, skip);
  let given = false;

  async function give(mark) {
    if (given) return; // a double click is one mark
    given = true;
    try {
      await request("mark", { mark });
    } catch (problem) {
      given = false;
      told(problem);
      return;
    }
    told(null);
    done(true);
  }

  return box;
}
