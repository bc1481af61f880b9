// /v1/jobs: HTTP in, the rooms of jobs, HTTP out. Every key of a tenant that may have jobs sees all of the
// tenant's.
import type { Job, JobDeleted, JobList, JobResult } from "@blip2-edge/shared/contracts/jobs";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { createJob } from "../jobs/create-job.ts";
import { jobOf, type JobRecord } from "../jobs/job-record.ts";
import { resultsOf } from "../jobs/results.ts";
import { fieldsWithPath, queryOf } from "./keys.ts";
import { once } from "./once.ts";
import { readJson, readLongJson } from "./read-body.ts";
import { bodyLimits } from "./request.ts";

type JobRouteId = "jobCreate" | "jobList" | "jobRead" | "jobResults" | "jobCancel" | "jobDelete";

const unkept = { "cache-control": "no-store" } as const;

export function jobRoutes({
  jobs: rooms,
  remember,
  settings,
}: Pick<Isolate, "jobs" | "remember" | "settings">): Record<JobRouteId, Handler<Env>> {
  const { jobs, files, now } = rooms;
  const told = async (records: readonly JobRecord[]): Promise<Job[]> => {
    const open = records.filter(({ counts }) => counts === null).map(({ id }) => id);
    const counted = await jobs.counts(open);
    return records.map((record) => jobOf(record, counted.get(record.id) ?? {}, now()));
  };
  const answer = async (c: Context<Env>, record: JobRecord, status: 200 | 201 = 200) => {
    c.get("context").event["job_id"] = record.id;
    const [job] = await told([record]);
    return c.json(job, status, unkept);
  };

  return {
    async jobCreate(c) {
      const context = c.get("context");
      return readLongJson(c.req.raw, bodyLimits(settings), context, async (json) => {
        const request = parseOrRefuse(routes.jobCreate.input.schema, json);
        return once(c, remember, json, async (seed) => {
          const id = `job_${seed}`;
          const made = await createJob(rooms, id, request, c.get("caller"), context.later);
          c.header("location", `/v1/jobs/${id}`);
          return answer(c, made, 201);
        });
      });
    },
    async jobList(c) {
      const { cursor } = queryOf(c, routes.jobList.input.schema);
      const page = await jobs.list(c.get("caller").tenant, cursor);
      const list: JobList = {
        jobs: await told(page.jobs),
        ...(page.cursor === undefined ? {} : { cursor: page.cursor }),
      };
      return c.json(list, 200, unkept);
    },
    async jobRead(c) {
      const { id } = queryOf(c, routes.jobRead.input.schema);
      return answer(c, await jobs.read(c.get("caller").tenant, id));
    },
    async jobResults(c) {
      const { id, cursor, limit, format } = queryOf(c, routes.jobResults.input.schema);
      const job = await jobs.read(c.get("caller").tenant, id);
      const page = await resultsOf(rooms, job, Number(cursor ?? 0), limit);
      if (format === "ndjson")
        return c.body(linesOf(page.results), 200, linesHeaders(c, page.cursor));
      return c.json(page, 200, unkept);
    },
    async jobCancel(c) {
      const json = await readJson(c.req.raw, bodyLimits(settings), c.get("context"));
      const { id } = parseOrRefuse(routes.jobCancel.input.schema, fieldsWithPath(c, json));
      const { tenant } = c.get("caller");
      const job = await jobs.read(tenant, id);
      if (job.finished_at === null) await rooms.end(id, "canceled");
      return answer(c, await jobs.read(tenant, id));
    },
    async jobDelete(c) {
      const { id } = queryOf(c, routes.jobDelete.input.schema);
      const { tenant } = c.get("caller");
      await jobs.markDeleted(tenant, id);
      // What is not deleted now the sweep deletes.
      await files.dropAll(tenant, id);
      await jobs.forget(id);
      const deleted: JobDeleted = { id, deleted: true };
      return c.json(deleted, 200, unkept);
    },
  };
}

const linesOf = (results: readonly JobResult[]): string =>
  results.map((result) => `${JSON.stringify(result)}\n`).join("");

/** Where to go on stands in Link (RFC 8288), since every line is a result. */
function linesHeaders(c: Context<Env>, cursor: string | undefined): Record<string, string> {
  const headers = { ...unkept, "content-type": "application/x-ndjson" };
  if (cursor === undefined) return headers;
  const next = new URL(c.req.raw.url);
  next.searchParams.set("cursor", cursor);
  return { ...headers, link: `<${next.pathname}${next.search}>; rel="next"` };
}
