// Client of the support desk's calls, and the member of the staff who has signed in.

/** Values that the service has put into the document. */
export const page = document.body.dataset;

/** Chinese words of the service: `actors`, `gateways`, `outcomes`, `provinces`. */
export const words = JSON.parse(page.words);

const TIMEOUT = 20000; // ms

/** An error of a call; its properties are the members of the problem+json. */
export class Problem {
  constructor(members) {
    Object.assign(this, members);
  }
}

/** `subject`, `name`, `roles`, `ends_at`; null before the sign-in. */
export let staff = null;

export function setStaff(me) {
  staff = me;
}

/** Whether the person has one of these roles. */
export function hasRole(...roles) {
  return roles.some((role) => staff.roles.includes(role));
}

let signedOut = () => {};

/** Register the function that is called with the problem when a session has ended. */
export function onSignedOut(handle) {
  signedOut = handle;
}

/** Call the desk; `path` is relative to its address. Throws a Problem. */
export async function call(method, path, body) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT);
  const headers = {};
  if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    headers["X-Support-Desk"] = "1";
  }
  let answer;
  let text;
  try {
    answer = await fetch(`${page.base}/${path}`, {
      method,
      headers,
      body: method === "GET" ? undefined : JSON.stringify(body || {}),
      cache: "no-store",
      signal: stop.signal,
    });
    text = await answer.text();
  } catch {
    throw new Problem({ code: "network", detail: "网络连接失败，请检查网络后重试。" });
  } finally {
    clearTimeout(timer);
  }
  let result = null;
  try {
    result = JSON.parse(text);
  } catch {
    // A gateway or proxy may respond with HTML.
  }
  if (answer.ok && result) return result;
  const unknown = { code: "unavailable", detail: "服务暂时不可用，操作没有生效，请稍后再试。" };
  const problem = new Problem(result && result.code ? result : unknown);
  if (problem.code === "sign-in") signedOut(problem);
  throw problem;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
