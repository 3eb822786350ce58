// The phone page: shows `/_phone/state` and posts to `/_phone/act`; both are documented in phone_page.py.

import { CODE, newestCode, renderFirms } from "./accounts.js";
import { $, REFUSALS, coded, copy, draw, icon, make, toast, when } from "./elements.js";
import { fill, openIn, setAhead, watchPages } from "./frames.js";
import { renderState, renderTour, startTour } from "./tour.js";

const POLL = 1000;
const NARROW = 900; // px
const ACCOUNT = "中国注册会计师协会行业管理系统";

let state = null;
let number = "";
let app = "sms";
let scene = "";
let typing = false;
let entered = "";
const seen = new Map();

const phone = () => state.phones.find((one) => one.number === number);

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
    await refreshTour();
    return response.ok ? answer : null;
  } catch {
    toast("服务没有响应");
    return null;
  }
}

/** Return the device whose page gets what people tap: the phone while its browser is in front. */
const front = () => (app === "web" ? "phone" : "pc");

// Selection of phone and app.

function pick(next) {
  if (number !== next) {
    number = next;
    closeWeb();
    sessionStorage.setItem("phone", next);
  }
  // The simulated platform identifies the frame's WeChat user by this cookie.
  document.cookie = `_phone=${next}; path=/; SameSite=Lax`;
  if (app === "web") enter();
  render();
}

function closeWeb() {
  entered = "";
  $("web").src = "about:blank";
  $("banner").hidden = true;
  scene = "";
  typing = false;
  // The frame has this page's origin: what its page has stored belongs to another person now.
  sessionStorage.clear();
}

function show(next) {
  if (innerWidth < NARROW) view("phone");
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
  openIn("phone", url);
}

function open(url) {
  show("web");
  enter(url);
}

// Rendering.

function render() {
  if (!state || !phone()) return;
  renderState(state);
  $("clock").textContent = when(state.now);
  renderPeople();
  renderSms();
  renderChat();
  renderCodes();
  renderFirms(state.firms, front);
  renderBadges();
}

function renderPeople() {
  const people = state.phones.map(({ number, name, about }) => ({ number, name, about }));
  draw($("people"), [people, number], () => people.map((person, index) => make("button", {
    type: "button",
    class: "person",
    title: [person.number, person.about].join(" "),
    "aria-pressed": String(person.number === number),
    onclick: () => { pick(person.number); act({ act: "use" }); },
  },
  make("span", { class: `face face-${Math.min(index, 3)}`, "aria-hidden": "true" }, person.name.slice(0, 1) || "#"),
  make("span", {}, make("b", {}, person.name.split("·")[0] || "其他手机"), make("small", {}, `尾号${person.number.slice(-4)}`)))));
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
  $("menu-switch").toggleAttribute("data-typing", typing);
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

async function fillCode(code) {
  if (!(await fill(front(), { code }))) copy(code);
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
  const [code] = CODE.exec(text) ?? [];
  $("banner").replaceChildren(
    make("b", {}, `${sms ? "短信" : ACCOUNT} · 现在${code ? " · 点此填入验证码" : ""}`),
    make("span", {}, ...coded(text)),
  );
  $("banner").onclick = () => {
    $("banner").hidden = true;
    if (code) fillCode(code);
    else show(sms ? "sms" : "chat");
  };
  $("banner").hidden = false;
  clearTimeout(bannerTimer);
  bannerTimer = setTimeout(() => { $("banner").hidden = true; }, 6000);
}

const asked = { state: 0, tour: 0 };
const shown = { state: 0, tour: 0 };

/** Return a part of the server's state; null where a later request was answered before. */
async function read(part) {
  asked[part] += 1;
  const mine = asked[part];
  const response = await fetch(`/_phone/${part}`);
  const body = await response.json();
  if (mine < shown[part]) return null;
  shown[part] = mine;
  return body;
}

async function refresh() {
  const next = await read("state");
  if (!next) return;
  const before = state ? phone() : null;
  if (state && state.ahead !== next.ahead) setAhead(next.ahead);
  state = next;
  if (!number || !phone()) {
    const stored = sessionStorage.getItem("phone");
    pick(state.phones.some((one) => one.number === stored) ? stored : state.current);
  }
  if (!$("pc").src) startPc();
  showBanner(before, phone());
  render();
}

function startPc(options) {
  openIn("pc", `${state.pc}/_login`, options);
}

/** Begin again with everything as at the start; the scene names the phone and the first device. */
function restart(chosen) {
  closeWeb();
  seen.clear();
  startPc({ fresh: true });
  pick(chosen ? chosen.number : state.current);
  show(state.wechat ? "chat" : "sms");
  if (innerWidth < NARROW) view("guide");
}

async function refreshTour() {
  const tour = await read("tour");
  if (tour) renderTour(tour);
}

async function poll() {
  try {
    if (!document.hidden) {
      await refresh();
      await refreshTour();
    }
  } catch {
    toast("演示服务已停止");
  }
  setTimeout(poll, POLL);
}

for (const button of document.querySelectorAll(".dock button")) {
  button.addEventListener("click", () => show(button.dataset.app));
}
/** Show one section of a narrow window. */
function view(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll(".views button")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === name));
  }
}
for (const button of document.querySelectorAll(".views button")) {
  button.addEventListener("click", () => view(button.dataset.view));
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
$("pc-reload").addEventListener("click", () => startPc());
watchPages((name, url) => {
  if (name === "pc") $("address").textContent = url.replace(/^https?:\/\//, "");
});
startTour({
  act,
  show,
  showPc: () => { if (innerWidth < NARROW) view("pc"); },
  newestCode: async (owner) => {
    // A step may be ticked off before the message that it sent has been read.
    await refresh();
    return newestCode(state.phones.find((one) => one.number === owner));
  },
  webIsOpen: () => entered !== "",
  restart,
});

await refresh();
await refreshTour();
const [, wanted] = /^#(sms|chat|scan|web)$/.exec(location.hash) ?? [];
show(wanted ?? (state.wechat ? "chat" : "sms"));
if (innerWidth < NARROW && !wanted) view("guide");
setTimeout(poll, POLL);
