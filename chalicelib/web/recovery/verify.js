// The code and the new password.

import { page } from "./server.js";
import { $, clear, fault, hold, isBusy, name, once, refused, say, span, wrong } from "./speech.js";
import { ask, back, draws, note, pc, recovery, renew, show } from "./recovery.js";

/** What is typed, in one spelling: full width to half, nothing invisible. */
export const fold = (text) => text.normalize("NFKC").replace(/[\s\u200b-\u200d\u2060\ufeff]/g, "");

/** The firm's number in the recovery's login. */
export const firmNo = () => (recovery ? recovery.login.split("_")[0] : "");

/* The rules of a password */

const KINDS = [/\p{Lu}/u, /\p{Ll}/u, /\p{Nd}/u, /[^\p{Lu}\p{Ll}\p{Nd}]/u];
const RULES = [
  {
    words: `${page.minimum}至${page.maximum}位`,
    met: (text) => [...text].length >= page.minimum && [...text].length <= page.maximum,
  },
  { words: "不含会计师事务所编号", met: (text) => text !== "" && !text.includes(firmNo()) },
];
if (page.classes > 0) {
  RULES.splice(1, 0, {
    words: `大写字母、小写字母、数字、符号中至少${"〇一两三四"[page.classes]}种`,
    met: (text) => KINDS.filter((kind) => kind.test(text)).length >= page.classes,
  });
}

for (const rule of RULES) {
  const item = document.createElement("li");
  rule.state = document.createElement("span");
  rule.state.className = "out";
  item.append(rule.words, rule.state);
  $("rules").append(item);
}

/** Tick off the rules that the new password keeps; the others. */
function weigh() {
  const text = $("password").value.normalize("NFC");
  return RULES.filter((rule) => {
    const met = rule.met(text);
    rule.state.textContent = met ? "，已满足" : "";
    rule.state.parentElement.className = met ? "met" : "";
    return !met;
  });
}

$("password").addEventListener("input", () => {
  fault("password");
  if (!weigh().length) say("新密码符合要求");
});

$("reveal").addEventListener("click", () => reveal($("password").type === "password"));

function reveal(shown) {
  $("password").type = shown ? "text" : "password";
  $("reveal").textContent = shown ? "隐藏" : "显示";
  $("reveal").setAttribute("aria-label", shown ? "隐藏密码" : "显示密码");
}

/** Empty both fields. */
export function forgetTyped() {
  for (const id of ["password", "code"]) $(id).value = "";
  clear("password", "code");
  reveal(false);
  weigh();
}

/* The code */

const send = $("send");
const SEND = pc ? "发送验证码" : "获取验证码";
name(send, SEND);

$("code").addEventListener("input", () => {
  fault("code");
  // Somebody may paste the whole message; the login in it is longer than a code.
  const text = fold($("code").value);
  const found = (text.match(/[0-9]+/g) || []).find((run) => run.length === 6);
  if (found && found !== $("code").value) $("code").value = found;
});

/** Password first before an SMS, code first in WeChat: the order in which the manual tells it. */
const order = () => (recovery.method === "wechat" ? ["code", "password"] : ["password", "code"]);

draws("verify", () => {
  const wechat = recovery.method === "wechat";
  const [first, second] = order();
  $("whom").textContent = recovery.login;
  $("verify").elements.username.value = recovery.login;
  $("road").textContent = wechat
    ? `验证码将发送到已绑定的公众号“${page.account}”。`
    : `验证码将以短信发送到绑定的手机${recovery.destination ? ` ${recovery.destination}` : ""}。`;
  $("sms-note").hidden = wechat;
  $("wechat-note").hidden = !wechat;
  if ($(`${first}-field`).nextElementSibling !== $(`${second}-field`)) {
    $(`${second}-field`).before($(`${first}-field`));
  }
  holdSend();
  drawSent();
  weigh();
  return wechat ? "公众号验证" : "手机号验证";
});

function holdSend() {
  if (recovery.resend > Date.now()) {
    hold(send, recovery.resend, { words: (left) => `${left}后可重发`, field: "code" });
  }
}

