// The recovery that this tab is on, and the screen that shows it. The token and the step are kept
// in sessionStorage, so that a reload goes on where it was; passwords and codes never are.

import { Problem, call, dropProof, page, prove } from "./server.js";
import { $, alarm, refused } from "./speech.js";

const KEPT = "recovery";
const SYSTEM = "中国注册会计师行业管理系统";
const STEPS = { account: 0, follow: 0, verify: 1, unbinding: 1, done: 2 };

/** Whether WeChat has told who the person is. */
export const inside = page.inside === "1";
/** Whether the page is open on a PC. */
// A narrow window there is still one: whoever sits before it has another device in the pocket.
export const pc = !inside && !/Mobi|Android/i.test(navigator.userAgent);

/**
 * What is known: `token`, `login`, `method`, `destination`, `qr`, `ends` (ms) of the recovery;
 * `resend` and `sent` of the last code; `bound` when it is done.
 */
export let recovery = null;
export let screen = "";

const drawn = {}; // screen -> what draws it

/** Let a function draw a screen each time that it comes up. */
export function draws(name, draw) {
  drawn[name] = draw;
}

/** Remember something about the recovery. */
export function note(facts) {
  recovery = { ...recovery, ...facts };
  keep();
}

/** Forget the recovery. */
export function forget() {
  recovery = null;
  keep();
}

function keep() {
  try {
    if (recovery) sessionStorage.setItem(KEPT, JSON.stringify({ recovery, screen }));
    else sessionStorage.removeItem(KEPT);
  } catch {
    // A browser may refuse its storage; then only a reload starts anew.
  }
}

/** Take up what was kept before a reload; the screen to show, or "". */
export function resume() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT));
    if (kept && kept.recovery.ends > Date.now()) {
      recovery = kept.recovery;
      return kept.screen;
    }
  } catch {
    // Nothing was kept that can be read.
  }
  return "";
}

/** Name the login to the service. Throws a Problem. */
export async function begin(login) {
  const last = recovery && recovery.login === login ? recovery : {};
  let found;
  for (let attempt = 1; !found; attempt += 1) {
    try {
      const proof = await prove(login);
      const body = { user_type: "firm", login };
      if (proof) body.proof = proof;
      found = await call("POST", "recovery", { body });
    } catch (problem) {
      // The proof may have grown old while the page lay open; the person need not know.
      if (problem.code !== "proof-invalid" || attempt > 1) throw problem;
    } finally {
      dropProof();
    }
  }
  const { expires_in: lifetime, ...facts } = found;
  const code = last.method === found.method ? { resend: last.resend, sent: last.sent } : {};
  recovery = { ...facts, ...code, ends: Date.now() + lifetime * 1000 };
}

/** The screen that a recovery's method leads to. */
export const next = () => (recovery.method === "follow" ? "follow" : "verify");

/** Begin anew a recovery that has ended; what is typed stays. */
export async function renew() {
  const { login } = recovery;
  try {
    await begin(login);
    note({ sent: null });
    show(next(), { how: "replace" });
    if (next() === "verify") {
      alarm("操作已超时，已为您重新开始，请重新获取验证码。", $("verify").querySelector(".primary"));
    }
  } catch (problem) {
    forget();
    show("account", { how: "replace" });
    $("login").value = login;
    refused(problem, $("account").querySelector(".primary"), "login");
  }
}

/** One call of this recovery. Throws a Problem. */
export function ask(method, path, body) {
  if (!recovery.token) throw new Problem({ code: "recovery-expired" });
  return call(method, path, { body, token: recovery.token });
}

/**
 * Show a screen. `how` is what becomes of the browser's history: `push` a step, `replace` the one
 * that is there, or `stay` where the browser has moved already.
 */
export function show(name, { how = "push", focus = true } = {}) {
  const state = { screen: name, pushed: how === "push" || Boolean(history.state && history.state.pushed) };
  if (how === "push") history.pushState(state, "");
  if (how === "replace") history.replaceState(state, "", location.pathname);
  screen = name;
  keep();
  alarm("");
  const under = name === "follow" ? "account" : name;
  for (const section of document.querySelectorAll(".screen")) section.hidden = section.id !== under;
  const step = STEPS[name];
  [...document.querySelectorAll(".steps li")].forEach((item, index) => {
    item.className = index < step ? "past" : "";
    if (index === step) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  });
  const title = (drawn[name] && drawn[name]()) || "找回密码";
  $("title").textContent = title;
  document.title = `${title} - ${SYSTEM}`;
  const dialog = $("follow");
  if (name === "follow") open(dialog);
  else if (dialog.open) dialog.close();
  scrollTo(0, 0);
  if (focus) $(name === "follow" ? "follow-title" : "title").focus();
}

function open(dialog) {
  // Browsers before 2022 know no modal dialogs; there it stands open on the page.
  if (!dialog.showModal) dialog.setAttribute("open", "");
  else if (!dialog.open) dialog.showModal();
}

/** Go one screen back, as the browser's own button does. */
export function back() {
  if (history.state && history.state.pushed) history.back();
  else show("account", { how: "replace" });
}
