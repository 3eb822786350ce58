// The recovery of this tab and its current screen. Token and screen are stored in sessionStorage, so
// that they survive a reload; passwords and codes are never stored.

import { Problem, call, dropProof, loadScreens, page, prove } from "./api.js";
import { $, showAlarm, showProblem } from "./messages.js";

const STORAGE_KEY = "recovery";
const SYSTEM = "中国注册会计师行业管理系统";
const STEPS = { account: 0, follow: 0, frozen: 0, verify: 1, unbinding: 1, done: 2 };

/** Whether the service has the person's openid from WeChat. */
export const inside = page.inside === "1";
/** Whether the page is open on a PC. */
// The window's size does not matter: the phone is another device.
export const pc = !inside && !/Mobi|Android/i.test(navigator.userAgent);

/**
 * `token`, `login`, `method`, `destination`, `this_wechat`, `qr`, `ends` (ms) of the recovery; `resend` (ms)
 * and `sent` of the last code; `result` after the end. null without a recovery.
 */
export let recovery = null;
export let screen = "";

const renderers = {}; // screen -> function that renders it and returns its title

/** Register the function that renders a screen each time it is shown. */
export function onShow(name, render) {
  renderers[name] = render;
}

/** Merge values into the recovery and store it. */
export function updateRecovery(facts) {
  recovery = { ...recovery, ...facts };
  save();
}

/** Discard the recovery. */
export function discard() {
  recovery = null;
  save();
}

function save() {
  try {
    if (recovery) sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ recovery, screen }));
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // Storage may be blocked; then the recovery does not survive a reload.
  }
}

/** Restore the recovery after a reload; return the screen to show, or "". */
export function resume() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY));
    if (stored && stored.recovery.ends > Date.now()) {
      recovery = stored.recovery;
      return stored.screen;
    }
  } catch {
    // Nothing readable is stored.
  }
  return "";
}

let continued = false; // whether the page continues by itself after OAuth

/**
 * In WeChat's browser, start OAuth for the openid and keep the login; with `continues`, the page then
 * begins its recovery by itself. Returns false where it is not started. It is started once until the
 * service has the openid: a browser that refuses cookies would be redirected in a loop.
 */
export function redirectToOAuth(login, continues) {
  // Not in WeCom's, whose agent has both names.
  if (continued || !/^(?!.*wxwork).*MicroMessenger/i.test(navigator.userAgent)) return false;
  try {
    if (sessionStorage.getItem("oauth")) return false;
    sessionStorage.setItem("oauth", JSON.stringify({ login, continues }));
  } catch {
    return false;
  }
  location.replace("wechat/enter");
  return true;
}

/** Return what redirectToOAuth has kept. */
export function returnFromOAuth() {
  try {
    const kept = JSON.parse(sessionStorage.getItem("oauth")) || {};
    if (inside) sessionStorage.removeItem("oauth");
    continued = kept.continues;
    return kept;
  } catch {
    return {};
  }
}

const showProgress = (tenths) => {
  $("slow").textContent = `安全校验已完成${tenths}0%，请不要关闭本页。`;
};

// The scene of the QR code that led here: its PC page shows what this one does.
const scene = new URLSearchParams(location.search).get("scene");

/** Return the state of a code from its members in a response: `resend`, and `sent` with its end (ms). */
export function codeState({ delivery, expires_in: lifetime, resend_in: pause }, hint = "") {
  const now = Date.now();
  return { resend: now + pause * 1000, sent: { delivery, hint, ends: now + lifetime * 1000 } };
}

