// The first run: a folder, its photos as they come, and the way to the search.
import {ask, attempt, byId, make, makeThumbnail} from "./api.js";
import {Details} from "./details.js";
import {AddFolder} from "./add_folder.js";
import {RunPanel} from "./run_panel.js";

const details = new Details();
let shown = ""; // ids of the photos on the page

async function showNewest() {
  const photos = await ask("newest", {n: 48}).catch(() => []); // before the first batch there is no library
  const ids = photos.map(({image_id: imageId}) => imageId).join();
  if (ids === shown) return;
  shown = ids;
  byId("newest").replaceChildren(...photos.map(({image_id: imageId, name, path}) => make("li", {title: path}, make("button", {
    type: "button", "aria-label": `Details of ${name}`, onclick: () => details.show(imageId),
  }, makeThumbnail(imageId)))));
  byId("arrivals").hidden = !photos.length;
}

const panel = new RunPanel({
  changed: (run) => { byId("add").hidden = true; if (run.done) showNewest(); },
  ended: async (run) => {
    byId("add").hidden = false;
    if (run.done) await showNewest();
    if (!run.error && byId("newest").children.length) byId("see").focus();
  },
});
const form = new AddFolder((request) => panel.start(request));
attempt(async () => {
  form.showModels(await ask("models"));
  if (!panel.run?.running) byId("add-path").focus();
});
