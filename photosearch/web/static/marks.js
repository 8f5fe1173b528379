// Marks and their undo, and that of albums. A tab takes back what was changed in it, and nothing else.
import {describeUndone} from "./albums.mjs";
import {attempt, change, showMessage} from "./api.js";
import {Clicks, UndoSteps} from "./clicks.mjs";

const listeners = [], albumListeners = [];
const clicks = new Clicks(), steps = new UndoSteps(sessionStorage);
let queue = Promise.resolve(); // requests one after the other: the last click counts

// listener(marks): what this page changed, as [{image_id, label, present}]; present is null for no mark.
export const onMarks = (listener) => listeners.push(listener);

const newLabels = new Set(); // that the user chose to make

export const allowNew = (label) => newLabels.add(label);

export function mark(imageId, label, present) {
  const key = `${imageId} ${label}`;
  clicks.ask(key, present);
  return enqueue(async () => {
    try {
      const {marks, step} = await change("mark", {image_id: imageId, label, present, new: newLabels.has(label)});
      steps.add(step);
      return marks;
    } finally {
      clicks.answer(key);
    }
  });
}

// Mark all selected photos in one step. selected: {result, ranges} -> {n, label}; undefined where it failed.
export const markMany = (selected, label, present) => changeMany("mark_selected", {...selected, label, present, new: newLabels.has(label)});

// A change whose answer has the step that takes it back -> the answer; undefined where it failed.
export function changeMany(name, body) {
  const request = async () => {
    const done = await change(name, body);
    if (done.step !== null) steps.add(done.step);
    return done;
  };
  const done = queue.then(() => attempt(request)).finally(enableUndo);
  queue = done.catch(() => {});
  return done;
}

// A click on "shows it" (clicked: true) or "does not" (false). shown: the mark on the page.
export const toggle = (imageId, label, shown, clicked) => mark(imageId, label, clicks.toggle(`${imageId} ${label}`, shown, clicked));

// listener(album): its change was taken back, {name, change, images}.
export const onAlbumUndone = (listener) => albumListeners.push(listener);

export async function undo() {
  let undone;
  const marks = await enqueue(async () => {
    const step = steps.last;
    if (step === undefined) throw new Error("This tab has nothing to undo");
    try {
      undone = await change("undo", {step});
      steps.remove(step);
      return undone.marks;
    } catch (error) {
      if (error.status === 400) steps.remove(step); // it can't be undone any more
      throw error;
    }
  });
  if (marks) showMessage(describeUndone(undone));
  if (marks && undone.album) for (const listener of albumListeners) listener(undone.album);
  return marks;
}

function enqueue(request) {
  const done = queue.then(() => attempt(request)).then((marks) => {
    enableUndo();
    if (marks) for (const listener of listeners) listener(marks);
    return marks;
  });
  queue = done.catch(() => {});
  return done;
}

function enableUndo() {
  for (const button of document.querySelectorAll("button.undo")) button.disabled = steps.last === undefined;
}

for (const button of document.querySelectorAll("button.undo")) button.addEventListener("click", undo);
addEventListener("pageshow", enableUndo); // after the back button, too