/** Start a recovery of the login. Throws a Problem. */
export async function begin(login) {
  const last = recovery && recovery.login === login ? recovery : {};
  const loaded = loadScreens();
  loaded.catch(() => {});
  let started;
  let factor = 1;
  for (let attempt = 1; !started; attempt += 1) {
    try {
      const proof = await prove(login, factor, showProgress);
      await loaded;
      const body = { user_type: "firm", login };
      if (proof) body.proof = proof;
      if (scene && login === page.login) body.scene = scene;
      started = await call("POST", "recovery", { body });
    } catch (problem) {
      // The proof may have expired while the page was open; retry once without a message. Where more
      // work is required, do it, as often as that grows.
      const more = problem.factor > factor;
      if (problem.code !== "proof-invalid" || (attempt > 1 && !more)) throw problem;
      if (more) factor = problem.factor;
    } finally {
      dropProof();
    }
  }
  // The openid's cookie may have ended since the page was loaded.
  if (started.method === "follow" && redirectToOAuth(login, true)) {
    discard();
    await new Promise((resolve) => setTimeout(resolve, 20000));
  }
  continued = false;
  const { expires_in: lifetime, sent, ...facts } = started;
  const kept = last.method === started.method ? { resend: last.resend, sent: last.sent } : {};
  const code = sent ? codeState(sent, "back") : kept;
  recovery = { ...facts, ...code, ends: Date.now() + lifetime * 1000 };
}

/** Return the screen for the recovery's method. */
export const next = () => (recovery.method === "follow" ? "follow" : "verify");

/** Replace an expired recovery by a new one; inputs stay. */
export async function restart() {
  const { login } = recovery;
  try {
    await begin(login);
    updateRecovery({ sent: null });
    show(next(), { how: "replace" });
    if (next() === "verify") {
      showAlarm("操作已超时，已为您重新开始，请重新获取验证码。", $("verify").querySelector(".primary"));
    }
  } catch (problem) {
    discard();
    show("account", { how: "replace" });
    $("login").value = login;
    showProblem(problem, $("account").querySelector(".primary"), "login");
  }
}

/** Call the API with the recovery's token. Throws a Problem. */
export function callRecovery(method, path, body) {
  if (!recovery.token) throw new Problem({ code: "recovery-expired" });
  return call(method, path, { body, token: recovery.token });
}

/** Return how many entries of the history before the current one belong to this visit. */
const depth = () => (history.state && history.state.depth) || 0;

/**
 * Show a screen. `how` is the change of the browser's history: `push` an entry, `replace` the
 * current one, or `stay` where the browser has already changed it.
 */
export function show(name, { how = "push", focus = true } = {}) {
  const state = { screen: name, depth: depth() + (how === "push" ? 1 : 0) };
  if (how === "push") history.pushState(state, "");
  if (how === "replace") history.replaceState(state, "", location.pathname);
  screen = name;
  save();
  showAlarm("");
  const base = name === "follow" ? "account" : name;
  for (const section of document.querySelectorAll(".screen")) section.hidden = section.id !== base;
  const step = STEPS[name];
  [...document.querySelectorAll(".steps li")].forEach((item, index) => {
    item.className = index < step ? "past" : "";
    if (index === step) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  });
  const title = (renderers[name] && renderers[name]()) || "找回密码";
  $("title").textContent = title;
  document.title = `${title} - ${SYSTEM}`;
  document.body.className = name;
  const dialog = $("follow");
  if (name === "follow") open(dialog);
  else if (dialog.open) dialog.close();
  scrollTo(0, 0);
  if (focus) $(name === "follow" ? "follow-title" : "title").focus();
}

function open(dialog) {
  // Browsers before 2022 have no modal dialogs.
  if (!dialog.showModal) dialog.setAttribute("open", "");
  else if (!dialog.open) dialog.showModal();
}

/** Go one screen back, as the browser's back button does. */
export function back() {
  if (depth()) history.back();
  else show("account", { how: "replace" });
}

let leaving = false; // whether the next change of the history leads to the first screen

/** Go to the first screen, however many entries of the history are between. */
export function goToAccount() {
  leaving = depth() > 0;
  if (leaving) history.go(-depth());
  else show("account", { how: "replace" });
}

/** Return whether goToAccount has caused the change of the history, once. */
export function isLeaving() {
  const was = leaving;
  leaving = false;
  return was;
}
