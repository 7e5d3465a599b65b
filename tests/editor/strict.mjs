// Compiles schemas with ajv in its strict mode and asks whether documents fit.
//
// Standard input: [{"schema": a JSON Schema, "documents": [...]}, ...].
// Standard output: for each schema {"fault": why it was not compiled, "fits": [true or false, ...]}.

import { readFileSync } from "node:fs";
import ajv7 from "ajv";
import ajv2020 from "ajv/dist/2020.js";

const answers = JSON.parse(readFileSync(0, "utf8")).map(({ schema, documents }) => {
  const { default: Ajv } = schema.$schema?.includes("draft-07") ? ajv7 : ajv2020;
  const ajv = new Ajv({ strict: true });
  ajv.addVocabulary(["x-ann", "doNotSuggest"]);
  try {
    const fits = ajv.compile(schema);
    return { fault: "", fits: documents.map((document) => fits(document)) };
  } catch (error) {
    return { fault: error.message, fits: [] };
  }
});
process.stdout.write(JSON.stringify(answers));
