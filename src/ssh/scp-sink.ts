import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { parseScpRecord, ScpFault, type ScpRecord } from './scp-record.ts';
import type { ScpStream } from './scp-stream.ts';

export interface SinkOptions {
  readonly target: string;
  /** `-d`: the target must be a folder that exists. */
  readonly mustBeFolder: boolean;
  readonly recursive: boolean;
  /** Take over modes exactly and the times, where they are sent. */
  readonly preserve: boolean;
}

type Times = Extract<ScpRecord, { kind: 'times' }>;
interface Folder {
  readonly path: string;
  readonly mode: number;
  readonly times: Times | undefined;
}

const messageOf = (e: unknown, path: string): string => {
  const { code, message } = e as NodeJS.ErrnoException;
  return code === undefined ? message : `${path}: ${code}`;
};

const isFolder = async (path: string): Promise<boolean> => {
  try {
    return (await fs.stat(path)).isDirectory();
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw e;
  }
};

/** Receives files (`scp -t`). Resolves to the number of files that could not be written. */
export async function receiveFiles(stream: ScpStream, options: SinkOptions): Promise<number> {
  const sink = new Sink(stream, options);
  await sink.run();
  return sink.failures;
}

class Sink {
  failures = 0;
  readonly #stream: ScpStream;
  readonly #options: SinkOptions;
  readonly #folders: Folder[] = [];
  #times: Times | undefined;

  constructor(stream: ScpStream, options: SinkOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { target, mustBeFolder } = this.#options;
    if (mustBeFolder && !(await isFolder(target))) throw new ScpFault(`${target}: Not a directory`);
    await this.#stream.acknowledge();
    for (let line = await this.#stream.line(); line !== undefined; line = await this.#stream.line()) {
      if (line.startsWith('\x01') || line.startsWith('\x02')) {
        // The other side could not read something; it goes on, or ends the stream, by itself.
        this.failures++;
        continue;
      }
      await this.#take(parseScpRecord(line));
    }
    if (this.#folders.length > 0) throw new ScpFault('lost connection');
  }

  async #take(record: ScpRecord): Promise<void> {
    switch (record.kind) {
      case 'times':
        this.#times = record;
        await this.#stream.acknowledge();
        return;
      case 'file':
        await this.#file(record, this.#takeTimes());
        return;
      case 'directory':
        await this.#enter(record.mode, await this.#pathFor(record.name), this.#takeTimes());
        return;
      case 'end':
        await this.#leave();
    }
  }

  #takeTimes(): Times | undefined {
    const times = this.#times;
    this.#times = undefined;
    return this.#options.preserve ? times : undefined;
  }

  /** Into the folder we are in; at the top, into the target if it is one, else it is the new name. */
  async #pathFor(name: string): Promise<string> {
    const inside = this.#folders.at(-1);
    if (inside !== undefined) return join(inside.path, name);
    const { target } = this.#options;
    return (await isFolder(target)) ? join(target, name) : target;
  }

  async #enter(mode: number, path: string, times: Times | undefined): Promise<void> {
    if (!this.#options.recursive) throw new ScpFault('received directory without -r');
    try {
      if (!(await isFolder(path))) await fs.mkdir(path, { mode: (mode & 0o777) | 0o700 });
      else if (this.#options.preserve) await fs.chmod(path, (mode & 0o777) | 0o700);
    } catch (e) {
      throw new ScpFault(messageOf(e, path)); // nothing of what follows could be put anywhere
    }
    this.#folders.push({ path, mode, times });
    await this.#stream.acknowledge();
  }

  async #leave(): Promise<void> {
    const folder = this.#folders.pop();
    if (folder === undefined) throw new ScpFault('protocol error: unexpected end of a folder');
    try {
      if (this.#options.preserve) await fs.chmod(folder.path, folder.mode & 0o7777);
      if (folder.times !== undefined)
        await fs.utimes(folder.path, folder.times.accessed, folder.times.modified);
    } catch (e) {
      await this.#fail(messageOf(e, folder.path));
      return;
    }
    await this.#stream.acknowledge();
  }

  async #file(
    { mode, size, name }: Extract<ScpRecord, { kind: 'file' }>,
    times: Times | undefined,
  ): Promise<void> {
    const path = await this.#pathFor(name);
    let file: fs.FileHandle;
    try {
      file = await fs.open(path, 'w', mode & 0o777);
    } catch (e) {
      await this.#fail(messageOf(e, path));
      return;
    }
    try {
      await this.#stream.acknowledge();
      const failure = await this.#write(file, size, path);
      const theirs = await this.#stream.answer();
      if (failure === undefined) {
        const { preserve } = this.#options;
        // An existing file keeps its mode, unless -p says otherwise.
        if (preserve) await file.chmod(mode & 0o7777);
        if (times !== undefined) await file.utimes(times.accessed, times.modified);
      }
      if (theirs !== undefined) this.failures++;
      if (failure === undefined) await this.#stream.acknowledge();
      else await this.#fail(failure);
    } finally {
      await file.close();
    }
  }

  /** Reads all of the contents, also when they cannot be written: the next record comes after them. */
  async #write(file: fs.FileHandle, size: number, path: string): Promise<string | undefined> {
    let failure: string | undefined;
    for await (const piece of this.#stream.bytes(size)) {
      if (failure !== undefined) continue;
      try {
        await file.appendFile(piece);
      } catch (e) {
        failure = messageOf(e, path);
      }
    }
    return failure;
  }

  async #fail(message: string): Promise<void> {
    this.failures++;
    await this.#stream.complain(message);
  }
}
