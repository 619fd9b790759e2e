/** The models that lie beside the page, as `model.json` lists them. */

/** The entries of `model.json` that the page reads. */
export interface Listing {
  readonly cam: { readonly file: string; readonly bytes: number };
  readonly irn: { readonly file: string; readonly bytes: number };
  /** Least side of the photo that IRNet sees. */
  readonly pad?: number;
}

/** Reads `model.json`; undefined where there is none. */
export async function listing(base: string): Promise<Listing | undefined> {
  const response = await fetch(new URL("model.json", base));
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`model.json: the server answered ${response.status}`);
  return response.json() as Promise<Listing>;
}

/** Fetches a file whose size is known; `heard` gets the bytes that have come so far. */
export async function download(url: URL, bytes: number, heard: (bytes: number) => void): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new Error(`${url.pathname}: the server answered ${response.status}`);
  const file = new Uint8Array(bytes);
  let at = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (at + value.length > bytes) throw new Error(`${url.pathname} is longer than model.json says`);
    file.set(value, at);
    at += value.length;
    heard(at);
  }
  if (at !== bytes) throw new Error(`${url.pathname} has ${at} bytes, model.json says ${bytes}`);
  return file;
}
