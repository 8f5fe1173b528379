// Groups of duplicates, a few at a time.
import {ask, attempt, byId, formatBytes, formatCount, make, makeThumbnail} from "./api.js";
import {Latest} from "./answers.mjs";
import {Details} from "./details.js";

const KINDS = {kept: "Keep this one", "same content": "Identical file", near: "Same picture", "raw pair": "Keep: RAW and JPEG of one shot"};
const details = new Details(), latest = new Latest();
let shown = 0, list = null; // groups shown, and the id of their list

async function showMore() {
  const isLatest = latest.begin();
  const response = await attempt(() => ask("duplicates", {first: shown, list, near: byId("near").checked ? "yes" : "no"}));
  if (!isLatest()) return;
  if (!response) { byId("summary").textContent = ""; return; }
  const {total, spare_bytes: spareBytes, groups} = response;
  list = response.list;
  byId("summary").textContent = total
    ? `${formatCount(total, "group")}. Removing extra copies would free ${formatBytes(spareBytes)}.` : "No duplicates found.";
  byId("groups").append(...groups.map((photos, i) => make("section", {className: "group",
    "aria-label": `Group ${shown + i + 1}`}, ...photos.map(makePhoto))));
  shown += groups.length;
  byId("more").hidden = shown >= total;
}

function makePhoto(photo) {
  return make("div", {className: "member"},
    make("button", {type: "button", "aria-label": `Details of ${photo.name}`,
      onclick: () => details.show(photo.image_id)}, makeThumbnail(photo.image_id)),
    make("b", {}, KINDS[photo.kind] ?? photo.kind),
    `${photo.width} × ${photo.height}, ${formatBytes(photo.size_bytes)}`,
    make("br"), make("bdi", {}, photo.path));
}

byId("more").addEventListener("click", showMore);
byId("near").addEventListener("change", () => {
  shown = 0;
  list = null;
  byId("groups").replaceChildren();
  byId("summary").textContent = "Searching…";
  showMore();
});
showMore();
