// The screen for the code and the new password.

import { call, page } from "./api.js";
import { $, announce, clearErrors, disableUntil, duration, fold, isBusy, runExclusive, setError, setLabel, showError, showProblem } from "./messages.js";
import { callRecovery, codeState, goToAccount, onShow, pc, recovery, restart, screen, show, updateRecovery } from "./recovery.js";

/** Return the firm's number from the recovery's login. */
export const firmNo = () => (recovery ? recovery.login.split("_")[0] : "");

/* Password rules */

const KINDS = [/\p{Lu}/u, /\p{Ll}/u, /\p{Nd}/u, /[^\p{Lu}\p{Ll}\p{Nd}]/u];
// Every public rule of chalicelib/domain/passwords.py. One without `isMet` is checked by the service alone:
// its dictionaries are too large for a page.
const RULES = [
  {
    text: `${page.minimum}至${page.maximum}位`,
    isMet: (text) => [...text].length >= page.minimum && [...text].length <= page.maximum,
  },
  {
    text: "不含会计师事务所编号",
    isMet: (text) => text !== "" && !text.normalize("NFKC").includes(firmNo()),
  },
  {
    text: "首尾没有空格，不含换行等控制字符",
    isMet: (text) => text !== "" && text === text.trim() && !/\p{Cc}/u.test(text),
  },
  { text: "不是常见或容易被猜到的密码（提交时检查）" },
];
if (page.classes > 0) {
  RULES.splice(1, 0, {
    text: `大写字母、小写字母、数字、符号中至少${"〇一两三四"[page.classes]}种`,
    isMet: (text) => KINDS.filter((kind) => kind.test(text)).length >= page.classes,
  });
}

for (const rule of RULES) {
  const item = document.createElement("li");
  rule.state = document.createElement("span");
  rule.state.className = "hidden-text";
  item.append(rule.text, rule.state);
  $("rules").append(item);
}

/** Mark the rules that the new password satisfies; return the others. */
function unmetRules() {
  const text = $("password").value.normalize("NFC");
  return RULES.filter((rule) => {
    if (!rule.isMet) return false;
    const met = rule.isMet(text);
    rule.state.textContent = met ? "，已满足" : "";
    rule.state.parentElement.className = met ? "met" : "";
    return !met;
  });
}

$("password").addEventListener("input", () => {
  setError("password");
  if (!unmetRules().length) announce("新密码符合以上可即时检查的要求");
});

$("reveal").addEventListener("click", () => reveal($("password").type === "password"));

function reveal(visible) {
  $("password").type = visible ? "text" : "password";
  $("reveal").textContent = visible ? "隐藏" : "显示";
  $("reveal").setAttribute("aria-label", visible ? "隐藏密码" : "显示密码");
}

/** Empty both fields and remove their errors. */
export function clearInputs() {
  for (const id of ["password", "code"]) $(id).value = "";
  clearErrors("password", "code");
  reveal(false);
  unmetRules();
}

/* The code */

const send = $("send");
const SEND = pc ? "发送验证码" : "获取验证码";
setLabel(send, SEND);

$("code").addEventListener("input", () => {
  setError("code");
  // A pasted message may name the login before the code.
  const text = fold($("code").value);
  const [, code] = /码\D*(\d{6}(\d\d)?)(?!\d)/.exec(text) || /^\D*(\d{6})(?!\d)/.exec(text) || [];
  if (code && code !== $("code").value) $("code").value = code;
});

/** Order of the fields as in the printed manual: by SMS, the password is first. */
const order = () => (recovery.method === "wechat" ? ["code", "password"] : ["password", "code"]);

let shownLogin = ""; // whose inputs the fields contain

