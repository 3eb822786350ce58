// The phone page: shows `/_phone/state` and posts to `/_phone/act`; both are documented in phone_page.py.

import { REFUSALS, TAGS, WARNINGS, coded, draw, icon, make, pad, when } from "./elements.js";

const $ = (id) => document.getElementById(id);
const POLL = 1000;
const ACCOUNT = "中国注册会计师协会行业管理系统";

let state = null;
let number = "";
let app = "sms";
let scene = "";
let typing = false;
let entered = "";
const seen = new Map();

const phone = () => state.phones.find((one) => one.number === number);

let toastTimer = 0;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 2200);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`已复制 ${text}`);
  } catch {
    toast(text);
  }
}

async function act(body) {
  try {
    const response = await fetch("/_phone/act", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ phone: number, ...body }),
    });
    const answer = await response.json();
    if (!response.ok) toast(REFUSALS[answer.error] ?? "操作没有成功");
    await refresh();
    return response.ok ? answer : null;
  } catch {
    toast("服务没有响应");
    return null;
  }
}

// Selection of phone and app.

function pick(next) {
  if (number !== next) {
    number = next;
    entered = "";
    $("web").src = "about:blank";
    $("banner").hidden = true;
    scene = "";
    typing = false;
    sessionStorage.setItem("phone", next);
  }
  // The simulated platform identifies the frame's WeChat user by this cookie.
  document.cookie = `_phone=${next}; path=/; SameSite=Lax`;
  if (app === "web") enter();
  render();
}

function show(next) {
  app = next;
  for (const element of document.querySelectorAll(".app")) {
    element.hidden = element.dataset.app !== next;
  }
  for (const button of document.querySelectorAll(".dock button")) {
    button.setAttribute("aria-current", String(button.dataset.app === next));
  }
  if (next === "web" && !entered) enter();
  $("banner").hidden = true;
  render();
  const list = { sms: $("sms-list"), chat: $("chat-list") }[next];
  if (list) list.scrollTop = list.scrollHeight;
}

function enter(url = `${state.site}/wechat/enter`) {
  entered = url;
  $("web").src = url;
}

function open(url) {
  show("web");
  enter(url);
}

// Rendering.

function render() {
  if (!state || !phone()) return;
  renderPeople();
  renderSms();
  renderChat();
  renderCodes();
  renderFirms();
  renderBadges();
}

function renderPeople() {
  const people = state.phones.map(({ number, name, about }) => ({ number, name, about }));
  draw($("people"), [people, number], () => people.map((person, index) => make("button", {
    type: "button",
    class: "person",
    title: person.about,
    "aria-pressed": String(person.number === number),
    onclick: () => { pick(person.number); act({ act: "use" }); },
  },
  make("span", { class: `face face-${Math.min(index, 3)}`, "aria-hidden": "true" }, person.name.slice(0, 1) || "#"),
  make("span", {}, make("b", {}, person.name || "其他手机"), make("small", {}, person.number)))));
}

function renderSms() {
  const { sms } = phone();
  $("sms-number").textContent = number.replace(/(\d{3})(\d{4})(\d{4})/, "$1 $2 $3");
  const changed = draw($("sms-list"), [number, sms, state.sms], () => {
    if (!sms.length) {
      return [make("p", { class: "empty" }, state.sms ? "还没有短信" : "短信发往外部网关，不在这里显示")];
    }
    return sms.flatMap((message, index) => {
      const fresh = index === 0 || message.at - sms[index - 1].at > 300;
      const code = message.params.code;
      return [
        fresh ? make("p", { class: "when" }, when(message.at)) : null,
        make("div", { class: "message" }, ...coded(message.text),
          code ? make("div", {}, make("button", { type: "button", class: "copy", onclick: () => copy(code) }, icon("copy"), "复制验证码")) : null),
      ].filter(Boolean);
    });
  });
  if (changed) $("sms-list").scrollTop = $("sms-list").scrollHeight;
}

// Texts of WeChat contain links and no other markup.
function linked(text) {
  const parts = [];
  let rest = text;
  const anchor = /<a href="([^"]*)">(.*?)<\/a>/s;
  for (let match = anchor.exec(rest); match; match = anchor.exec(rest)) {
    const [whole, url, label] = match;
    parts.push(...coded(rest.slice(0, match.index)));
    parts.push(make("a", { href: url, onclick: (event) => { event.preventDefault(); open(url); } }, label));
    rest = rest.slice(match.index + whole.length);
  }
  return [...parts, ...coded(rest)];
}

