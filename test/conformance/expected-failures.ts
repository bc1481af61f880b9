// Scenarios of the conformance suite that the way we answer cannot pass, each with its reason. The test holds the
// suite's verdicts to these in both directions: what passes must not stand here.

/** In the SDK's own words: "per-request legacy serving cannot receive server-to-client requests". */
const session =
  "needs a session: the client's reply is a request of its own, which a stateless endpoint cannot join with the call";

export const expectedFailures: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "2025-11-25": {
    "tools-call-sampling": session,
    "tools-call-elicitation": session,
    "elicitation-sep1034-defaults": session,
    "elicitation-sep1330-enums": session,
    "server-sse-multiple-streams":
      "stops with a warning where no session id is given, which the revision leaves to the server; in 2026-07-28, without sessions, it passes",
  },
  "2026-07-28": {},
};

/** How many each revision requires of a server (the suite's requirements/REVISION.yaml). */
export const requiredScenarios: Readonly<Record<string, number>> = {
  "2025-11-25": 30,
  "2026-07-28": 37,
};