onShow("verify", () => {
  const wechat = recovery.method === "wechat";
  const [first, second] = order();
  if (shownLogin !== recovery.login) clearInputs();
  shownLogin = recovery.login;
  $("whom").textContent = recovery.login;
  $("verify").elements.username.value = recovery.login;
  $("unbound-notice").hidden = !recovery.unbound || wechat;
  $("destination").textContent = destination();
  $("sms-note").hidden = wechat;
  $("wechat-note").hidden = !wechat;
  $("unbind-hint").textContent = isForeign() ? "可以解绑，改用短信验证" : "接收不到公众号验证码？";
  // Where this WeChat gets no code, the way out stands beside that sentence.
  (isForeign() ? $("code-field") : $("verify")).append($("wechat-note"));
  if ($(`${first}-field`).nextElementSibling !== $(`${second}-field`)) {
    $(`${second}-field`).before($(`${first}-field`));
  }
  disableSend();
  renderSent();
  unmetRules();
  return wechat ? "公众号验证" : "手机号验证";
});

/** Whether the codes go to another WeChat than the one that the page is open in. */
const isForeign = () => recovery.method === "wechat" && recovery.this_wechat === false;

function destination() {
  if (recovery.method === "sms") {
    return `验证码将以短信发送到绑定的手机${recovery.destination ? ` ${recovery.destination}` : ""}。`;
  }
  if (isForeign()) return recovery.sent ? "" : "验证码将发送到绑定的微信，当前微信收不到。";
  return `验证码将发送到已绑定的公众号“${page.account}”。`;
}

function disableSend() {
  if (recovery.resend > Date.now()) {
    disableUntil(send, recovery.resend, { text: (left) => `${left}后可重发`, field: "code" });
  }
}

const HINTS = {
  back: "验证码已发送，",
  again: "刚刚已发送，可直接输入，",
};

function sentText({ delivery, hint }) {
  if (delivery === "pull") {
    const where = isForeign() ? "在绑定的微信中" : "";
    return `请${where}打开公众号，点击菜单“获取验证码”，验证码会显示在公众号的回复里。`;
  }
  if (isForeign()) return "验证码已发送到绑定的微信，当前微信收不到。";
  if (HINTS[hint]) return HINTS[hint];
  return recovery.method === "wechat"
    ? "验证码已发送到公众号，请查看公众号消息。"
    : `验证码已发送到手机 ${recovery.destination}。`;
}

function renderSent() {
  const text = recovery.sent ? sentText(recovery.sent) : "";
  if ($("sent").textContent !== text) $("sent").textContent = text;
  $("destination").textContent = destination();
  renderTimeLeft();
}

/** Show how long the sent code remains valid. */
function renderTimeLeft() {
  const sent = recovery && recovery.sent;
  const left = sent ? Math.ceil((sent.ends - Date.now()) / 1000) : 0;
  $("left").textContent = left > 0 ? `剩余${duration(left)}` : "";
  if (sent && left <= 0) {
    updateRecovery({ sent: null });
    $("sent").textContent = "验证码已过期，请重新获取。";
  }
}

setInterval(() => {
  if (screen === "verify") renderTimeLeft();
}, 1000);

send.addEventListener("click", () =>
  runExclusive(send, async () => {
    clearErrors("code");
    try {
      const answer = await callRecovery("POST", "recovery/code", {});
      const changed = answer.method !== recovery.method;
      updateRecovery({
        method: answer.method,
        destination: answer.destination,
        ...codeState(answer),
      });
      if (changed) show("verify", { how: "replace", focus: false });
      disableSend();
      renderSent();
      $("code").focus();
    } catch (problem) {
      await showSendProblem(problem);
    }
  }),
);

async function showSendProblem(problem) {
  if (problem.code === "recovery-expired") return restart();
  // Another tab or device of the same person has just got a code: it is valid here too.
  if (problem.sent) {
    updateRecovery(codeState(problem.sent, "again"));
    disableSend();
    renderSent();
    $("code").focus();
    return;
  }
  showProblem(problem, $("code-field"), "code");
  if (problem.retry_after) {
    updateRecovery({ resend: Date.now() + problem.retry_after * 1000 });
    disableSend();
  }
  // Unbinding is the solution, not another code.
  if (problem.code === "not-following") $("unbind").focus();
  if (problem.code === "delivery-failed") send.focus();
}

