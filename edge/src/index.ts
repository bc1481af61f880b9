export default {
  async fetch(request: Request, env: { NODE_NET: { fetch: typeof fetch }; PRIVATE_NET?: { fetch: typeof fetch } }): Promise<Response> {
    const { searchParams: p } = new URL(request.url);
    const via = p.get("via");
    const f = via === "node" ? env.NODE_NET : via === "private" ? env.PRIVATE_NET : { fetch };
    console.log(JSON.stringify({ hello: via }));
    try {
      const r = await f!.fetch(p.get("url")!, { redirect: "manual" });
      return new Response(`${r.status} ${await r.text()}`);
    } catch (e) {
      return new Response(`ERR ${(e as Error).message}`);
    }
  },
};
