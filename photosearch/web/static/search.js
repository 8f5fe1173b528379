// The page that asks: the question in the address, its answer in the grid.
import {ask, attempt, change, count, isTyping, labels as listLabels, make, picture, say} from "./api.js";
import {Grid} from "./grid.js";
import {Large} from "./large.js";

const at = (name) => document.querySelector(`#${name}`);
const form = at("ask"), words = at("words"), offers = at("offers"), label = at("label");
const FIELDS = ["words", "since", "until", "under", "reading", "sort", "min_score"];
let answer = null, likes = [], asked = 0;

const grid = new Grid(at("grid"), {
  fetch: async (from, n) => {
    const name = answer.result;
    try {
      return (await ask("results", {result: name, from, n, label: label.value})).rows;
    } catch (error) {
      if (answer.result === name) say(error.message, true);
      throw error;
    }
  },
  open: (place) => open(place),
  mark: (place, present) => mark(place, present),
  like: (id) => alike(id, 1),
});

const large = new Large({
  why: (id) => {
    const row = [...grid.tiles.values()].find((tile) => tile.row?.image_id === id)?.row;
    if (!row || !answer) return "";
    return answer.by === "label" ? `${answer.asked}: ${row.score.toFixed(3)}, by ${answer.models.join(" and ")}`
      : `similarity ${row.score.toFixed(3)} to ${answer.asked || "the picture"}, by ${answer.models.join(" and ")}`;
  },
  step: (by) => { const place = grid.current + by; if (place >= 0 && place < grid.total) { grid.go(place); open(place); } },
  marked: (told) => { if (told.label === label.value) grid.remark(told.image, told.present); at("undo").disabled = !told.undo; },
  like: (id, sign) => alike(id, sign),
});

async function open(place) {
  const row = await grid.row(place);
  if (row) large.show(row.image_id, [...new Set([label.value, ...(answer?.labels ?? [])])].filter(Boolean));
}

async function mark(place, present) {
  if (!label.value) return say("choose the label that is right or wrong first", true);
  const row = await grid.row(place);
  const told = row && await attempt(() => change("mark", {image: row.image_id, label: label.value, present}));
  if (told) { grid.remark(told.image, told.present); at("undo").disabled = false; }
}

async function undo() {
  const told = await attempt(() => change("undo"));
  if (!told) return;
  say(`${told.label}: as before`);
  if (told.label === label.value) grid.remark(told.image, told.present);
  at("undo").disabled = !told.undo;
}

function alike(id, sign) {
  likes = [...likes.filter((each) => each.id !== id), {id, sign}];
  if (sign > 0) words.value = "";
  submit();
}

// ---- the question, in the address and in the form

function question() {
  const data = new FormData(form);
  const told = Object.fromEntries(FIELDS.map((name) => [name, (data.get(name) ?? "").trim()]).filter(([, value]) => value));
  if (data.get("file_dates")) told.file_dates = "1";
  const signed = (sign) => likes.filter((each) => each.sign === sign).map((each) => each.id);
  return {...told, like: signed(1), unlike: signed(-1)};
}

function toAddress(told) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(told)) for (const one of [value].flat()) query.append(key, one);
  return query.size ? `?${query}` : location.pathname;
}

function fromAddress() {
  const query = new URLSearchParams(location.search);
  for (const name of FIELDS) form.elements[name].value = query.get(name) ?? "";
  form.elements.file_dates.checked = query.has("file_dates");
  likes = [...query.getAll("like").map((id) => ({id: Number(id), sign: 1})), ...query.getAll("unlike").map((id) => ({id: Number(id), sign: -1}))];
  at("filters").open = [...query.keys()].some((key) => !["words", "like", "unlike"].includes(key));
}

function submit() {
  const address = toAddress(question());
  if (address !== location.search) history.pushState(null, "", address);
  find();
}

function drawLikes() {
  at("likes").replaceChildren(...likes.map((each) => make("button", {
    type: "button", "aria-label": `${each.sign > 0 ? "Like" : "Unlike"} this picture: leave it out`,
    onclick: () => { likes = likes.filter((other) => other !== each); submit(); },
  }, picture(each.id), `${each.sign > 0 ? "like this" : "unlike this"} ×`)));
}

// ---- the answer

async function find(more = {}) {
  closeOffers();
  drawLikes();
  const told = question(), number = ++asked;
  document.title = told.words ? `${told.words} · photosearch` : "Search · photosearch";
  if (!told.words && !likes.length) return show(null);
  try {
    const given = await ask("find", {...told, ...more});
    if (number !== asked) return undefined;
    show(given);
    if (given.total === null) {
      const {total} = await ask("total", {result: given.result});
      if (number === asked) { given.total = total; tell(given); grid.grow(total); }
    }
  } catch (error) {
    if (number === asked) { show(null); at("told").textContent = error.message; }
  }
  return undefined;
}

function show(given) {
  answer = given;
  at("tools").hidden = !given?.rows.length;
  at("explained").hidden = !given?.explained.length;
  if (given) label.value = given.label ?? "";
  at("explained").querySelector("ul").replaceChildren(...(given?.explained ?? []).map((line) => make("li", {}, line)));
  scrollTo(0, 0);
  grid.show(given?.rows ?? [], given ? given.total ?? given.rows.length : 0);
  tell(given);
}