/* Submitting both */

function findErrors(password, code) {
  const unmet = unmetRules();
  const errors = {};
  if (!password) errors.password = "请输入新密码。";
  else if (unmet.length) errors.password = `新密码还不符合：${unmet.map((rule) => rule.text).join("；")}。`;
  if (!code && !recovery.sent) errors.code = `请先点击“${SEND}”，再输入收到的验证码。`;
  else if (!/^\d{6}(\d\d)?$/.test(code)) errors.code = "请输入6位或8位验证码。";
  return errors;
}

$("verify").addEventListener("submit", (event) => {
  event.preventDefault();
  if (isBusy()) return;
  clearErrors("password", "code");
  const password = $("password").value;
  const code = fold($("code").value);
  const errors = findErrors(password, code);
  // In reverse, so that the first field with an error gets the focus.
  for (const id of order().reverse()) if (errors[id]) showError(id, errors[id]);
  if (Object.keys(errors).length) return;
  const button = $("verify").querySelector(".primary");
  runExclusive(button, async () => {
    try {
      const { token } = recovery;
      finish(await callRecovery("POST", "recovery/password", { code, password }));
      showFirm(token);
    } catch (problem) {
      await showRefusal(problem, button);
    }
  });
});

/** Return whether the recovery has ended, as where the login was frozen and its code removed. */
async function hasEnded() {
  try {
    await callRecovery("GET", "recovery");
    return false;
  } catch ({ code }) {
    return code === "recovery-expired";
  }
}

async function showRefusal(problem, button) {
  const isGone = problem.code === "code-expired" && (await hasEnded());
  if (isGone || problem.code === "recovery-expired") return restart();
  const spent = problem.code === "code-wrong" && problem.attempts_left === 0;
  // A code that was replaced leaves its successor, whose time goes on.
  const ended = problem.code === "code-expired" && problem.reason !== "replaced";
  if (spent || ended || problem.code === "too-many-attempts") {
    updateRecovery({ sent: null });
    renderSent();
  }
  if (spent) $("code").value = "";
  if (problem.code === "code-wrong") $("code").select();
  showProblem(problem, button, problem.code === "weak-password" ? "password" : "code");
}

$("change").addEventListener("click", goToAccount);

/** Update the screen from the recovery's state on the server, after a reload. */
export async function refreshState() {
  if (!recovery || !recovery.token || !["verify", "unbinding"].includes(screen)) return;
  const { token } = recovery;
  try {
    const { state, method, name } = await callRecovery("GET", "recovery");
    if (isBusy() || recovery.token !== token) return;
    if (state === "done") return finish({ name });
    if (method !== recovery.method && method !== "follow") {
      updateRecovery({ method, destination: "", sent: null });
      show("verify", { how: "replace", focus: false });
    }
  } catch (problem) {
    if (problem.code !== "recovery-expired" || isBusy()) return;
    runExclusive($(screen).querySelector(".primary"), restart);
  }
}

/** Show the last screen; `result` is the response that has set the password, {} where another page did. */
export function finish(result) {
  // Remove the token and everything that the last screen does not show.
  const { name, qr, wechat_bound } = result;
  updateRecovery({ token: undefined, qr: undefined, sent: undefined, result: { name, qr, wechat_bound } });
  clearInputs();
  for (const field of $("unbinding").querySelectorAll("input")) field.value = "";
  show("done", { how: "replace" });
  announce("重置成功");
}

/** Show the firm's name, which the service gives to a recovery that has entered the right code. */
async function showFirm(token) {
  try {
    const { name } = await call("GET", "recovery", { token });
    if (!name || screen !== "done") return;
    updateRecovery({ result: { ...recovery.result, name } });
    $("done-firm").textContent = name;
    $("done-firm").hidden = false;
  } catch {
    // The last screen is complete without it.
  }
}
