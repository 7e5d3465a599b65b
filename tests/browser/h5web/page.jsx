// The page that h5web's own documentation shows: a file is picked, and h5web shows it.
import "@h5web/app/dist/styles.css";
import { App } from "@h5web/app";
import { H5WasmLocalFileProvider } from "@h5web/h5wasm";
import { useState } from "react";
import { createRoot } from "react-dom/client";

function Page() {
  const [file, setFile] = useState();
  if (!file) return <input type="file" onChange={(event) => setFile(event.target.files[0])} />;
  return (
    <div style={{ height: "100vh" }}>
      <H5WasmLocalFileProvider file={file}>
        <App />
      </H5WasmLocalFileProvider>
    </div>
  );
}
createRoot(document.body.appendChild(document.createElement("div"))).render(<Page />);
