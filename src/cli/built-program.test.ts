import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keptForm, runBuilt, sourceOf } from './built-program.ts';

const said = Symbol.for('said by a built program');
type Saying = Record<symbol, unknown>;
const whatItSaid = (): unknown => (globalThis as Saying)[said];
const say = (what: string): string => `globalThis[Symbol.for('said by a built program')] = ${what};`;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'built-program-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  Reflect.deleteProperty(globalThis, said);
});
const write = (name: string, code: string): void => {
  writeFileSync(join(folder, name), code);
};
/** The compiled form of `code`, kept as that of `text`. */
const compile = (name: string, code: string, text = code): Buffer =>
  keptForm(
    Buffer.from(text),
    new Script(sourceOf(code), { filename: join(folder, name) }).createCachedData(),
  );

describe('a built program', () => {
  it('loads its parts once, and what is not its own as any module does', () => {
    write(
      'a.js',
      `const b = require('./b.js'); ${say("[b === require('./b.js'), require('node:os') !== undefined, b.x]")}`,
    );
    write('b.js', 'exports.x = 1;');
    runBuilt('a', folder);
    expect(whatItSaid()).toEqual([true, true, 1]);
  });
  it('has parts that know where they are', () => {
    write('a.js', say('[__importMetaUrl, __filename, __dirname]'));
    runBuilt('a', folder);
    expect(whatItSaid()).toEqual([`file://${folder}/a.js`, join(folder, 'a.js'), folder]);
  });
  it.each([
    ['compiled', true],
    ['not compiled', false],
  ])('means the characters that it was written with, %s', (_, isCompiled) => {
    const code = say("[/^…$/.test('\\u2026'), 'ä'.length]");
    write('a.js', code);
    if (isCompiled) writeFileSync(join(folder, 'a.js.compiled'), compile('a.js', code));
    runBuilt('a', folder);
    expect(whatItSaid()).toEqual([true, 1]);
  });
  it('takes the compiled form of a part', () => {
    // Of another text of the same length, which is what the engine compares, to tell which of the two is run.
    write('a.js', say("'text'"));
    writeFileSync(join(folder, 'a.js.compiled'), compile('a.js', say("'code'"), say("'text'")));
    runBuilt('a', folder);
    expect(whatItSaid()).toBe('code');
  });
  it('is compiled from its text where that was changed since, at the same length', () => {
    write('a.js', say("'text'"));
    writeFileSync(join(folder, 'a.js.compiled'), compile('a.js', say("'code'")));
    runBuilt('a', folder);
    expect(whatItSaid()).toBe('text');
  });
  it.each([
    ['that was cut', (good: Buffer) => good.subarray(0, good.length / 2)],
    ['that is empty', () => Buffer.alloc(0)],
    ['that is a checksum alone', (good: Buffer) => good.subarray(0, 4)],
    ['of another runtime', (good: Buffer) => Buffer.from(good).fill(0, 4, 16)],
  ])('is compiled from its text where there is a compiled form %s', (_, harm) => {
    write('a.js', say("'text'"));
    writeFileSync(join(folder, 'a.js.compiled'), harm(compile('a.js', say("'code'"), say("'text'"))));
    runBuilt('a', folder);
    expect(whatItSaid()).toBe('text');
  });
});
