// Connections made, listed, changed and deleted, always within one tenant: it is a part of every statement, so
// a connection of another tenant is as unknown as none at all. Secrets are sealed before they are stored.
import {
  defaultSecretOverlapS,
  words,
  type Connection,
  type ConnectionKind,
  type ConnectionList,
  type CreateConnectionRequest,
  type UpdateConnectionRequest,
} from "@blip2-edge/shared/contracts/connections";
import { invalidRequest, type FieldFault } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import type { Sealer } from "../auth/seal.ts";
import type { SqlValue } from "../auth/tables.ts";
import type { RetryRules } from "../jobs/after-failure.ts";
import type { JobTables } from "../jobs/tables.ts";
import { adapters } from "./adapters.ts";
import {
  connectionColumns,
  connectionOf,
  connectionRecordSchema,
  optionsOf,
  storedOptionsSchema,
  type ConnectionRecord,
  type StoredOptions,
} from "./connection-record.ts";

export interface ConnectionBookOptions {
  readonly table: JobTables;
  readonly sealer: Sealer;
  readonly now?: () => number;
}

export interface ConnectionBook {
  /** The same id again changes nothing and gives the same connection. `keyId`: whose quotas it spends. */
  create(
    id: string,
    tenant: string,
    keyId: string,
    request: CreateConnectionRequest,
  ): Promise<Connection>;
  list(tenant: string, cursor: string | undefined): Promise<ConnectionList>;
  /** Throws not_found, as all do that name one. */
  read(tenant: string, id: string): Promise<ConnectionRecord>;
  update(tenant: string, request: UpdateConnectionRequest): Promise<Connection>;
  /** With its inbox, its backfills, its suggestions and its trail. */
  remove(tenant: string, id: string): Promise<void>;
  /** Whoever's it is: for what comes in from outside and from the queue. */
  find(id: string): Promise<ConnectionRecord | undefined>;
  /** Nothing of it is claimed for a while: twice as long each time, until something goes well. */
  pause(id: string, atLeastMs: number, reason: string, rules: PauseRules): Promise<void>;
  /** Whether a message about it is to be sent, to come at this time: false when one comes sooner. */
  hint(id: string, at: number): Promise<boolean>;
  secretsOf(record: ConnectionRecord): Promise<ConnectionSecrets>;
}

export type PauseRules = Pick<RetryRules, "firstWaitMs" | "maxPauseMs">;

export interface ConnectionSecrets {
  readonly token: string;
  /** Those that vouch for a webhook now, the newest first. */
  readonly webhook: readonly string[];
}

const pageSize = 50;
const tokenPurpose = (id: string): string => `connection token ${id}`;
const webhookPurpose = (id: string): string => `connection webhook ${id}`;
const unknownConnection = (): AppError =>
  new AppError("not_found", "There is no connection with this id.");

