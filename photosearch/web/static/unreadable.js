// Photos that could not be read, and why; some hundreds at a time.
import {ask, attempt, byId, formatCount, make} from "./api.js";

let rest = [];

function showMore() {
  byId("rows").append(...rest.splice(0, 300).map((photo) => make("tr", {},
    make("td", {}, make("bdi", {}, photo.path)), make("td", {}, photo.reason), make("td", {}, photo.since.slice(0, 10)))));
  byId("more").hidden = !rest.length;
}

byId("more").addEventListener("click", showMore);
attempt(async () => {
  rest = await ask("unreadable");
  byId("summary").textContent = rest.length
    ? `${formatCount(rest.length, "photo")}. To try again: photosearch index --retry` : "All photos could be read.";
  byId("table").hidden = !rest.length;
  showMore();
});
