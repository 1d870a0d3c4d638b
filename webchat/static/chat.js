// The customers' chat. Everything a person or the bot wrote reaches the page through textContent only.
"use strict";

(() => {
  const TOKEN_KEY = "fernway-chat-token";
  const PENDING_KEY = "fernway-chat-pending"; // a message whose answer has not arrived, kept over a reload
  const REQUEST_TIMEOUT_MS = 40000; // a little over the server's own limit, whose answer is friendlier
  const RETRY_DELAY_MS = 2000;
  const AUTOMATIC_RETRIES = 3;
  const NEVER_ACCEPTED = new Set([400, 409, 413]); // the same message would be refused again
  const LINK = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g;
  const THUMB_UP = "M7 11v9H4v-9zM7 11l4-8c1.6 0 2.6 1.2 2.3 2.8L12.7 9H18a2 2 0 0 1 2 2.4l-1.3 6.8A2.2 2.2 0 0 1 16.5 20H7";
  const THUMB_DOWN = "M17 13V4h3v9zM17 13l-4 8c-1.6 0-2.6-1.2-2.3-2.8l.6-3.2H6a2 2 0 0 1-2-2.4l1.3-6.8A2.2 2.2 0 0 1 7.5 4H17";

  const byId = (id) => document.getElementById(id);
  const log = byId("log");
  const scroll = byId("scroll");
  const field = byId("message");
  const send = byId("send");
  const notice = byId("notice");
  const typing = byId("typing");
  const counter = byId("counter");
  const suggestions = byId("suggestions");
  const shopName = document.body.dataset.shopName;
  const maxChars = Number(document.body.dataset.maxChars);

  let busy = false;
  let atEnd = true; // whether the customer reads the newest lines, which must then stay in view
  let chat = 0; // counts "New chat", so that a late answer never lands in the next conversation

  class Refused extends Error {
    constructor(status, error) {
      super(error.message);
      this.status = status;
      this.code = error.code;
      this.retryAfterMs = (error.retry_after_s || 0) * 1000;
    }
  }

  // --- storage: private browsing may forbid it; the chat then works until the page is closed

  const unsaved = new Map();

  function remember(key, value) {
    unsaved.set(key, value);
    try {
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, value);
    } catch {
      // Kept in `unsaved`.
    }
  }

  function recall(key) {
    if (unsaved.has(key)) return unsaved.get(key);
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  }

  function recallPending() {
    try {
      return JSON.parse(recall(PENDING_KEY));
    } catch {
      return null;
    }
  }

  // --- requests

  async function request(path, body) {
    const options = { method: body === undefined ? "GET" : "POST", headers: {}, cache: "no-store" };
    const token = recall(TOKEN_KEY);
    if (token) options.headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) {
      options.headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(body);
    }
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), REQUEST_TIMEOUT_MS);
    options.signal = controller.signal;
    try {
      const answer = await fetch(path, options);
      if (answer.ok) return await answer.json();
      const refusal = await answer.json().catch(() => null);
      const unknown = { code: "unknown", message: "Something went wrong on our side. Please try again." };
      throw new Refused(answer.status, (refusal && refusal.error) || unknown);
    } finally {
      clearTimeout(timer);
    }
  }

  async function startSession() {
    remember(TOKEN_KEY, null);
    remember(TOKEN_KEY, (await request("session", {})).token);
  }

  // --- drawing

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function button(className, text) {
    const made = element("button", className, text);
    made.type = "button";
    return made;
  }

  function icon(path) {
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

  function link(address) {
    const made = element("a", "", address);
    made.href = address;
    made.target = "_blank";
    made.rel = "noopener noreferrer";
    return made;
  }

  function bubble(text, speaker) {
    const made = element("p", "bubble");
    made.append(element("span", "visually-hidden", `${speaker}: `));
    let end = 0;
    for (const found of text.matchAll(LINK)) {
      made.append(text.slice(end, found.index), link(found[0]));
      end = found.index + found[0].length;
    }
    made.append(text.slice(end));
    return made;
  }

  function drawUser(message) {
    const row = element("div", "message message-user");
    row.append(bubble(message.text, "You"));
    row.dataset.messageId = message.id;
    log.append(row);
    return row;
  }

  function drawBot(message) {
    const row = element("div", "message message-bot");
    if (message.text) row.append(bubble(message.text, shopName));
    if (message.link) {
      const more = element("p", "bubble");
      more.append(link(message.link));
      row.append(more);
    }
    row.append(drawThumbs(message));
    log.append(row);
  }

  function drawThumbs(message) {
    const box = element("div");
    const row = element("div", "thumbs");
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", "Was this answer helpful?");
    const thanks = element("span");
    thanks.setAttribute("role", "status");
    const thumbs = [["up", "Helpful", THUMB_UP], ["down", "Not helpful", THUMB_DOWN]].map(([value, label, path]) => {
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
        hideNotice();
        const form = box.querySelector(".comment");
        if (form) form.remove();
        if (value === "down" && comment === undefined) {
          thanks.textContent = "";
          box.append(drawComment(rate));
          box.querySelector("input").focus();
          keepInView(box);
        } else {
          thanks.textContent = "Thank you!";
          if (comment !== undefined) field.focus();
        }
      } catch (problem) {
        message.feedback = before;
        press(before);
        showProblem(problem);
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
    input.maxLength = 500;
    input.id = `comment-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    label.htmlFor = input.id;
    const done = element("button", "plain-button", "Send");
    form.append(label, input, done);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      rate("down", input.value.trim());
    });
    return form;
  }

  // Quick replies belong to the latest answer only: an old one would answer a question long gone.
  function drawChoices(buttons) {
    removeChoices();
    if (!buttons.length) return;
    const list = element("ul", "choices");
    list.id = "choices";
    list.setAttribute("aria-label", "Quick replies");
    for (const choice of buttons) {
      const item = element("li");
      const made = button("choice", choice.title);
      made.addEventListener("click", () => submit(choice.title, choice.payload));
      item.append(made);
      list.append(item);
    }
    log.append(list);
  }

  function removeChoices() {
    const old = byId("choices");
    if (old) old.remove();
  }

  function drawAll(messages) {
    for (const message of messages) (message.role === "bot" ? drawBot : drawUser)(message);
    const lastUser = messages.map((message) => message.role).lastIndexOf("user");
    drawChoices(messages.slice(lastUser + 1).flatMap((message) => message.buttons));
    suggestions.hidden = log.childElementCount > 0;
    scrollToEnd();
  }

  function keepInView(node) {
    node.scrollIntoView({ block: "nearest" });
  }

  function scrollToEnd() {
    scroll.scrollTop = scroll.scrollHeight;
    atEnd = true;
  }

  function setBusy(value) {
    busy = value;
    typing.replaceChildren();
    if (value) {
      typing.append(element("span", "dot"), element("span", "dot"), element("span", "dot"));
      typing.append(element("span", "visually-hidden", `${shopName} is typing`));
      scrollToEnd();
    }
    updateComposer();
  }

  function showProblem(problem) {
    const offline = "I cannot reach the shop right now. Please check your connection and try again.";
    notice.textContent = problem instanceof Refused ? problem.message : offline;
    notice.hidden = false;
  }

  function hideNotice() {
    notice.hidden = true;
  }

  function updateComposer() {
    const length = [...field.value.trim()].length;
    const over = length > maxChars;
    send.setAttribute("aria-disabled", String(busy || over || length === 0));
    counter.classList.toggle("is-over", over);
    counter.textContent = length > maxChars * 0.9 ? `${length} of ${maxChars} characters` : "";
    field.rows = 1;
    const line = parseFloat(getComputedStyle(field).lineHeight) || 23;
    field.rows = Math.min(6, Math.max(1, Math.floor((field.scrollHeight - 18) / line)));
  }

  // --- conversation

  function newMessageId() {
    // randomUUID exists on secure origins only; a page in a test network may have none.
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async function submit(text, payload) {
    if (busy) return;
    hideNotice();
    const pending = { id: newMessageId(), text, payload: payload === undefined ? null : payload };
    remember(PENDING_KEY, JSON.stringify(pending));
    removeChoices();
    suggestions.hidden = true;
    const row = drawUser(pending);
    field.focus();
    await deliver(pending, row);
  }

  async function deliver(pending, row) {
    const mine = chat;
    setBusy(true);
    row.classList.remove("is-unsent");
    try {
      if (!recall(TOKEN_KEY)) await startSession();
      const { messages } = await deliverWithRetries(pending, mine);
      if (mine !== chat) return;
      remember(PENDING_KEY, null);
      setBusy(false);
      drawAll(messages);
    } catch (problem) {
      if (mine !== chat) return;
      setBusy(false);
      showProblem(problem);
      if (problem instanceof Refused && problem.status === 401) {
        await restart(problem);
        if (pending.payload === null) field.value = pending.text;
        updateComposer();
        return;
      }
      row.classList.add("is-unsent");
      if (problem instanceof Refused && NEVER_ACCEPTED.has(problem.status)) remember(PENDING_KEY, null);
      else offerRetry(pending, row);
    }
  }

  // The same message id every time: the server answers a repeat without doing the work twice.
  async function deliverWithRetries(pending, mine) {
    const body = { client_message_id: pending.id, text: pending.text, payload: pending.payload };
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await request("messages", body);
      } catch (problem) {
        const worthIt = !(problem instanceof Refused) || problem.status === 503 || problem.status === 504;
        if (!worthIt || attempt >= AUTOMATIC_RETRIES || mine !== chat) throw problem;
        const wait = Math.max(RETRY_DELAY_MS * 2 ** attempt * (0.75 + Math.random() / 2), problem.retryAfterMs || 0);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  function offerRetry(pending, row) {
    const retry = button("retry", "Not sent. Try again");
    retry.addEventListener("click", () => {
      if (busy) return;
      retry.remove();
      hideNotice();
      deliver(pending, row);
    });
    row.append(retry);
    scrollToEnd();
  }

  async function restart(problem) {
    chat += 1;
    remember(PENDING_KEY, null);
    log.replaceChildren();
    setBusy(false);
    try {
      await startSession();
      suggestions.hidden = false;
      if (!problem) hideNotice();
    } catch (failure) {
      showProblem(failure);
    }
    field.focus();
  }

  async function open() {
    log.setAttribute("aria-busy", "true"); // a long history is not read aloud on every reload
    busy = true; // nothing can be sent into a conversation that is not there yet
    let unanswered = null;
    try {
      if (!recall(TOKEN_KEY)) {
        await startSession();
        suggestions.hidden = false;
        return;
      }
      const { messages } = await request("history");
      drawAll(messages);
      const pending = recallPending();
      if (pending && messages.some((message) => message.id === pending.id)) remember(PENDING_KEY, null);
      else unanswered = pending;
    } catch (problem) {
      if (problem instanceof Refused && problem.status === 401) await restart();
      else showProblem(problem);
    } finally {
      log.removeAttribute("aria-busy");
      suggestions.hidden = log.childElementCount > 0 || unanswered !== null;
      busy = false;
      updateComposer();
    }
    if (unanswered) await deliver(unanswered, drawUser(unanswered));
  }

  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (send.getAttribute("aria-disabled") === "true") return;
    field.value = "";
    updateComposer();
    submit(text);
  });
  field.addEventListener("input", updateComposer);
  scroll.addEventListener("scroll", () => {
    atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  }, { passive: true });
  // The field grows, a notice appears, a phone's keyboard opens: all take room from the conversation.
  new ResizeObserver(() => {
    if (atEnd) scrollToEnd();
  }).observe(scroll);
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
    const sure = !log.childElementCount || confirm("Start a new chat? This conversation will be cleared from this page.");
    if (sure) restart();
  });

  open();
})();
