// Asks the JSON language service of VS Code about one document, as the editor would.
//
// Standard input: {"folder": where both files are, "text": the document with "|" at the cursor}.
// The document names its schema under "$schema"; only files in the folder can be read.
// Standard output: {"labels": [...], "inserts": [...], "hover": "...", "problems": [...]}.

import { readFileSync } from "node:fs";
import languageService from "vscode-json-languageservice";

const { getLanguageService, TextDocument } = languageService;

const { folder, text } = JSON.parse(readFileSync(0, "utf8"));
const offset = text.indexOf("|");
const content = offset < 0 ? text : text.slice(0, offset) + text.slice(offset + 1);

const base = new URL(`file://${folder}/`);
const service = getLanguageService({
  schemaRequestService: async (uri) => {
    if (!uri.startsWith(base.href)) throw new Error(`${uri} is not in the folder`);
    return readFileSync(new URL(uri), "utf8");
  },
  workspaceContext: { resolveRelativePath: (path, from) => new URL(path, from).href },
});
service.configure({ validate: true, allowComments: false });

const document = TextDocument.create(new URL("params.json", base).href, "json", 1, content);
const parsed = service.parseJSONDocument(document);
const cursor = document.positionAt(Math.max(0, offset));
const completion = await service.doComplete(document, cursor, parsed);
const hover = await service.doHover(document, cursor, parsed);
const problems = await service.doValidation(document, parsed);

process.stdout.write(
  JSON.stringify({
    labels: completion.items.map((item) => item.label),
    inserts: completion.items.map((item) => item.textEdit?.newText ?? item.insertText),
    hover: hover ? [hover.contents].flat().map((part) => part.value ?? part).join("\n") : "",
    problems: problems.map(({ message, range, severity }) => ({ message, severity, ...range })),
  }),
);
