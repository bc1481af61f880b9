import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { expect, test } from "vitest";
import { accessPersons } from "./access-person.ts";

const team = "https://acme.cloudflareaccess.com";
const { publicKey, privateKey } = await generateKeyPair("RS256");
const keys = [{ ...(await exportJWK(publicKey)), kid: "one", alg: "RS256" }];
const headers = new Headers({
  "cf-access-jwt-assertion": await new SignJWT({ email: "Ada@Example.com" })
    .setProtectedHeader({ alg: "RS256", kid: "one" })
    .setIssuer(team)
    .setAudience("app")
    .setIssuedAt()
    .setExpirationTime("10m")
    .sign(privateKey),
});
function persons(answer: () => Response | Promise<Response>) {
  const asked: string[] = [];
  const find = accessPersons({
    ...{ team, audience: "app" },
    fetch(url, { redirect }) {
      asked.push(`${redirect} ${url}`);
      return Promise.resolve(answer());
    },
  });
  return { asked, find };
}

test("the team's keys are asked for once, and no redirect is followed", async () => {
  const { asked, find } = persons(() => Response.json({ keys }));
  for (let at = 0; at < 3; at++) expect(await find(headers)).toBe("ada@example.com");
  expect(asked).toEqual([`manual ${team}/cdn-cgi/access/certs`]);
});

test.each<[string, () => Response | Promise<Response>]>([
  ["that cannot be reached", () => Promise.reject(new TypeError("no way"))],
  ["that answer with an error", () => new Response("", { status: 500 })],
  ["that lead elsewhere", () => Response.redirect("https://evil.example/certs")],
  ["that are no keys", () => new Response("<html>")],
  ["that never end", () => new Response("x".repeat(100_000))],
])("keys %s are nobody's fault, and tried again", async (_, answer) => {
  let broken = true;
  const { find } = persons(() => (broken ? answer() : Response.json({ keys })));
  await expect(find(headers)).rejects.toMatchObject({ code: "identity_unavailable" });
  broken = false;
  expect(await find(headers)).toBe("ada@example.com");
});
