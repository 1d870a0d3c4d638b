// Inside the widget: what the chat and the host page's script say to each other. No text of a conversation leaves.

const FROM_CHAT = "evergreen-chat";
const FROM_HOST = "evergreen-widget";

export const isEmbedded = location.hash === "#embed" && window.parent !== window;

let origin = null; // of the host page, once it has spoken

function tell(type, more = {}) {
  if (!isEmbedded) return;
  // Before the host page has spoken its origin is unknown; "ready" holds nothing that others may not know.
  window.parent.postMessage({ source: FROM_CHAT, type, ...more }, origin ?? "*");
}

export const tellUnread = (count) => tell("unread", { count });
export const tellStarted = () => tell("started");
export const askToClose = () => tell("close");

// `on.hello(identity, theme)` before anything else, `on.identity(token)` when it changes, `on.shown(bool)`, `on.focus()`.
export function listenToHost(on) {
  addEventListener("message", (event) => {
    const said = event.data;
    if (event.source !== window.parent || !said || said.source !== FROM_HOST) return;
    origin = origin ?? event.origin;
    if (event.origin !== origin) return;
    const identity = typeof said.identity === "string" && said.identity ? said.identity : null;
    if (said.type === "hello") on.hello(identity, { scheme: said.scheme, accent: said.accent });
    else if (said.type === "identity") on.identity(identity);
    else if (said.type === "shown") on.shown(said.shown === true);
    else if (said.type === "focus") on.focus();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) askToClose();
  });
  tell("ready");
}
