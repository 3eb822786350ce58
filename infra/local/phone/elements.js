// Parts of the phone page: texts, creation of elements, rendering of changed content only.

export const $ = (id) => document.getElementById(id);

export const TAGS = {
  "one-phone": "两账号同一手机",
  "two-phones": "两账号不同手机",
  "main-phone-only": "财务账号未绑手机",
  "finance-phone-only": "年检账号未绑手机",
  "no-phone": "未绑定手机号",
  "shared-phone": "手机与别家共用",
  "branch": "分所",
  "id-x": "证件尾号X",
  "dotted-name": "姓名带间隔号",
  "long-name": "名称很长",
  "moved": "已迁省",
  "no-password": "无开户密码",
};
export const WARNINGS = new Set(["no-phone", "main-phone-only", "finance-phone-only"]);
export const REFUSALS = {
  "not-following": "请先关注公众号",
  "follows-already": "已经关注了公众号",
  "foreign-code": "这不是该公众号的二维码",
  "no-such-item": "菜单中没有这一项",
  "outside": "平台或数据库在外部，演示页无法代为操作",
  "no-scene": "请先选一个场景",
};

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "class") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

// Replaces the content only where it has changed, so that focus and scroll position stay.
const drawn = new Map();
export function draw(element, source, build) {
  const key = JSON.stringify(source);
  if (drawn.get(element) === key) return false;
  drawn.set(element, key);
  element.replaceChildren(...build());
  return true;
}

let toastTimer = 0;
export function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 2600);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`已复制 ${text}`);
  } catch {
    toast(text);
  }
}

export const pad = (value) => String(value).padStart(2, "0");

// All times are those in Beijing, wherever the browser is: the UTC fields of these dates.
export const beijing = (at) => new Date((at + 8 * 3600) * 1000);
export const when = (at) => `${pad(beijing(at).getUTCHours())}:${pad(beijing(at).getUTCMinutes())}`;
export const day = (at) => `${beijing(at).getUTCMonth() + 1}月${beijing(at).getUTCDate()}日`;

export function coded(text) {
  return text.split(/(\b\d{6}\b|(?<=验证码\D*)\b\d{8}\b)/).map((part, index) => (index % 2 ? make("span", { class: "digits" }, part) : part));
}
