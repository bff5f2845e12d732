import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';

/** A part of a built program, a CommonJS module in which `__importMetaUrl` is its own address. */
type Part = (...parameters: [...commonJs: unknown[], importMetaUrl: string]) => void;

/** The script that is compiled for a part; one line before it would move the lines of stack traces. */
export const sourceOf = (code: string): string =>
  `(function(exports,require,module,__filename,__dirname,__importMetaUrl){${code}\n})`;

/**
 * Runs a program that `.ci/build` made in `folder`: loads the part `name` and those it asks for, each once.
 * Each is taken in its compiled form (`NAME.js.compiled`) where this runtime accepts that, otherwise compiled
 * from its text: it is trusted as the text is, since both are written by the build, and never by a program.
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
    const run = compiled(file).runInThisContext() as Part;
    run(module.exports, inside, module, file, folder, pathToFileURL(file).href);
    return module.exports;
  };
  load(`${name}.js`);
}

function compiled(file: string): Script {
  // The build writes ASCII alone: half the memory of other texts.
  const source = sourceOf(readFileSync(file, 'latin1'));
  const cachedData = compiledForm(`${file}.compiled`);
  return new Script(source, { filename: file, ...(cachedData === undefined ? {} : { cachedData }) });
}

function compiledForm(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined; // the program starts without it, only slower
  }
}
