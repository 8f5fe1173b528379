// A dialog that names what would happen, and asks.
import {byId, make} from "./api.js";

const dialog = byId("confirm");
let action = null; // runs at yes

byId("confirm-no").addEventListener("click", () => dialog.close());
byId("confirm-form").addEventListener("submit", (event) => {
  event.preventDefault();
  dialog.close(); // first: a message in it would go with it
  action();
});

// lines: of text, each a paragraph. yes: the button's text. act(): a promise.
export function confirm({title, lines, yes, isDangerous = true}, act) {
  action = act;
  byId("confirm-title").textContent = title;
  byId("confirm-text").replaceChildren(...lines.map((line) => make("p", {}, line)));
  byId("confirm-yes").textContent = yes;
  byId("confirm-yes").className = isDangerous ? "danger" : "strong";
  dialog.showModal();
}
