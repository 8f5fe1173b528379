// What the page says of results, photos, advice and learning.

export const formatCount = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
export const formatPercent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

// [[day, photos]] of rows that stand by days; '' for those without a date of their own.
export function groupByDay(rows) {
  const days = [];
  for (const row of rows) {
    const day = row && row.taken_from !== "file" ? row.taken.slice(0, 10) : "";
    if (days.at(-1)?.[0] === day) days.at(-1)[1] += 1; else days.push([day, 1]);
  }
  return days;
}

// What ranks a photo: short for its tile, long for who can't see that.
export function describeRank({by, score, taken}) {
  if (by === "date") return {short: taken.slice(0, 10) || "no date", long: taken.replace("T", " ") || "no date"};
  return {short: score.toFixed(3), long: `${by === "label" ? "score" : "similarity"} ${score.toFixed(3)}`};
}

// Labels in the groups of a menu: those that were only marked, those with photos here, all others.
export function groupLabels(labels) {
  const groups = [["To be learned", ({is_new: isNew}) => isNew], ["In your photos", ({photos}) => photos > 0],
    ["Other labels", ({is_new: isNew, photos}) => !isNew && !photos]];
  return groups.map(([title, belongs]) => ({title, rows: labels.filter(belongs)})).filter(({rows}) => rows.length);
}

const ORDERS = {oldest: "oldest first", name: "by name", size: "largest first"};

// The line above the results of /api/find. isFiltered: whether dates, a folder or the like leave photos out. isAsked:
// whether there are words, or photos to be like.
export function summarize({since, until, ...result}, state) {
  const days = since && since === until ? `, of ${since}` : `${since ? `, from ${since}` : ""}${until ? `, until ${until}` : ""}`;
  return summarizeFound(result, state, days);
}

function summarizeFound({ranked_by: rankedBy, is_user_label: isUserLabel, photos, total}, {isFiltered, isAsked, sort}, days) {
  if (total === null) return `More than ${formatCount(photos.length, "photo")}${days}`;
  const {total: n, n_sure: nSure} = total, user = `${isUserLabel ? " (your label)" : ""}${days}`;
  if (!n && days && !isFiltered) return "Nothing found at that time; ask without it.";
  if (!n) return isFiltered ? "Nothing found with these filters." : isAsked ? "Nothing found." : "No photos yet. Add a folder on the Library page.";
  if (!nSure) return `No sure match; the nearest ${formatCount(n, "photo")}${days}`;
  const sure = rankedBy === "similarity" ? formatCount(nSure, "closest match", "closest matches") : formatCount(nSure, "photo");
  if (nSure < n) return `${sure}${user}, and ${(n - nSure).toLocaleString("en")} not sure`;
  return `${sure}${user}${rankedBy === "date" ? `, ${ORDERS[sort] ?? "newest first"}` : ""}`;
}

const KINDS = {label: "", description: "", taken: "taken", in: "in", near: "near", camera: "camera", lens: "lens", keyword: "keyword",
  person: "person", rating: "rating", folder: "folder", text: "text", is: "is", any: ""};

// A piece of a sentence as a chip: {kind, text, isUnwanted}.
export function describeChip({kind, value, wanted}) {
  const text = kind === "taken" ? describeDays(value) : kind === "description" ? `“${value}”` : value;
  return {kind: [wanted ? "" : "not", KINDS[kind] ?? kind].filter(Boolean).join(" "), text, isUnwanted: !wanted};
}

// 2019-05-01..2019-05-31 -> 2019-05; ..2019-05-31 -> until 2019-05-31.
function describeDays(value) {
  const [since, until = since] = value.split("..");
  if (!since || !until) return since ? `since ${since}` : `until ${until}`;
  const [year, month] = since.split("-"), isLast = new Date(Date.UTC(year, month, 0)).toISOString().slice(0, 10) === until;
  if (since.endsWith("-01-01") && until.endsWith("-12-31")) return since.slice(0, 4) === until.slice(0, 4) ? year : `${year} to ${until.slice(0, 4)}`;
  if (since === `${year}-${month}-01` && isLast) return `${year}-${month}`;
  return since === until ? since : `${since} to ${until}`;
}

// Towns by their country, both with the most photos first. rows: [{value, group, photos}].
export function groupPlaces(rows) {
  const countries = new Map();
  for (const row of rows) {
    const country = countries.get(row.group) ?? {country: row.group, photos: 0, towns: []};
    country.photos += row.photos;
    if (row.value !== row.group) country.towns.push(row);
    countries.set(row.group, country);
  }
  return [...countries.values()].sort((a, b) => b.photos - a.photos);
}

// A line of advice, and what its button does: ask another question, or mark photos for a label.
export function describeAdvice({text, words, label, model}) {
  if (model) return {text: `${text}.`, button: "", link: `Download ${model}…`};
  if (words) return {text, button: `Search for “${words}”`};
  if (!label) return {text, button: ""};
  return {text: `“${label}” has to be learned first: mark photos that show it, and photos that do not.`, button: `Mark photos for “${label}”`};
}

// How far a label is from being learned. isTaught: the user is marking photos for it; without marks it is silent else.
export function describeReadiness(readiness, isTaught) {
  const {label, yes, no, missing_yes: missingYes, missing_no: missingNo, has_vectors: hasVectors, is_ready: isReady,
    is_learned: isLearned} = readiness;
  const canUndo = isLearned, learn = isReady && hasVectors ? `Learn “${label}” from ${formatCount(yes + no, "mark")}` : "";
  if (learn) return {text: "", learn, canUndo};
  if (isLearned) return {text: `“${label}” was learned from your marks.`, learn, canUndo};
  if (!yes && !no && !isTaught) return {text: "", learn, canUndo};
  if (!hasVectors) return {text: `“${label}” can't be learned: the default model gives no vectors.`, learn, canUndo};
  const missing = [[missingYes, "yes"], [missingNo, "no"]].filter(([n]) => n).map(([n, mark]) => `${n} more ${mark}`).join(" and ");
  return {text: `“${label}”: ${yes} marked yes, ${no} no. To learn it: ${missing}.`, learn, canUndo};
}

// What learning would change, line by line.
export function describePreview({better, why, found, found_before: before, shares, shares_before: old}) {
  const figures = ({precision, recall}) => `precision ${formatPercent(precision)}, recall ${formatPercent(recall)}`;
  const finds = `It would find ${formatCount(found, "photo")}`;
  const lines = [before === null ? `${finds}.` : `${finds}; now ${before.toLocaleString("en")}.`];
  if (!better) lines[0] = `The label stays as it is, and finds ${formatCount(found, "photo")}: ${why}. More marks may help.`;
  lines.push(`On your marks, cross-validated: ${figures(shares)}${old ? `; the label now: ${figures(old)}` : ""}.`);
  return lines;
}
