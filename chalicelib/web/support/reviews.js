// What supervisors and auditors read: the audit of the staff, and the day at a glance.

import { get, hasRole, page, words } from "./api.js";
import { actor, el, field, form, section, table, time, today } from "./elements.js";

const MOST_ROWS = 500;

function auditRow(event) {
  const linked = event.login && hasRole("agent", "supervisor");
  return [
    time(event.at),
    actor(event.actor),
    linked ? el("a", { href: `#logins/${event.login}` }, event.login) : event.login || "",
    event.text,
    [event.destination, event.details].filter(Boolean).join("，"),
  ];
}

/** Return the page of the audit. */
export async function auditPage() {
  const csv = el("a", { class: "plain button", id: "csv", download: "audit.csv" }, "下载CSV");
  const results = el("div", { id: "acts" });
  let entry = null;

  function query() {
    const values = ["by", "login", "from", "to"].map((name) => [name, entry.elements[name].value.trim()]);
    return new URLSearchParams(values.filter(([, value]) => value)).toString();
  }

  function updateLink() {
    csv.setAttribute("href", `${page.base}/api/audit?${query()}&format=csv`);
  }

  async function load() {
    updateLink();
    const { events, more } = await get(`api/audit?${query()}`);
    const newest = events.slice(-MOST_ROWS).reverse();
    const hidden = more || events.length > MOST_ROWS;
    const columns = ["时间", "人员", "账号", "事件", "详情"];
    results.replaceChildren(
      el(
        "p",
        { class: "hint", role: "status" },
        hidden ? `只显示最近${newest.length}条，请缩短时间或下载CSV。` : `共${events.length}条。`,
      ),
      ...(newest.length ? [table("操作记录", columns, newest.map(auditRow))] : []),
    );
  }

  const fields = [
    field("by", "人员", { maxlength: "300", placeholder: "全部" }),
    field("login", "账号", { maxlength: "40", placeholder: "全部" }),
    field("from", "从", { type: "date", value: today() }),
    field("to", "到", { type: "date", value: today() }),
  ];
  entry = form("filter", "查询", fields, load);
  entry.addEventListener("input", updateLink);
  entry.querySelector(".buttons").append(csv);
  await load();
  return { title: "操作记录", content: [el("section", { class: "card" }, entry, results)] };
}

const TILES = [
  ["started", "开始找回"],
  ["sent", "发出验证码"],
  ["delivered", "确认送达"],
  ["completed", "找回成功"],
  ["wrong", "输错"],
  ["refused", "超限拒绝"],
  ["frozen_by_owner", "本人冻结"],
  ["changed_by_staff", "人员操作"],
  ["waiting", "待审批"],
  ["reset", "年度重置"],
];

/** Return the page of the day. */
export async function todayPage() {
  const day = await get("api/today");
  const tiles = TILES.map(([name, label]) =>
    el("div", { class: "tile" }, el("dt", {}, label), el("dd", { id: `day-${name}` }, String(day[name]))),
  );
  const gateways = Object.entries(day.gateways).map(([name, counts]) => [
    words.gateways[name] || name,
    String(counts.sent),
    String(counts.delivered),
    String(counts.failed),
  ]);
  const provinces = Object.entries(day.provinces).map(([code, count]) => [
    words.provinces[code] || code || "未知",
    String(count),
  ]);
  const none = () => el("p", { class: "hint" }, "今天还没有。");
  return {
    title: "今日概况",
    subtitle: day.day + (day.partial ? " · 事件太多，以下只统计了一部分" : ""),
    content: [
      el("dl", { class: "tiles" }, ...tiles),
      el(
        "div",
        { class: "halves" },
        section(
          "验证码去向",
          {},
          gateways.length ? table("验证码去向", ["网关", "发出", "送达", "失败"], gateways) : none(),
        ),
        section(
          "各地找回成功",
          {},
          provinces.length ? table("各地找回成功", ["地区", "次数"], provinces) : none(),
        ),
      ),
    ],
  };
}
