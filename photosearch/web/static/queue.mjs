// The photos that are still to be judged, and what the page says of them.
import {formatCount} from "./wording.mjs";

export class Queue {
  // about: as /api/queue gives it, null before the first answer.
  constructor() { Object.assign(this, {about: null, items: [], skipped: new Set()}); }

  // first: image ids to show before the others.
  load(about, first = new Set()) {
    const left = about.items.filter(({image_id: id}) => !this.skipped.has(id)), isFirst = ({image_id: id}) => first.has(id);
    Object.assign(this, {about, items: [...left.filter(isFirst), ...left.filter((item) => !isFirst(item))]});
  }

  // The photo to judge is taken out -> {item, isCurrent(), putBack()}. isCurrent(): whether no other queue came meanwhile.
  take() {
    const {items} = this, item = items.shift(), isCurrent = () => items === this.items;
    return {item, isCurrent, putBack: () => { if (isCurrent()) items.unshift(item); }};
  }

  // It does not come again, until it is marked and unmarked, or another list is chosen.
  skip() {
    const {item} = this.take();
    if (item) this.skipped.add(item.image_id);
  }

  ask(imageIds) { for (const id of imageIds) this.skipped.delete(id); }

  forgetSkipped() { this.skipped.clear(); }
}

// A sample is judged without its scores, which would influence the answers.
export function describeItem({score, other_score: otherScore}, {kind, model, threshold, other_model: otherModel}, left) {
  if (kind === "sample") return `${formatCount(left, "photo")} left in the sample`;
  const other = otherScore === null ? "" : `; ${otherModel}: score ${otherScore.toFixed(3)}`;
  return `${model}: score ${score.toFixed(3)}, threshold ${threshold.toFixed(3)}${other}`;
}

export function explainEmpty({kind, model, other_model: otherModel, unjudged}) {
  if (kind === "sample") return unjudged === null ? "No sample was drawn yet." : "The whole sample is judged: the report now covers the whole library.";
  if (kind === "disagree") return otherModel ? `${model} and ${otherModel} agree on all other photos.` : "Only one model has this label.";
  return "All photos with a score are judged.";
}
