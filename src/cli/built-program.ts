import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/** A part of a built program, a CommonJS module in which `__importMetaUrl` is its own address. */
type Part = (...parameters: [...commonJs: unknown[], importMetaUrl: string]) => void;

/** The script that is compiled for a part; one line before it would move the lines of stack traces. */
export const sourceOf = (code: string): string =>
  `(function(exports,require,module,__filename,__dirname,__importMetaUrl){${code}\n})`;

/** The compiled form of a text, as it is kept: behind a checksum of the text. */
export function keptForm(text: Uint8Array, compiled: Uint8Array): Buffer {
  const sum = Buffer.alloc(checksumBytes);
  sum.writeUInt32BE(crc32(text));
  return Buffer.concat([sum, compiled]);
}

const checksumBytes = 4;

/**
 * Runs a program that `.ci/build` made in `folder`: loads the part `name` and those it asks for, each once.
 * Each is taken in its compiled form (`NAME.js.compiled`) where that is of this text and this runtime accepts
 * it, otherwise compiled from its text: it is trusted as the text is, since both are written by the build,
 * and never by a program.
 */
export function runBuilt(name: string, folder: string): void {
  const outside = createRequire(join(folder, `${name}.js`));
  const loaded = new Map<string, { exports: object }>();
  const load = (part: string): object => {
    const known = loaded.get(part);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    loaded.set(part, module);
    const file = join(folder, part);
    const inside = (id: string): unknown => (id.startsWith('./') ? load(id.slice(2)) : outside(id));
    const run = scriptOf(file).runInThisContext() as Part;
    run(module.exports, inside, module, file, folder, pathToFileURL(file).href);
    return module.exports;
  };
  load(`${name}.js`);
}

function scriptOf(file: string): Script {
  const text = readFileSync(file);
  const source = sourceOf(text.toString());
  const cachedData = formOf(text, `${file}.compiled`);
  return new Script(source, { filename: file, ...(cachedData === undefined ? {} : { cachedData }) });
}

/** The engine compares only the length of the text: one that was corrected in place would not be run. */
function formOf(text: Uint8Array, file: string): Buffer | undefined {
  let kept: Buffer;
  try {
    kept = readFileSync(file);
  } catch {
    return undefined; // the program starts without it, only slower
  }
  const isOfText = kept.length > checksumBytes && kept.readUInt32BE() === crc32(text);
  return isOfText ? kept.subarray(checksumBytes) : undefined;
}
