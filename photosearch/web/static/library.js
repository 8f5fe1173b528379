// The page "Library": folders, runs, models, checks.
import {ask, attempt, byId, change, formatBytes, formatCount, make, showMessage} from "./api.js";
import {confirm} from "./confirm.js";
import {AddFolder} from "./add_folder.js";
import {FolderSettings} from "./folder_settings.js";
import {Models} from "./models.js";
import {RunPanel} from "./run_panel.js";
import {describeSummary, formatSeconds} from "./runs.mjs";
import {WatchPanel} from "./watch_panel.js";

const panel = new RunPanel({ended: () => reload()});
const watch = new WatchPanel(() => reload());
const form = new AddFolder((request) => panel.start(request));
const settings = new FolderSettings(() => reload());
const models = new Models(() => reload());

async function reload() {
  const [library, known] = await Promise.all([attempt(() => ask("library")), models.load()]);
  if (known) form.showModels(known);
  if (!library) { byId("summary").textContent = ""; return; }
  const {path, size_bytes: size, photos, unreadable, removed, marks, folders, runs} = library;
  const counts = [formatCount(photos, "photo"), unreadable ? `${unreadable.toLocaleString("en")} unreadable` : "",
    removed ? `${removed.toLocaleString("en")} removed` : "", formatCount(marks, "mark")].filter(Boolean).join(", ");
  byId("summary").replaceChildren(`${counts}. The library is `, make("code", {}, path), ` (${formatBytes(size)}).`);
  byId("folder-rows").replaceChildren(...folders.map(makeFolder));
  watch.enable();
  byId("no-folders").hidden = folders.length > 0;
  byId("all-folders").hidden = !folders.length;
  byId("run-rows").replaceChildren(...runs.map(makeRun));
  byId("runs").hidden = !runs.length;
}

function makeFolder(folder) {
  const {path, present, photos, unreadable, removed, excluded, words} = folder;
  const counts = [formatCount(photos, "photo"), ...Object.entries({unreadable, removed, excluded}).filter(([, n]) => n)
    .map(([name, n]) => `${n.toLocaleString("en")} ${name}`)].join(", ");
  const settingsText = Object.entries(words).map(([name, text]) => `${name}: ${text}`).join("; ");
  const named = (text, onclick, className = "") => make("button", {type: "button", className, "aria-label": `${text.replace("…", "")}: ${path}`, onclick}, text);
  return make("li", {}, make("div", {className: "about"}, make("b", {}, make("bdi", {}, path)),
    make("p", {}, `${counts}${present ? "" : " (not here now)"}`), make("p", {className: "small"}, settingsText)),
  make("div", {className: "buttons"}, named("Index again", () => index({folder: folder.id}, path)),
    named("Watch", () => watch.start({folder: folder.id}), "watch"),
    named("Settings…", () => models.known && settings.open(folder, models.known)), named("Forget…", () => forget(folder))));
}

function makeRun({started_at: started, finished_at: finished, models: names, provider, summary}) {
  const seconds = finished ? (Date.parse(finished) - Date.parse(started)) / 1000 : null;
  const took = seconds === null ? "not finished" : formatSeconds(seconds);
  return make("tr", {}, make("td", {}, new Date(started).toLocaleString("sv").slice(0, 16)), make("td", {}, took),
    make("td", {}, `${names.join(", ")} on ${provider}`),
    make("td", {}, `${describeSummary(summary)}${summary?.stopped ? "; stopped" : ""}`));
}

// ---- index again, with what the boxes below the folders say

async function index(request, path = "all folders") {
  const options = {retry: byId("index-retry").checked, prune: byId("index-prune").checked, force: byId("index-force").checked};
  const begin = async () => {
    if (await panel.start({...request, ...options})) for (const name of ["retry", "prune", "force"]) byId(`index-${name}`).checked = false;
  };
  if (!options.prune) { await begin(); return; }
  confirm({
    title: "Remove missing photos?", yes: "Index and remove", lines: [`${path}: photos that are no longer on the disk are removed from `
      + "the results, even if most of a folder is missing. Check that its drive is connected. Your marks are kept.", "No file is changed."],
  }, begin);
}

byId("index-all").addEventListener("click", () => index({}));

// ---- forget a folder

async function forget(folder) {
  const counts = await attempt(() => ask("forgotten", {folder: folder.id}));
  if (!counts) return;
  const {path, photos, marks, judged, backups} = counts;
  const lines = [`This removes from the library: ${formatCount(photos, "photo")}, ${formatCount(marks, "mark")} of yours, `
    + `${formatCount(judged, "judged photo of samples", "judged photos of samples")}. It can't be undone.`, "The files in the folder are not changed."];
  if (backups.length) lines.push(`Backups that still contain them: ${backups.join(", ")}.`);
  confirm({title: `Forget ${path}?`, lines, yes: "Forget this folder"}, async () => {
    const done = await attempt(() => change("forget", {folder: folder.id, photos, marks}));
    if (done) showMessage(`Forgotten: ${done.path}`);
    await reload();
  });
}

// ---- checks

byId("check").addEventListener("click", async () => {
  byId("check").disabled = true;
  byId("check-summary").textContent = "Checking…";
  byId("check-rows").replaceChildren();
  const checks = await attempt(() => change("checks"));
  byId("check").disabled = false;
  if (!checks) { byId("check-summary").textContent = ""; return; }
  const failed = checks.filter(({works, installed}) => installed && !works).length;
  byId("check-summary").textContent = failed ? `${formatCount(failed, "check")} failed.` : "Everything that is installed works.";
  byId("check-rows").replaceChildren(...checks.map(({name, works, installed, detail, milliseconds}) => make("li", {}, make("div", {className: "about"},
    make("b", {}, name), make("p", {className: works ? "works" : installed ? "fails" : ""},
      `${works ? "works" : installed ? "FAILS" : "not installed"}${milliseconds === null ? "" : `, ${milliseconds.toFixed(2)} ms per photo`}`),
    make("p", {className: "small"}, detail)))));
});

reload();
