import type { StoredFile } from './site.js';

declare global {
  /** Set by build.mjs; addresses are within the page's own folder. */
  const BUILD: {
    onnxRuntime: string;
    model: StoredFile & { name: string };
    runtimes: { wasm: StoredFile; webgpu: StoredFile };
    /** A song to try; `null` if the page was built without. */
    example: { url: string; name: string } | null;
  };
  /** Of the service worker alone: what it keeps, and a digest of that. */
  const SHELL: { version: string; files: string[] };
}
