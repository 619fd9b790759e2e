/**
 * The built page in a real browser: a photo is dropped, and its masks are those of `irn-infer one`.
 *
 * IRN_WEB_MODELS is a folder with cam.onnx and irn.onnx, IRN_WEB_PHOTOS a list of photos separated by
 * colons, IRN_INFER the program irn-infer; IRN_CHROMIUM the browser (/usr/bin/chromium); screenshots go to
 * IRN_WEB_SHOTS if that is set. Skipped, with the reason, where something is missing; `make web-test` sets
 * them to the demo's.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Browser, type BrowserContext, type Page, chromium } from "playwright-core";
import { serve } from "../scripts/server.mjs";
import type { Result } from "../src/page/results.ts";
import { disagreement } from "./golden.ts";
import { type Coco, readPng, readRle } from "./masks.ts";

const env = process.env;
const models = env["IRN_WEB_MODELS"] ?? "";
const photos = (env["IRN_WEB_PHOTOS"] ?? "").split(":").filter(Boolean);
const program = env["IRN_INFER"] ?? "";
const executablePath = env["IRN_CHROMIUM"] ?? "/usr/bin/chromium";
const shots = env["IRN_WEB_SHOTS"];
/** A large network on one thread takes minutes. */
const PATIENCE = 570_000;

/** What the page leaves for its tests. */
interface Shown {
  irnResult?: Result;
}

const missing = (): string | false => {
  if (!existsSync(executablePath)) return `no browser at ${executablePath} (IRN_CHROMIUM)`;
  if (!existsSync("dist/index.html")) return "the page is not built: npm run build";
  if (!existsSync(join(models, "cam.onnx"))) return "IRN_WEB_MODELS names no folder with cam.onnx and irn.onnx";
  if (photos.length === 0 || !program) return "IRN_WEB_PHOTOS or IRN_INFER is not set";
  return false;
};

