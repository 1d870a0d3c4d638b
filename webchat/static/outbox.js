// Messages that the server may not have yet. They outlive a reload and a lost connection, and are sent in order.
// Each keeps the id that it was written with: the server answers a repeat without doing the work twice.
import { conversation, recall, remember } from "./api.js";

const OUTBOX_KEY = "fernway-chat-outbox";

function all() {
  try {
    const kept = JSON.parse(recall(OUTBOX_KEY));
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

// Of this conversation only: what was written in another one must never be sent into this.
export const waiting = () => all().filter((one) => one.conversation === conversation());

export function put(message) {
  remember(OUTBOX_KEY, JSON.stringify([...all(), { ...message, conversation: conversation() }]));
}

export function drop(id) {
  const left = all().filter((one) => one.id !== id);
  remember(OUTBOX_KEY, left.length ? JSON.stringify(left) : null);
}

export function clear() {
  remember(OUTBOX_KEY, null);
}

// What was written before the conversation had a name belongs to the one that has just begun.
export function adopt() {
  const kept = all().map((one) => (one.conversation ? one : { ...one, conversation: conversation() }));
  if (kept.length) remember(OUTBOX_KEY, JSON.stringify(kept));
}
