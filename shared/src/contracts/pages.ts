// What describes the API and is none of its resources: GET /openapi.json, and pages for people.
import { z } from "zod";

/** As much as every reader of an OpenAPI document begins with; what it holds is openapi.ts's business. */
export const openApiSchema = z.looseObject({
  openapi: z.string(),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  paths: z.record(z.string(), z.unknown()),
  components: z.looseObject({}),
});

export const pictureSchema = z.string().describe("The bytes of a picture.");
export const pageSchema = z.string().describe("An HTML page.");
