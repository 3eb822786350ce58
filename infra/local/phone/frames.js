// The two frames: the phone's browser inside WeChat, and the PC's browser. The script frame.js, which
// the server adds to their pages, exchanges messages with this one.

import { $ } from "./elements.js";

const ANSWER = 600; // ms until a page without the script is given up

const frames = { phone: $("web"), pc: $("pc") };
const waiting = { phone: null, pc: null }; // what to do with the next page that has loaded
const fills = { phone: null, pc: null }; // resolve functions of fills in progress
let onPage = () => {};

const nameOf = (source) => Object.keys(frames).find((name) => frames[name].contentWindow === source);
const post = (name, message) => frames[name].contentWindow.postMessage(message, "*");

addEventListener("message", ({ source, data }) => {
  const name = nameOf(source);
  if (!name) return;
  if (data.at) {
    onPage(name, data.at);
    const next = waiting[name];
    if (next && new URL(data.at).pathname === next.path) {
      waiting[name] = null;
      post(name, { fill: next.values });
    }
  }
  if ("filled" in data) fills[name]?.(data.filled);
});

/** Call a function with the frame's name and its address whenever a page of it has loaded. */
export function watchPages(callback) {
  onPage = callback;
}

/** Set by how many seconds the clock of both frames is ahead of the browser's. */
export function setAhead(ahead) {
  for (const name of Object.keys(frames)) post(name, { ahead });
}

/** Fill in fields by name; return whether one was in sight. Without one, `otherwise` is opened. */
export function fill(name, values, otherwise = null) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(Boolean(otherwise)), ANSWER);
    fills[name] = (filled) => {
      clearTimeout(timer);
      resolve(filled);
    };
    post(name, { fill: values, otherwise });
  });
}

/** Fill in fields once the frame has loaded a page with this path. */
export function fillNext(name, path, values) {
  waiting[name] = { path, values };
}

/** Open an address; with `fresh`, the frame's origin first forgets what it has stored. */
export function openIn(name, url, { fresh = false } = {}) {
  waiting[name] = null;
  const frame = frames[name];
  if (fresh && frame.src) {
    post(name, { fresh: url });
    return;
  }
  frame.src = url;
}
