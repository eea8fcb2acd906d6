// Make parts of the page. All content is inserted as text.

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

// Free the memory of the pictures and downloads shown before.
export function forgetBlobs() {
  blobs.forEach((made) => URL.revokeObjectURL(made));
  blobs = [];
}
