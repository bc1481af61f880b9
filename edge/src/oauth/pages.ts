// What a person sees who is asked whether a client may act for them: whose key it is, then what the client may do
// with it; and why not, where it cannot be. No script, nothing loaded. What came from the client is text that
// somebody unknown wrote: it is cut, freed of signs that cannot be seen, and escaped.
import type { AgentScope } from "@blip2-edge/shared/contracts/grants";
import { oauthPaths } from "@blip2-edge/shared/contracts/oauth";
import { escape } from "../html.ts";
import { pageStyle } from "./page-style.ts";

/** Who asks. */
export interface ClientFacts {
  /** As it calls itself. */
  readonly name: string;
  /** Where its metadata document lies; undefined: it registered itself, and nobody vouches for its name. */
  readonly domain: string | undefined;
  /** Where the person, and with them the access, is sent. */
  readonly redirectHost: string;
  /** That is a program on the person's own machine. */
  readonly isLocal: boolean;
}

interface FormFacts {
  readonly client: ClientFacts;
  /** Names the form; good for one answer from the browser that was sent it. */
  readonly handle: string;
  /** Who Cloudflare Access says it is. */
  readonly person: string | undefined;
  /** What was wrong with the answer before. */
  readonly fault?: string | undefined;
}

export interface ConsentFacts extends FormFacts {
  /** Sealed: whose key it is, from one page to the next. */
  readonly who: string;
  readonly key: { readonly name: string; readonly prefix: string; readonly tenant: string };
  /** What the client asks for and the key may do. */
  readonly scopes: readonly AgentScope[];
  /** What it asks for in vain. */
  readonly lacking: readonly AgentScope[];
}

const scopeWords: Readonly<Record<AgentScope, string>> = {
  infer: "Look at pictures: describe them, answer questions about them, compare them with texts",
  search: "Search the pictures that were indexed, and read what is recorded of them",
  index: "Put pictures into namespaces, and replace what stands there under the same name",
};

const maxNameCharacters = 80;
/** Line breaks, direction marks and other signs that could make one text look like another (Unicode category C). */
const unseen = /[\p{C}\p{Zl}\p{Zp}]+/gu;

export function nameShown(name: string): string {
  const [...signs] = name.replaceAll(unseen, " ").replaceAll(/\s+/g, " ").trim();
  const cut = signs.slice(0, maxNameCharacters).join("");
  if (cut === "") return "(no name)";
  return signs.length > maxNameCharacters ? `${cut}…` : cut;
}

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} · blip2-edge</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;

const foreign = (text: string): string => `<bdi>${escape(nameShown(text))}</bdi>`;

function introduction({ name, domain, redirectHost, isLocal }: ClientFacts): string {
  const origin =
    domain === undefined
      ? `A client that calls itself <strong>${foreign(name)}</strong> asks for access. It registered itself here: nobody has checked its name.`
      : `<strong>${foreign(name)}</strong> of <strong>${escape(domain)}</strong> asks for access.`;
  const where = `If you agree, access is sent to <strong>${escape(redirectHost)}</strong>.`;
  const local = isLocal
    ? `\n<p class="note"><strong>That is a program on your own machine.</strong> Agree only if you have just told one to connect.</p>`
    : "";
  return `<p>${origin} ${where}</p>${local}`;
}

const alert = (fault: string | undefined): string =>
  fault === undefined ? "" : `<p class="note" role="alert" id="fault">${escape(fault)}</p>\n`;
const asWhom = (person: string | undefined): string =>
  person === undefined ? "" : `<p class="soft">You are ${foreign(person)}.</p>\n`;
const formOf = (handle: string, inside: string): string =>
  `<form method="post" action="${oauthPaths.authorize}">
<input type="hidden" name="handle" value="${escape(handle)}">
${inside}
</form>`;

/** The person shows that they hold a key. */
export function signInPage({ client, handle, person, fault }: FormFacts): string {
  const described = fault === undefined ? "about-key" : "about-key fault";
  return page(
    `Connect ${nameShown(client.name)}`,
    `<h1>Whose pictures are these?</h1>
${introduction(client)}
${asWhom(person)}${alert(fault)}${formOf(
      handle,
      `<label for="key">API key</label>
<input id="key" name="key" type="password" required autocomplete="off" spellcheck="false" maxlength="256" aria-describedby="${described}"${fault === undefined ? "" : ' aria-invalid="true"'}>
<p class="soft" id="about-key">The client never sees it. It is looked at once, to know which key the client may use, and not kept. On the next page you say what the client may do.</p>
<p class="buttons"><button name="decision" value="allow">Continue</button>
<button class="quiet" name="decision" value="deny" formnovalidate>Refuse</button></p>`,
    )}`,
  );
}

/** The person says what the client may do. */
export function consentPage(facts: ConsentFacts): string {
  const { client, handle, person, fault, who, key, scopes, lacking } = facts;
  const boxes = scopes.map(
    (scope) =>
      `<label class="scope"><input type="checkbox" name="scope" value="${scope}" checked><span>${scopeWords[scope]} (<code>${scope}</code>)</span></label>`,
  );
  const without =
    lacking.length === 0
      ? ""
      : `\n<p class="soft">It asks for ${lacking.map((scope) => `<code>${scope}</code>`).join(", ")} as well, which this key may not do.</p>`;
  return page(
    `Allow ${nameShown(client.name)}`,
    `<h1>May this client look at pictures for you?</h1>
${introduction(client)}
${asWhom(person)}${alert(fault)}${formOf(
      handle,
      `<input type="hidden" name="who" value="${escape(who)}">
<fieldset><legend>It may</legend>
${boxes.join("\n")}
</fieldset>${without}
<p class="soft">It spends the quotas of the key <strong>${foreign(key.name)}</strong> (<code>${escape(key.prefix)}…</code>) of the tenant <strong>${escape(key.tenant)}</strong>, and sees that tenant's pictures. This ends when you revoke it (<code>DELETE /v1/grants/ID</code>), when the key ends, or when the client has not come for a month.</p>
<p class="buttons"><button name="decision" value="allow">Allow</button>
<button class="quiet" name="decision" value="deny">Refuse</button></p>`,
    )}`,
  );
}

/** Nothing can be asked, and the person cannot be sent back. */
export const refusalPage = (title: string, text: string): string =>
  page(title, `<h1>${escape(title)}</h1>\n<p>${escape(text)}</p>`);
