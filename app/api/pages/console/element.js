// Make parts of the page. What they hold is put in as text, whoever wrote it.

export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

let blobs = [];

export function blobAddress(body, type) {
  const made = URL.createObjectURL(new Blob([body], { type }));
  blobs.push(made);
  return made;
}

// Give back the memory of the pictures and downloads shown before.
export function forgetBlobs() {
  blobs.forEach((made) => URL.revokeObjectURL(made));
  blobs = [];
}
