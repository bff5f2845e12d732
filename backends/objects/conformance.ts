import { expect, it } from 'vitest';
import type { ObjectStore } from '../../src/base/object-store.ts';

/** What a test of one store gives the suite. */
export interface ObjectsBench {
  /** Another handle on the same objects; all are empty at first. */
  open(): Promise<ObjectStore>;
}

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const large = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) % 251);

/** What every store of objects promises. */
export function objectStoreConforms(bench: () => ObjectsBench): void {
  const opened = async (): Promise<[ObjectStore, ObjectStore]> => [
    await bench().open(),
    await bench().open(),
  ];
  const textOf = (value: Uint8Array | undefined): string | undefined =>
    value && Buffer.from(value).toString();

  it('gives back what was put, through another handle, and the newest', async () => {
    const [one, other] = await opened();
    expect(await other.get('a/b')).toBeUndefined();
    await one.put('a/b', bytesOf('first'));
    expect(textOf(await other.get('a/b'))).toBe('first');
    await other.put('a/b', bytesOf('second, and longer'));
    expect(textOf(await one.get('a/b'))).toBe('second, and longer');
    await one.put('a/empty', new Uint8Array(0));
    expect(textOf(await other.get('a/empty'))).toBe('');
    await one.put('a/large', large);
    expect(Buffer.compare((await other.get('a/large')) ?? new Uint8Array(0), large)).toBe(0);
    await Promise.all([one.close(), other.close()]);
  });

  it('gives a part, cut where the value ends', async () => {
    const [one, other] = await opened();
    await one.put('parts/x', bytesOf('0123456789'));
    const part = async (from: number, length: number) => textOf(await other.get('parts/x', { from, length }));
    expect(await part(0, 4)).toBe('0123');
    expect(await part(4, 100)).toBe('456789');
    expect(await part(9, 1)).toBe('9');
    expect(await part(10, 5)).toBe('');
    expect(await part(50, 5)).toBe('');
    expect(await other.get('parts/none', { from: 0, length: 1 })).toBeUndefined();
    await Promise.all([one.close(), other.close()]);
  });

  it('lists by prefix, sorted, with sizes, all that was put before', async () => {
    const [one, other] = await opened();
    expect(await one.list('list/')).toEqual([]);
    const names = Array.from({ length: 25 }, (_, i) => `list/${String(i).padStart(4, '0')}.segment`);
    for (const name of [...names].reverse()) await one.put(name, bytesOf(name.slice(0, 9)));
    await one.put('lists', bytesOf('x'));
    await one.put('list/sub/y', bytesOf('xy'));
    const listed = [...names.map((name) => ({ name, bytes: 9 })), { name: 'list/sub/y', bytes: 2 }];
    expect(await other.list('list/')).toEqual(listed);
    expect(await other.list('list/0001')).toEqual(listed.slice(1, 2));
    await Promise.all([one.close(), other.close()]);
  });

  it('removes, also what is not there', async () => {
    const [one, other] = await opened();
    await one.put('gone/x', bytesOf('1'));
    await other.remove('gone/x');
    await other.remove('gone/x');
    await other.remove('gone/folder/never');
    expect(await one.get('gone/x')).toBeUndefined();
    expect(await one.list('gone/')).toEqual([]);
    await Promise.all([one.close(), other.close()]);
  });

  it('is whole or not there while it is put, whoever puts it at once', async () => {
    const [one, other] = await opened();
    const values = ['a', 'b'].map((text) => bytesOf(text.repeat(400_000)));
    let underWay = values.length;
    const put = async (store: ObjectStore, value: Uint8Array): Promise<void> => {
      await store.put('race/x', value);
      underWay--;
    };
    const puts = values.map((value, i) => put(i === 0 ? one : other, value));
    while (underWay > 0) {
      const seen = await other.get('race/x');
      if (seen) expect(values.some((value) => Buffer.compare(value, seen) === 0)).toBe(true);
      expect((await one.list('race/')).every(({ bytes }) => bytes === 400_000)).toBe(true);
    }
    await Promise.all(puts);
    await Promise.all([one.close(), other.close()]);
  });

  it('takes no name that leads elsewhere', async () => {
    const [one, other] = await opened();
    for (const name of ['', '/x', 'x/', '../x', 'a/../x', 'a//b', '.hidden', 'a/.b', 'a b', 'a\\b', 'ä'])
      await expect(one.put(name, bytesOf('x'))).rejects.toThrow(RangeError);
    expect(await other.list('')).toEqual(await one.list(''));
    await Promise.all([one.close(), other.close()]);
  });
}
