// Imported before any schema is made: zod would try whether code may be made of texts, which this page's policy
// forbids and the browser would report.
import { z } from "zod";

z.config({ jitless: true });
