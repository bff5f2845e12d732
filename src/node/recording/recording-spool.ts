import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, messageOf } from '../../base/errors.ts';
import { ensurePrivateDirectory } from '../../base/files.ts';
import { isAlive, type ProcessRef } from '../../base/process-ref.ts';
import type { Chunk } from '../../recording/chunk.ts';
import type { ChunkSink } from '../../recording/chunk-sink.ts';
import { createRecordingFile, type Preamble } from '../../recording/recording-file.ts';

/**
 * Of a file: `recording` until the audit has the end of its session, then `ended`. `refused`: auth does not
 * take it; it is left for an operator.
 */
export type FileStatus = 'recording' | 'ended' | 'refused';

/** A recording on this disk, which waits to be sent. */
export interface SpoolFile {
  readonly sid: string;
  readonly path: string;
  readonly status: FileStatus;
}

/** `<sid>.<pid>.<start of the process>-<unique>.<status>` */
const shape = /^([0-9a-f-]{36})\.(\d+)\.(\d+)-([0-9a-f]{8})\.(recording|ended|refused)$/;

export interface SpoolOptions {
  readonly directory: string;
  readonly owner: ProcessRef;
  /** Eight hex digits of this spool alone. */
  readonly unique: string;
}

/**
 * The recordings of this machine that auth does not have whole yet. Several processes may use the directory:
 * a daemon and its successor. The files of one that is gone are taken over.
 */
export class RecordingSpool {
  readonly #options: SpoolOptions;

  /** @throws CodedError `misconfigured` for a directory that others may read. */
  constructor(options: SpoolOptions) {
    this.#options = options;
    ensurePrivateDirectory(options.directory);
  }

  /** Makes nothing yet: the first write makes the file, and each further one tries again after a failure. */
  create(preamble: Preamble): SpoolFile & { readonly sink: ChunkSink } {
    const { directory, owner, unique } = this.#options;
    const { sid } = preamble.about;
    const path = join(directory, `${sid}.${owner.pid}.${owner.startTime}-${unique}.recording`);
    return { sid, path, status: 'recording', sink: new LateFile(path, preamble) };
  }

  /** Files of processes that are gone, of which this one may take care. */
  async orphans(): Promise<readonly SpoolFile[]> {
    const { directory, owner, unique } = this.#options;
    const names = await readdir(directory);
    return names.flatMap((name): SpoolFile[] => {
      const [, sid = '', pid = '', startTime = '', by, status] = shape.exec(name) ?? [];
      if (status === undefined || status === 'refused') return [];
      const isOurs = by === unique && Number(pid) === owner.pid && startTime === owner.startTime;
      if (isOurs || isAlive({ pid: Number(pid), startTime })) return [];
      return [{ sid, path: join(directory, name), status: status as FileStatus }];
    });
  }

  /** @returns the file under its new name. */
  async mark(file: SpoolFile, status: FileStatus): Promise<SpoolFile> {
    const path = file.path.replace(/\.[a-z]+$/, `.${status}`);
    await rename(file.path, path);
    return { ...file, path, status };
  }

  async remove({ path }: SpoolFile): Promise<void> {
    await rm(path, { force: true });
  }
}

class LateFile implements ChunkSink {
  readonly #path: string;
  readonly #preamble: Preamble;
  #file: ChunkSink | undefined;

  constructor(path: string, preamble: Preamble) {
    this.#path = path;
    this.#preamble = preamble;
  }

  async write(chunks: readonly Chunk[]): Promise<void> {
    this.#file ??= await this.#create();
    await this.#file.write(chunks);
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  async #create(): Promise<ChunkSink> {
    try {
      return await createRecordingFile(this.#path, this.#preamble);
    } catch (e) {
      // What a full disk left of it; nothing was ever in it.
      await rm(this.#path, { force: true }).catch((why: unknown) => {
        throw new CodedError('unavailable', messageOf(why), { cause: e });
      });
      throw e;
    }
  }
}
