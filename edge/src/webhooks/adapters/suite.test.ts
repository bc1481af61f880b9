// The suite of adapters on those whose stand-ins need nothing else; the others run it in files of their own.
import { testAdapter } from "../../../../test/support/adapter-suite.ts";
import { fakeDirectus } from "../../../../test/support/fake-directus.ts";
import { fakeSite } from "../../../../test/support/fake-site.ts";
import { fakeStrapi } from "../../../../test/support/fake-strapi.ts";

for (const vendor of [fakeDirectus, fakeStrapi, fakeSite]) testAdapter(vendor);
