// The guided tour: scenes, steps, clock, faults, audit; documented in phone_page.py.

import { $, beijing, day, draw, icon, make, toast, when } from "./elements.js";
import { fill, fillNext } from "./frames.js";

const DEVICES = { phone: "手机", pc: "电脑", demo: "演示页" };

let phone = null; // what phone.js offers: act, show, newestCode, webIsOpen, restart
let runs = null;
const pending = new Set(); // names of operations that wait or run
let last = Promise.resolve();

function ahead(seconds) {
  const days = Math.floor(seconds / 86400);
  if (days) return `快${days}天`;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.round((seconds % 3600) / 60);
  return `快${hours ? `${hours}小时` : ""}${minutes || !hours ? `${minutes}分钟` : ""}`;
}

/** Show the demo's time and which platforms are broken. */
export function renderState(state) {
  draw($("now"), [Math.floor(state.now / 60), state.ahead], () => [
    `${beijing(state.now).getUTCFullYear()}年${day(state.now)} ${when(state.now)}`,
    state.ahead ? make("b", {}, ahead(state.ahead)) : "",
  ]);
  for (const button of document.querySelectorAll(".toggle")) {
    button.setAttribute("aria-checked", String(state.broken[button.dataset.part]));
    button.disabled = !state[button.dataset.part];
  }
}

export function renderTour(tour) {
  $("reset").disabled = !tour.can_reset;
  renderScenes(tour);
  renderSteps(tour.scene);
  renderAudit(tour.audit);
  if (runs !== null && runs !== tour.runs) phone.restart(tour.scene);
  runs = tour.runs;
  document.body.dataset.runs = String(runs);
}

function renderScenes({ scenes, scene }) {
  const chosen = scene?.name;
  draw($("scenes"), [scenes, chosen], () => {
    if (!scenes.length) {
      return [make("p", { class: "empty" }, "导览需要演示事务所和本机模拟的平台；现在可以自由操作手机和电脑。")];
    }
    return scenes.map(({ name, title, about }) => make("button", {
      type: "button",
      class: "scene",
      "aria-pressed": String(name === chosen),
      onclick: () => alone(`scene ${name}`, () => phone.act({ act: "scene", scene: name })),
    }, make("b", {}, title), make("small", {}, about)));
  });
}

function renderSteps(scene) {
  const steps = scene ? scene.steps : [];
  const last = steps.map(({ done }) => done).lastIndexOf(true);
  const current = steps.findIndex(({ done }, index) => index > last && !done);
  draw($("steps"), steps, () => steps.map((step, index) => {
    const state = step.done ? "done" : index === current ? "current" : index < last ? "passed" : "open";
    return make("li", { class: `step ${state}`, ...(state === "current" && { "aria-current": "step" }) },
      make("span", { class: "mark", "aria-hidden": "true" }, step.done ? icon("tick") : String(index + 1)),
      make("div", { class: "what" },
        make("p", {},
          make("span", { class: "device" }, icon(step.device), DEVICES[step.device]),
          step.text,
          step.done ? make("span", { class: "spoken" }, "（已完成）") : ""),
        state === "current" && step.offers.length
          ? make("div", { class: "offers" }, ...step.offers.map((offer) => make("button", {
            type: "button", class: "offer", onclick: () => alone(`offer ${offer.label}`, () => take(offer, step.device, scene)),
          }, offer.label)))
          : null));
  }));
  $("intro").hidden = Boolean(scene);
  $("finished").hidden = !scene || current !== -1;
  const finished = scene && current === -1 ? "这个场景走完了，可以再选一个。" : "";
  if ($("finished").textContent !== finished) $("finished").textContent = finished;
}

/** Run operations one after the other; one that is waiting or running is not repeated by a double tap. */
function alone(name, operation) {
  if (pending.has(name)) return;
  pending.add(name);
  last = last.then(operation).catch((error) => console.error(error)).finally(() => pending.delete(name));
}

async function take(offer, device, scene) {
  if (offer.act) await phone.act(offer.act);
  if (offer.show) phone.show(offer.show);
  if (offer.fill) await enter(device, offer.fill);
  if (offer.code) {
    const code = await phone.newestCode(scene.number);
    if (code) await enter(device, { code });
    else toast("还没有验证码");
  }
}

/** Fill in fields of a device's page, which is opened where it is not. */
export async function enter(device, values) {
  const onlyLogin = Object.keys(values).join() === "login";
  const fresh = `/?login=${encodeURIComponent(values.login ?? "")}`;
  if (device === "phone" && !phone.webIsOpen()) {
    if (onlyLogin) fillNext("phone", "/", values);
    phone.show("web");
    if (onlyLogin) return true;
  } else if (device === "phone") phone.show("web");
  else phone.showPc();
  const filled = await fill(device, values, onlyLogin ? fresh : null);
  if (!filled) toast(device === "phone" ? "请先在手机网页中打开要填写的一步" : "请先在电脑上打开要填写的一步");
  return filled;
}

function renderAudit(events) {
  $("no-audit").hidden = events.length > 0;
  const today = events.length ? day(events[0].at) : "";
  draw($("audit"), events, () => events.map(({ at, login, event, by, facts }) => make("tr", {},
    make("td", {}, day(at) === today ? when(at) : `${day(at)} ${when(at)}`),
    make("td", { class: "account" }, login),
    make("td", {}, make("b", {}, event)),
    make("td", { class: "result" }, [by === "本人" ? "" : by, facts].filter(Boolean).join(" · ")))));
}

function select(tab) {
  for (const other of document.querySelectorAll("[role=tab]")) {
    const selected = other === tab;
    other.setAttribute("aria-selected", String(selected));
    other.tabIndex = selected ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !selected;
  }
  $("tip").textContent = tab.id === "tab-firms" ? "点账号即填入手机或电脑的页面" : "";
}

/** Connect the tour's buttons; `parts` are functions of the phone. */
export function startTour(parts) {
  phone = parts;
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", ({ key }) => {
      if (key !== "ArrowLeft" && key !== "ArrowRight") return;
      const other = [...document.querySelectorAll("[role=tab]")].find((each) => each !== tab);
      select(other);
      other.focus();
    });
  }
  for (const button of document.querySelectorAll("[data-seconds]")) {
    const seconds = Number(button.dataset.seconds);
    button.addEventListener("click", () => alone(`clock ${seconds}`, () => phone.act({ act: "move-clock", seconds })));
  }
  $("new-year").addEventListener("click", () => alone("new year", () => phone.act({ act: "new-year" })));
  for (const button of document.querySelectorAll(".toggle")) {
    button.addEventListener("click", () => alone(`break ${button.dataset.part}`, () => phone.act({
      act: "break",
      part: button.dataset.part,
      on: button.getAttribute("aria-checked") !== "true",
    })));
  }
  $("reset").addEventListener("click", () => alone("reset", () => phone.act({ act: "reset" })));
}
