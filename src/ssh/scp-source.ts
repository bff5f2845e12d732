import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, join } from 'node:path';
import { formatScpRecord } from './scp-record.ts';
import type { ScpStream } from './scp-stream.ts';

export interface SourceOptions {
  readonly targets: readonly string[];
  readonly recursive: boolean;
  readonly preserve: boolean;
}

const PIECE = 128 * 1024;

/** Sends files (`scp -f`). Resolves to the number of those that could not be sent. */
export async function sendFiles(stream: ScpStream, options: SourceOptions): Promise<number> {
  const source = new Source(stream, options);
  await stream.answer();
  for (const target of options.targets) await source.send(target);
  return source.failures;
}

class Source {
  failures = 0;
  readonly #stream: ScpStream;
  readonly #options: SourceOptions;

  constructor(stream: ScpStream, options: SourceOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  async send(path: string): Promise<void> {
    let file: fs.FileHandle;
    let info: Stats;
    try {
      // Not to hang on a FIFO that nobody writes to.
      file = await fs.open(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    } catch (e) {
      await this.#fail(`${path}: ${(e as NodeJS.ErrnoException).code ?? 'cannot be read'}`);
      return;
    }
    try {
      info = await file.stat();
      if (info.isDirectory() && this.#options.recursive) await this.#folder(path, info);
      else if (!info.isFile()) await this.#fail(`${path}: not a regular file`);
      else await this.#file(file, path, info);
    } finally {
      await file.close();
    }
  }

  async #folder(path: string, info: Stats): Promise<void> {
    let names: string[];
    try {
      names = await fs.readdir(path);
    } catch (e) {
      await this.#fail(`${path}: ${(e as NodeJS.ErrnoException).code ?? 'cannot be read'}`);
      return;
    }
    if (!(await this.#announce(info, { kind: 'directory', mode: info.mode, name: nameOf(path) }))) return;
    for (const name of names) await this.send(join(path, name));
    await this.#stream.write(formatScpRecord({ kind: 'end' }));
    if ((await this.#stream.answer()) !== undefined) this.failures++;
  }

  async #file(file: fs.FileHandle, path: string, info: Stats): Promise<void> {
    const record = { kind: 'file', mode: info.mode, size: info.size, name: nameOf(path) } as const;
    if (!(await this.#announce(info, record))) return;
    const failure = await this.#contents(file, info.size, path);
    if (failure === undefined) await this.#stream.acknowledge();
    else await this.#fail(failure);
    if ((await this.#stream.answer()) !== undefined) this.failures++;
  }

  /** False when the other side does not want it. */
  async #announce(info: Stats, record: Parameters<typeof formatScpRecord>[0]): Promise<boolean> {
    if (this.#options.preserve) {
      const times = { modified: seconds(info.mtimeMs), accessed: seconds(info.atimeMs) };
      await this.#stream.write(formatScpRecord({ kind: 'times', ...times }));
      if ((await this.#stream.answer()) !== undefined) return this.#refused();
    }
    await this.#stream.write(formatScpRecord(record));
    return (await this.#stream.answer()) === undefined || this.#refused();
  }

  #refused(): false {
    this.failures++;
    return false;
  }

  /** As many bytes as were announced, whatever happens to the file: zeros stand for what cannot be read. */
  async #contents(file: fs.FileHandle, size: number, path: string): Promise<string | undefined> {
    let failure: string | undefined;
    for (let left = size; left > 0;) {
      let piece: Buffer = Buffer.alloc(Math.min(left, PIECE));
      if (failure === undefined) {
        try {
          const { bytesRead } = await file.read(piece, 0, piece.length, null);
          if (bytesRead === 0) failure = `${path}: the file became shorter while it was read`;
          else piece = piece.subarray(0, bytesRead);
        } catch (e) {
          failure = `${path}: ${(e as NodeJS.ErrnoException).code ?? 'cannot be read'}`;
        }
      }
      await this.#stream.write(piece);
      left -= piece.length;
    }
    return failure;
  }

  async #fail(message: string): Promise<void> {
    this.failures++;
    await this.#stream.complain(message);
  }
}

const seconds = (ms: number): number => Math.floor(ms / 1000);
/** A newline would end the record early. */
const nameOf = (path: string): string => basename(path).replaceAll('\n', '\\^J');
