// Photos that could not be read, by reason; some hundreds at a time.
import {ask, attempt, byId, formatCount, make} from "./api.js";
import {RunPanel} from "./run_panel.js";
import {groupReasons} from "./runs.mjs";

const MAX_SHOWN = 200; // of a reason, at once

function makeGroup({reason, photos}, isOpen) {
  const rest = [...photos], list = make("ul"), more = make("button", {type: "button", onclick: showMore}, "Show more");
  function showMore() {
    list.append(...rest.splice(0, MAX_SHOWN).map(({path, since}) => make("li", {}, make("bdi", {}, path), ` (since ${since.slice(0, 10)})`)));
    more.hidden = !rest.length;
  }
  showMore();
  return make("details", {className: "reason", open: isOpen},
    make("summary", {}, `${reason}: ${formatCount(photos.length, "photo")}`), list, more);
}

async function reload() {
  const photos = await attempt(() => ask("unreadable"));
  if (!photos) { byId("summary").textContent = ""; return; }
  const groups = groupReasons(photos);
  byId("summary").textContent = photos.length
    ? `${formatCount(photos.length, "photo")} could not be read. The files are unchanged.` : "All photos could be read.";
  byId("retry").hidden = !photos.length;
  byId("rows").replaceChildren(...groups.map((group) => makeGroup(group, groups.length < 4)));
}

const panel = new RunPanel({ended: reload});
byId("retry").addEventListener("click", () => panel.start({retry: true}));
reload();