function tell(given) {
  const place = at("told");
  if (!given) { place.textContent = ""; return; }
  const by = given.models.join(" and ");
  if (!given.similar) {
    place.replaceChildren(`Nothing is similar enough, by ${by}. `,
      make("button", {type: "button", onclick: () => find({min_similarity: -1})}, "Show the nearest"));
  } else if (given.total === null) place.textContent = `More than ${count(given.rows.length, "photo")}, by ${by}`;
  else if (!given.total) place.textContent = `Nothing found, by ${by}`;
  else place.textContent = given.by === "label" ? `${count(given.total, "photo")}, by ${by}` : `The most similar ${count(given.total, "photo")}, by ${by}`;
}

// ---- labels as one types

let chosen = -1;
function closeOffers() {
  offers.hidden = true;
  chosen = -1;
  words.setAttribute("aria-expanded", "false");
  words.removeAttribute("aria-activedescendant");
}

function choose(to) {
  const each = [...offers.children];
  chosen = (to + each.length + 1) % (each.length + 1) === each.length ? -1 : (to + each.length) % each.length;
  each.forEach((offer, i) => offer.setAttribute("aria-selected", i === chosen));
  if (chosen < 0) words.removeAttribute("aria-activedescendant");
  else { words.setAttribute("aria-activedescendant", each[chosen].id); each[chosen].scrollIntoView({block: "nearest"}); }
}

function take(text) {
  words.value = text;
  closeOffers();
  words.focus();
}

let typed = 0;
words.addEventListener("input", async () => {
  const text = words.value, number = ++typed;
  const found = text.trim() ? await ask("complete", {words: text}).catch(() => []) : [];
  if (number !== typed || document.activeElement !== words || asking === text) return;
  closeOffers();
  offers.replaceChildren(...found.filter((each) => each !== text).map((each, i) => make("li", {
    id: `offer-${i}`, role: "option", "aria-selected": false, onmousedown: (event) => { event.preventDefault(); take(each); },
  }, each)));
  offers.hidden = !offers.children.length;
  words.setAttribute("aria-expanded", String(!offers.hidden));
});
words.addEventListener("keydown", (event) => {
  if (offers.hidden) return;
  if (event.key === "ArrowDown") choose(chosen + 1);
  else if (event.key === "ArrowUp") choose(chosen < 0 ? offers.children.length - 1 : chosen - 1);
  else if (event.key === "Escape") closeOffers();
  else if (event.key === "Enter" && chosen >= 0) take(offers.children[chosen].textContent);
  else return;
  event.preventDefault();
});
words.addEventListener("blur", closeOffers);

// ---- albums

at("album").addEventListener("click", () => {
  at("album-count").textContent = `This answer has ${count(answer.total ?? answer.rows.length, "photo")}.`;
  at("album-name").value = (answer.asked || "like this").replace(/[/\\:*?"<>|]/g, " ").slice(0, 60);
  at("make-album").showModal();
});
at("album-cancel").addEventListener("click", () => at("make-album").close());
at("album-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const how = new FormData(event.target).get("how");
  const first = Number(at("album-first").value); // 0 where it is left empty: all
  const places = first ? [...Array(Math.min(first, answer.total ?? first)).keys()] : null;
  const told = await attempt(() => change("album", {result: answer.result, places, name: at("album-name").value, how}));
  if (!told) return;
  at("make-album").close();
  const more = `${told.there ? `, ${told.there} were there already` : ""}${told.missing ? `, ${told.missing} missing` : ""}`;
  say(`${told.folder}: ${count(told.made, how === "link" ? "link" : "copy", how === "link" ? "links" : "copies")}${more}`);
});
at("make-album").addEventListener("close", () => document.body.append(at("message")));

// ---- keys, and the beginning

document.addEventListener("keydown", (event) => {
  if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const keys = {
    "/": () => { words.focus(); words.select(); }, u: undo, y: () => mark(grid.current, true), n: () => mark(grid.current, false),
    l: async () => { const row = await grid.row(grid.current); if (row) alike(row.image_id, 1); },
  };
  const act = keys[event.key.toLowerCase()];
  if (!act || (event.key !== "/" && !grid.total)) return;
  event.preventDefault();
  act();
});
let asking = null;
form.addEventListener("submit", (event) => { event.preventDefault(); asking = words.value; typed += 1; submit(); });
at("filters").addEventListener("change", () => { if (words.value.trim() || likes.length) submit(); });
at("clear").addEventListener("click", () => {
  for (const name of FIELDS) if (name !== "words") form.elements[name].value = "";
  form.elements.file_dates.checked = false;
  submit();
});
at("undo").addEventListener("click", undo);
label.addEventListener("change", () => { if (answer) find({label: label.value}); });
addEventListener("popstate", () => { fromAddress(); find(); });

attempt(async () => {
  const within = new URLSearchParams(location.search).has("under"); // only then must the folders be known first
  fromAddress();
  const found = within ? null : find();
  if (!location.search) words.focus();
  const [known, folders, status] = await Promise.all([listLabels(), ask("folders"), ask("status")]);
  at("undo").disabled = !status.undo;
  const names = [...new Set(known.map((each) => each.label))];
  label.replaceChildren(make("option", {value: ""}, "choose a label"), ...names.map((name) => make("option", {value: name}, name)));
  label.value = answer?.label ?? "";
  form.elements.under.append(...folders.map((each) => make("option", {value: each.id}, each.path)));
  if (within) fromAddress();
  await (within ? find() : found);
});
