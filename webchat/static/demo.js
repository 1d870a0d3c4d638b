// What a host page's own script does: open the chat, and say who the customer is.

const token = document.getElementById("token");
document.getElementById("open-chat").addEventListener("click", () => window.EvergreenChat.open());
document.getElementById("identify").addEventListener("submit", (event) => {
  event.preventDefault();
  window.EvergreenChat.identify(token.value.trim());
  window.EvergreenChat.open();
});
document.getElementById("logout").addEventListener("click", () => {
  token.value = "";
  window.EvergreenChat.logout();
});
