// The page of a firm: both logins, why no code came, what to say, what happened, and what to do.

import { get, hasRole, post, words } from "./api.js";
import { openAct } from "./dialog.js";
import { el, section, showNotice, terms, time } from "./elements.js";
import { factsCard } from "./facts.js";
import { identityCard, isChecked, phoneCard } from "./phone.js";
import { requestersCard, timelineCard } from "./timeline.js";

const LOGINS = { main: "年检、教育", finance: "财务上报" };

// The pause after each code is no fault.
const PAUSE_LOCK = "resend-pause";

function wechatText(view) {
  if (!view.wechat_bound) return "未绑定";
  if (view.following === null) return "已绑定，是否关注暂时查不到";
  return view.following ? "已绑定，正在关注公众号" : "已绑定，没有关注公众号";
}

function passwordText(view) {
  if (!view.has_password) return "没有密码";
  if (view.must_change && view.reset_year) return `${view.reset_year}年度默认密码，须先找回`;
  if (view.must_change) return "初始密码，须先找回";
  return view.changed_at ? `${time(view.changed_at)}设置` : "已设置";
}

function badges(view) {
  const found = [
    view.closed_at ? "已注销" : "",
    view.frozen_at ? "已冻结" : "",
    view.locks.some(({ kind }) => kind !== PAUSE_LOCK) ? "有限制" : "",
    view.method ? "" : "无法接收验证码",
    view.must_change ? "须先找回" : "",
  ].filter(Boolean);
  return found.map((badge) => el("span", { class: "badge" }, badge));
}

function loginLink(view, current) {
  return el(
    "a",
    { class: "login", href: `#logins/${view.login}`, "aria-current": current && "page" },
    el("span", { class: "number" }, view.login, el("small", {}, LOGINS[view.kind]), ...badges(view)),
    el("span", { class: "hint" }, `手机 ${view.phone || "未绑定"} · 微信${wechatText(view)}`),
  );
}

function verdict(view) {
  const locks = view.locks.map(({ kind, text, until }) =>
    el("li", { class: kind === PAUSE_LOCK && "hint" }, `${text}：${time(until)}解除`),
  );
  return el(
    "section",
    { class: "card verdict" },
    el("h2", {}, "为什么收不到验证码"),
    el("p", { id: "why" }, view.why),
    locks.length ? el("ul", { id: "locks" }, ...locks) : null,
    el("h2", {}, "对来电人说"),
    el("p", { id: "say" }, view.say),
  );
}

function shares(logins) {
  if (!logins.length) return null;
  const links = logins.flatMap((login) => [el("a", { href: `#logins/${login}` }, login), " "]);
  return el("span", {}, ...links);
}

function facts(view) {
  const to = { sms: "手机短信", wechat: "公众号" }[view.method] || "没有去向";
  const corrected = view.corrected_at && [time(view.corrected_at), view.corrected_by, view.corrected_from];
  const imported = view.imported_at && [time(view.imported_at), view.imported_from];
  return section(
    "账号情况",
    { id: "facts" },
    terms([
      ["手机号", view.phone || "未绑定"],
      ["微信", wechatText(view)],
      ["绑定于", view.bound_at ? time(view.bound_at) : null],
      ["验证码发往", to],
      ["有效验证码", view.code_until ? `有，至${time(view.code_until)}` : null],
      ["密码", passwordText(view)],
      ["上次找回", view.recovered_at ? time(view.recovered_at) : "没有"],
      ["注销", view.closed_at ? `${time(view.closed_at)}，所存信息${time(view.erased_at)}清除` : null],
      ["冻结", view.frozen_at ? `${time(view.frozen_at)}起` : null],
      ["信息导入", imported ? imported.filter(Boolean).join("，") : "没有记录"],
      ["信息更正", corrected ? corrected.filter(Boolean).join("，") : null],
      ["同手机账号", shares(view.shares_phone)],
      ["同微信账号", shares(view.shares_wechat)],
    ]),
  );
}

function notifiedText(notified) {
  const sent = notified.map(({ destination, outcome }) => {
    const result = words.outcomes[outcome] || outcome;
    return `${destination}（${result}）`;
  });
  return sent.length ? `已通知：${sent.join("、")}。` : "";
}

function actButton(view, reload, name, label, text, done) {
  const act = {
    title: `${label} ${view.login}`,
    text,
    confirm: label,
    reasons: true,
    run: async (reason) => {
      const result = await post(`api/logins/${view.login}/${name}`, { reason });
      await reload();
      showNotice((result.changed ? done : "没有需要处理的，状态没有变化。") + notifiedText(result.notified));
    },
  };
  const click = () => openAct({ ...act, text: typeof text === "function" ? text() : text });
  return el("button", { type: "button", class: "plain", id: name, on: { click } }, label);
}

function actions(view, reload) {
  if (view.closed_at) {
    const hint = "会计师事务所已注销，账号不能修改。确需恢复由运维人员办理。";
    return section("处理", { id: "actions" }, el("p", { class: "hint" }, hint));
  }
  const button = (...of) => actButton(view, reload, ...of);
  const unbindText = () =>
    (isChecked(view.firm.firm_no) ? "" : "您还没有核对来电人身份。") +
    "解绑后验证码改发手机短信，本人会收到通知。";
  const freezeText = "进行中的找回和验证码立即失效，不能找回也不能登录。由主管解除。";
  const unfreezeText = "请先确认本人身份。解除后可以重新找回密码。";
  const thaw = hasRole("supervisor")
    ? button("unfreeze", "解除冻结", unfreezeText, "已解除冻结。")
    : el("p", { class: "hint" }, "已冻结，由主管解除。");
  return section(
    "处理",
    { id: "actions" },
    el(
      "div",
      { class: "buttons" },
      button("unlock", "清除限制", "清除该账号可以人工清除的次数限制。", "已清除限制。"),
      view.wechat_bound ? button("unbind", "解绑微信", unbindText, "已解绑微信。") : null,
      view.frozen_at ? thaw : button("freeze", "冻结账号", freezeText, "已冻结。"),
    ),
  );
}

/** Return the page of a login's firm. */
export async function loginPage(login, reload) {
  const view = await get(`api/logins/${login}`);
  const others = view.logins.filter((other) => other !== view.login);
  const views = await Promise.all(
    // The firm's other login may not exist.
    others.map((other) => get(`api/logins/${other}`).catch(() => null)),
  );
  const both = [view, ...views.filter(Boolean)].sort((a, b) => (a.login < b.login ? -1 : 1));
  // Nobody may change the logins of a closed firm.
  const { card, start } = view.closed_at ? { card: null } : phoneCard(view.login, reload);
  const province = words.provinces[view.firm.province] || view.firm.province;
  return {
    title: view.firm.name || view.firm.firm_no,
    subtitle: ["编号 " + view.firm.firm_no, province].filter(Boolean).join(" · "),
    content: [
      el(
        "nav",
        { class: "logins", "aria-label": "登录账号" },
        ...both.map((each) => loginLink(each, each === view)),
      ),
      el(
        "div",
        { class: "columns" },
        el("div", {}, verdict(view), facts(view), timelineCard(view.events)),
        el(
          "div",
          {},
          actions(view, reload),
          identityCard(view.firm.firm_no),
          card,
          hasRole("supervisor") && !view.closed_at ? factsCard(view.firm.firm_no, reload) : null,
          requestersCard(view.requesters),
        ),
      ),
    ],
    start,
  };
}
