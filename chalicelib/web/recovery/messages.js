// Messages to the person, and the state of buttons: busy, or disabled for a time.

import { call, page } from "./api.js";

export const $ = (id) => document.getElementById(id);
const number = page.support.split("/")[0];
// Problems that belong to no field.
const GENERAL = ["network", "no-solver", "unavailable", "forbidden", "proof-invalid"];

/** Normalize an input: full-width characters to half-width, no white space, nothing invisible. */
export const fold = (text) => text.normalize("NFKC").replace(/[\s\u200b-\u200d\u2060\ufeff]/g, "");

/** Set an element's text; the support's telephone number in it becomes a link. */
export function setText(element, text) {
  const parts = text.split(number);
  element.textContent = parts[0];
  for (const part of parts.slice(1)) {
    const link = document.createElement("a");
    link.href = `tel:${number}`;
    link.textContent = number;
    element.append(link, part);
  }
}

/** Announce a text to screen readers. */
export function announce(text) {
  $("live").textContent = "";
  // Browsers ignore a region that is emptied and filled in the same task.
  setTimeout(() => {
    $("live").textContent = text;
  }, 60);
}

/** Set or remove the error of a field. */
export function setError(id, text = "") {
  $(id).setAttribute("aria-invalid", String(Boolean(text)));
  setText($(`${id}-error`), text);
}

/** Set a field's error, move the focus to the field and announce the error. */
export function showError(id, text) {
  setError(id, text);
  $(id).focus();
  $(id).closest(".field").scrollIntoView({ block: "nearest" });
  announce(text);
}

/** Show a message above the pressed button; remove it with an empty text. */
export function showAlarm(text, button = null) {
  const place = $("alarm");
  if (button) button.before(place);
  setText(place, text);
  place.hidden = !text;
  if (text) place.focus();
}

const handlers = {}; // code of a problem -> function that shows it on a screen of its own

/** Register the function that shows the problems of a code. */
export function onProblem(code, handler) {
  handlers[code] = handler;
}

/**
 * Show a problem at the field that it names, or else at `field`; above the button where it belongs
 * to no field. The button is disabled for `retry_after` seconds.
 */
export function showProblem(problem, button, field = null) {
  if (handlers[problem.code]) return handlers[problem.code](problem);
  const named = problem.field && $(`${problem.field}-error`) ? problem.field : field;
  const place = GENERAL.includes(problem.code) ? null : named;
  if (problem.retry_after && button.matches("button")) {
    disableUntil(button, Date.now() + problem.retry_after * 1000, { field: place });
  }
  if (place) showError(place, problem.detail);
  else showAlarm(problem.detail, button);
  if (problem.code === "network") removeOnceOnline(problem.detail);
}

const CHECK = 3000; // ms between two checks whether the service responds again
let check = 0;

/** Remove the message above the button once the service responds again. */
function removeOnceOnline(text) {
  const isShown = () => !$("alarm").hidden && $("alarm").textContent === text;
  const respond = async () => {
    if (!isShown()) return;
    try {
      await call("GET", "health");
    } catch ({ code }) {
      if (code === "network") return removeOnceOnline(text);
    }
    if (isShown()) showAlarm("");
  };
  clearTimeout(check);
  check = setTimeout(respond, CHECK);
}

/** Remove the errors of these fields, and the message above the button. */
export function clearErrors(...ids) {
  for (const id of ids) setError(id);
  showAlarm("");
}

/** Format seconds for people. */
export function duration(seconds) {
  if (seconds <= 60) return `${seconds}秒`;
  const minutes = Math.floor(seconds / 60);
  const two = (count) => String(count).padStart(2, "0");
  if (minutes < 60) return `${minutes}分${two(seconds % 60)}秒`;
  return `${Math.floor(minutes / 60)}小时${two(minutes % 60)}分`;
}

const labels = new Map(); // button -> its text while it is enabled
const waits = new Map(); // button -> {until, text, field}

function restingLabel(button) {
  if (!labels.has(button)) labels.set(button, button.textContent);
  return labels.get(button);
}

/** Set a button's text for while it is enabled. */
export function setLabel(button, text) {
  labels.set(button, text);
  update(button);
}

/**
 * Disable a button until a time (ms). `text` formats the time left; `field` is the field whose error
 * is removed at the end.
 */
export function disableUntil(button, until, { text = (left) => `请等待${left}`, field } = {}) {
  restingLabel(button);
  waits.set(button, { until, text, field });
  update(button);
}

function update(button) {
  if (button.getAttribute("aria-busy")) return;
  const wait = waits.get(button);
  const left = wait ? Math.ceil((wait.until - Date.now()) / 1000) : 0;
  if (left > 0) {
    button.textContent = wait.text(duration(left));
    button.setAttribute("aria-disabled", "true");
    return;
  }
  if (wait && wait.field) setError(wait.field);
  waits.delete(button);
  button.textContent = restingLabel(button);
  button.removeAttribute("aria-disabled");
}

/** Update the disabled buttons; called every second. */
export function countDown() {
  for (const button of [...waits.keys()]) update(button);
}

let busy = false;

/** Return whether an operation is in progress. */
export const isBusy = () => busy;

/**
 * Run an operation unless another is in progress, for example after a double tap. For a disabled
 * button, announce its text, which contains the time left.
 */
export async function runExclusive(button, operation) {
  if (busy) return;
  if (button.getAttribute("aria-disabled")) {
    announce(button.textContent);
    return;
  }
  restingLabel(button);
  busy = true;
  button.setAttribute("aria-busy", "true");
  const slow = $("slow");
  (button.closest(".field") || button).after(slow);
  const timers = [
    setTimeout(() => (button.textContent = "请稍候…"), 400),
    setTimeout(() => {
      slow.hidden = false;
      slow.textContent = "网络较慢，正在处理，请不要关闭本页。";
    }, 5000),
  ];
  try {
    await operation();
  } finally {
    timers.forEach(clearTimeout);
    slow.hidden = true;
    slow.textContent = "";
    busy = false;
    button.removeAttribute("aria-busy");
    update(button);
  }
}
