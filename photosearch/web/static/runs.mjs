// What the page says of an index run, of unreadable photos, and of a folder's settings.
import {formatCount} from "./wording.mjs";

const number = (n) => n.toLocaleString("en");
export const formatRate = (rate) => number(rate >= 10 ? Math.round(rate) : Math.round(rate * 10) / 10);

// 40 -> "less than a minute", 200 -> "about 3 minutes", 8000 -> "about 2 hours".
export function formatDuration(seconds) {
  if (seconds < 45) return "less than a minute";
  if (seconds < 5400) return `about ${formatCount(Math.max(1, Math.round(seconds / 60)), "minute")}`;
  return `about ${formatCount(Math.max(2, Math.round(seconds / 3600)), "hour")}`;
}

// Seconds until the end of a run; null where nobody can say.
export const estimateLeft = ({done, total, rate}) => (total !== null && total >= done && rate > 0 ? (total - done) / rate : null);

// The line above the bar of a run that is going on.
export function describeRun(run) {
  const {stopping, done, total, rate} = run, left = estimateLeft(run);
  if (stopping) return "Finishing the current batch. What is done is kept.";
  if (!done) return total === null ? "Starting: the model is loaded, and the photos are counted." : `Starting: ${formatCount(total, "photo")}.`;
  const speed = rate > 0 ? `, ${formatRate(rate)} a second` : "";
  if (total === null || total < done) return `${formatCount(done, "photo")} so far${speed}`;
  return `${number(done)} of ${formatCount(total, "photo")}${speed}${left === null ? "" : `, ${formatDuration(left)} left`}`;
}

const COUNTED = ["new", "changed", "rescored", "unchanged", "moved", "returned", "unreadable", "excluded", "removed"];

// What a run has done, by its summary: "300 photos: 290 new, 10 unreadable". Of a run in the list, too.
export function describeSummary(summary) {
  if (!summary) return "";
  const counts = COUNTED.filter((name) => summary[name]).map((name) => `${number(summary[name])} ${name}`);
  return counts.length ? counts.join(", ") : "nothing new";
}

// The line below a run that has ended.
export function describeEnd({error, stopped, done, total, seconds, summary}) {
  if (error) return error;
  const photos = total !== null && stopped ? `${number(done)} of ${formatCount(total, "photo")}` : formatCount(done, "photo");
  if (stopped) return `Stopped after ${photos}. What is done is kept; index again to go on.`;
  return `Done: ${photos} in ${formatSeconds(seconds)}: ${describeSummary(summary)}.`;
}

export const formatSeconds = (seconds) => (seconds < 100 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : `${Math.round(seconds / 60)} min`);

// What watched folders do. at: the time of the last change, to be shown. name: of the folders.
export function describeWatch({running, stopping, indexing, summary, error, number}, at, name) {
  if (error) return error;
  const last = summary ? ` Last change, ${at}: ${describeSummary(summary)}.` : "";
  if (!running) return number ? `Not watching any more.${last}` : "";
  if (stopping) return "Stopping. What is done is kept.";
  return `Watching ${name}${indexing ? "; indexing what has changed" : ""}.${last || " Nothing has changed yet."}`;
}

// An event that a user should know of, as the server sends it.
export function describeNote({event, path, ...rest}) {
  if (event === "WatchStarted") return describeWatched(path, rest);
  if (event === "FolderAway") return `${path}: empty or not connected; nothing changes until its photos are there`;
  if (event === "ListFailed") return `${path}: can't be listed: ${rest.reason}; its photos stay in the library`;
  if (event === "RootMoved") return `${rest.before} is now ${path}; nothing is indexed again`;
  if (event === "NotScored") return `${formatCount(rest.photos, "photo")} not scored, the first is ${path}: ${rest.reason}; index again`;
  if (event === "PatternUnused") return `“${rest.pattern}” ${rest.excludes ? "excludes nothing" : "includes nothing that is excluded"} in ${path}`;
  if (event === "RemovalRefused") {
    return `${path}: ${number(rest.missing)} of ${formatCount(rest.known, "photo")} are missing${rest.earlier ? ` after ${number(rest.earlier)} others` : ""}, so none was removed from the library. `
      + "Is a drive not connected? If they are deleted, tick “Remove missing photos”, and index again.";
  }
  return `${event}: ${path}`;
}

function describeWatched(path, {seconds, reason}) {
  if (seconds === null) return reason ? `${path}: can't be watched: ${reason}; it is indexed again once an hour` : `${path}: changes are reported by the system`;
  return `${path}: looked at every ${seconds} s${reason ? `, since ${reason}` : ""}`;
}

// What a screen reader should say when a run goes from one state to another: its start, each tenth, its end; else "".
export function announce(before, now) {
  if (now.running && (!before?.running || before.number !== now.number)) return "Indexing has begun";
  if (before?.running && !now.running) return describeEnd(now);
  const tenth = ({done, total}) => (total ? Math.floor((10 * done) / total) : 0);
  if (now.running && !now.stopping && before && tenth(now) > tenth(before)) return describeRun(now);
  return now.stopping && !before?.stopping ? describeRun(now) : "";
}

// How far a download is, or how it ended. format: bytes -> text.
export function describePull({name, running, bytes, size_bytes: size, error, remarks}, format) {
  if (!name) return "";
  if (running) return bytes < size ? `${name}: ${format(bytes)} of ${format(size)}` : `${name}: checking and adding it`;
  return error ?? [`${name} is here. To use it, choose it in the settings of a folder, and index again.`, ...remarks].join(" ");
}

// Unreadable photos by reason, the most frequent reason first: [{reason, photos}].
export function groupReasons(photos) {
  const groups = new Map();
  for (const photo of photos) {
    if (!groups.has(photo.reason)) groups.set(photo.reason, []);
    groups.get(photo.reason).push(photo);
  }
  return [...groups].map(([reason, found]) => ({reason, photos: found})).sort((a, b) => b.photos.length - a.photos.length);
}

// Patterns as typed, one a line -> a list. own: the folder's own list so far, null where it has none: it stays as it is
// where nothing was changed, and an empty list is not the same as none.
export function readPatterns(text, own) {
  const typed = text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (typed.join("\n") === (own ?? []).join("\n")) return own;
  return typed.length ? typed : null;
}

// "", "yes", "no" <-> null, true, false.
export const readChoice = (value) => (value === "" ? null : value === "yes");
export const writeChoice = (value) => (value === null || value === undefined ? "" : value ? "yes" : "no");
