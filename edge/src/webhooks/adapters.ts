// Which adapter a connection's kind has. A new one is a file in adapters/, a row here and a name in
// shared/src/contracts/connections.ts.
import type { ConnectionKind } from "@blip2-edge/shared/contracts/connections";
import type { Adapter } from "./adapter.ts";
import { cloudinary } from "./adapters/cloudinary.ts";
import { contentful } from "./adapters/contentful.ts";
import { directus } from "./adapters/directus.ts";
import { payload } from "./adapters/payload.ts";
import { sanity } from "./adapters/sanity.ts";
import { shopify } from "./adapters/shopify.ts";
import { standard } from "./adapters/standard.ts";
import { storyblok } from "./adapters/storyblok.ts";
import { strapi } from "./adapters/strapi.ts";
import { wordpress } from "./adapters/wordpress.ts";

export const adapters: Readonly<Record<ConnectionKind, Adapter>> = {
  ...{ standard, directus, strapi, wordpress, payload },
  ...{ sanity, contentful },
  ...{ cloudinary, storyblok, shopify },
};
