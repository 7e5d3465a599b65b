// Prints the links of a file's root, and one array of it as text, as a JSON document.
import h5wasm, { File } from "h5wasm/node";
const [, , file, path] = process.argv;
await h5wasm.ready;
const opened = new File(file, "r");
const found = opened.get(path);
const values = found && found.value;
console.log(JSON.stringify({ keys: opened.keys(), values: values && Array.from(values, String) }));
opened.close();