function entryLine(entry) {
  if (entry.kind === "notice") return make("p", { class: "notice" }, entry.text);
  if (entry.kind === "card") {
    return make("article", { class: "card" },
      make("h3", {}, entry.text),
      make("dl", {}, ...entry.fields.flatMap(([label, value]) => [make("dt", {}, label), make("dd", {}, ...coded(value))])),
      entry.url ? make("button", { type: "button", class: "more", onclick: () => open(entry.url) }, "详情") : null);
  }
  const mine = entry.kind === "person";
  const index = Math.min(state.phones.indexOf(phone()), 3);
  return make("div", { class: mine ? "line person-line" : "line" },
    make("span", { class: mine ? `face face-${index}` : "face", "aria-hidden": "true" }, mine ? (phone().name.slice(0, 1) || "#") : "中注协"),
    make("div", { class: "bubble" }, ...(mine ? [entry.text] : linked(entry.text))));
}

function renderChat() {
  const { chat, following } = phone();
  $("leave").hidden = !following;
  $("menu").hidden = !following;
  const profile = !following;
  $("profile").hidden = !profile;
  $("chat-list").hidden = profile;
  $("follow").disabled = !state.wechat;
  $("profile").querySelector("p").textContent = state.wechat ? (scene ? "扫码结果 · 关注后继续找回密码" : "微信公众号 · 演示") : "微信平台在外部，不在这里显示";
  const changed = draw($("chat-list"), [number, chat], () => chat.flatMap((entry, index) => {
    const fresh = index === 0 || entry.at - chat[index - 1].at > 300;
    return [fresh ? make("p", { class: "when" }, when(entry.at)) : null, entryLine(entry)].filter(Boolean);
  }));
  if (changed) $("chat-list").scrollTop = $("chat-list").scrollHeight;
  draw($("menu-items"), state.menu, () => state.menu.map((item) => make("button", {
    type: "button",
    onclick: async () => {
      const answer = await act({ act: "tap", item: item.name });
      if (answer?.open) open(answer.open);
    },
  }, item.name)));
  $("menu-items").hidden = typing;
  $("menu-switch").textContent = typing ? "☰" : "⌨";
  $("say").hidden = !typing;
}

function renderCodes() {
  draw($("codes"), state.codes, () => {
    if (!state.codes.length) {
      return [make("p", { class: "empty" }, "先在电脑页面输入账号，点“下一步”，出现二维码后回到这里扫描")];
    }
    return state.codes.map((code) => {
      const left = Math.max(1, Math.round((code.expires_at - state.now) / 60));
      return make("button", { type: "button", class: "code", onclick: () => scan(code.url) },
        icon("scan"),
        make("span", {}, `电脑上的二维码：${code.scene.split(".")[0]}`, make("small", {}, `${left} 分钟内有效，点此对准扫描`)));
    });
  });
}

async function scan(code) {
  const answer = await act({ act: "scan", code });
  if (!answer) return;
  if (answer.open) {
    open(answer.open);
    return;
  }
  scene = answer.following ? "" : answer.scene;
  show("chat");
}

function renderFirms() {
  draw($("firms"), state.firms, () => state.firms.map((firm) => make("article", { class: "firm" },
    make("h3", { title: firm.name }, firm.name),
    make("div", { class: "tags" }, ...firm.tags.map((tag) => make("span", { class: WARNINGS.has(tag) ? "warn" : "" }, TAGS[tag] ?? tag))),
    make("div", { class: "logins" },
      ...[[firm.firm_no, firm.phone], [`${firm.firm_no}_cw`, firm.finance_phone]].map(([login, bound]) => make("button", {
        type: "button", class: "login", title: "复制账号", onclick: () => copy(login),
      }, login, make("span", {}, bound || "无手机")))),
    make("div", { class: "facts" },
      make("button", { type: "button", title: "复制批准文号", onclick: () => copy(firm.approval_no) }, firm.approval_no),
      make("button", { type: "button", title: "复制负责人姓名", onclick: () => copy(firm.head_name) }, firm.head_name)))));
}

