import { describe, expect, test } from "vitest";
import { AppError, fromProblem, problemKinds, problemResponse, toProblem } from "./problem.ts";

test("every row is an HTTP error with a title, and waiting only helps where it says so", () => {
  for (const [code, { status, title, retryable }] of Object.entries(problemKinds)) {
    expect(status, code).toBeGreaterThanOrEqual(400);
    expect(status, code).toBeLessThan(600);
    expect(title, code).toMatch(/^[A-Z].*[^.]$/);
    if (status === 503) expect(retryable, code).toBe(true);
    if (status === 401 || status === 400) expect(retryable, code).toBe(false);
  }
});

describe("what travels", () => {
  const error = new AppError("overloaded", "Wait a little.", {
    internal: "queue of gpu-7 at 10.0.0.7 is full",
    cause: new Error("secret"),
    retryAfterS: 3,
  });

  test("is the row, the detail and the wait, never the inside", () => {
    expect(toProblem(error)).toEqual({
      type: "urn:blip2-edge:problem:overloaded",
      title: "All capacity is in use",
      status: 503,
      code: "overloaded",
      detail: "Wait a little.",
      retryable: true,
      retry_after_s: 3,
    });
    expect(JSON.stringify(toProblem(error))).not.toMatch(/gpu-7|secret/);
  });

  test("is problem+json that no cache keeps, with Retry-After", async () => {
    const response = problemResponse(error, { "x-request": "1" });
    expect(response.status).toBe(503);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("retry-after")).toBe("3");
    expect(response.headers.get("x-request")).toBe("1");
    expect(await response.json()).toEqual(toProblem(error));
    expect(problemResponse(new AppError("not_found", "")).headers.has("retry-after")).toBe(false);
  });

  test("of an unknown error is mute", () => {
    for (const unknown of [new Error("password=1"), "text", undefined, { code: "not_found" }]) {
      const problem = toProblem(unknown);
      expect(problem).toMatchObject({ code: "internal", status: 500 });
      expect(problem).not.toHaveProperty("detail");
    }
  });
});

describe("read back", () => {
  test("gives the same error", () => {
    for (const error of [
      new AppError("pixels_required", "Send the pixels.", { retryAfterS: 1 }),
      new AppError("invalid_request", "Two faults.", {
        errors: [{ field: "prompt", message: "is empty" }],
      }),
    ]) {
      const read = fromProblem(JSON.parse(JSON.stringify(toProblem(error))));
      expect(read).toMatchObject({
        code: error.code,
        detail: error.detail,
        retryAfterS: error.retryAfterS,
        errors: error.errors,
      });
    }
  });

  test("a problem without detail gets its title", () => {
    expect(fromProblem({ code: "forbidden" })?.detail).toBe("The key may not do this");
  });

  test("anything else is not one of ours", () => {
    for (const body of [null, undefined, "x", 1, [], {}, { code: 3 }, { code: "toString" }]) {
      expect(fromProblem(body)).toBeUndefined();
    }
    const odd = fromProblem({
      code: "overloaded",
      retry_after_s: "3",
      errors: [1, { field: "a" }],
    });
    expect(odd?.retryAfterS).toBeUndefined();
    expect(odd?.errors).toBeUndefined();
  });
});
