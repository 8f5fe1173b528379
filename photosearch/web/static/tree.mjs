// Folders, as a tree and as a way from its root.

// rows: [{id, path, photos, own}], a folder before those in it -> the same as roots with `children` and a `name`.
export function makeTree(rows) {
  const roots = [], above = [];
  for (const row of rows) {
    while (above.length && !isBelow(row.path, above.at(-1).path)) above.pop();
    const parent = above.at(-1), node = {...row, children: [], name: parent ? row.path.slice(cut(parent.path)) : row.path};
    (parent?.children ?? roots).push(node);
    above.push(node);
  }
  return roots;
}

const cut = (path) => (/[/\\]$/.test(path) ? path.length : path.length + 1);
const isBelow = (path, folder) => path.startsWith(folder) && path.length > folder.length && (/[/\\]$/.test(folder) || /[/\\]/.test(path[folder.length]));
