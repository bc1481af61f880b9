// The conformance suite's tools that need something of the client before they can answer. They return what they ask
// for: in revision 2026-07-28 the client calls again with it. Before, it would come back in a session, and there is none.
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  inputRequired,
  inputResponse,
  type CallToolResult,
  type InputRequests,
  type InputRequiredResult,
  type McpServer,
  type RequestStateCodec,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { z } from "zod";

/** What goes to the client and comes back, sealed. */
export interface FixtureState {
  readonly round: number;
  readonly nonce: string;
}
type Answer = CallToolResult | InputRequiredResult;
type Run = (context: ServerContext) => Answer | Promise<Answer>;

const done = (words: string): CallToolResult => ({ content: [{ type: "text", text: words }] });
const form = (message: string, shape: z.ZodObject) =>
  inputRequired.elicit({ message, requestedSchema: shape });
const named = z.object({ name: z.string() });
const confirmed = z.object({ ok: z.boolean() });
const askName = form("What is your name?", named);
const askModel = (words: string) =>
  inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: words } }],
    maxTokens: 50,
  });

/** Asks until every key has an answer. */
const once =
  (inputRequests: InputRequests): Run =>
  ({ mcpReq: { inputResponses } }) => {
    const isMissing = Object.keys(inputRequests).some(
      (key) => inputResponse(inputResponses, key).kind === "missing",
    );
    return isMissing ? inputRequired({ inputRequests }) : done("All of it came.");
  };

export function registerAskingTools(
  server: McpServer,
  states: RequestStateCodec<FixtureState>,
): void {
  const add = (name: string, run: Run): void => {
    const about = { description: `The suite's ${name}.`, inputSchema: z.looseObject({}) };
    server.registerTool(name, about, (_, context) => run(context));
  };
  const state = (round: number) => states.mint({ round, nonce: crypto.randomUUID() });
  /** Answers in the round after the last question; each state is another. */
  const rounds =
    (...questions: InputRequests[]): Run =>
    async ({ mcpReq }) => {
      const { round = 0 } = mcpReq.requestState<FixtureState>() ?? {};
      const inputRequests = questions[round];
      if (inputRequests === undefined) return done("state-ok: all rounds are over.");
      return inputRequired({ inputRequests, requestState: await state(round + 1) });
    };
  const confirm = { confirm: form("Please confirm", confirmed) };

  add("test_missing_capability", once({ answer: askModel("Say pong.") }));
  add("test_input_required_result_elicitation", ({ mcpReq: { inputResponses } }) => {
    const given = acceptedContent(inputResponses, "user_name", named);
    return given === undefined
      ? inputRequired({ inputRequests: { user_name: askName } })
      : done(`Hello, ${given.name}!`);
  });
  add(
    "test_input_required_result_sampling",
    once({ capital_question: askModel("What is the capital of France?") }),
  );
  add("test_input_required_result_list_roots", once({ client_roots: inputRequired.listRoots() }));
  add("test_input_required_result_request_state", rounds(confirm));
  add("test_input_required_result_tampered_state", rounds(confirm));
  add(
    "test_input_required_result_multiple_inputs",
    rounds({
      user_name: askName,
      greeting: askModel("Generate a greeting"),
      client_roots: inputRequired.listRoots(),
    }),
  );
  add(
    "test_input_required_result_multi_round",
    rounds(
      { step1: form("Step 1: What is your name?", named) },
      { step2: form("Step 2: What is your favorite color?", z.object({ color: z.string() })) },
    ),
  );
  add("test_input_required_result_capabilities", ({ mcpReq: { envelope } }) => {
    const given = (envelope ?? {}) as Readonly<Record<string, object | undefined>>;
    const can = given[CLIENT_CAPABILITIES_META_KEY] ?? {};
    const inputRequests: InputRequests = {
      ...("elicitation" in can ? { user_name: askName } : {}),
      ...("sampling" in can ? { greeting: askModel("Generate a greeting") } : {}),
    };
    return inputRequired({ inputRequests });
  });
  // Of the older revision, where the reply would need a session.
  add("test_sampling", once({ answer: askModel("Say something.") }));
  for (const name of ["", "_sep1034_defaults", "_sep1330_enums"]) {
    add(`test_elicitation${name}`, once({ user_name: askName }));
  }
  server.registerPrompt(
    "test_input_required_result_prompt",
    { description: "Asks for its context first.", argsSchema: z.object({}).optional() },
    (_, { mcpReq: { inputResponses } }) => {
      const shape = z.object({ context: z.string() });
      const given = acceptedContent(inputResponses, "user_context", shape);
      if (given === undefined) {
        const ask = form("What context should the prompt use?", shape);
        return inputRequired({ inputRequests: { user_context: ask } });
      }
      const content = { type: "text", text: `Use the context ${given.context}.` } as const;
      return { messages: [{ role: "user", content }] };
    },
  );
}
