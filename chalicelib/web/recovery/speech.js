// What the page says to the person, and how its buttons hold still while something is under way.

import { page } from "./server.js";

export const $ = (id) => document.getElementById(id);
const number = page.support.split("/")[0];
// What no field is to blame for.
const NOBODYS = ["network", "no-solver", "unavailable", "forbidden", "proof-invalid"];

/** Put a sentence into an element; the support's number in it can be tapped. */
export function put(element, text) {
  const parts = text.split(number);
  element.textContent = parts[0];
  for (const part of parts.slice(1)) {
    const link = document.createElement("a");
    link.href = `tel:${number}`;
    link.textContent = number;
    element.append(link, part);
  }
}

/** Announce a sentence to whoever does not see the page. */
export function say(text) {
  $("live").textContent = "";
  // A region that is emptied and filled within one turn counts as unchanged.
  setTimeout(() => {
    $("live").textContent = text;
  }, 60);
}

/** Write or take away the error beside a field. */
export function fault(id, text = "") {
  $(id).setAttribute("aria-invalid", String(Boolean(text)));
  put($(`${id}-error`), text);
}

/** Write the error beside a field, lead there and announce it. */
export function wrong(id, text) {
  fault(id, text);
  $(id).focus();
  $(id).closest(".field").scrollIntoView({ block: "nearest" });
  say(text);
}

/** Say what no field is to blame for, above the button that was pressed. */
export function alarm(text, button = null) {
  const place = $("alarm");
  if (button) button.before(place);
  put(place, text);
  place.hidden = !text;
  if (text) place.focus();
}

/**
 * Say why the service refused, beside the field that it names or else beside `field`; above the
 * button where no field is to blame. The button is held for as long as the service says.
 */
export function refused(problem, button, field = null) {
  const named = problem.field && $(`${problem.field}-error`) ? problem.field : field;
  const place = NOBODYS.includes(problem.code) ? null : named;
  if (problem.retry_after && button.matches("button")) {
    hold(button, Date.now() + problem.retry_after * 1000, { field: place });
  }
  if (place) wrong(place, problem.detail);
  else alarm(problem.detail, button);
}

/** Take away what was said about these fields, and the alarm. */
export function clear(...ids) {
  for (const id of ids) fault(id);
  alarm("");
}

/** Seconds as a person reads them. */
export function span(seconds) {
  if (seconds <= 60) return `${seconds}秒`;
  const minutes = Math.floor(seconds / 60);
  const two = (count) => String(count).padStart(2, "0");
  if (minutes < 60) return `${minutes}分${two(seconds % 60)}秒`;
  return `${Math.floor(minutes / 60)}小时${two(minutes % 60)}分`;
}

const labels = new Map(); // button -> its words at rest
const holds = new Map(); // button -> {until, words, field}

function label(button) {
  if (!labels.has(button)) labels.set(button, button.textContent);
  return labels.get(button);
}

/** Give a button its words for when it is at rest. */
export function name(button, text) {
  labels.set(button, text);
  rest(button);
}

/**
 * Keep a button from being pressed until a time (ms). `words` tells the time left; `field` is the
 * one whose error ends with the wait.
 */
export function hold(button, until, { words = (left) => `请等待${left}`, field } = {}) {
  label(button);
  holds.set(button, { until, words, field });
  rest(button);
}

function rest(button) {
  if (button.getAttribute("aria-busy")) return;
  const held = holds.get(button);
  const left = held ? Math.ceil((held.until - Date.now()) / 1000) : 0;
  if (left > 0) {
    button.textContent = held.words(span(left));
    button.setAttribute("aria-disabled", "true");
    return;
  }
  if (held && held.field) fault(held.field);
  holds.delete(button);
  button.textContent = label(button);
  button.removeAttribute("aria-disabled");
}

/** Count the held buttons down; called every second. */
export function countDown() {
  for (const button of [...holds.keys()]) rest(button);
}

let busy = false;

/** Whether something is under way. */
export const isBusy = () => busy;

/**
 * Do one thing at a time: a second tap while the first is under way does nothing, and a button
 * that is held tells how long.
 */
export async function once(button, work) {
  if (busy) return;
  if (button.getAttribute("aria-disabled")) {
    say(button.textContent);
    return;
  }
  label(button);
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
    await work();
  } finally {
    timers.forEach(clearTimeout);
    slow.hidden = true;
    slow.textContent = "";
    busy = false;
    button.removeAttribute("aria-busy");
    rest(button);
  }
}
