// One photo after the other: does it show the label? Beside it, what that says of the label, live.
import {ask, attempt, change, count, isTyping, labels as listLabels, make, percent, say, spread, thumbnail} from "./api.js";
import {Large} from "./large.js";

const at = (name) => document.querySelector(`#${name}`);
const label = at("label"), kind = at("kind"), slider = at("threshold");
let queue = [], told = null, seen = new Set();

const large = new Large({why: () => "", step: () => {}, marked: () => { report(); }, like: null});

// ---- the queue

async function fill() {
  const params = {label: label.value, kind: kind.value};
  history.replaceState(null, "", `?${new URLSearchParams(params)}`);
  const given = await attempt(() => ask("queue", params));
  if (!given) return;
  told = given;
  queue = given.asked.filter((each) => !seen.has(each.image_id));
  show();
}

function show() {
  const [next] = queue, none = !next;
  at("question").textContent = none ? `Nothing to judge for ${label.value} here` : `Does this show ${label.value}?`;
  at("card").hidden = none;
  at("empty").hidden = !none;
  for (const name of ["yes", "no", "skip"]) at(name).disabled = none;
  if (none) { at("empty").textContent = why(); return; }
  at("photo").src = thumbnail(next.image_id, true);
  at("photo").alt = `The photo to judge: does it show ${label.value}?`;
  const other = next.other === null ? "" : `; ${told.other} says ${next.other.toFixed(3)}`;
  const left = told.left === null ? "" : `; ${count(queue.length, "photo")} of the sample left`;
  // Of a sample, the score is not shown: it would tell the judge what to say.
  at("caption").textContent = kind.value === "sample" ? left.slice(2) : `${told.model} says ${next.score.toFixed(3)}, and finds from ${told.threshold.toFixed(3)} on${other}`;
  for (const each of queue.slice(1, 3)) new Image().src = thumbnail(each.image_id, true);
}

function why() {
  if (kind.value === "sample") return told.left === null ? "No sample was drawn yet." : "All of the sample is judged: the report speaks for the whole library now.";
  if (kind.value === "disagree") return told.other ? `${told.model} and ${told.other} agree on all that you have not judged.` : "Only one model knows this label.";
  return "You have judged every photo to which the model gives a score.";
}

async function answer(present) {
  const next = queue.shift();
  if (!next) return;
  show();
  const marked = await attempt(() => change("mark", {image: next.image_id, label: label.value, present}));
  if (!marked) { queue.unshift(next); show(); return; }
  at("undo").disabled = false;
  report();
  if (!queue.length) fill();
}

function skip() {
  const next = queue.shift();
  if (next) seen.add(next.image_id);
  show();
  if (!queue.length) fill();
}

async function undo() {
  const back = await attempt(() => change("undo"));
  if (!back) return;
  at("undo").disabled = !back.undo;
  say(`${back.label}: as before`);
  report();
  if (back.label === label.value) { seen.delete(back.image); await fill(); bring(back.image); }
}

// What was just taken back is asked again first.
function bring(id) {
  const place = queue.findIndex((each) => each.image_id === id);
  if (place > 0) queue.unshift(...queue.splice(place, 1));
  show();
}

// ---- the report

let number = 0;
async function report(threshold) {
  const mine = ++number;
  const given = await attempt(() => ask("report", {label: label.value, threshold}));
  if (!given || mine !== number) return;
  at("known").hidden = !given.report;
  at("unknown").hidden = Boolean(given.report);
  at("saved").textContent = `${given.model} finds ${given.label} from ${given.own.toFixed(4)} on${given.saved ? ", which you saved" : ", its own threshold"}.`;
  at("reset").disabled = !given.saved;
  if (!given.report) return;
  const {report: known} = given, library = known.library?.precision !== undefined && known.library.judged ? known.library : null;
  if (threshold === undefined) slider.value = known.threshold;
  at("at").textContent = known.threshold.toFixed(3);
  const told = library ?? known;
  at("basis").textContent = library
    ? `The whole library, ${count(library.population, "picture")}, by ${library.judged} judged of ${library.drawn} drawn`
    : `${count(known.n, "picture")} that you judged, which need not be like the others`;
  at("shares").replaceChildren(...["precision", "recall", "f1", "accuracy"].map((name) => make("tr", {},
    make("th", {scope: "row"}, name), make("td", {}, percent(told[name])), make("td", {}, spread(told.intervals[name])))));
  for (const name of ["tp", "fp", "fn", "tn"]) at(name).textContent = known[name].toLocaleString("en");
  draw(given.judged, known.threshold);
}

// Each photo that was judged, at its score: those that show the label above, the others below.
function draw(judged, threshold) {
  const line = (x, from, to, kind) => {
    const each = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({x1: 1000 * x, x2: 1000 * x, y1: from, y2: to, class: kind})) each.setAttribute(key, value);
    return each;
  };
  const some = judged.filter((_, i) => i % Math.ceil(judged.length / 1000) === 0);
  at("strip").replaceChildren(...some.map(([score, present]) => (present ? line(score, 4, 27, "shows") : line(score, 33, 56, "lacks"))), line(threshold, 0, 60, "at"));
}

slider.addEventListener("input", () => { at("at").textContent = Number(slider.value).toFixed(3); report(slider.value); });
at("save").addEventListener("click", async () => {
  const saved = await attempt(() => change("threshold", {label: label.value, threshold: Number(slider.value)}));
  if (saved) { say(`${saved.label} is found from ${saved.own.toFixed(3)} on`); report(); fill(); }
});
at("reset").addEventListener("click", async () => {
  const saved = await attempt(() => change("threshold", {label: label.value, threshold: null}));
  if (saved) { say(`${saved.label} is found from the model's own ${saved.own.toFixed(3)} on again`); report(); fill(); }
});
at("draw").addEventListener("click", async () => {
  const drawn = await attempt(() => change("sample", {label: label.value, n: 60}));
  if (drawn) { say(`${count(drawn.photos, "photo")} drawn`); kind.value = "sample"; seen = new Set(); fill(); report(); }
});

// ---- keys, and the beginning

at("yes").addEventListener("click", () => answer(true));
at("no").addEventListener("click", () => answer(false));
at("skip").addEventListener("click", skip);
at("undo").addEventListener("click", undo);
at("open").addEventListener("click", () => { if (queue[0]) large.show(queue[0].image_id, [label.value]); });
document.addEventListener("keydown", (event) => {
  if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey || large.isOpen) return;
  const act = {y: () => answer(true), n: () => answer(false), s: skip, u: undo}[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});
label.addEventListener("change", () => { seen = new Set(); fill(); report(); });
kind.addEventListener("change", () => { seen = new Set(); fill(); });

attempt(async () => {
  const known = await listLabels(), query = new URLSearchParams(location.search);
  const names = [...new Set(known.map((each) => each.label))];
  label.replaceChildren(...names.map((name) => make("option", {value: name}, name)));
  if (!names.length) { at("question").textContent = "Nothing is indexed yet"; return; }
  const wanted = query.get("label") ?? (names.includes("bird") ? "bird" : names[0]);
  label.value = names.includes(wanted) ? wanted : names[0];
  if (["near", "disagree", "sample"].includes(query.get("kind"))) kind.value = query.get("kind");
  at("undo").disabled = !(await ask("status")).undo;
  await Promise.all([fill(), report()]);
});
