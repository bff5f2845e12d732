import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSpool, type Spool } from './spool.ts';
import { recordingSink } from './testing.ts';

const reserveBytes = 4096;
let directory: string;
let sink: ReturnType<typeof recordingSink>;
const opened: Spool[] = [];
let uniques = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'reserve-'));
  sink = recordingSink();
});
afterEach(async () => {
  for (const spool of opened.splice(0)) await spool.close();
  rmSync(directory, { recursive: true });
});

const open = async (): Promise<Awaited<ReturnType<typeof openSpool>>> => {
  const unique = (++uniques).toString(16).padStart(8, '0');
  const spool = await openSpool(directory, unique, sink, reserveBytes);
  opened.push(spool.spool);
  return spool;
};
const files = (): string[] => readdirSync(directory).sort();
const segments = (): string[] => files().filter((name) => name.endsWith('.ndjson'));
const text = (n: number): string => `{"n":${n}}`;
const texts = (records: readonly { readonly text: string }[]): unknown[] =>
  records.map((one) => (JSON.parse(one.text) as { n: number }).n);
/** As if the process had died: the files are those of one that does not live. */
function die(): void {
  for (const name of files())
    renameSync(join(directory, name), join(directory, name.replace(/-\d+\.\d+-/, '-999999999.1-')));
}

describe('what a spool sets aside', () => {
  it('is written in place, takes no more room, and is set aside again when it was delivered', async () => {
    const { spool } = await open();
    await spool.prepareReserve();
    expect(files()).toEqual([expect.stringMatching(/^reserve-/)]);
    const written = await spool.writeReserved([text(1), text(2)], 0);
    const [name = ''] = segments();
    expect(files()).toEqual([name]);
    expect(statSync(join(directory, name)).size).toBe(reserveBytes);
    await spool.taken(written);
    const [again = ''] = files();
    expect(again).toMatch(/^reserve-/);
    expect(readFileSync(join(directory, again)).every((byte) => byte === 0)).toBe(true);
    expect((await spool.writeReserved([text(3)], 0)).map(({ number }) => number)).toEqual([3]);
  });
  it('keeps a part for others, and says when there is none', async () => {
    const { spool } = await open();
    await expect(spool.writeReserved([text(1)], 0)).rejects.toMatchObject({ code: 'no_space' });
    await spool.prepareReserve();
    const long = `{"n":1,"text":"${'x'.repeat(reserveBytes / 2)}"}`;
    await expect(spool.writeReserved([long], reserveBytes / 2)).rejects.toMatchObject({ code: 'no_space' });
    await spool.writeReserved([long], 0);
    await expect(spool.writeReserved([long], 0)).rejects.toMatchObject({ code: 'no_space' });
  });
  it('is read after a crash, without what was never written of it', async () => {
    const { spool } = await open();
    await spool.prepareReserve();
    await spool.write([text(1)]);
    await spool.writeReserved([text(2), text(3)], 0);
    die();
    const { found } = await open();
    expect(texts(found)).toEqual([1, 2, 3]);
    expect(sink.lines).toEqual([]);
  });
  it('loses no whole record to a write that was cut short', async () => {
    const { spool } = await open();
    await spool.prepareReserve();
    await spool.writeReserved([text(1)], 0);
    const path = join(directory, segments()[0] ?? '');
    const bytes = readFileSync(path);
    bytes.write('0badc0de {"n":2,', bytes.indexOf(0));
    writeFileSync(path, bytes);
    die();
    const { found } = await open();
    expect(texts(found)).toEqual([1]);
    expect(sink.lines).toEqual([expect.stringMatching(/damaged record.*"bytes":16/)]);
  });
  it('is left behind by nobody: neither space that was set aside nor a trial of the disk', async () => {
    const { spool } = await open();
    await spool.prepareReserve();
    await spool.tryDisk();
    writeFileSync(join(directory, 'probe-999999999.1-00000001'), '');
    die();
    await open();
    expect(files()).toEqual([]);
  });
  it('goes on in files whose order is that of the records, when there is room again', async () => {
    const { spool } = await open();
    await spool.prepareReserve();
    await spool.write([text(1)]);
    await spool.writeReserved([text(2)], 0);
    await spool.write([text(3)]);
    expect(segments()).toHaveLength(3);
    expect(statSync(join(directory, segments()[1] ?? '')).size).toBeLessThan(100);
    // There is none until it is prepared again.
    await expect(spool.writeReserved([text(4)], 0)).rejects.toMatchObject({ code: 'no_space' });
    await spool.prepareReserve();
    await spool.writeReserved([text(5)], 0);
    die();
    const { found } = await open();
    expect(texts(found)).toEqual([1, 2, 3, 5]);
    const numbers = found.map(({ number }) => number ?? 0);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  });
  it('ends with the spool', async () => {
    const { spool } = await open();
    await spool.prepareReserve();
    await spool.close();
    opened.pop();
    expect(existsSync(directory) && files()).toEqual([]);
  });

  it.each([true, false])(
    'does not keep a full disk from being opened, with a record cut short (after others: %s)',
    async (others) => {
      const { spool } = await open();
      await spool.write([text(1)]);
      die();
      const [name = ''] = segments();
      const path = join(directory, name);
      writeFileSync(path, `${others ? readFileSync(path, 'utf8') : ''}0000`);
      // What takes no file, as a disk that is full.
      mkdirSync(`${path}.damaged`);
      const { spool: next, found } = await open();
      expect(texts(found)).toEqual(others ? [1] : []);
      await next.taken(found);
      expect(segments()).toEqual([]);
      expect(readFileSync(`${path}.damaged-whole`, 'utf8')).toContain('0000');
    },
  );
});
