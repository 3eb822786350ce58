// Runs in pages that the demo shows in a frame, before the page's own scripts. The server prepends
// AHEAD, the seconds by which the demo's clock is ahead of the browser's.
"use strict";

{
  const now = Date.now.bind(Date);
  let ahead = AHEAD * 1000; // ms
  Date.now = () => now() + ahead;

  const isDemo = ({ origin, source }) => {
    const { hostname, port } = new URL(origin);
    return source === parent && port === location.port && /^(localhost|127\.0\.0\.1)$/.test(hostname);
  };

  const field = (name) =>
    [...document.getElementsByName(name)].find((input) => input.offsetParent !== null);

  /** Fill in the fields that are in sight; where there is none of them, open `otherwise`. */
  function fill(values, otherwise) {
    let filled = false;
    for (const [name, value] of Object.entries(values)) {
      const input = field(name);
      if (!input) continue;
      filled = true;
      input.value = value;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }
    if (!filled && otherwise) location.assign(otherwise);
    else parent.postMessage({ filled }, "*");
  }

  addEventListener("message", (event) => {
    if (!isDemo(event)) return;
    const { data } = event;
    if (typeof data.ahead === "number") ahead = data.ahead * 1000;
    if (data.fresh) {
      sessionStorage.clear();
      location.replace(data.fresh);
    }
    if (data.fill) fill(data.fill, data.otherwise);
  });

  const report = () => parent.postMessage({ at: location.href }, "*");
  addEventListener("DOMContentLoaded", report);
  addEventListener("pageshow", report);
}
