// Marks and their undo. The library has one undo log, so an undo may take back marks of the command line or another tab.
import {attempt, change, formatCount, showMessage} from "./api.js";

const listeners = [];
let changedAt = 0;

// listener(marks): what this page changed, as [{image_id, label, present}]; present is null for no mark.
export const onMarks = (listener) => listeners.push(listener);

export const mark = (imageId, label, present) => apply("mark", {image_id: imageId, label, present});

export async function undo() {
  const marks = await apply("undo");
  if (marks) showMessage(`Undone: ${marks.length === 1 ? marks[0].label : formatCount(marks.length, "mark")}`);
  return marks;
}

async function apply(name, body) {
  const response = await attempt(() => change(name, body));
  if (!response) return undefined;
  changedAt = performance.now();
  enableUndo(response.undo_steps);
  for (const listener of listeners) listener(response.marks);
  return response.marks;
}

function enableUndo(steps) {
  for (const button of document.querySelectorAll("button.undo")) button.disabled = !steps;
}

for (const button of document.querySelectorAll("button.undo")) button.addEventListener("click", undo);
document.addEventListener("status", ({detail}) => { if (detail.requestedAt > changedAt) enableUndo(detail.undo_steps); });