describe("the page in a browser", { skip: missing() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "irn-web-"));
  let server: Awaited<ReturnType<typeof serve>>;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const complaints: string[] = [];
  const requests: string[] = [];

  before(async () => {
    const entry = (file: string): object => {
      symlinkSync(resolve(models, file), join(folder, file));
      return { file, bytes: statSync(join(models, file)).size };
    };
    writeFileSync(join(folder, "model.json"), JSON.stringify({ cam: entry("cam.onnx"), irn: entry("irn.onnx") }));
    server = await serve([resolve("dist"), folder], 0);
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, acceptDownloads: true });
    page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(address());
    await page.locator("#status", { hasText: "Ready for a photo" }).waitFor();
  });

  after(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true });
  });

  const address = (): string => {
    const at = server.address();
    assert.ok(at && typeof at === "object");
    return `http://127.0.0.1:${at.port}/`;
  };

  /** Drops a file on the page, as a mouse does. */
  const drop = async (path: string): Promise<void> => {
    const content = readFileSync(path).toString("base64");
    const transfer = await page.evaluateHandle(
      ([content, name]) => {
        const bytes = Uint8Array.from(atob(content!), (letter) => letter.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], name!, { type: "image/jpeg" }));
        return transfer;
      },
      [content, basename(path)],
    );
    await page.evaluate(() => Object.assign(globalThis, { irnResult: undefined }));
    await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
    await page.waitForFunction(() => (globalThis as unknown as Shown).irnResult);
  };

  const label = async (): Promise<number[]> =>
    page.evaluate(() => [...(globalThis as unknown as Shown).irnResult!.masks.label]);

  const saved = async (name: string): Promise<Buffer> => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
    return readFileSync(await download.path());
  };

  const masksOf = (photo: string, ...settings: string[]): { sem: Buffer; coco: Coco } => {
    const out = join(folder, "out");
    const files = ["cam", "irn"].map((kind) => `run.${kind}_model=${resolve(models, `${kind}.onnx`)}`);
    execFileSync(program, ["one", photo, "--out", out, ...files, ...settings]);
    const stem = basename(photo).replace(/\.[^.]*$/, "");
    const coco = JSON.parse(readFileSync(join(out, `${stem}.json`), "utf8")) as Coco;
    return { sem: readFileSync(join(out, `${stem}_sem.png`)), coco };
  };

  for (const photo of photos) {
    test(`${basename(photo)}: masks equal those of irn-infer one`, async (context) => {
      await drop(photo);
      const expected = masksOf(photo);
      const theirs = readPng(expected.sem);
      const differing = disagreement(await label(), theirs.values);
      assert.ok(differing <= 0.01, `${differing} of the pixels differ`);
      const ours = JSON.parse((await saved("COCO JSON")).toString()) as Coco;
      const worst = instancesAgree(ours, expected.coco);
      context.diagnostic(`semantic: ${(100 * (1 - differing)).toFixed(3)} % of the pixels equal`);
      context.diagnostic(`${ours.annotations.length} instances, IoU >= ${worst.toFixed(4)}`);
      const times = page.locator("#times tr");
      for (const row of await times.allTextContents()) context.diagnostic(row);
      if (shots) await page.screenshot({ path: join(shots, `${basename(photo)}.png`), fullPage: true });
    });
  }

  test("what is saved is what is shown", async () => {
    const { values } = readPng(await saved("Semantic PNG"));
    assert.deepEqual([...values], await label());
    const coco = JSON.parse((await saved("COCO JSON")).toString()) as Coco;
    const numbers = readPng(await saved("Instances PNG"));
    const count = numbers.values.reduce((most, value) => Math.max(most, value), 0);
    assert.equal(count, coco.annotations.length);
    assert.deepEqual([...(await saved("This view")).subarray(1, 4)], [...Buffer.from("PNG")]);
  });

  test("sliders react at once and mean what the settings mean", async (context) => {
    const photo = photos.at(-1)!;
    const started = Date.now();
    await page.evaluate(() => Object.assign(globalThis, { irnResult: undefined }));
    await page.locator("#semantic").fill("0.5");
    await page.waitForFunction(() => (globalThis as unknown as Shown).irnResult);
    context.diagnostic(`${Date.now() - started} ms from the slider to the masks`);
    assert.ok(Date.now() - started < 2000, "a threshold takes long");
    const theirs = readPng(masksOf(photo, "sem_seg.background=0.5").sem);
    const differing = disagreement(await label(), theirs.values);
    assert.ok(differing <= 0.01, `${differing} of the pixels differ`);
    await page.getByRole("button", { name: "Reset" }).click();
  });

  test("classes can be chosen by hand", async () => {
    const boxes = page.locator("#classes input");
    const rare = boxes.nth((await boxes.count()) - 1);
    for (const box of await boxes.all()) await box.setChecked(false);
    await rare.setChecked(true);
    const key = (await boxes.count()) - 1;
    await page.waitForFunction(
      (key) => (globalThis as unknown as Shown).irnResult!.masks.keys.join() === String(key),
      key,
    );
    const values = new Set(await label());
    values.delete(0);
    assert.ok([...values].every((value) => value === key + 1), `labels ${[...values].join()}`);
    assert.equal(await page.locator("#automatic").isChecked(), false);
    await page.locator("#automatic").check();
  });

  test("views are chosen with the keyboard, and nothing is wider than a phone", async () => {
    await page.locator("#view-photo").focus();
    await page.keyboard.press("ArrowRight");
    assert.ok(await page.locator("#view-cam").isChecked());
    for (const width of [360, 390]) {
      await page.setViewportSize({ width, height: 844 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${wide} pixels wide on a screen of ${width}`);
    }
    for (const view of ["cam", "boundary", "displacement", "semantic", "instances"]) {
      await page.locator(`#view-${view}`).focus();
      await page.keyboard.press("Space");
      const whole = view === "instances";
      if (shots) await page.screenshot({ path: join(shots, `phone-${view}.png`), fullPage: whole });
    }
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 1280, height: 1000 });
    if (shots) await page.screenshot({ path: join(shots, "dark.png"), fullPage: true });
    await page.emulateMedia({ colorScheme: "light" });
  });

  test("it works offline once loaded, asks only its own server, and says what is no photo", async () => {
    await context.setOffline(true);
    await page.locator("#scales").selectOption("1");
    await page.locator("#limit").selectOption("320");
    await drop(photos[0]!);
    const broken = join(folder, "broken.jpg");
    cpSync("package.json", broken);
    const dropped = drop(broken).catch(() => undefined);
    await page.getByRole("alert").filter({ hasText: "can't decode" }).waitFor();
    await context.setOffline(false);
    void dropped;
    assert.ok(requests.every((url) => url.startsWith(address()) || url.startsWith("blob:")), requests.join("\n"));
    assert.deepEqual(complaints, []);
  });

  test("without models beside it, the page takes those it is given", async () => {
    const bare = await serve([resolve("dist")], 0);
    const at = bare.address();
    assert.ok(at && typeof at === "object");
    const other = await context.newPage();
    await other.goto(`http://127.0.0.1:${at.port}/`);
    await other.getByText("No models beside the page").waitFor();
    await other.locator("#model-files").setInputFiles(resolve(models, "irn.onnx"));
    await other.getByText("cam.onnx is still missing").waitFor();
    await other.locator("#model-files").setInputFiles(resolve(models, "cam.onnx"));
    await other.locator("#status", { hasText: "Ready for a photo" }).waitFor();
    await other.close();
    bare.close();
  });
});

/** Every instance has its counterpart; the smallest overlap. */
function instancesAgree(ours: Coco, theirs: Coco): number {
  assert.equal(ours.annotations.length, theirs.annotations.length, "number of instances");
  let worst = 1;
  theirs.annotations.forEach((annotation, index) => {
    const other = ours.annotations[index]!;
    assert.equal(other.category_id, annotation.category_id);
    assert.ok(Math.abs(other.score - annotation.score) < 0.02, `score ${other.score}, not ${annotation.score}`);
    const [height, width] = annotation.segmentation.size;
    const [a, b] = [other, annotation].map(({ segmentation }) => readRle(segmentation.counts, height * width));
    const both = a!.filter((set, pixel) => set && b![pixel]).length;
    const either = a!.filter((set, pixel) => set || b![pixel]).length;
    worst = Math.min(worst, both / Math.max(1, either));
  });
  assert.ok(worst >= 0.9, `an instance overlaps by ${worst} only`);
  return worst;
}
