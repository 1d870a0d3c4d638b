// What every page of the hub shares. Everything works without it: scripts only save keystrokes and reloads.
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";

// A second click on a button that has been pressed sends nothing; the server would refuse it all the same.
const PRESSED_MS = 4000; // after that the page is still here: the answer was a file, or it failed

function sendOnce() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, PRESSED_MS);
  });
  // A page that comes back from the browser's memory may be sent again.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
}

function closeMenuOutside() {
  const menu = document.querySelector("details.areas");
  if (!menu) return;
  document.addEventListener("click", (event) => {
    if (menu.open && !menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

sendOnce();
closeMenuOutside();
startKeys();
startLive();