export function connectionBook(options: ConnectionBookOptions): ConnectionBook {
  const { table, sealer, now = Date.now } = options;
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);
  const parse = (row: unknown): ConnectionRecord | undefined =>
    row === null ? undefined : connectionRecordSchema.parse(row);

  const book: ConnectionBook = {
    async create(id, tenant, keyId, request) {
      const { kind, name, base_url: baseUrl, token, webhook_secret: secret } = request;
      const stored = storedOf(request);
      const base = baseUrl.replace(/\/+$/, "");
      refuseOptions(kind, stored, secret, base);
      const at = now();
      const columns: Record<string, SqlValue> = {
        ...{ id, tenant, key_id: keyId, name, kind },
        base_url: base,
        allow_private: Number(request.allow_private ?? false),
        options: JSON.stringify(stored),
        token: await sealer.seal(tokenPurpose(id), token),
        webhook_secret: await sealer.seal(webhookPurpose(id), secret),
        ...{ created_at: at, updated_at: at, sweep_due_at: sweepDueAt(kind, stored, at) },
      };
      const names = Object.keys(columns);
      await prepared(
        `INSERT INTO connections (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})
         ON CONFLICT (id) DO NOTHING`,
        ...Object.values(columns),
      ).run();
      return connectionOf(await book.read(tenant, id));
    },

    async list(tenant, cursor) {
      const { results } = await prepared(
        `SELECT ${connectionColumns}, rowid AS page FROM connections WHERE tenant = ?1 AND rowid > ?2
         ORDER BY rowid LIMIT ?3`,
        ...[tenant, Number(cursor ?? 0), pageSize + 1],
      ).all();
      const page = results.slice(0, pageSize);
      const last = page.at(-1) as { readonly page: number } | undefined;
      return {
        connections: page.map((row) => connectionOf(connectionRecordSchema.parse(row))),
        ...(results.length > pageSize && last !== undefined ? { cursor: String(last.page) } : {}),
      };
    },

    async read(tenant, id) {
      const found = await book.find(id);
      if (found === undefined || found.tenant !== tenant) throw unknownConnection();
      return found;
    },

    async update(tenant, request) {
      const { id, name, token, webhook_secret: secret, secret_overlap_s: overlapS } = request;
      const { key_id: keyId, allow_private: allowPrivate } = request;
      const before = await book.read(tenant, id);
      const stored = { ...before.options, ...storedOf(request) };
      refuseOptions(before.kind, stored, secret);
      const at = now();
      const columns: Record<string, SqlValue> = {
        ...(name === undefined ? {} : { name }),
        ...(keyId === undefined ? {} : { key_id: keyId }),
        ...(allowPrivate === undefined ? {} : { allow_private: Number(allowPrivate) }),
        ...(token === undefined ? {} : { token: await sealer.seal(tokenPurpose(id), token) }),
        ...(secret === undefined
          ? {}
          : {
              // At most two live: a third ends the time of the first.
              previous_secret: before.webhook_secret,
              previous_until: at + (overlapS ?? defaultSecretOverlapS) * 1000,
              webhook_secret: await sealer.seal(webhookPurpose(id), secret),
            }),
        options: JSON.stringify(stored),
        ...{ updated_at: at, sweep_due_at: sweepDueAt(before.kind, stored, at) },
        // What was refused for the sake of a setting may go well now.
        paused_until: 0,
      };
      const set = Object.keys(columns).map((column, index) => `${column} = ?${index + 3}`);
      await prepared(
        `UPDATE connections SET ${set.join(", ")} WHERE id = ?1 AND tenant = ?2`,
        ...[id, tenant, ...Object.values(columns)],
      ).run();
      return connectionOf(await book.read(tenant, id));
    },

    async remove(tenant, id) {
      await book.read(tenant, id);
      await table.batch([
        prepared("DELETE FROM connections WHERE id = ?1 AND tenant = ?2", id, tenant),
        prepared("DELETE FROM deliveries WHERE connection_id = ?1", id),
        prepared("DELETE FROM backfills WHERE connection_id = ?1", id),
        prepared("DELETE FROM suggestions WHERE connection_id = ?1", id),
        prepared("DELETE FROM connection_events WHERE connection_id = ?1", id),
      ]);
    },

    find: async (id) =>
      parse(
        await prepared(`SELECT ${connectionColumns} FROM connections WHERE id = ?`, id).first(),
      ),

    async pause(id, atLeastMs, reason, { firstWaitMs, maxPauseMs }) {
      await prepared(
        `UPDATE connections SET paused_until = ?2 + max(?3, min(?5, ?4 << min(paused_times, 16))),
         paused_times = paused_times + 1, paused_reason = ?6 WHERE id = ?1 AND paused_until <= ?2`,
        ...[id, now(), atLeastMs, firstWaitMs, maxPauseMs, reason],
      ).run();
    },

    async hint(id, at) {
      const taken = await prepared(
        `UPDATE connections SET hint_at = ?2 WHERE id = ?1 AND (hint_at <= ?3 OR hint_at > ?2) RETURNING id`,
        ...[id, at, now()],
      ).first();
      return taken !== null;
    },

    async secretsOf({ id, token, webhook_secret: secret, previous_secret: previous, ...record }) {
      const open = async (purpose: string, sealed: string): Promise<string> => {
        const text = await sealer.open(purpose, sealed);
        if (text !== undefined) return text;
        throw new AppError("internal", "The connection's secrets can no longer be read.", {
          internal: "a sealed secret does not open: was PARTITION_SECRET changed?",
        });
      };
      const live = previous !== null && (record.previous_until ?? 0) > now() ? [previous] : [];
      return {
        token: await open(tokenPurpose(id), token),
        webhook: await Promise.all(
          [secret, ...live].map((sealed) => open(webhookPurpose(id), sealed)),
        ),
      };
    },
  };
  return book;
}

/** The part of a request that is options; what it leaves out is left out. */
const storedOf = (request: object): StoredOptions => {
  const asked = storedOptionsSchema.parse(request);
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
};

/** Throws invalid_request for what the CMS has no place for. */
function refuseOptions(
  kind: ConnectionKind,
  options: StoredOptions,
  secret: string | undefined,
  baseUrl?: string,
): void {
  const { targets, secret: rule, basePath } = adapters[kind];
  const faults: FieldFault[] = [];
  if (baseUrl !== undefined && basePath?.pattern.test(new URL(baseUrl).pathname) === false) {
    faults.push({ field: "base_url", message: basePath.message });
  }
  if (secret !== undefined && !rule.pattern.test(secret)) {
    faults.push({ field: "webhook_secret", message: rule.message });
  }
  const { fields } = optionsOf(kind, options);
  for (const word of words) {
    const name = options.fields?.[word] ?? null;
    if (name === null) continue;
    const target = targets[word];
    const twin = words.find((other) => other !== word && fields[other] === name);
    if (target?.allowed.test(name) === true && twin === undefined) continue;
    const refused = twin === undefined ? "cannot be written there" : `is that of \`${twin}\` too`;
    const message = target === undefined ? `is nothing that ${kind} holds` : refused;
    faults.push({ field: `fields.${word}`, message });
  }
  if (faults.length > 0) throw invalidRequest(faults);
}

/** At once: an existing library is the first thing to look at. */
function sweepDueAt(kind: ConnectionKind, stored: StoredOptions, now: number): number | null {
  const { mode, sweep_every_s: every } = optionsOf(kind, stored);
  return mode === "off" || every === null ? null : now;
}