function drawSent() {
  const words = {
    pull: "请打开公众号，点击菜单“获取验证码”，验证码会显示在公众号的回复里。",
    wechat: "验证码已发送到公众号，请查看公众号消息。",
    sms: `验证码已发送到手机 ${recovery.destination}。`,
  };
  const { sent } = recovery;
  const text = sent ? words[sent.delivery === "pull" ? "pull" : recovery.method] : "";
  if ($("sent").textContent !== text) $("sent").textContent = text;
  drawLeft();
}

/** How long the code that was sent is good for. */
export function drawLeft() {
  const sent = recovery && recovery.sent;
  const left = sent ? Math.ceil((sent.ends - Date.now()) / 1000) : 0;
  $("left").textContent = left > 0 ? `剩余${span(left)}` : "";
  if (sent && left <= 0) {
    note({ sent: null });
    $("sent").textContent = "验证码已过期，请重新获取。";
  }
}

send.addEventListener("click", () =>
  once(send, async () => {
    clear("code");
    try {
      const answer = await ask("POST", "recovery/code", {});
      const changed = answer.method !== recovery.method;
      note({
        method: answer.method,
        destination: answer.destination,
        resend: Date.now() + answer.resend_in * 1000,
        sent: { delivery: answer.delivery, ends: Date.now() + answer.expires_in * 1000 },
      });
      if (changed) show("verify", { how: "replace", focus: false });
      holdSend();
      drawSent();
      $("code").focus();
    } catch (problem) {
      await unsent(problem);
    }
  }),
);

async function unsent(problem) {
  if (problem.code === "recovery-expired") return renew();
  refused(problem, $("code-field"), "code");
  if (problem.retry_after) {
    note({ resend: Date.now() + problem.retry_after * 1000 });
    holdSend();
  }
  // The way out is a button here, not another code.
  if (problem.code === "not-following") $("unbind").focus();
  if (problem.code === "delivery-failed") send.focus();
}

/* Both together */

function faults(password, code) {
  const unmet = weigh();
  const found = {};
  if (!password) found.password = "请输入新密码。";
  else if (unmet.length) found.password = `新密码还不符合：${unmet.map((rule) => rule.words).join("；")}。`;
  if (!code && !recovery.sent) found.code = `请先点击“${SEND}”，再输入收到的验证码。`;
  else if (!/^[0-9]{6}$/.test(code)) found.code = "请输入6位数字验证码。";
  return found;
}

$("verify").addEventListener("submit", (event) => {
  event.preventDefault();
  if (isBusy()) return;
  clear("password", "code");
  const password = $("password").value;
  const code = fold($("code").value);
  const found = faults(password, code);
  // The last one that is written is the first one on the page, and gets the focus.
  for (const id of order().reverse()) if (found[id]) wrong(id, found[id]);
  if (Object.keys(found).length) return;
  const button = $("verify").querySelector(".primary");
  once(button, async () => {
    try {
      const done = await ask("POST", "recovery/password", { code, password });
      finish(done.wechat_bound);
    } catch (problem) {
      if (problem.code === "recovery-expired") return renew();
      if (problem.code === "code-wrong") $("code").select();
      if (problem.code === "code-expired") {
        note({ sent: null });
        drawSent();
      }
      refused(problem, button, problem.code === "weak-password" ? "password" : "code");
    }
  });
});

$("change").addEventListener("click", back);

/* The end */

draws("done", () => {
  $("done-whom").textContent = recovery.login;
  $("bound").hidden = !recovery.bound || recovery.method !== "sms";
  $("still").hidden = !recovery.bound || recovery.method !== "wechat";
  return "重置成功";
});

/** The password is set; `bound` where codes go to WeChat from now on. */
export function finish(bound) {
  // Nothing that could be used again stays, just what the last screen says.
  note({ token: undefined, qr: undefined, sent: undefined, bound });
  forgetTyped();
  for (const field of $("unbinding").querySelectorAll("input")) field.value = "";
  show("done", { how: "replace" });
  say("重置成功");
}
