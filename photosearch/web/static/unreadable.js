// What could not be read, and why; some hundreds at a time.
import {ask, attempt, count, make} from "./api.js";

const at = (name) => document.querySelector(`#${name}`);
let left = [];

function more() {
  const rows = left.splice(0, 300);
  at("rows").append(...rows.map((each) => make("tr", {}, make("td", {}, make("bdi", {}, each.path)), make("td", {}, each.reason), make("td", {}, each.since.slice(0, 10)))));
  at("more").hidden = !left.length;
}

at("more").addEventListener("click", more);
attempt(async () => {
  left = await ask("unreadable");
  at("told").textContent = left.length ? `${count(left.length, "photo")}; photosearch index --retry tries again.` : "Every photo could be read.";
  at("table").hidden = !left.length;
  more();
});
