import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { readAt, syncFolder, writeDurably } from '../../src/base/durable-files.ts';
import { CodedError, messageOf } from '../../src/base/errors.ts';
import {
  type ByteRange,
  isObjectName,
  type ListedObject,
  type ObjectStore,
  requireObjectName,
} from '../../src/base/object-store.ts';

/** Parts of files begin with a dot, which no name does. */
const partSuffix = '.part';
/** What a process that died left half written is deleted when it is this old. */
const leftForMs = 24 * 60 * 60 * 1_000;

/**
 * A directory, whose files are the objects: also one that several machines mount, since nothing is locked. It
 * is made when it is missing, for its owner alone, and so are files.
 * @param options `reading`: nothing is made or deleted.
 * @throws CodedError `misconfigured` for a path that cannot be one.
 */
export async function openDirectoryObjects(
  path: string,
  { reading = false }: { readonly reading?: boolean } = {},
): Promise<ObjectStore> {
  const objects = new DirectoryObjects(path);
  if (!reading) await objects.prepare();
  return objects;
}

class DirectoryObjects implements ObjectStore {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  get place(): string {
    return `file://${this.#path}`;
  }

  async prepare(): Promise<void> {
    try {
      await mkdir(this.#path, { recursive: true, mode: 0o700 });
      const old = Date.now() - leftForMs;
      for (const file of await this.#files())
        if (isPart(file) && (await stat(file)).mtimeMs < old) await rm(file, { force: true });
    } catch (e) {
      throw new CodedError('misconfigured', `${this.place} cannot be used: ${messageOf(e)}`, { cause: e });
    }
  }

  async put(name: string, value: Uint8Array): Promise<void> {
    const path = this.#fileOf(name);
    const folder = dirname(path);
    const part = join(folder, `.${randomUUID()}${partSuffix}`);
    await this.#act(`write ${name}`, async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      try {
        await writeDurably(part, value, 'wx');
        await rename(part, path);
      } catch (e) {
        await rm(part, { force: true });
        throw e;
      }
      await syncFolder(folder);
    });
  }

  async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    const path = this.#fileOf(name);
    return this.#act(`read ${name}`, async () => {
      const file = await unlessMissing(() => open(path, 'r'));
      if (file === undefined) return undefined;
      try {
        const { size } = await file.stat();
        const from = Math.min(range?.from ?? 0, size);
        const length = Math.min(range?.length ?? size, size - from);
        const bytes = await readAt(file, from, length);
        if (bytes.length < length) throw new Error('it became shorter while it was read');
        return bytes;
      } finally {
        await file.close();
      }
    });
  }

  async list(prefix: string): Promise<readonly ListedObject[]> {
    return this.#act('list it', async () => {
      const found: ListedObject[] = [];
      // The folder of the prefix alone: there may be very many others.
      const below = join(this.#path, ...prefix.split('/').slice(0, -1));
      for (const file of await this.#files(below)) {
        const name = relative(this.#path, file).split(sep).join('/');
        if (!name.startsWith(prefix) || !isObjectName(name)) continue;
        const one = await unlessMissing(() => stat(file));
        if (one?.isFile() === true) found.push({ name, bytes: one.size });
      }
      return found.sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  async remove(name: string): Promise<void> {
    const path = this.#fileOf(name);
    await this.#act(`delete ${name}`, async () => {
      await rm(path, { force: true });
      await unlessMissing(() => syncFolder(dirname(path)));
    });
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  #fileOf(name: string): string {
    requireObjectName(name);
    return join(this.#path, ...name.split('/'));
  }

  async #files(below = this.#path): Promise<string[]> {
    const entries = await unlessMissing(() => readdir(below, { recursive: true, withFileTypes: true }));
    return (entries ?? []).filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  }

  async #act<T>(what: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (e) {
      const code = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((e as NodeJS.ErrnoException).code ?? '')
        ? 'no_space'
        : 'unavailable';
      throw new CodedError(code, `${this.place}: cannot ${what}: ${messageOf(e)}`, { cause: e });
    }
  }
}

const isPart = (file: string): boolean => basename(file).startsWith('.') && file.endsWith(partSuffix);

/** Undefined where there is no such file, or no such folder. */
async function unlessMissing<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw e;
  }
}
