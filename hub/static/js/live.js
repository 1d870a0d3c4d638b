// Live updates: elements with an id and `data-live="topic topic"` are fetched again when a topic moves, and patched in
// place. Everything that a person has at hand stays: focus, typed text, open details, selection, scroll.
//
// The page carries the marks of its topics as they were before it was read. A stream begins with the marks of now, so
// that whatever happened while this page was away (a restart, a closed lid) is seen by comparing.
import { patch } from "./patch.js";

const SETTLE_MS = 150; // in which several topics that move together become one fetch
const RETRY_MS = [1000, 2000, 5000, 10000, 30000];
const SOON_MS = 1500; // after which what had to wait is tried again
const LOST_AFTER_MS = 2500; // a reload of the server is no news

class LivePage {
  constructor(state) {
    this.state = state;
    this.shown = JSON.parse(document.body.dataset.marks || "{}"); // marks of what the page shows
    this.newest = { ...this.shown }; // marks of what there is
    this.failures = 0;
    this.source = null;
    this.fetching = false;
    this.timers = {};
  }

  topics() {
    const names = [...document.querySelectorAll("[data-live]")].flatMap((one) => one.dataset.live.split(/\s+/));
    return [...new Set(names.filter(Boolean))];
  }

  later(name, milliseconds, what) {
    clearTimeout(this.timers[name]);
    this.timers[name] = setTimeout(what, milliseconds);
  }

  connect() {
    this.disconnect();
    // A browser keeps six connections to a server: a page that nobody sees gives its one back.
    if (document.hidden || this.ended) return;
    const query = this.topics().map((name) => `topic=${encodeURIComponent(name)}`).join("&");
    this.source = new EventSource(`/live?${query}`);
    this.source.addEventListener("marks", (event) => {
      this.failures = 0;
      this.found();
      Object.assign(this.newest, JSON.parse(event.data));
      this.later("refresh", SETTLE_MS, () => this.refresh());
    });
    this.source.addEventListener("ended", () => this.check());
    this.source.addEventListener("error", () => {
      if (!this.timers.lost) this.later("lost", LOST_AFTER_MS, () => this.say("lost"));
      // The browser tries again by itself, unless the answer was no stream: then it is up to this page.
      if (this.source?.readyState === EventSource.CLOSED) this.retry();
    });
  }

  found() {
    clearTimeout(this.timers.lost);
    this.timers.lost = null;
    if (this.state.dataset.said === "lost") this.say("");
  }

  disconnect() {
    this.source?.close();
    this.source = null;
  }

  retry() {
    this.disconnect();
    const pause = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    this.later("retry", pause, () => this.check());
  }

  // Whether the session still lasts is what a page tells: without one it is the login page.
  async check() {
    this.disconnect();
    const page = await this.fetchPage(location.pathname + location.search);
    if (page) this.connect();
    else if (!this.ended) this.retry();
  }

  async fetchPage(address) {
    try {
      const answer = await fetch(address, { headers: { "X-Live": "1" }, cache: "no-store" });
      if (answer.redirected && new URL(answer.url).pathname === "/login") {
        this.end();
        return null;
      }
      if (!answer.ok) return null;
      return new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      return null; // the server is away; the stream's own error brings the retry
    }
  }

  end() {
    this.ended = true;
    this.disconnect();
    this.say("ended");
  }

  // What is behind: elements one of whose topics has moved since they were shown.
  stale() {
    const moved = (name) => this.newest[name] !== undefined && this.newest[name] !== this.shown[name];
    return [...document.querySelectorAll("[data-live][id]")].filter((one) => one.dataset.live.split(/\s+/).some(moved));
  }

  async refresh() {
    if (this.fetching || this.ended) return;
    const stale = this.stale();
    if (!stale.length) return;
    const free = stale.filter((one) => !isBusy(one));
    if (free.length < stale.length) {
      this.later("held", SOON_MS, () => this.refresh());
      if (stale.some(isBeingEdited)) this.say("held");
    }
    if (!free.length) return;
    this.fetching = true;
    try {
      await this.show(free, free.length === stale.length);
    } finally {
      this.fetching = false;
    }
  }

  async show(elements, isAll) {
    const asked = { ...this.newest };
    const here = location.pathname + location.search;
    const sources = new Set(elements.map((one) => one.dataset.liveSrc ?? here));
    let isWhole = isAll;
    for (const source of sources) {
      const page = await this.fetchPage(source);
      if (!page) {
        isWhole = false;
        continue;
      }
      for (const element of elements.filter((one) => (one.dataset.liveSrc ?? here) === source)) {
        const fresh = page.getElementById(element.id);
        // The person may have begun to type while the page was on its way.
        if (isBusy(element)) isWhole = false;
        else if (fresh && element.isConnected) swap(element, fresh);
      }
    }
    if (isWhole) {
      this.shown = { ...this.shown, ...asked };
      if (this.state.dataset.said === "held") this.say("");
      if (this.stale().length) this.later("refresh", SETTLE_MS, () => this.refresh());
    } else {
      this.later("held", SOON_MS, () => this.refresh());
    }
  }

  say(what) {
    if (this.state.dataset.said === what || (this.ended && what !== "ended")) return;
    this.state.dataset.said = what;
    this.state.hidden = !what;
    this.state.textContent = what ? this.state.dataset[what] : "";
    if (what !== "ended") return;
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = this.state.dataset.login;
    this.state.append(" ", link);
  }
}

function isBeingEdited(element) {
  const active = document.activeElement;
  const fields = "input:not([type=checkbox]):not([type=radio]):not([type=hidden]), textarea, select, [contenteditable]";
  if (active && active !== element && element.contains(active) && active.matches(fields)) return true;
  return [...element.querySelectorAll("input, textarea, select")].some((field) => {
    // Ticks stay through a patch by themselves.
    if (["hidden", "checkbox", "radio"].includes(field.type) || field.closest("[data-live-keep]")) return false;
    if (!(field instanceof HTMLSelectElement)) return field.value !== field.defaultValue;
    const usual = [...field.options].findIndex((one) => one.defaultSelected);
    return field.selectedIndex !== Math.max(usual, 0);
  });
}

function isBusy(element) {
  const selection = document.getSelection();
  const isMarked = selection && !selection.isCollapsed && selection.containsNode(element, true);
  return isMarked || isBeingEdited(element) || Boolean(element.querySelector("form[data-sent]"));
}

function swap(element, fresh) {
  const detail = { topics: element.dataset.live.split(/\s+/) };
  element.dispatchEvent(new CustomEvent("live:before", { bubbles: true, detail }));
  const active = document.activeElement;
  patch(element, fresh);
  // Moving an element takes its focus away.
  if (active !== document.activeElement && active?.isConnected) active.focus({ preventScroll: true });
  element.dispatchEvent(new CustomEvent("live:after", { bubbles: true, detail }));
}

export function startLive() {
  const state = document.getElementById("live-state");
  if (!state) return;
  const page = new LivePage(state);
  if (!page.topics().length) return;
  document.addEventListener("visibilitychange", () => page.connect());
  // A page from the browser's memory is an old one.
  window.addEventListener("pageshow", (event) => event.persisted && page.connect());
  window.addEventListener("pagehide", () => page.disconnect());
  document.addEventListener("focusout", () => page.later("held", SETTLE_MS, () => page.refresh()));
  page.connect();
}
