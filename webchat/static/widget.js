// The chat on any page, by one script tag that names this file at the address of the bot; see docs/webchat.md.
// What may be set by data attributes, and what window.EvergreenChat can do, is said there.
// It needs the host's policy to allow this script and a frame of its origin, and nothing else: no inline style.
"use strict";

(() => {
  const script = document.currentScript;
  if (!script || window.EvergreenChat) return;
  const base = new URL(".", script.src);
  const STATE_KEY = "evergreen-chat-widget"; // {open, started}: whether the panel was open, whether there is a chat
  const PHONE = matchMedia("(max-width: 480px), (max-height: 440px)");
  const SHEET = `
    :host { all: initial; --accent: #1f6b4a; --on-accent: #ffffff; }
    * { box-sizing: border-box; }
    [hidden] { display: none !important; }
    .launcher, .panel { position: fixed; z-index: 2147483000; }
    .launcher { right: 20px; bottom: 20px; display: flex; align-items: center; justify-content: center; gap: 8px;
      min-width: 56px; height: 56px; padding: 0 16px; border: 0; border-radius: 28px; cursor: pointer;
      font: 600 16px/1 system-ui, sans-serif; color: var(--on-accent); background: var(--accent);
      box-shadow: 0 2px 6px rgb(0 0 0 / 25%), 0 8px 24px rgb(0 0 0 / 18%); }
    .launcher:hover { filter: brightness(1.08); }
    .launcher:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; box-shadow: 0 0 0 3px #ffffff; }
    .left .launcher { right: auto; left: 20px; }
    .badge { position: absolute; top: -4px; right: -4px; min-width: 22px; height: 22px; padding: 0 6px;
      border-radius: 11px; border: 2px solid #ffffff; background: #b3261e; color: #ffffff;
      font: 700 12px/18px system-ui, sans-serif; text-align: center; }
    .panel { right: 20px; bottom: 88px; width: 384px; max-width: calc(100vw - 40px);
      height: min(640px, calc(100vh - 108px)); border-radius: 16px; overflow: hidden;
      box-shadow: 0 4px 12px rgb(0 0 0 / 18%), 0 16px 48px rgb(0 0 0 / 24%); animation: rise 160ms ease-out; }
    .left .panel { right: auto; left: 20px; }
    iframe { display: block; width: 100%; height: 100%; border: 0; }
    .said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    @keyframes rise { from { transform: translateY(12px); opacity: 0; } }
    @media (max-width: 480px), (max-height: 440px) {
      .panel, .left .panel { inset: 0; width: 100%; max-width: none; height: 100%; height: 100dvh; border-radius: 0; }
      .is-open .launcher { display: none; }
    }
    @media (prefers-reduced-motion: reduce) { .panel { animation: none; } }
    @media (forced-colors: active) { .launcher, .panel { border: 1px solid; } }
    @media print { .launcher, .panel { display: none; } }`;

  // --- what the host page may set; anything odd is said on the console and left at its default

  function option(name, allowed, fallback) {
    const given = script.dataset[name];
    if (given === undefined) return fallback;
    if (allowed(given)) return given;
    console.warn(`webchat widget: data-${name}="${given}" cannot be used; see docs/webchat.md`);
    return fallback;
  }

  const oneOf = (...values) => (given) => values.includes(given);
  const shortText = (given) => given.trim() !== "" && given.length <= 60;
  const options = {
    accent: option("accent", (given) => /^#[0-9a-f]{6}$/i.test(given), null),
    scheme: option("theme", oneOf("light", "dark", "auto"), "auto"),
    side: option("position", oneOf("left", "right"), "right"),
    label: option("label", shortText, ""),
    title: option("title", shortText, "Chat"),
  };
  let identity = script.dataset.token || null;

  function readableOn(color) {
    const [red, green, blue] = [1, 3, 5]
      .map((at) => parseInt(color.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
  }

  function kept() {
    try {
      return JSON.parse(localStorage.getItem(STATE_KEY)) || {};
    } catch {
      return {};
    }
  }

  function keep(change) {
    try {
      localStorage.setItem(STATE_KEY, JSON.stringify({ ...kept(), ...change }));
    } catch {
      // The next page begins with a closed panel.
    }
  }

  // --- elements

  function make(tag, className) {
    const made = document.createElement(tag);
    made.className = className;
    return made;
  }

  function shape(path) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("width", "26");
    svg.setAttribute("height", "26");
    svg.setAttribute("aria-hidden", "true");
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "path");
    drawn.setAttribute("fill", "none");
    drawn.setAttribute("stroke", "currentColor");
    drawn.setAttribute("stroke-width", "2");
    drawn.setAttribute("stroke-linejoin", "round");
    drawn.setAttribute("stroke-linecap", "round");
    drawn.setAttribute("d", path);
    svg.append(drawn);
    return svg;
  }

  const host = make("div", "");
  host.id = "evergreen-chat";
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(SHEET);
  root.adoptedStyleSheets = [sheet];
  if (options.accent) {
    host.style.setProperty("--accent", options.accent);
    host.style.setProperty("--on-accent", readableOn(options.accent));
  }

  const box = make("div", options.side);
  const launcher = make("button", "launcher");
  const badge = make("span", "badge");
  const said = make("span", "said");
  const panel = make("div", "panel");
  launcher.type = "button";
  launcher.setAttribute("aria-controls", "panel");
  badge.hidden = true;
  badge.setAttribute("aria-hidden", "true");
  said.setAttribute("role", "status");
  panel.id = "panel";
  panel.hidden = true;
  panel.setAttribute("role", "dialog");
  panel.setAttribute("aria-label", options.title);
  box.append(launcher, said, panel);
  root.append(box);

  let frame = null;
  let ready = false;
  let wantsFocus = false; // the panel was opened by the customer, and its page is not there yet
  let isOpen = false;
  let unread = 0;
  let pageOverflow = "";

  function drawLauncher() {
    const label = isOpen ? "Close chat" : options.label || "Open chat";
    launcher.setAttribute("aria-label", unread && !isOpen ? `${label}, ${unread} unread` : label);
    launcher.setAttribute("aria-expanded", String(isOpen));
    const bubble = "M21 12a8 8 0 0 1-8 8H4l1.6-3.2A8 8 0 1 1 21 12z";
    launcher.replaceChildren(shape(isOpen ? "M6 6l12 12M18 6L6 18" : bubble));
    if (options.label && !isOpen) launcher.append(options.label);
    badge.textContent = unread > 9 ? "9+" : String(unread);
    badge.hidden = isOpen || unread === 0;
    launcher.append(badge);
  }

  // --- the chat in its frame

  function load() {
    if (frame) return;
    frame = document.createElement("iframe");
    frame.title = options.title;
    frame.src = `${base}#embed`;
    panel.append(frame);
  }

  function tell(type, more) {
    if (ready) frame.contentWindow.postMessage({ source: "evergreen-widget", type, ...more }, base.origin);
  }

  addEventListener("message", (event) => {
    if (!frame || event.source !== frame.contentWindow || event.origin !== base.origin) return;
    const message = event.data;
    if (!message || message.source !== "evergreen-chat") return;
    if (message.type === "ready") {
      ready = true;
      tell("hello", { identity, scheme: options.scheme, accent: options.accent });
      tell("shown", { shown: isOpen });
      if (isOpen && wantsFocus) tell("focus");
    } else if (message.type === "unread" && Number.isInteger(message.count)) {
      if (message.count > unread && !isOpen) said.textContent = "New message in the chat";
      unread = Math.max(0, message.count);
      drawLauncher();
    } else if (message.type === "started") {
      keep({ started: true });
    } else if (message.type === "close") {
      close();
    }
  });

  function open({ focus = true } = {}) {
    if (isOpen) return;
    isOpen = true;
    load();
    panel.hidden = false;
    box.classList.add("is-open");
    if (PHONE.matches) {
      // The page behind must not scroll under the finger.
      pageOverflow = document.documentElement.style.overflow;
      document.documentElement.style.overflow = "hidden";
      panel.setAttribute("aria-modal", "true");
    }
    said.textContent = "";
    unread = 0;
    drawLauncher();
    keep({ open: true });
    tell("shown", { shown: true });
    wantsFocus = focus;
    if (!focus) return;
    frame.focus();
    tell("focus");
  }

  function close() {
    if (!isOpen) return;
    isOpen = false;
    panel.hidden = true;
    box.classList.remove("is-open");
    if (panel.hasAttribute("aria-modal")) {
      document.documentElement.style.overflow = pageOverflow;
      panel.removeAttribute("aria-modal");
    }
    drawLauncher();
    keep({ open: false });
    tell("shown", { shown: false });
    launcher.focus();
  }

  function identify(token) {
    identity = typeof token === "string" && token ? token : null;
    tell("identity", { identity });
  }

  launcher.addEventListener("click", () => (isOpen ? close() : open()));
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen) close();
  });

  function begin() {
    document.body.append(host);
    drawLauncher();
    const before = kept();
    // A panel over the whole of a phone must not cover every page that the customer goes on to.
    if (before.open && !PHONE.matches) open({ focus: false });
    else if (before.started) load();
  }

  window.EvergreenChat = Object.freeze({
    open: () => open(),
    close,
    toggle: () => (isOpen ? close() : open()),
    identify,
    logout: () => identify(null),
  });
  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin);
})();
