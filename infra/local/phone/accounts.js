// The demo's firms, to tap in, and the codes that have arrived.

import { TAGS, WARNINGS, copy, draw, $, make } from "./elements.js";
import { fill } from "./frames.js";
import { enter } from "./tour.js";

/** Show the firms; `front` returns the device whose page gets what people tap. */
export function renderFirms(firms, front) {
  draw($("firms"), firms, () => firms.map((firm) => make("article", { class: "firm" },
    make("h2", { title: firm.name }, firm.name),
    make("div", { class: "tags" }, ...firm.tags.map((tag) => make("span", { class: WARNINGS.has(tag) ? "warn" : "" }, TAGS[tag] ?? tag))),
    make("div", { class: "logins" },
      ...[[firm.firm_no, firm.phone], [`${firm.firm_no}_cw`, firm.finance_phone]].map(([login, bound]) => make("button", {
        type: "button", class: "login", title: "填入账号", onclick: () => enter(front(), { login }),
      }, login, make("span", {}, bound || "无手机")))),
    make("div", { class: "facts" },
      make("button", { type: "button", title: "填入解绑信息", onclick: () => enterDetails(front(), firm, firm.approval_no) }, firm.approval_no),
      make("button", { type: "button", title: "填入解绑信息", onclick: () => enterDetails(front(), firm, firm.head_name) }, firm.head_name)))));
}

async function enterDetails(device, { firm_no, approval_no, head_name }, text) {
  if (!(await fill(device, { firm_no, approval_no, head_name }))) copy(text);
}

/** A code in a message; eight digits may be a firm's number as well. */
export const CODE = /\b\d{6}\b|(?<=验证码\D*)\b\d{8}\b/;

/** Return the newest code on a phone, by SMS or in the Official Account's chat; "" without one. */
export function newestCode({ sms, chat }) {
  const texts = [
    ...sms.map(({ at, params }) => [at, params.code ? `验证码${params.code}` : ""]),
    ...chat.filter(({ kind }) => kind === "card" || kind === "account").map(({ at, text, fields }) =>
      [at, [text, ...fields.map(([, value]) => value)].join(" ")]),
  ].sort(([one], [other]) => one - other);
  const codes = texts.map(([, text]) => CODE.exec(text)?.[0]).filter(Boolean);
  return codes.at(-1) ?? "";
}
