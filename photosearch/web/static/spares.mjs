// What the page says of duplicates, bursts, and spare photos that are moved.
import {formatBytes} from "./facts.mjs";
import {formatCount} from "./wording.mjs";

const KINDS = {
  kept: "Keep this one", "same content": "Identical file", near: "Same picture", "raw pair": "Keep: RAW and JPEG of one shot",
  "edited copy": "Keep: an edited copy and its original", "live photo": "Keep: it has a video",
};

// A photo of a group: what it is, and why.
export function describeMember({kind, reason}) {
  return {title: KINDS[kind] ?? kind, reason: reason ? `${kind === "kept" ? "Kept: " : ""}${reason}` : ""};
}

// The line above the groups.
export function describeGroups({total, spare_bytes: spareBytes}) {
  return total ? `${formatCount(total, "group")}. Removing extra copies would free ${formatBytes(spareBytes)}.` : "No duplicates found.";
}

export const describeBursts = ({total, photos}) => (total ? `${formatCount(total, "burst")}, ${formatCount(photos, "photo")}` : "No bursts found.");

const countFiles = ({photos, beside}) => `${formatCount(photos, "spare photo")}${beside ? ` and ${formatCount(beside, "file")} beside them` : ""}`;

// What a plan would do, in lines; whether there is anything to do is told by `isEmpty`.
export function describePlan(plan) {
  const {folder, size_bytes: size, n_left: left, excluded_from: indexed, unfinished} = plan, isEmpty = !plan.photos && !unfinished;
  return {isEmpty, lines: [
    isEmpty ? "Nothing to move." : `This would move ${countFiles(plan)}, ${formatBytes(size)}, to ${folder}. Nothing is deleted.`,
    ...(unfinished ? ["A move was cut off there; it is finished first."] : []),
    ...(indexed && !isEmpty ? [`That folder is in ${indexed}: it will be excluded from indexing.`] : []),
    ...(left ? [`${formatCount(left, "photo")} would stay:`] : []),
  ]};
}

// The state of a move, as the server tells it.
export function describeMove(move) {
  const {running, back, done, total, photos, files, size_bytes: size, error, folder, n_left: left} = move;
  const count = total === null ? formatCount(done, "photo") : `${done.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  if (running) return `${back ? "Moving back" : "Moving"}: ${count}`;
  if (error) return error;
  const what = countFiles({photos, beside: files - photos}).replace("spare photo", "photo");
  const stayed = left ? ` ${formatCount(left, "file")} stayed:` : "";
  return back ? `Moved back ${what}.${stayed}` : `Moved ${what}, ${formatBytes(size)}, to ${folder}.${stayed}`;
}
