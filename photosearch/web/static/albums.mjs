// What the page says of albums of the library, and of what was undone.
import {formatCount} from "./wording.mjs";

const fold = (name) => name.trim().replace(/\s+/g, " ").toLocaleLowerCase();

// The line below the name of an album that is typed. albums: [{name, photos}].
export function describeTarget(typed, albums) {
  if (!typed.trim()) return albums.length ? `You have ${formatCount(albums.length, "album")}.` : "This will be your first album.";
  const album = albums.find(({name}) => fold(name) === fold(typed));
  return album ? `“${album.name}” has ${formatCount(album.photos, "photo")}.` : "A new album.";
}

// What was done to an album, as the server answers.
export function describeChange({name, photos, created}, isAdded) {
  if (created) return `“${name}” was created, with ${formatCount(photos, "photo")}`;
  if (!photos) return isAdded ? `“${name}” has these photos already` : `None of these photos is in “${name}”`;
  return `${formatCount(photos, "photo")} ${isAdded ? "added to" : "removed from"} “${name}”`;
}

const UNDONE = {created: "was made", renamed: "was renamed", deleted: "was deleted"};

// {marks, album} as /api/undo answers; one of them has what was undone.
export function describeUndone({marks, album}) {
  if (!album) return `Undone: ${marks.length === 1 ? marks[0].label : formatCount(marks.length, "mark")}`;
  const {name, change, images} = album;
  return `Undone: “${name}” ${UNDONE[change] ?? `changed by ${formatCount(images, "photo")}`}`;
}
