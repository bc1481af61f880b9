// Which adapter a connection's kind has. A new one is a file in adapters/, a row here and a name in
// shared/src/contracts/connections.ts.
import type { ConnectionKind } from "@blip2-edge/shared/contracts/connections";
import type { Adapter } from "./adapter.ts";
import { cloudinary } from "./adapters/cloudinary.ts";
import { contentful } from "./adapters/contentful.ts";
import { directus } from "./adapters/directus.ts";
import { sanity } from "./adapters/sanity.ts";
import { shopify } from "./adapters/shopify.ts";
import { standard } from "./adapters/standard.ts";
import { storyblok } from "./adapters/storyblok.ts";
import { strapi } from "./adapters/strapi.ts";

export const adapters: Readonly<Record<ConnectionKind, Adapter>> = {
  ...{ standard, directus, strapi },
  ...{ sanity, contentful },
  ...{ cloudinary, storyblok, shopify },
};
