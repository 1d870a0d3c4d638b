// Server-sent events by fetch: the token goes into a header, never into an address.
import { authorization, refusalOf } from "./api.js";

const SILENCE_MS = 40000; // the server says something every 15 s; longer silence is a dead connection
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;

// Keeps a stream open. `on(kind, data)` gets each event; `onLine(true|false)` whether the server is heard;
// `onRefused(problem)` why there will be no stream. Returns a function that ends it.
export function listen(cursor, on, onLine, onRefused) {
  let last = cursor;
  let ended = false;
  let controller = null;
  let wake = () => {}; // ends a pause early
  let hurry = false; // the network is back: try at once, whatever the connection of before still says

  async function once() {
    controller = new AbortController();
    let silence = null;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => controller.abort(), SILENCE_MS);
    };
    try {
      heard();
      const headers = { ...authorization(), Accept: "text/event-stream" };
      if (last) headers["Last-Event-ID"] = last;
      const answer = await fetch("stream", { headers, cache: "no-store", signal: controller.signal });
      if (!answer.ok) throw await refusalOf(answer);
      onLine(true);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done || ended) return;
        heard();
        text += value;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        blocks.forEach(take);
      }
    } finally {
      clearTimeout(silence);
      controller.abort();
    }
  }

  function take(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const colon = line.indexOf(": ");
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
    }
    if (!fields.event || ended) return;
    if (fields.event === "reset") last = "";
    if (fields.id) last = fields.id;
    on(fields.event, JSON.parse(fields.data));
  }

  async function run() {
    let wait = FIRST_WAIT_MS;
    while (!ended) {
      const began = Date.now();
      let least = 0;
      hurry = false;
      try {
        await once();
      } catch (problem) {
        if (ended) return;
        if (problem.status === 401) {
          onRefused(problem);
          return;
        }
        least = problem.retryAfterMs || 0;
        if (problem.status === undefined && !hurry) onLine(false);
      }
      if (hurry) continue;
      // One that held for a while ended for a reason of its own, such as a new version of the server.
      wait = Date.now() - began > LONGEST_WAIT_MS ? FIRST_WAIT_MS : Math.min(wait * 2, LONGEST_WAIT_MS);
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, Math.max(least, wait * (0.5 + Math.random() / 2)));
      });
    }
  }

  const again = () => {
    hurry = true;
    controller?.abort();
    wake();
  };
  addEventListener("online", again);
  run();
  return () => {
    ended = true;
    removeEventListener("online", again);
    again();
  };
}
