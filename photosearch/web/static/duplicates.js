// Groups of photos side by side, some at a time.
import {ask, attempt, count, make, picture, size} from "./api.js";
import {Large} from "./large.js";

const at = (name) => document.querySelector(`#${name}`);
const large = new Large({why: () => "", step: () => {}, marked: null, like: null});
let shown = 0;

async function more() {
  const given = await attempt(() => ask("duplicates", {from: shown, near: at("near").checked ? "yes" : "no"}));
  if (!given) { at("told").textContent = ""; return; }
  at("told").textContent = given.total ? `${count(given.total, "group")}; ${size(given.spare_bytes)} besides the ones to keep` : "No photo is there twice.";
  at("groups").append(...given.groups.map((members, i) => make("section", {className: "group", "aria-label": `Group ${shown + i + 1}`}, ...members.map(draw))));
  shown += given.groups.length;
  at("more").hidden = shown >= given.total;
}

function draw(each) {
  const name = each.path.split(/[\\/]/).pop();
  return make("div", {className: "member"},
    make("button", {type: "button", "aria-label": `Open ${name} large`, onclick: () => large.show(each.image_id, [])}, picture(each.image_id)),
    make("b", {}, {kept: "the one to keep", "same content": "the same, byte for byte", near: "the same picture"}[each.how]),
    `${each.width} × ${each.height}, ${size(each.size_bytes)}`,
    make("br"), make("bdi", {}, each.path));
}

at("more").addEventListener("click", more);
at("near").addEventListener("change", () => { shown = 0; at("groups").replaceChildren(); at("told").textContent = "Looking…"; more(); });
more();
