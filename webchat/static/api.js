// What the page keeps, and how it talks to the server.

const TOKEN_KEY = "fernway-chat-token";
const KNOWN_TOKEN_KEY = "fernway-chat-customer"; // of a customer whom the host page has vouched for
const REQUEST_TIMEOUT_MS = 40000; // a little over the server's own limit, whose answer is friendlier

export class Refused extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.retryAfterMs = (error.retry_after_s || 0) * 1000;
  }
}

// Private browsing may forbid storage; the chat then works until the page is closed.
const unsaved = new Map();

export function remember(key, value) {
  unsaved.set(key, value);
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Kept in `unsaved`.
  }
}

export function recall(key) {
  try {
    return localStorage.getItem(key) ?? unsaved.get(key) ?? null;
  } catch {
    return unsaved.get(key) ?? null;
  }
}

let identity = null; // the host page's token, fresh from it; never stored
let tokenKey = TOKEN_KEY;

// Who asks: null is anonymous. A known customer's chat must not stay behind for the next user of this browser.
export function identifyAs(token) {
  identity = token;
  tokenKey = token ? KNOWN_TOKEN_KEY : TOKEN_KEY;
  if (!token) remember(KNOWN_TOKEN_KEY, null);
}

export const hasSession = () => Boolean(recall(tokenKey));
export const forgetSession = () => remember(tokenKey, null);

// The id is in the token; nothing is secret about it to its own customer.
export const conversation = () => (recall(tokenKey) || "").split(".")[0];

export async function startSession({ resume = false } = {}) {
  const kept = recall(tokenKey);
  const body = identity ? { identity, resume: resume ? kept : null } : {};
  forgetSession();
  const begun = await request("session", body);
  remember(tokenKey, begun.token);
  return begun;
}

export const isIdentified = () => identity !== null;

export function authorization() {
  const token = recall(tokenKey);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export async function refusalOf(answer) {
  const body = await answer.json().catch(() => null);
  const unknown = { code: "unknown", message: "Something went wrong on our side. Please try again." };
  return new Refused(answer.status, (body && body.error) || unknown);
}

export async function request(path, body) {
  const options = { method: body === undefined ? "GET" : "POST", headers: authorization(), cache: "no-store" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), REQUEST_TIMEOUT_MS);
  options.signal = controller.signal;
  try {
    const answer = await fetch(path, options);
    if (!answer.ok) throw await refusalOf(answer);
    return await answer.json();
  } finally {
    clearTimeout(timer);
  }
}

export function newMessageId() {
  // randomUUID exists on secure origins only; a page in a test network may have none.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
