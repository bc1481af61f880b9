// A Payload without Next.js: its own REST handler behind node:http, SQLite, and a collection of uploads with our hook.
// Run from a copy below an installation of Payload (payload.ts), with PORT, FOLDER and API_KEY in its environment.
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { sqliteAdapter } from "@payloadcms/db-sqlite";
import { buildConfig, getPayload, handleEndpoints } from "payload";
import sharp from "sharp";
import { notifyBlip2Edge } from "../../cms/payload/notify-blip2-edge.ts";

const { PORT, FOLDER, API_KEY } = process.env;
/** Of the connection, which is made when this runs already. */
const hookFile = path.join(FOLDER, "hook.json");
const notify = (change) =>
  existsSync(hookFile)
    ? notifyBlip2Edge(JSON.parse(readFileSync(hookFile, "utf8")))(change)
    : change.doc;

const config = buildConfig({
  ...{ secret: "a-secret-of-the-lab", sharp, telemetry: false },
  // Without transactions, its default: with them SQLite answers that it is locked to whoever comes second.
  db: sqliteAdapter({ client: { url: `file:${path.join(FOLDER, "data.db")}` }, push: true }),
  collections: [
    { slug: "users", auth: { useAPIKey: true }, fields: [] },
    {
      slug: "media",
      upload: { staticDir: path.join(FOLDER, "media") },
      fields: [
        { name: "alt", type: "text" },
        { name: "tags", type: "text", hasMany: true },
      ],
      hooks: { afterChange: [notify] },
    },
  ],
});

const payload = await getPayload({ config });
const robot = { email: "robot@example.com", password: "a-password-of-the-lab" };
await payload.create({
  ...{ collection: "users", data: { ...robot, enableAPIKey: true, apiKey: API_KEY } },
});

async function answer(incoming, outgoing) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const request = new Request(`http://127.0.0.1:${PORT}${incoming.url}`, {
    ...{ method: incoming.method, headers: incoming.headers },
    ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }),
  });
  const response = await handleEndpoints({ config, request });
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}

http
  .createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch((error) => {
      console.error(error);
      outgoing.writeHead(500).end();
    });
  })
  .listen(Number(PORT), "127.0.0.1");
