// From messages to elements. Everything a person or the bot wrote reaches the page through textContent only.

const WEB_ADDRESS = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g;

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function button(className, text) {
  const made = element("button", className, text);
  made.type = "button";
  return made;
}

export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("width", "20");
  svg.setAttribute("height", "20");
  svg.setAttribute("aria-hidden", "true");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

function link(address, title = address, className = "") {
  const made = element("a", className, title);
  made.href = address;
  made.target = "_blank";
  made.rel = "noopener noreferrer";
  return made;
}

function image(address, alt) {
  const made = element("img", "picture");
  made.src = address;
  made.alt = alt;
  made.loading = "lazy";
  made.referrerPolicy = "no-referrer";
  return made;
}

function bubble(text, speaker) {
  const made = element("p", "bubble");
  made.append(element("span", "visually-hidden", `${speaker}: `));
  let end = 0;
  for (const found of text.matchAll(WEB_ADDRESS)) {
    made.append(text.slice(end, found.index), link(found[0]));
    end = found.index + found[0].length;
  }
  made.append(text.slice(end));
  return made;
}

export function choices(buttons, choose, label) {
  const list = element("ul", "choices");
  list.setAttribute("aria-label", label);
  for (const choice of buttons) {
    const item = element("li");
    const made = button("choice", choice.title);
    made.addEventListener("click", () => choose(choice.title, choice.payload));
    item.append(made);
    list.append(item);
  }
  return list;
}

function links(items) {
  const list = element("ul", "links");
  for (const item of items) {
    const entry = element("li");
    entry.append(link(item.url, item.title, "more"));
    list.append(entry);
  }
  return list;
}

function card(item, choose) {
  const made = element("section", "card");
  made.setAttribute("aria-label", item.title);
  if (item.image) made.append(image(item.image, item.image_alt));
  const body = element("div", "card-body");
  body.append(element("p", "card-title", item.title));
  if (item.text) body.append(element("p", "card-text", item.text));
  if (item.links.length) body.append(links(item.links));
  if (item.buttons.length) body.append(choices(item.buttons, choose, `Choices for ${item.title}`));
  made.append(body);
  return made;
}

export function drawUser(message) {
  const row = element("div", "message message-user");
  row.append(bubble(message.text, "You"));
  return row;
}

export function drawAnswer(message, botName, choose) {
  if (message.note) return element("p", "note", message.text);
  const row = element("div", "message message-bot");
  if (message.agent) {
    row.classList.add("message-person");
    row.append(element("p", "author", message.agent));
  }
  const speaker = message.agent ? `${message.agent}, a person` : botName;
  if (message.text) row.append(bubble(message.text, speaker));
  if (message.image) row.append(image(message.image, ""));
  if (message.links.length) row.append(links(message.links));
  if (message.cards.length) {
    const cards = element("div", "cards");
    cards.append(...message.cards.map((item) => card(item, choose)));
    row.append(cards);
  }
  return row;
}