function count(key, entries, current) {
  const newest = entries.at(-1)?.id ?? 0;
  if (!seen.has(key) || current) seen.set(key, newest);
  return entries.filter((entry) => entry.id > seen.get(key)).length;
}

function renderBadges() {
  const { sms, chat } = phone();
  const chatEntry = chat.filter((entry) => entry.kind === "account" || entry.kind === "card");
  const counts = {
    sms: count(`sms ${number}`, sms, app === "sms"),
    chat: count(`chat ${number}`, chatEntry, app === "chat"),
    scan: 0,
    web: 0,
  };
  for (const button of document.querySelectorAll(".dock button")) {
    const badge = button.querySelector("b");
    badge.textContent = counts[button.dataset.app];
    badge.hidden = !counts[button.dataset.app];
  }
}

let bannerTimer = 0;
function showBanner(before, after) {
  if (!before || before.number !== after.number) return;
  const fresh = (name, kinds) => {
    const last = before[name].at(-1)?.id ?? 0;
    return after[name].filter((entry) => entry.id > last && (!kinds || kinds.includes(entry.kind))).at(-1);
  };
  const sms = app === "sms" ? null : fresh("sms");
  const chatEntry = app === "chat" ? null : fresh("chat", ["account", "card"]);
  if (!sms && !chatEntry) return;
  const text = sms ? sms.text : chatEntry.kind === "card"
    ? `${chatEntry.text}：${chatEntry.fields.map(([, value]) => value).join("，")}`
    : chatEntry.text.replace(/<[^>]*>/g, "");
  const [code] = /\b\d{6}\b|(?<=验证码\D*)\b\d{8}\b/.exec(text) ?? [];
  $("banner").replaceChildren(
    make("b", {}, `${sms ? "短信" : ACCOUNT} · 现在${code ? " · 点此复制验证码" : ""}`),
    make("span", {}, ...coded(text)),
  );
  $("banner").onclick = () => {
    $("banner").hidden = true;
    if (code) copy(code);
    else show(sms ? "sms" : "chat");
  };
  $("banner").hidden = false;
  clearTimeout(bannerTimer);
  bannerTimer = setTimeout(() => { $("banner").hidden = true; }, 6000);
}

async function refresh() {
  const response = await fetch("/_phone/state");
  const next = await response.json();
  const before = state ? phone() : null;
  state = next;
  if (!number || !phone()) {
    const stored = sessionStorage.getItem("phone");
    pick(state.phones.some((one) => one.number === stored) ? stored : state.current);
  }
  if (!$("pc").src) startPc();
  showBanner(before, phone());
  render();
}

function startPc() {
  $("address").textContent = `${state.pc}/`;
  $("pc").src = `${state.pc}/`;
}

async function poll() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    toast("演示服务已停止");
  }
  setTimeout(poll, POLL);
}

for (const button of document.querySelectorAll(".dock button")) {
  button.addEventListener("click", () => show(button.dataset.app));
}
for (const button of document.querySelectorAll(".views button")) {
  button.addEventListener("click", () => {
    document.body.dataset.view = button.dataset.view;
    for (const other of document.querySelectorAll(".views button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
  });
}
$("follow").addEventListener("click", () => act({ act: "follow", scene }).then(() => { scene = ""; }));
$("leave").addEventListener("click", () => act({ act: "leave" }));
$("menu-switch").addEventListener("click", () => {
  typing = !typing;
  render();
  if (typing) $("say-text").focus();
});
$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("say-text").value.trim();
  $("say-text").value = "";
  if (text) act({ act: "say", text });
});
$("paste").addEventListener("submit", (event) => {
  event.preventDefault();
  const code = $("paste-code").value.trim();
  $("paste-code").value = "";
  if (code) scan(code);
});
$("web-reload").addEventListener("click", () => enter());
$("web-close").addEventListener("click", () => show("chat"));
$("pc-reload").addEventListener("click", startPc);
$("clear").addEventListener("click", () => act({ act: "clear" }));

const tick = () => {
  const now = new Date();
  $("clock").textContent = `${pad(now.getHours())}:${pad(now.getMinutes())}`;
};
tick();
setInterval(tick, 10_000);
await refresh();
const [, wanted] = /^#(sms|chat|scan|web)$/.exec(location.hash) ?? [];
show(wanted ?? (state.wechat ? "chat" : "sms"));
setTimeout(poll, POLL);
