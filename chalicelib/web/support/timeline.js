// What happened to a login, and who else its visitors have touched.

import { get } from "./api.js";
import { actor, el, problemText, section, table, time } from "./elements.js";

const MARK = 6; // characters of a visitor's digest that are shown

const short = (requester) => requester.slice(0, MARK);

function what(event) {
  const repeated = event.occurrences > 1 ? `（${event.occurrences}次）` : "";
  return el("strong", {}, event.text + repeated);
}

function how(event) {
  return [event.destination, event.details].filter(Boolean).join("，");
}

function who(event) {
  const name = actor(event.actor);
  return event.requester && event.actor === "person" ? `${name} ${short(event.requester)}` : name;
}

/** Return the card of the events, the newest first. */
export function timelineCard(events) {
  if (!events.length) {
    return section("经过", {}, el("p", { class: "hint" }, "还没有任何记录。"));
  }
  const rows = events.map((event) => [time(event.at), what(event), how(event), who(event)]);
  return section("经过", {}, table("经过", ["时间", "事件", "详情", "操作者"], rows));
}

function requesterItem({ requester, events, last_at: last }) {
  const result = el("p", { class: "hint", role: "status" });
  const click = async () => {
    try {
      const { logins } = await get(`api/requesters/${requester}`);
      const links = logins.flatMap(({ login, events: count }) => [
        el("a", { href: `#logins/${login}` }, login),
        `（${count}次） `,
      ]);
      result.replaceChildren(...(links.length ? links : ["没有其他记录。"]));
    } catch (problem) {
      result.textContent = problemText(problem);
    }
  };
  return el(
    "li",
    {},
    `${short(requester)}：${events}次，最近${time(last)} `,
    el("button", { type: "button", class: "small", on: { click } }, "操作过的账号"),
    result,
  );
}

/** Return the card of the visitors of the last day; null where there are none. */
export function requestersCard(requesters) {
  if (!requesters.length) return null;
  const hint = "24小时内操作过该账号的微信或网络，以代号区分。";
  return section(
    "请求方",
    { id: "requesters-card" },
    el("p", { class: "hint" }, hint),
    el("ul", { class: "plain-list" }, ...requesters.map(requesterItem)),
  );
}
