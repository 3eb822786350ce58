// An ordinary better-auth with its phone number plugin: passwords are reset by a code in an SMS.
//
// Runs beside its packages in `node_modules`: `node better_auth_site.mjs fill COUNT` makes the database of
// BENCH_DATABASE with so many people, `node better_auth_site.mjs serve PORT` serves it. The code, and a
// notice of the new password, are posted as JSON to BENCH_SMS_URL; without one both are kept, and
// `/bench/mail` returns the last one. Rate limits are off. With BENCH_CHEAP_HASHES a password is its own
// hash, so that nothing needs to be subtracted; without it the hash is better-auth's default, scrypt.

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { phoneNumber } from "better-auth/plugins";
import { SqliteDialect } from "kysely";
import Database from "libsql";

const smsUrl = process.env.BENCH_SMS_URL;
const outbox = [];

const send = async (message) => {
  const body = JSON.stringify(message);
  if (!smsUrl) {
    outbox.push(body);
    return;
  }
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(smsUrl, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(`the SMS endpoint answered ${answer.status}`);
  await answer.text();
};

const cheapHashes = {
  hash: async (password) => password,
  verify: async ({ hash, password }) => hash === password,
};

const options = {
  appName: "bench",
  baseURL: "http://127.0.0.1",
  secret: randomBytes(32).toString("base64"),
  database: {
    dialect: new SqliteDialect({ database: new Database(process.env.BENCH_DATABASE) }),
    type: "sqlite",
  },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  emailAndPassword: {
    enabled: true,
    onPasswordReset: ({ user }) =>
      send({ phone: user.phoneNumber, text: "Your password was changed." }),
    ...(process.env.BENCH_CHEAP_HASHES ? { password: cheapHashes } : {}),
  },
  plugins: [
    phoneNumber({
      sendOTP: ({ phoneNumber: phone, code }) => send({ phone, code }),
      sendPasswordResetOTP: ({ phoneNumber: phone, code }) => send({ phone, code }),
    }),
  ],
};

const fill = async (count) => {
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
  const { internalAdapter, password } = await betterAuth(options).$context;
  // One hash for all: a slow one each would take minutes.
  const hash = await password.hash("Opening-password-1");
  for (let number = 0; number < count; number += 1) {
    const user = await internalAdapter.createUser({
      name: `p${number}`,
      email: `p${number}@bench.example`,
      emailVerified: true,
      phoneNumber: `+86138${String(number).padStart(8, "0")}`,
      phoneNumberVerified: true,
    });
    await internalAdapter.linkAccount({
      userId: user.id,
      providerId: "credential",
      accountId: user.id,
      password: hash,
    });
  }
};

const serve = (port) => {
  const handler = toNodeHandler(betterAuth(options));
  const own = { "/health": () => "ok", "/bench/mail": () => outbox.splice(0).at(-1) };
  const server = createServer((request, response) => {
    const answer = own[request.url];
    if (answer) response.end(answer());
    else handler(request, response);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(port, "127.0.0.1");
};

const [command, number] = process.argv.slice(2);
if (command === "fill") await fill(Number(number));
else serve(Number(number));
