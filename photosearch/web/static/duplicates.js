// Groups of duplicates, or bursts, a few at a time.
import {ask, attempt, byId, formatBytes, make, makeThumbnail} from "./api.js";
import {Latest} from "./answers.mjs";
import {Details} from "./details.js";
import {Spares} from "./spares.js";
import {describeBursts, describeGroups, describeMember} from "./spares.mjs";

const details = new Details(), latest = new Latest();
let shown = 0, list = null; // groups shown, and the id of their list

const isBursts = () => byId("kind").value === "bursts";

async function showMore() {
  const isLatest = latest.begin(), asked = {first: shown, list};
  const response = await attempt(() => (isBursts() ? ask("bursts", asked)
    : ask("duplicates", {...asked, near: byId("kind").value === "exact" ? "no" : "yes", keep: byId("keep").value})));
  if (!isLatest()) return;
  if (!response) { byId("summary").textContent = ""; return; }
  const {total, groups} = response;
  list = response.list;
  byId("summary").textContent = isBursts() ? describeBursts(response) : describeGroups(response);
  byId("groups").append(...groups.map((photos, i) => make("section", {className: "group",
    "aria-label": `Group ${shown + i + 1}`}, ...photos.map(isBursts() ? makeShot : makePhoto))));
  shown += groups.length;
  byId("more").hidden = shown >= total;
  byId("spares").hidden = isBursts() || !total;
}

function makePhoto(photo) {
  const {title, reason} = describeMember(photo);
  return makeMember(photo, title, reason);
}

function makeShot(photo) {
  const {sharpest, sharpness, taken} = photo;
  return makeMember(photo, sharpest ? "Sharpest" : taken.slice(11), sharpness === null ? "can't be opened" : `sharpness ${sharpness.toFixed(1)}`);
}

function makeMember(photo, title, reason) {
  return make("div", {className: "member"},
    make("button", {type: "button", "aria-label": `Details of ${photo.name}`,
      onclick: () => details.show(photo.image_id)}, makeThumbnail(photo.image_id)),
    make("b", {}, title), ...(reason ? [make("span", {className: "reason-text"}, reason)] : []),
    `${photo.width} × ${photo.height}, ${formatBytes(photo.size_bytes)}`,
    make("br"), make("bdi", {}, photo.path));
}

function reload() {
  shown = 0;
  list = null;
  byId("groups").replaceChildren();
  byId("more").hidden = byId("spares").hidden = true;
  byId("keep").closest("label").hidden = isBursts();
  byId("summary").textContent = isBursts() ? "Searching… Photos of bursts are opened, to see how sharp they are." : "Searching…";
  spares.forgetPlan();
  return showMore();
}

const spares = new Spares({list: () => list, moved: () => reload()});
byId("more").addEventListener("click", showMore);
for (const name of ["kind", "keep"]) byId(name).addEventListener("change", reload);
reload();
